"""`Codes`: searches by a bit or two a component, and scores what it finds by the vectors.

RaBitQ (arXiv 2405.12497): vectors are turned at random and each component keeps its sign; Faiss
goes through 32 of them at a time in registers. Codes are 1/24 of the vectors, or 1/13 where a
second bit (arXiv 2409.09913) spares many vectors.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import Found, nearest_of
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.base import FEW, VectorIndex, checked, mapped, selector_of
from unisem.stores.faiss.kinds.rotation import Rotation
from unisem.stores.faiss.kinds.tuning import MARGIN, K, Samples, Tuning
from unisem.stores.faiss.raw_file import RawFile

OVERSAMPLING = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""What is tried."""
_SHALLOW = 64  # of these up to which one bit a component is as fast as two
_TOGETHER = 32  # codes that are gone through in registers at once
_AMPLE = 4  # times what would be needed if a filter had nothing to do with the query
_RAISED = {"text": 2, "image": 3}  # times for queries of the other modality than these
_USUAL = 8  # of these where there was nothing to measure
_LONGER = 1.5  # times a selection that is scanned rather than found by codes of two bits
_NEXT_TO_NOTHING = 0.002  # recall that is not worth scoring more vectors
_LOOKED_AT = 50_000  # vectors from which a centre is found


class Codes(VectorIndex):
    """What both kinds with codes have in common.

    Attributes:
        faiss_name: Faiss's class of the index.
        rotation: What turns vectors before they are encoded.

    Args:
        vectors: See the base.
        rotation: See the attribute.
        index: Faiss's index of the codes.
        tuning: What it needs.
    """

    faiss_name: ClassVar[str]

    def __init__(self, vectors: RawFile, rotation: Rotation, index: Any, tuning: Tuning) -> None:
        super().__init__(vectors, rotation.before(index))
        self.rotation = rotation
        self._codes = index
        self.tuning: Tuning = tuning

    @classmethod
    @abstractmethod
    def build(cls, vectors: RawFile, samples: list[Samples]) -> Self:
        """Encode all vectors, and find out what a search needs to find them."""

    @classmethod
    def opened(cls, path: Path, vectors: RawFile, tuning: Tuning) -> Self:
        """Read what was written.

        Raises:
            OSError, RuntimeError, ValueError: It is not there, or something else.
        """
        whole = mapped(path)
        rotation, index = Rotation.split(whole)
        found = cls(vectors, rotation, checked(index, cls.faiss_name), tuning)
        found._index = whole  # which owns the other
        return found

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        times = settings.oversampling or self.tuning.oversampling
        depth = min(count, max(fetch, math.ceil(fetch * times * settings.effort)))
        turned = self.rotation.of(queries)
        found = []
        for query, places in zip(
            queries, self.likely(turned, depth, fetch, eligible, count, settings), strict=True
        ):
            found.append(nearest_of(self.vectors, query, places, fetch))
        return found

    @abstractmethod
    def likely(
        self,
        turned: Vector,
        depth: int,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[NDArray[np.int64]]:
        """Positions that codes say are nearest, nearest first.

        Args:
            turned: ``(q, d)`` float32 queries, turned.
            depth: How many are wanted to be scored.
            fetch: How many of these will be wanted in the end.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            count: How many may be found.
            settings: How hard to try.
        """

    def ranked(
        self,
        turned: Vector,
        depth: int,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[NDArray[np.int64]]:
        """As `likely`, though so many be asked for that a search would scan instead."""
        return self.likely(turned, depth, fetch, eligible, count, settings)


class RaBitQ(Codes):
    """All codes are gone through. Filters: more is fetched, and what may not be found left out."""

    kind: ClassVar[IndexKind] = "rabitq"
    faiss_name: ClassVar[str] = "IndexRaBitQFastScan"
    sparse: ClassVar[float] = 0.08

    @classmethod
    def build(cls, vectors: RawFile, samples: list[Samples]) -> Self:
        """Encode all vectors, by two bits where one has too many to be scored.

        A million take five seconds, and half a minute more by two bits.
        """
        import faiss

        dimension = vectors.dimension
        rotation = Rotation.random(dimension)
        sample = rotation.of(_some(vectors, _LOOKED_AT))
        for bits in (1, 2):
            index = faiss.IndexRaBitQFastScan(
                dimension, faiss.METRIC_INNER_PRODUCT, _TOGETHER, bits
            )
            index.train(sample)
            rotation.fill(index, vectors)
            built = cls(vectors, rotation, index, Tuning(_USUAL, 0, {}, 0, bits=bits))
            built.tuning = tuned(built, samples)
            if built.tuning.is_enough and built.tuning.oversampling <= _SHALLOW:
                break
        return built

    def is_scanned(self, count: int) -> bool:
        """See the base; codes of more bits take longer to go through, and a scan does not."""
        longer = _LONGER if self.tuning.bits > 1 else 1
        return super().is_scanned(math.ceil(count / longer))

    def likely(
        self,
        turned: Vector,
        depth: int,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[NDArray[np.int64]]:
        """See `Codes.likely`."""
        if eligible is None:
            _, places = self._codes.search(turned, depth)
            return [row[row >= 0] for row in places]
        share = count / len(self.vectors)
        # Among fewer vectors the nearest stand further apart, so that fewer need be looked at.
        enough = min(depth, max(2 * fetch, math.ceil(depth * share**0.25)))
        return [self._filtered(query, enough, eligible, share) for query in turned]

    def ranked(
        self,
        turned: Vector,
        depth: int,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[NDArray[np.int64]]:
        """See `Codes.ranked`."""
        wide = min(len(self.vectors), math.ceil(_AMPLE * depth * len(self.vectors) / count))
        _, places = self._codes.search(turned, depth if eligible is None else wide)
        return [row[(row >= 0) & (True if eligible is None else eligible[row])] for row in places]

    def _filtered(
        self, turned: Vector, enough: int, eligible: NDArray[np.bool_], share: float
    ) -> NDArray[np.int64]:
        wide = math.ceil(enough / share)
        while wide < len(self.vectors) // 8:
            _, places = self._codes.search(turned[None], wide)
            may: NDArray[np.int64] = places[0][eligible[places[0]]]
            if len(may) >= 0.9 * enough:
                return may[:enough]
            wide = math.ceil(wide * min(4, 1.25 * enough / max(1, len(may))))  # others are nearer
        return np.empty(0, np.int64)  # a scan is as fast


class IvfRaBitQ(Codes):
    """Codes in lists of near ones, of which a query looks at some; filtered as they are read."""

    kind: ClassVar[IndexKind] = "ivf_rabitq"
    faiss_name: ClassVar[str] = "IndexIVFRaBitQFastScan"

    @classmethod
    def build(cls, vectors: RawFile, samples: list[Samples]) -> Self:
        """Find the lists, encode all vectors; a million take a minute."""
        import faiss

        rotation = Rotation.random(vectors.dimension)
        dimension, count = vectors.dimension, len(vectors)
        lists = max(1, min(int(2 * math.sqrt(count)), count // 39))  # Faiss wants 39 for each
        quantizer = faiss.IndexFlatIP(dimension)
        index = faiss.IndexIVFRaBitQFastScan(
            quantizer, dimension, lists, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.spherical = False  # codes are of what is left after the centre is taken away
        index.cp.niter = 10
        index.cp.min_points_per_centroid = 1
        index.train(rotation.of(_some(vectors, max(64 * lists, 1000))))
        rotation.fill(index, vectors)
        usual = Tuning(_USUAL, max(1, min(lists, 8 + lists // 16)), {}, 0)
        built = cls(vectors, rotation, index, usual)
        for probes in _probes(lists):
            built.tuning = replace(usual, probes=probes)
            built.tuning = tuned(built, samples)
            if built.tuning.is_enough:
                break
        return built

    @property
    def looks_at(self) -> float:
        """The share of the lists that a usual search looks at."""
        return self.tuning.probes / int(self._codes.nlist)

    def likely(
        self,
        turned: Vector,
        depth: int,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[NDArray[np.int64]]:
        """See `Codes.likely`."""
        share = count / len(self.vectors)
        probes = int(settings.effort * self.tuning.probes / max(share, 1e-6) ** 0.25)
        probes = max(1, min(probes, self._codes.nlist))
        selector = selector_of(eligible)
        found = self._probed(turned, depth, probes, selector)
        least = min(depth, 2 * fetch)
        while probes < self._codes.nlist and any(len(places) < least for places in found):
            probes = min(4 * probes, self._codes.nlist)  # what may be found is not near
            for number, places in enumerate(found):
                if len(places) < least:
                    query = turned[number : number + 1]
                    (found[number],) = self._probed(query, depth, probes, selector)
        return found

    def _probed(
        self, turned: Vector, depth: int, probes: int, selector: Any | None
    ) -> list[NDArray[np.int64]]:
        import faiss

        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        _, places = self._codes.search(turned, depth, params=parameters)
        return [row[row >= 0] for row in places]


def tuned(built: Codes, samples: list[Samples]) -> Tuning:
    """The least oversampling that finds enough of what the samples look for, and how much that is.

    Queries of the other modality lie further away. Where the samples have none it is raised: of
    pictures, words need two to three times what pictures need; of texts, pictures twice.

    Args:
        built: The index.
        samples: Queries; none if the vectors are so few that they are scanned.
    """
    if not samples or len(built.vectors) <= FEW:
        return built.tuning
    fetch = K + MARGIN
    settings = IndexSettings(built.kind)
    ranked: list[list[NDArray[np.int64]]] = []
    for group in samples:
        turned = built.rotation.of(group.queries)
        count = len(built.vectors) if group.eligible is None else int(group.eligible.sum())
        most = min(count, fetch * max(OVERSAMPLING))
        if built.is_scanned(count):
            ranked.append(list(group.nearest))  # these are scanned
            continue
        found = built.ranked(turned, most, fetch, group.eligible, count, settings)
        ranked.append([at[~np.isin(at, own)] for at, own in zip(found, group.own, strict=True)])

    def recalls(times: int) -> dict[str, float]:
        return {
            group.name: group.recall(at[: fetch * times] for at in found)
            for group, found in zip(samples, ranked, strict=True)
        }

    deepest = recalls(OVERSAMPLING[-1])
    wanted = {it.name: min(it.enough, deepest[it.name] - _NEXT_TO_NOTHING) for it in samples}
    times = next(
        times
        for times in OVERSAMPLING
        if all(share >= wanted[name] for name, share in recalls(times).items())
    )
    queries = sum(len(group.queries) for group in samples)
    asked = {group.asked for group in samples}
    raised = 1 if len(asked) > 1 else _RAISED[samples[0].asked]
    is_enough = all(deepest[group.name] >= group.enough for group in samples)
    return replace(
        built.tuning,
        oversampling=times * raised,
        recalls=recalls(times),
        queries=queries,
        is_enough=is_enough,
        raised=raised,
    )


def _probes(lists: int) -> list[int]:
    """How many lists are tried, fewest first; half of them take as long as all codes without."""
    most = max(1, lists // 2)
    return sorted({min(most, number) for number in (8, 16, 32, 64, 128, 256, most)})


def _some(vectors: RawFile, most: int, seed: int = 0) -> Vector:
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:most]
    return vectors.at(np.sort(chosen))
