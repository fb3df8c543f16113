"""The store's codes over more vectors than memory holds: what each part of a search takes.

    python -m benchmarks.codes --rows 10000000 --out codes-10000000.json [--work DIR]

The index is the store's own (`IvfPQ`), over vectors that are drawn block by block and never
together in memory: ten million of them are a file of 7.7 GB as float16, and codes of 1 GB. Every
query is scored exactly against every block as it is drawn, so recall is against the float32
vectors. What lies in ``--work`` is kept and not made again, so that a run that was ended goes on;
without it all is removed. `benchmarks.scale_simulation` takes the parts and puts them together for
other sizes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.codes_parts import FETCH, Built, Parts, Timed
from benchmarks.peers.base import Vector
from benchmarks.peers.data import BLOCK, FromSpectrum, Source
from benchmarks.peers.worker import memory
from unisem.stores.faiss.exact_scan import nearest_of
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.kinds.base import mapped
from unisem.stores.faiss.kinds.ivf_pq import IvfPQ, tuned
from unisem.stores.faiss.kinds.rotation import Rotation
from unisem.stores.faiss.kinds.tuning import K, Tuning, samples_of
from unisem.stores.faiss.raw_file import RawFile

TAIL = 2_000
"""Exact scores of each query that are kept, to see how they thin out."""
SETTINGS = tuple((times, probes) for probes in (16, 64, 256, 1024) for times in (2, 8, 32))
"""How many times `FETCH` are rescored, and how many lists are looked through."""
_WIDE = 4_096  # found by codes, to see by how much codes err about the nearest
_SHORTEST = 30  # from so manieth on a shortlist ends
_ASSIGNED = 20_000  # vectors by which the choice of a list is timed
_ROUNDS = 3


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--out", type=Path, help="JSON")
    where = "where vectors and codes are kept, to go on from; 9 GB at ten million"
    parser.add_argument("--work", type=Path, help=where)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codes-") as folder:
        parts = measured(
            FromSpectrum(), options.rows, options.queries, options.work or Path(folder)
        )
    if options.out:
        parts.save(options.out)
    Console().print(asdict(replace(parts, tails=[], ranks=[])))


def measured(source: Source, rows: int, queries: int, folder: Path) -> Parts:
    """Draw, build and ask, each in a process of its own, unless the folder has it already.

    Args:
        source: Where vectors and queries come from.
        rows: How many vectors.
        queries: How many are asked.
        folder: For files.
    """
    asked = source.queries(queries)
    files = Files(folder, rows, source.dimension)
    _apart(drawn, source, asked, files)
    _apart(built, files)
    found: dict[str, Any] = _apart(answered, asked, files)
    return Parts(
        rows=rows,
        dimension=source.dimension,
        queries=len(asked),
        tails=tails_of(files.truth()[0], rows, K),
        built=files.built(),
        file_bytes=files.codes.stat().st_size,
        load=os.getloadavg()[0],
        **found,
    )


def _apart(step: Callable[..., Any], *arguments: Any) -> Any:
    """Take a step in a process of its own, whose memory is that step's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        return apart.submit(step, *arguments).result()


@dataclass(frozen=True)
class Files:
    """One size's files, as a segment has them; each is there once it is whole.

    Args:
        folder: Where they lie.
        rows: How many vectors.
        dimension: Their length.
    """

    folder: Path
    rows: int
    dimension: int

    @property
    def codes(self) -> Path:
        """Faiss's."""
        return self._of("faiss")

    def vectors(self) -> RawFile:
        """Mapped, and checked as they are read."""
        return RawFile.mapped(self._of("f16"), self.rows, self.dimension, self._of("sums"))

    def unchecked(self) -> NDArray[np.float16]:
        """Mapped."""
        return np.memmap(self._of("f16"), "<f2", "r", shape=(self.rows, self.dimension))

    def truth(self) -> tuple[Vector, NDArray[np.int64]]:
        """``(q, TAIL)`` best exact scores and rows of each query, descending."""
        with np.load(self._of("truth.npz")) as found:
            return found["scores"], found["numbers"]

    def built(self) -> Built:
        """What building took."""
        raw: dict[str, Any] = json.loads(self._of("json").read_text(encoding="utf-8"))
        return Built(**raw)

    def index(self) -> IvfPQ:
        """Opened, with what the store found that a search needs."""
        return IvfPQ.opened(self.codes, self.vectors(), Tuning.from_json(self.built().tuning))

    def has(self, suffix: str) -> bool:
        """Whether a file is there."""
        return self._of(suffix).exists()

    def write(self, suffix: str, fill: Callable[[Any], object]) -> None:
        """Write one whole."""
        unfinished = self._of(f"{suffix}.tmp")
        with unfinished.open("wb") as file:
            fill(file)
        unfinished.rename(self._of(suffix))

    def drop_pages(self) -> None:
        """Have the next reads come from the disk, where the system allows it.

        It does of pages that no process has looked at in a map that is still there.
        """
        with self._of("f16").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _of(self, suffix: str) -> Path:
        return self.folder / f"{self.rows}.{suffix}"


def drawn(source: Source, queries: Vector, files: Files) -> None:
    """Write the vectors, their checksums, and what each query's best exact scores are."""
    if files.has("truth.npz"):
        return
    files.folder.mkdir(parents=True, exist_ok=True)
    rows = files.rows
    kept = min(TAIL, rows)
    best = np.full((len(queries), kept), -np.inf, np.float32)
    numbers = np.full((len(queries), kept), -1, np.int64)

    def fill(file: Any) -> None:
        nonlocal best, numbers
        for at, start in enumerate(range(0, rows, BLOCK)):
            block = source.block(at)[: rows - start]
            RawFile.of(block, "float16").write(file)
            scores = np.concatenate([best, queries @ block.T], axis=1)
            these = np.broadcast_to(
                np.arange(start, start + len(block)), (len(queries), len(block))
            )
            places = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
            best = np.take_along_axis(scores, places, axis=1)
            found = np.concatenate([numbers, these], axis=1)
            numbers = np.take_along_axis(found, places, axis=1)

    files.write("f16", fill)
    files.write("sums", lambda file: np.save(file, RawFile(files.unchecked(), None).checksums()))
    order = np.argsort(-best, axis=1, kind="stable")
    best, numbers = np.take_along_axis(best, order, 1), np.take_along_axis(numbers, order, 1)
    files.write("truth.npz", lambda file: np.savez(file, scores=best, numbers=numbers))


def tails_of(scores: Vector, rows: int, first: int) -> list[tuple[float, float]]:
    """The line of each query's best scores, from so manieth on, over their ranks' quantiles."""
    from scipy.special import ndtri

    ranks = np.unique(np.geomspace(first, scores.shape[1], 40).astype(int))
    quantiles = -ndtri((ranks - 0.5) / rows)
    return [
        (float(a), float(b))
        for b, a in (np.polyfit(quantiles, row[ranks - 1], 1) for row in scores)
    ]


def built(files: Files) -> None:
    """Build the index as the store does, write it, and note what its parts took."""
    if files.has("json"):
        return
    import faiss

    faiss.omp_set_num_threads(1)
    before = memory().anonymous_mb
    raw = files.unchecked()
    vectors = _Watched(raw, None)
    began = time.thread_time()
    index = IvfPQ.build(vectors, [])
    ended = time.thread_time()
    held = memory().anonymous_mb - before
    _, encoding, *_ = vectors.read  # first a sample of them is, then all are
    files.write("faiss", index.write)
    assign_us = _assigning(files.codes, vectors)
    mark = time.thread_time()
    images = np.arange(files.rows, dtype=np.int64) << 12 | 1
    tuning = tuned(index, samples_of(vectors, images, cast(Vector, raw), None))
    parts = Built(
        lists=index.lists,
        train_s=encoding - began,
        encode_us=1e6 * (ended - encoding) / files.rows,
        assign_us=assign_us,
        tune_s=time.thread_time() - mark,
        tuning=tuning.to_json(),
        private_mb=held,
        load=os.getloadavg()[0],
    )
    files.write("json", lambda file: file.write(json.dumps(asdict(parts)).encode()))


class _Watched(RawFile):
    """Notes when it is read, in seconds of this thread's processor time."""

    def __init__(self, vectors: NDArray[np.floating], checksums: NDArray[np.uint64] | None) -> None:
        super().__init__(vectors, checksums)
        self.read: list[float] = []

    def at(self, positions: NDArray[np.int64]) -> Vector:
        self.read.append(time.thread_time())
        return super().at(positions)


def _assigning(path: Path, vectors: RawFile) -> float:
    """Microseconds to choose a vector's list."""
    written = mapped(path)  # which owns what is split off
    rotation, index = Rotation.split(written)
    turned = rotation.of(vectors.at(np.arange(min(_ASSIGNED, len(vectors)))))
    mark = time.thread_time()
    index.quantizer.search(turned, 1)
    return 1e6 * (time.thread_time() - mark) / len(turned)


def answered(queries: Vector, files: Files) -> dict[str, Any]:
    """What asking found, and took: the rest of `Parts`."""
    import faiss

    faiss.omp_set_num_threads(1)
    asked = _Asked(queries, files)
    return asked.parts()


class _Asked:
    """Asks an index that another process has built."""

    def __init__(self, queries: Vector, files: Files) -> None:
        self._queries = queries
        self._files = files
        self._scores, self._numbers = files.truth()
        self._written = mapped(files.codes)  # which owns what is split off
        rotation, self._codes = Rotation.split(self._written)
        lists = self._codes.nlist
        self._turned = rotation.of(queries)
        _, self._order = self._codes.quantizer.search(self._turned, lists)
        best = files.vectors().at(self._numbers[:, :K].ravel())
        _, self._owners = self._codes.quantizer.search(rotation.of(best), 1)
        self._sizes = np.array([self._codes.invlists.list_size(at) for at in range(lists)])

    def parts(self) -> dict[str, Any]:
        """Measure everything."""
        before = memory().anonymous_mb
        own = self._files.index().tuning
        settings = [*SETTINGS, (own.oversampling, own.probes)]
        timed = [self._timed(*setting) for setting in settings]
        held = memory().anonymous_mb - before
        return {"timed": timed, "private_mb": held, "ranks": self._ranks(), **self._told()}

    def _timed(self, oversampling: int, probes: int) -> Timed:
        """One setting, of an index that was opened anew, so that its vectors are checked again."""
        self._files.drop_pages()
        index = self._files.index()
        index.tuning = Tuning(oversampling, min(probes, index.lists), {}, 0)
        first = [self._parted(index, query, time.perf_counter) for query in self._queries]
        rounds = [
            (*self._parted(index, query, time.thread_time)[:2], self._whole(index, query))
            for _ in range(_ROUNDS)
            for query in self._queries
        ]
        recalls = self._recalls([each[2] for each in first])
        find, read, total = np.median(np.array(rounds), axis=0).tolist()
        return Timed(
            oversampling=oversampling,
            probes=index.tuning.probes,
            recall=float(recalls.mean()),
            recall_error=float(recalls.std(ddof=1) / len(recalls) ** 0.5),
            looked_at=float(self._sizes[self._order[:, : index.tuning.probes]].sum(axis=1).mean()),
            find_ms=find,
            lists_ms=self._lists_ms(index.tuning.probes),
            read_ms=read,
            first_read_ms=float(np.median([each[1] for each in first])),
            total_ms=total,
            p95_ms=float(np.percentile([each[2] for each in rounds], 95)),
        )

    def _parted(
        self, index: IvfPQ, query: Vector, now: Callable[[], float]
    ) -> tuple[float, float, NDArray[np.int64]]:
        """Milliseconds of codes, of rescoring, and the ten best."""
        depth, probes = FETCH * index.tuning.oversampling, index.tuning.probes
        mark = now()
        (likely,) = index.likely(query[None], depth, probes, None, min(depth, 2 * FETCH))
        coded = now()
        _, best = nearest_of(index.vectors, query, likely, FETCH)
        done = now()
        return 1000 * (coded - mark), 1000 * (done - coded), best[:K]

    def _whole(self, index: IvfPQ, query: Vector) -> float:
        mark = time.thread_time()
        index.search(query[None], FETCH, None, self._files.rows, IndexSettings())
        return 1000 * (time.thread_time() - mark)

    def _recalls(self, found: list[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Of each query."""
        wanted = min(K, self._numbers.shape[1])
        right = [
            len(set(one.tolist()) & set(exact[:wanted].tolist()))
            for one, exact in zip(found, self._numbers, strict=True)
        ]
        recalls: NDArray[np.float64] = np.array(right) / wanted
        return recalls

    def _lists_ms(self, probes: int) -> float:
        spent = []
        for query in self._turned:
            mark = time.thread_time()
            self._codes.quantizer.search(query[None], probes)
            spent.append(1000 * (time.thread_time() - mark))
        return float(np.median(spent))

    def _ranks(self) -> list[list[int]]:
        """Of each query's ten best vectors: how many lists are nearer to it than theirs."""
        owners = self._owners.reshape(len(self._queries), -1)
        places = np.argsort(self._order, axis=1)
        ranks: list[list[int]] = np.take_along_axis(places, owners, axis=1).tolist()
        return ranks

    def _told(self) -> dict[str, Any]:
        """How codes' scores thin out, and by how much they err about each query's ten best."""
        import faiss

        errors, tails, wide = [], [], min(_WIDE, self._files.rows)
        everywhere = faiss.SearchParametersIVF(nprobe=len(self._sizes))
        for query, exact, numbers in zip(self._turned, self._scores, self._numbers, strict=True):
            told, found = self._codes.search(query[None], wide, params=everywhere)
            tails += tails_of(told[:, :TAIL], self._files.rows, _SHORTEST)
            said = dict(zip(found[0].tolist(), told[0].tolist(), strict=True))
            errors += [
                said[number] - score
                for number, score in zip(numbers[:K].tolist(), exact[:K], strict=True)
                if number in said
            ]
        noise, bias = float(np.std(errors)), float(np.mean(errors))
        return {"told_tails": tails, "noise": noise, "bias": bias}


if __name__ == "__main__":
    main()
