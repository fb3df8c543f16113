"""Each kind of index of a segment beside a plain scan, on vectors that vary as those of `mini`.

    python -m benchmarks.index_kinds [--rows 100000] [--kinds flat ivf_pq] [--queries 40]

Three quarters of the vectors are pictures', the others texts'; queries are real captions, which no
index has seen (`benchmarks.peers.spectrum`). One thread, one query at a time, 18 results, as a
search for 10 asks for; processor time, the least of three rounds, in turn with the scan.
Opening is in a process of its own, also in processor time, to the first answer.
`IndexFlatIP` stands for the function that it calls, over the same vectors, mapped from a file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.peers.spectrum import Spectrum
from unisem.records import Vector
from unisem.stores.calibrated import Question
from unisem.stores.faiss.exact_scan import Found, scan
from unisem.stores.faiss.index_settings import KINDS, IndexSettings
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.raw_file import RawFile
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.snapshot import Snapshot

K, FETCH = 10, 18
SHARES = (0.5, 0.2, 0.1, 0.05, 0.01)
_BLOCK = 20_000
Ask = Callable[[Vector], list[Found]]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--raw", default="float32", choices=("float32", "float16"))
    options = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    console = Console(width=170)
    with tempfile.TemporaryDirectory() as folder:
        vectors = drawn(Path(folder) / "vectors.f32", options.rows)
        queries = Spectrum.load().queries[: options.queries]
        measure(vectors, queries, options, Path(folder), console)


def drawn(path: Path, count: int) -> Vector:
    """``(count, d)`` float32 unit rows, mapped from a new file; every fourth is a text's."""
    spectrum, rng = Spectrum.load(), np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, count, _BLOCK):
            rows = spectrum.pictures.draw(rng, min(_BLOCK, count - start))
            rows[3::4] = spectrum.texts.draw(rng, len(rows[3::4]))
            rows.tofile(file)
    return np.memmap(path, np.float32, "r", shape=(count, spectrum.dimension))


def measure(
    vectors: Vector, queries: Vector, options: argparse.Namespace, folder: Path, console: Console
) -> None:
    """Build, write, open and ask each kind, the plain scan in turn with it."""
    count, numbers = len(vectors), np.arange(len(vectors), dtype=np.int64)
    vector_ids = numbers << 12 | (numbers % 4 != 3)
    bare = RawFile(vectors, None)

    def plain(query: Vector) -> list[Found]:
        return scan(bare, query, K, None, count)

    rng = np.random.default_rng(1)
    masks = {share: rng.random(count) < share for share in SHARES}
    table = Table(title=f"{count:,} vectors of {vectors.shape[1]}, {len(queries)} queries")
    for name in ("kind", "ms", "IndexFlatIP ms", "times", f"recall@{K}", "build s", "open ms",
                 "private MB", "index MB", *(f"{share:.0%}" for share in SHARES)):  # fmt: skip
        table.add_column(name)
    for kind in options.kinds:
        settings = IndexSettings(kind, raw=options.raw)
        began = time.process_time()
        built = Segment.build(kind, vectors, vector_ids, Moment("", 1), None, settings)
        building = time.process_time() - began
        place = folder / kind
        place.mkdir()
        built.saved(place)
        del built
        with get_context("spawn").Pool(1) as apart:
            opening, private = apart.apply(opened, (place, queries[:1]))
        segment = Segment.load(place, vectors.shape[1])
        assert segment is not None
        whole = _asking(segment, None, count)
        ours, theirs = in_turn([whole, plain], queries)
        filtered = []
        for mask in masks.values():
            able = int(mask.sum())
            (took,) = in_turn([_asking(segment, mask, able)], queries)
            right = recall(_asking(segment, mask, able), bare, queries, mask)
            filtered.append(f"{took / ours:.2f} x, {right:.3f}")
        size = sum(path.stat().st_size for path in place.glob("vectors-*.faiss")) / 1e6
        table.add_row(
            kind, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}",
            f"{recall(whole, bare, queries, None):.3f}", f"{building:.1f}", f"{opening:.0f}",
            f"{private / 1e6:.0f}", f"{size:.0f}", *filtered,
        )  # fmt: skip
        if segment.tuning is not None:
            console.print(f"{kind}: {segment.tuning.described}")
        for path in place.iterdir():
            path.unlink()
    console.print(table)


def opened(place: Path, queries: Vector) -> tuple[float, int]:
    """In a process of its own: ms of processor time until the first answer, and bytes it then has.

    Of these only what is its own: what is mapped from files may be given back.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    faiss.IndexFlatIP(1).search(np.ones((1, 1), np.float32), 1)  # what is loaded late
    before, began = _private(), time.process_time()
    segment = Segment.load(place, queries.shape[1])
    assert segment is not None
    snapshot = Snapshot.of(segment, queries.shape[1])
    part = snapshot.eligible(None, "any")
    snapshot.search([Question(query) for query in queries], K, [part])
    return 1e3 * (time.process_time() - began), _private() - before


def _private() -> int:
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    (line,) = (line for line in text.splitlines() if line.startswith("Anonymous:"))
    return 1024 * int(line.split()[1])


def _asking(segment: Segment, mask: NDArray[np.bool_] | None, able: int) -> Ask:
    return lambda query: segment.search(query, FETCH, mask, able)


def in_turn(asks: list[Ask], queries: Vector, rounds: int = 3) -> list[float]:
    """Milliseconds of processor time for a query of each, the least of some rounds."""
    least = [np.inf] * len(asks)
    for _ in range(rounds):
        for number, ask in enumerate(asks):
            began = time.process_time()
            for query in queries:
                ask(query[None])
            took = 1e3 * (time.process_time() - began) / len(queries)
            least[number] = min(least[number], took)
    return least


def recall(ask: Ask, bare: RawFile, queries: Vector, mask: NDArray[np.bool_] | None) -> float:
    """The mean share of the ten nearest that are found."""
    able = len(bare) if mask is None else int(mask.sum())
    nearest = scan(bare, queries, K, mask, able)
    shares = [
        np.isin(true, ask(query[None])[0][1][:K]).mean()
        for query, (_, true) in zip(queries, nearest, strict=True)
    ]
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
