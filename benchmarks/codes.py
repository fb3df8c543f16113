"""Codes in memory, vectors as float16 on the disk: what each part of a search takes.

    python -m benchmarks.codes --rows 10000000 --out codes-10000000.json [--work DIR]

Vectors are drawn block by block and never together in memory: ten million of them are a file of
7.7 GB and codes of .6 GB. Every query is scored exactly against every block as it is drawn, so
recall is against the float32 vectors. The file and the codes are removed at the end.
`benchmarks.scale_simulation` takes the parts and puts them together for other sizes.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.peers.bare_faiss import codes, lists_for
from benchmarks.peers.base import Vector
from benchmarks.peers.data import BLOCK, FromSpectrum, Source
from benchmarks.peers.worker import memory

K = 10
TAIL = 2_000
"""Exact scores of each query that are kept, to see how they thin out."""
SETTINGS: dict[str, tuple[tuple[int, int], ...]] = {
    "rabitq": ((200, 0), (500, 0), (1000, 0), (2000, 0), (5000, 0)),
    "ivf_rabitq": ((2000, 16), (2000, 64), (2000, 256), (5000, 256)),
}
"""By kind: how many are rescored, and how many lists are looked through."""
_WIDE = 4_096  # found by codes, to see by how much codes err about the nearest
_NEAR = 100
_TRAINED = 50_000
_ROUNDS = 3


@dataclass(frozen=True)
class Timed:
    """One setting's queries; medians in milliseconds.

    They are the asking thread's processor time, which other work on the machine lengthens little;
    only `first_read_ms` is by the clock, as waiting for a disk is no processor's time.

    Attributes:
        shortlist: Vectors read and scored exactly.
        probes: Lists looked through; 0 where there are none.
        recall: ``ann_recall@10``.
        find_ms: Codes.
        lists_ms: The part of it that chooses the lists.
        read_ms: Reading the shortlist's vectors and scoring them, pages in memory.
        first_read_ms: The same when the file's pages were dropped before.
        total_ms: Both, as a whole.
        p95_ms: The 95th percentile of the whole.
    """

    shortlist: int
    probes: int
    recall: float
    find_ms: float
    lists_ms: float
    read_ms: float
    first_read_ms: float
    total_ms: float
    p95_ms: float


@dataclass(frozen=True)
class KindParts:
    """One kind of codes.

    Attributes:
        lists: How many inverted lists; 0 for none.
        train_s: Once, processor time.
        encode_us: Microseconds of processor a vector.
        file_bytes: The codes' file.
        private_mb: Held after opening it and asking.
        noise: Standard deviation of a code's score about the exact one, among the nearest.
        bias: Its mean.
        timed: Every setting.
    """

    lists: int
    train_s: float
    encode_us: float
    file_bytes: int
    private_mb: float
    noise: float
    bias: float
    timed: list[Timed]


@dataclass(frozen=True)
class Parts:
    """One size.

    Attributes:
        tails: For each query the line ``(a, b)`` of its best scores against the normal quantile of
            their rank: ``a + b * z(rank / rows)``.
        load: The machine's load average of a minute, at the beginning, and after each step.
    """

    rows: int
    dimension: int
    queries: int
    threads: int
    tails: list[tuple[float, float]]
    kinds: dict[str, KindParts] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    @classmethod
    def load_file(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        kinds = {
            name: KindParts(**{**kind, "timed": [Timed(**each) for each in kind["timed"]]})
            for name, kind in raw.pop("kinds").items()
        }
        tails = [(a, b) for a, b in raw.pop("tails")]
        return cls(**raw, tails=tails, kinds=kinds)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--kinds", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--out", type=Path, help="JSON, written after every kind")
    where = "where vectors and codes lie meanwhile; 9 GB at ten million"
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help=where)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="codes-", dir=options.work) as folder:
        for parts in measured(
            FromSpectrum(), options.rows, options.queries, options.kinds, Path(folder)
        ):
            if options.out:
                parts.save(options.out)
            for name, kind in parts.kinds.items():
                console.print(name, asdict(kind))


def measured(
    source: Source, rows: int, queries: int, kinds: list[str], folder: Path
) -> Iterator[Parts]:
    """What was measured, after each kind.

    Args:
        source: Where vectors and queries come from.
        rows: How many vectors.
        queries: How many are asked.
        kinds: Of `SETTINGS`.
        folder: For files.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    asked = source.queries(queries)
    load = [os.getloadavg()[0]]
    vectors, scores, numbers = drawn(source, rows, asked, folder / "vectors.npy")
    load.append(os.getloadavg()[0])
    parts = Parts(rows, source.dimension, len(asked), 1, tails_of(scores, rows), load=load)
    for kind in kinds:
        parts.kinds[kind] = _Kind(kind, vectors, asked, scores, numbers, folder).parts()
        load.append(os.getloadavg()[0])
        yield parts


def drawn(
    source: Source, rows: int, queries: Vector, file: Path
) -> tuple[Any, Vector, NDArray[np.int64]]:
    """Write the vectors as ``(n, d)`` float16; the best exact scores and numbers, descending.

    Returns:
        The mapped vectors, and ``(q, TAIL)`` scores of float32 vectors, and their rows.
    """
    vectors = np.lib.format.open_memmap(
        file, mode="w+", dtype=np.float16, shape=(rows, source.dimension)
    )
    kept = min(TAIL, rows)
    best = np.full((len(queries), kept), -np.inf, np.float32)
    numbers = np.full((len(queries), kept), -1, np.int64)
    for at, start in enumerate(range(0, rows, BLOCK)):
        block = source.block(at)[: rows - start]
        vectors[start : start + len(block)] = block
        scores = np.concatenate([best, queries @ block.T], axis=1)
        found = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        found = np.concatenate([numbers, found], axis=1)
        places = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        best = np.take_along_axis(scores, places, axis=1)
        numbers = np.take_along_axis(found, places, axis=1)
    vectors.flush()
    order = np.argsort(-best, axis=1, kind="stable")
    best, numbers = np.take_along_axis(best, order, 1), np.take_along_axis(numbers, order, 1)
    mapped = np.load(file, mmap_mode="r")
    mapped._mmap.madvise(mmap.MADV_RANDOM)  # a vector is not followed by those read next
    return mapped, best, numbers


def tails_of(scores: Vector, rows: int) -> list[tuple[float, float]]:
    """The line of each query's best scores over the normal quantiles of their ranks."""
    from scipy.special import ndtri

    ranks = np.unique(np.geomspace(K, scores.shape[1], 40).astype(int))
    quantiles = -ndtri((ranks - 0.5) / rows)
    return [
        (float(a), float(b))
        for b, a in (np.polyfit(quantiles, row[ranks - 1], 1) for row in scores)
    ]


class _Kind:
    """Builds, opens and asks one kind of codes."""

    def __init__(
        self,
        kind: str,
        vectors: Any,
        queries: Vector,
        scores: Vector,
        numbers: NDArray[np.int64],
        folder: Path,
    ) -> None:
        self._kind = kind
        self._vectors = vectors
        self._queries = queries
        self._scores = scores
        self._numbers = numbers
        self._file = folder / f"{kind}.faiss"
        self._folder = folder

    def parts(self) -> KindParts:
        """Measure everything."""
        import faiss

        lists, train_s, encode_us = self._build()
        before = memory().anonymous_mb
        index = faiss.read_index(str(self._file))
        noise, bias = self._noise(index)
        timed = [self._timed(index, *setting) for setting in SETTINGS[self._kind]]
        held = memory().anonymous_mb - before
        return KindParts(
            lists, train_s, encode_us, self._file.stat().st_size, held, noise, bias, timed
        )

    def _build(self) -> tuple[int, float, float]:
        """Write the codes; lists, seconds of training, microseconds a vector."""
        import faiss

        rows, dimension = self._vectors.shape
        lists = lists_for(rows) if self._kind == "ivf_rabitq" else 0
        index = codes(dimension, lists)
        wanted = min(rows, max(_TRAINED, 64 * lists))
        mark = time.thread_time()
        index.train(self._vectors[:: rows // wanted][:wanted].astype(np.float32))
        trained = time.thread_time() - mark
        spent = 0.0
        for start in range(0, rows, BLOCK):
            block = self._vectors[start : start + BLOCK].astype(np.float32)
            mark = time.thread_time()
            index.add(block)
            spent += time.thread_time() - mark
        faiss.write_index(index, str(self._file))
        return lists, trained, 1e6 * spent / rows

    def _noise(self, index: Any) -> tuple[float, float]:
        """By how much codes err about each query's nearest: standard deviation and mean."""
        errors = []
        for query, exact, numbers in zip(self._queries, self._scores, self._numbers, strict=True):
            wide = min(_WIDE, len(self._vectors))
            told, found = index.search(query[None], wide, params=self._parameters(index, 256))
            said = dict(zip(found[0].tolist(), told[0].tolist(), strict=True))
            errors += [
                said[number] - score
                for number, score in zip(numbers[:_NEAR].tolist(), exact[:_NEAR], strict=False)
                if number in said
            ]
        return float(np.std(errors)), float(np.mean(errors))

    def _timed(self, index: Any, shortlist: int, probes: int) -> Timed:
        parameters = self._parameters(index, probes)
        shortlist = min(shortlist, len(self._vectors))
        self._drop_pages()
        clock, spent = time.perf_counter, time.thread_time
        first = [self._ask(index, query, shortlist, parameters, clock) for query in self._queries]
        rounds = [
            self._ask(index, query, shortlist, parameters, spent)
            for _ in range(_ROUNDS)
            for query in self._queries
        ]
        find, read = (np.array([each[part] for each in rounds]) for part in (0, 1))
        return Timed(
            shortlist=shortlist,
            probes=probes,
            recall=self._recall([each[2] for each in first]),
            find_ms=float(np.median(find)),
            lists_ms=self._lists_ms(index, probes) if probes else 0.0,
            read_ms=float(np.median(read)),
            first_read_ms=statistics.median(each[1] for each in first),
            total_ms=float(np.median(find + read)),
            p95_ms=float(np.percentile(find + read, 95)),
        )

    def _ask(
        self, index: Any, query: Vector, shortlist: int, parameters: Any, now: Callable[[], float]
    ) -> tuple[float, float, NDArray[np.int64]]:
        """Milliseconds by codes, milliseconds of rescoring, and the ten best."""
        mark = now()
        found = index.search(query[None], shortlist, params=parameters)[1][0]
        coded = now()
        found = np.sort(found[found >= 0])
        scores = self._vectors[found].astype(np.float32) @ query
        best = found[np.argsort(-scores, kind="stable")[:K]]
        done = now()
        return 1000 * (coded - mark), 1000 * (done - coded), best

    def _lists_ms(self, index: Any, probes: int) -> float:
        import faiss

        lists = faiss.downcast_index(faiss.extract_index_ivf(index).quantizer)
        spent = []
        for query in self._queries:
            mark = time.thread_time()
            lists.search(query[None], min(probes, lists.ntotal))
            spent.append(1000 * (time.thread_time() - mark))
        return statistics.median(spent)

    def _parameters(self, index: Any, probes: int) -> Any:
        import faiss

        if self._kind == "rabitq":
            return None
        inner = faiss.IVFRaBitQSearchParameters()
        inner.nprobe = min(probes, faiss.extract_index_ivf(index).nlist)
        return faiss.SearchParametersPreTransform(index_params=inner)

    def _recall(self, found: list[NDArray[np.int64]]) -> float:
        wanted = min(K, self._numbers.shape[1])
        right = [
            len(set(one.tolist()) & set(exact[:wanted].tolist()))
            for one, exact in zip(found, self._numbers, strict=True)
        ]
        return float(np.mean(right) / wanted)

    def _drop_pages(self) -> None:
        """Have the next reads come from the disk, where the system allows it."""
        self._vectors._mmap.madvise(mmap.MADV_DONTNEED)
        with (self._folder / "vectors.npy").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
