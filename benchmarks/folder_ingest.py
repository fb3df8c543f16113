"""A folder of many real pictures, indexed by the program, interrupted, and indexed again.

    python -m benchmarks.folder_ingest --pictures DIR … [--count 10000] [--work DIR]

``--pictures`` are folders with pictures, for example what Debian's ``openclipart-png`` and
``tuxpaint-stamps-default`` hold. Their pictures are copied as they are until there are ``--count``;
if they are fewer, further ones are the same pictures anew, each turn at other sizes and as JPEG, so
that no two files are equal.

`unisem index` runs in a process of its own, in which the encoder's and the store's calls are timed
around; it is sent an interrupt (Ctrl-C) after a third of the pictures, and runs again to the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from unisem.common.threads import workers

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
_SIDES = (900, 640, 1200, 480)  # of the longer side, for each further turn
_LOOK = 0.05  # seconds between two looks at whether to interrupt


class Occupied:
    """How long at least one thread was inside some calls, by the clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """So far."""
        with self._lock:
            return self._seconds

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self._enter(1)
            try:
                return call(*arguments, **options)
            finally:
                self._enter(-1)

        return timed

    def _enter(self, step: int) -> None:
        with self._lock:
            if not self._inside:
                self._since = time.perf_counter()
            self._inside += step
            if not self._inside:
                self._seconds += time.perf_counter() - self._since


@dataclass
class Run:
    """One run of the program.

    Attributes:
        whole: Seconds from the interpreter's start to its end.
        indexing: Seconds of these from the space's being open.
        encoder: Seconds of these in which the encoder was at work.
        store: Seconds of these in which the store was.
        first: Seconds from opening to the first commit.
        processor: Seconds of the processor, all threads.
        commits: When each batch was committed, and how many records were there.
    """

    whole: float = 0
    indexing: float = 0
    encoder: float = 0
    store: float = 0
    first: float | None = None
    processor: float = 0
    commits: list[tuple[float, int]] = field(default_factory=list)
    said: str = ""


def indexed(folder: Path, space: Path, figures: Path) -> None:
    """In a process of its own: ``unisem index``, timed."""
    from unisem.cli import main
    from unisem.encoders.batched import BatchedEncoder
    from unisem.space import SemanticSpace
    from unisem.stores.faiss import FaissStore

    run, encoder, store = Run(), Occupied(), Occupied()
    began = time.perf_counter()
    BatchedEncoder.encode_prepared = encoder.around(BatchedEncoder.encode_prepared)  # type: ignore[method-assign]
    BatchedEncoder.encode_texts = encoder.around(BatchedEncoder.encode_texts)  # type: ignore[method-assign]
    add, add_folder = store.around(FaissStore.add), SemanticSpace.add_folder

    def committed(self: FaissStore, items: Any) -> None:
        add(self, items)
        run.commits.append((time.perf_counter() - began, len(items)))
        if run.first is None:
            run.first = run.commits[0][0]

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal began
        began, before = time.perf_counter(), encoder.seconds
        try:
            return add_folder(*arguments, **options)
        finally:
            run.indexing = time.perf_counter() - began
            run.encoder, run.store = encoder.seconds - before, store.seconds
            run.processor = time.process_time()
            figures.write_text(json.dumps(asdict(run)), encoding="utf-8")

    FaissStore.add = committed  # type: ignore[method-assign]
    SemanticSpace.add_folder = timed  # type: ignore[method-assign]
    sys.argv = ["unisem", "index", str(folder), "--into", str(space)]
    main()


def run_program(folder: Path, space: Path, figures: Path, stop_after: int | None) -> Run:
    """Run the program, and interrupt it once so many records are there."""
    start = time.perf_counter()
    line = [sys.executable, "-m", "benchmarks.folder_ingest", "--child"]
    process = subprocess.Popen(
        [*line, str(folder), str(space), str(figures)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if stop_after is not None:
        while process.poll() is None and _records(space) < stop_after:
            time.sleep(_LOOK)
        process.send_signal(signal.SIGINT)
        interrupted = time.perf_counter()
    said, _ = process.communicate()
    run = Run(**json.loads(figures.read_text(encoding="utf-8")))
    run.whole = time.perf_counter() - start
    if stop_after is not None:
        said += f"\nended {time.perf_counter() - interrupted:.1f} s after the interrupt"
    run.said = said.strip()
    return run


def _records(space: Path) -> int:
    import sqlite3

    if not (space / "catalog.sqlite").exists():
        return 0
    try:
        with sqlite3.connect(f"file:{space / 'catalog.sqlite'}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM records").fetchone()[0])
    except sqlite3.Error:  # it is being made
        return 0


def made_folder(sources: list[Path], folder: Path, count: int) -> tuple[int, int]:
    """Fill a folder with pictures; how many are as they were, and how many of other sizes."""
    found = sorted(
        path for source in sources for path in source.rglob("*") if path.suffix in _SUFFIXES
    )
    if not found:
        raise SystemExit(f"there are no pictures in {', '.join(map(str, sources))}")
    folder.mkdir(parents=True)

    def write(job: tuple[int, Path]) -> int:
        number, path = job
        turn, within = divmod(number, len(found))
        inside = folder / f"{within % 100:02}"
        inside.mkdir(exist_ok=True)
        if not turn:
            shutil.copyfile(path, inside / f"{within:05}{path.suffix}")
            return 1
        picture = Image.open(path).convert("RGBA")
        side = _SIDES[(turn - 1) % len(_SIDES)] + within % 97
        scale = side / max(picture.size)
        picture = picture.resize([max(1, round(edge * scale)) for edge in picture.size])
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(picture, mask=picture)
        ground.save(inside / f"{within:05}-{turn}.jpg", quality=88)
        return 0

    with workers("make") as pool:
        copied = sum(pool.map(write, islice(_numbered(found), count)))
    return copied, count - copied


def _numbered(found: list[Path]) -> Iterator[tuple[int, Path]]:
    yield from enumerate(cycle(found))


def described(name: str, run: Run) -> list[str]:
    """A row of the table."""
    records = sum(count for _, count in run.commits)
    return [
        name,
        f"{records:,}",
        f"{run.indexing:,.1f}",
        "–" if run.first is None else f"{run.first:.2f}",
        f"{run.encoder / run.indexing:.1%}",
        f"{run.store / run.indexing:.1%}",
        f"{records / run.indexing:,.1f}",
        f"{1000 * run.processor / records:,.1f}" if records else "–",
        f"{run.whole:,.1f}",
    ]


def main() -> None:
    """Make the folder, run the program three times, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--work", type=Path, default=Path("folder-ingest"))
    parser.add_argument("--child", type=Path, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        indexed(*options.child)
        return
    folder, space = options.work / "pictures", options.work / "pictures.unisem"
    console = Console(width=140)
    if not folder.exists():
        copied, anew = made_folder(options.pictures, folder, options.count)
        console.print(f"{copied:,} pictures as they are, {anew:,} of other sizes")
    shutil.rmtree(space, ignore_errors=True)
    table = Table(
        "run", "records", "s", "first commit, s", "in the encoder", "in the store",
        "records/s", "processor ms a record", "whole program, s",
    )  # fmt: skip
    stops = {"interrupted": options.count // 3, "gone on": None, "once more": None}
    for name, stop_after in stops.items():
        run = run_program(folder, space, options.work / "figures.json", stop_after)
        table.add_row(*described(name, run))
        console.print(f"[bold]{name}[/bold]: {run.said[-600:]}", highlight=False)
        console.print(f"load {os.getloadavg()[0]:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
