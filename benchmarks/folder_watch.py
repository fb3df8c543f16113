"""A folder that is watched: how it starts, rests, and bears a thousand changes at once.

    OMP_NUM_THREADS=1 python -m benchmarks.folder_watch --files 3000 [--changes 1000] [--rest 60]

The folder has ``--files`` PNG files of 8 × 8 pixels, each another one, a hundred to a folder. What
`unisem watch` does at each time is done in this process, with an encoder for tests, so that what is
told is of the folder and the space, and of no model. Then a third of ``--changes`` files are put
in, a third of those that were there deleted, and a third renamed, as fast as that goes.

Seconds are by the clock, those of the processor beside them; memory is what the process holds.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.support.toy import ToyEncoder
from unisem import IngestReport, SemanticSpace
from unisem.cli.index import add_folder
from unisem.ingest.folder_watch import FolderWatch

_PATIENCE = 7200.0  # seconds; a look at 100,000 files has waited for others' work for long


def main() -> None:
    """Make the folder, watch it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--rest", type=float, default=60)
    options = parser.parse_args()
    table = Table("", "s", "processor s", "memory, MB", "runs")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        for number in range(options.files):
            (folder / str(number // 100)).mkdir(parents=True, exist_ok=True)
            path_of(folder, number).write_bytes(picture(number))
        with SemanticSpace.open(Path(place, "s.unisem"), encoder=ToyEncoder()) as space:
            measure = Measure(table)
            measure("indexed for the first time", lambda: add_folder(space, folder))
        with SemanticSpace.open(Path(place, "s.unisem"), encoder=ToyEncoder()) as space:
            watched(space, folder, options, table)
    console = Console(width=100)
    console.print(f"{options.files:,} files, {options.changes:,} changes")
    console.print(table)


class Measure:
    """Does something, and adds to a table what it took."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._process = psutil.Process()
        self.runs: list[IngestReport] = []

    def __call__(self, name: str, do: Callable[[], object]) -> None:
        """Do it."""
        runs, began, before = len(self.runs), time.perf_counter(), time.process_time()
        do()
        seconds, used = time.perf_counter() - began, time.process_time() - before
        memory = self._process.memory_info().rss / 1e6
        told = str(len(self.runs) - runs)
        row = f"{seconds:.1f}", f"{used:.2f}", f"{memory:.0f}", told
        print(name, *row, sep=" · ", file=sys.stderr, flush=True)  # of a run that is ended, too
        self._table.add_row(name, *row)


def watched(space: SemanticSpace, folder: Path, options: argparse.Namespace, table: Table) -> None:
    """Watch: from the start to the first look at all, at rest, and while much happens."""
    measure, stop = Measure(table), threading.Event()

    def changed() -> None:
        is_first = not measure.runs
        measure.runs.append(add_folder(space, folder, prune=True, is_first=is_first))

    thread = threading.Thread(target=FolderWatch(folder, changed).run, args=[stop])

    def until(is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while not is_so():
            if time.monotonic() > end or not thread.is_alive():
                raise RuntimeError("it never came to that")
            time.sleep(0.05)

    def start() -> None:
        thread.start()
        until(lambda: bool(measure.runs))

    measure("started to watch, all looked at", start)
    measure(f"{options.rest:g} seconds at rest", lambda: time.sleep(options.rest))
    third = options.changes // 3

    def burst() -> None:
        for number in range(third):
            path_of(folder, options.files + number, "0").write_bytes(
                picture(options.files + number)
            )
            path_of(folder, number).unlink()
            path = path_of(folder, third + number)
            path.rename(path.with_name(f"renamed {path.name}"))

    def is_in_step() -> bool:
        return sum(it.added for it in measure.runs[1:]) >= third and (
            sum(it.renamed for it in measure.runs[1:]) >= third
            and sum(len(it.pruned) for it in measure.runs[1:]) >= third
        )

    def burst_and_settle() -> None:
        burst()
        until(is_in_step)

    measure(f"{3 * third:,} changes at once, until all is in step", burst_and_settle)
    measure(f"{options.rest:g} seconds at rest", lambda: time.sleep(options.rest))
    stop.set()
    thread.join()
    if len(space) != options.files:
        raise RuntimeError(f"{len(space):,} records instead of {options.files:,}")


def path_of(folder: Path, number: int, inside: str | None = None) -> Path:
    """Where a file is."""
    return folder / (inside or str(number // 100)) / f"{number}.png"


def picture(number: int) -> bytes:
    """A PNG of 8 × 8 pixels, each number another one; written here, as Pillow takes longer."""
    shades = struct.pack(">Q", number * 0x9E3779B97F4A7C15 % 2**64)
    rows = b"".join(b"\0" + shades[row:] + shades[:row] for row in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


if __name__ == "__main__":
    main()
