"""`Data`: seeded vectors with metadata, queries, and what an exact search would find."""

# ruff: noqa: D102  # some docstrings are the base class's
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.base import Rows, Vector
from benchmarks.peers.spectrum import Spectrum

SHAPES = ("spectrum", "mixed", "clusters")
YEARS = 1000
CATEGORIES = 10
_LATENT, _NOISE = 64, 0.3
BLOCK = 50_000
"""Rows that are drawn, or compared with every query, at a time."""
_TIE = 1e-5  # scores this close are the same neighbour to float32 summed in another order
_WORDS = """
amber birch canal dusk ember fern glacier harbour island jungle kelp lantern meadow north
orchard pier quarry river summit thicket upland valley willow yard
""".split()  # noqa: SIM905  # two lines of words read better than a list of 24


@dataclass(frozen=True)
class Condition:
    """Which rows a query may find: those of an earlier year.

    Attributes:
        label: What the tables call it.
        year: The year; ``None`` for all rows.
        step: Added to the year for each further query, so that no filter comes twice in a turn.
    """

    label: str
    year: int | None = None
    step: int = 0

    def below(self, query: int) -> int | None:
        """The year that a query's rows must be earlier than."""
        return None if self.year is None else self.year + query * self.step


ALL = Condition("all")
CONDITIONS = (
    ALL,
    Condition("50 %", YEARS // 2),
    Condition("10 %", YEARS // 10),
    Condition("1 %", YEARS // 100),
    Condition("0.1 %", 1),
    Condition("10 % and more, each new", YEARS // 10, 1),
)


class Source(ABC):
    """Where a data set's vectors come from: blocks of `BLOCK` rows, each drawn by itself.

    So row 12 is the same whatever the number of rows, and no more than a block is in memory.
    """

    dimension: int
    most_queries: int = 1000

    @abstractmethod
    def block(self, number: int) -> Vector:
        """``(BLOCK, d)`` float32 unit rows; the same number gives the same bytes."""

    @abstractmethod
    def queries(self, count: int) -> Vector:
        """``(count, d)`` float32 unit rows, none of them a row; at most `most_queries`."""


class FromSpectrum(Source):
    """Vectors as real ones of `mini`, asked with held-out captions; see `Spectrum`.

    Rows are pictures. Texts lie elsewhere than pictures (the modality gap), so the queries are out
    of the distribution that an index learns. With ``texts`` every fourth row is a caption: most of
    what is found is then one of those.
    """

    def __init__(self, seed: int = 0, texts: bool = False) -> None:
        self._seed = seed
        self._texts = texts
        self._spectrum = Spectrum.load()
        self.dimension = self._spectrum.dimension
        self.most_queries = len(self._spectrum.queries)

    def block(self, number: int) -> Vector:
        rng = np.random.default_rng([self._seed, number])
        rows = self._spectrum.pictures.draw(rng, BLOCK)
        if self._texts:
            rows[3::4] = self._spectrum.texts.draw(rng, len(rows[3::4]))
        return rows

    def queries(self, count: int) -> Vector:
        return self._spectrum.queries[:count]


class FromClusters(Source):
    """Clusters (the square root of the rows) in 64 dimensions, turned into ``d`` with some noise.

    Queries are further draws. 64 dimensions flatter every index that prunes or quantises: real
    vectors vary in more.
    """

    def __init__(self, rows: int, dimension: int, seed: int = 0) -> None:
        self._seed = [seed, rows, dimension]
        self.dimension = dimension
        rng = np.random.default_rng(self._seed)
        self._latent = min(_LATENT, dimension)
        centres = rng.standard_normal((max(2, int(rows**0.5)), self._latent))
        self._centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        turn = np.linalg.qr(rng.standard_normal((dimension, self._latent)))[0]
        self._turn = turn.T.astype(np.float32)

    def block(self, number: int) -> Vector:
        return self._draw(np.random.default_rng([*self._seed, 1, number]), BLOCK)

    def queries(self, count: int) -> Vector:
        return self._draw(np.random.default_rng([*self._seed, 2]), count)

    def _draw(self, rng: np.random.Generator, count: int) -> Vector:
        inner = self._centres[rng.integers(0, len(self._centres), count)]
        inner = inner + rng.standard_normal((count, self._latent)) / self._latent**0.5
        noise = rng.standard_normal((count, self.dimension), np.float32)
        outer = inner.astype(np.float32) @ self._turn + noise * (_NOISE / self.dimension**0.5)
        unit: Vector = outer / np.linalg.norm(outer, axis=1, keepdims=True)
        return unit


def source_of(shape: str, rows: int, dimension: int, seed: int = 0) -> Source:
    """The source of a data set's shape, one of `SHAPES`."""
    if shape == "clusters":
        return FromClusters(rows, dimension, seed)
    return FromSpectrum(seed, texts=shape == "mixed")


@dataclass(frozen=True, eq=False)
class Data:
    """The rows and queries of one size, kept in a directory that several processes map."""

    directory: Path
    vectors: Vector  # (n, d), mapped
    queries: Vector  # (q, d)
    years: NDArray[np.int64]  # (n,) uniform in [0, 1000)
    categories: NDArray[np.int64]  # (n,) uniform in [0, 10)

    @classmethod
    def make(cls, directory: Path, source: Source, rows: int, queries: int, seed: int = 0) -> Data:
        """Write the arrays; the same arguments give the same bytes."""
        directory.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, rows])
        np.save(directory / "queries.npy", source.queries(queries))
        np.save(directory / "years.npy", rng.integers(0, YEARS, rows))
        np.save(directory / "categories.npy", rng.integers(0, CATEGORIES, rows))
        shape = (rows, source.dimension)
        vectors = np.lib.format.open_memmap(
            directory / "vectors.npy", mode="w+", dtype=np.float32, shape=shape
        )
        for number, start in enumerate(range(0, rows, BLOCK)):
            taken = min(BLOCK, rows - start)
            vectors[start : start + taken] = source.block(number)[:taken]
        vectors.flush()
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> Data:
        """Map what `make` wrote."""
        return cls(
            directory,
            np.load(directory / "vectors.npy", mmap_mode="r"),
            np.load(directory / "queries.npy"),
            np.load(directory / "years.npy"),
            np.load(directory / "categories.npy"),
        )

    def rows(self, start: int, stop: int) -> Rows:
        """One batch."""
        numbers = list(range(start, min(stop, len(self.years))))
        return Rows(
            numbers=numbers,
            ids=[str(number) for number in numbers],
            vectors=np.array(self.vectors[start:stop]),
            texts=[text_of(number) for number in numbers],
            metadata=[
                {"year": year, "category": f"category {category}", "title": f"Plate {number}"}
                for number, year, category in zip(
                    numbers,
                    self.years[start:stop].tolist(),
                    self.categories[start:stop].tolist(),
                    strict=True,
                )
            ],
        )


def text_of(number: int) -> str:
    """The caption of a row, about a hundred characters, without a random generator."""
    words = [_WORDS[number // 24**place % 24] for place in range(4)]
    return (
        f"Plate {number}: the {words[0]} {words[1]} seen from the {words[2]} {words[3]}, "
        "photographed by a traveller in early morning light."
    )


class Truth:
    """Exact scores of every query against every row, for judging what a store found.

    A hit counts if its exact score reaches that of the k-th best row, so that ties and float
    rounding cost nobody anything; a hit that the filter excludes, or a repeated one, never counts.
    """

    def __init__(self, data: Data) -> None:
        self._years = data.years
        self._scores = np.empty((len(data.queries), len(data.years)), np.float32)
        for start in range(0, len(data.years), BLOCK):
            block = np.asarray(data.vectors[start : start + BLOCK])
            self._scores[:, start : start + BLOCK] = data.queries @ block.T
        self._least: dict[tuple[int, int, int | None], tuple[float, int]] = {}

    def recall(self, found: list[list[int]], k: int, condition: Condition) -> float:
        """``ann_recall@k`` of the first ``len(found)`` queries, over all that could be found."""
        right = reachable = 0
        for query, numbers in enumerate(found):
            below = condition.below(query)
            least, count = self._threshold(query, k, below)
            reachable += count
            for number in set(numbers[:k]):
                allowed = below is None or self._years[number] < below
                right += bool(allowed and self._scores[query, number] >= least - _TIE)
        return right / reachable if reachable else 1.0

    def _threshold(self, query: int, k: int, below: int | None) -> tuple[float, int]:
        """The k-th best exact score among the allowed rows, and how many can be found."""
        if (query, k, below) not in self._least:
            scores = self._scores[query]
            if below is not None:
                scores = scores[self._years < below]
            count = min(k, len(scores))
            at = len(scores) - count
            least = float(np.partition(scores, at)[at]) if count else 0.0
            self._least[query, k, below] = least, count
        return self._least[query, k, below]
