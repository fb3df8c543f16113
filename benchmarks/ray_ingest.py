"""What embedding over Ray costs, beside one process, and beside a pipeline of Ray Data.

    OMP_NUM_THREADS=1 python -m benchmarks.ray_ingest [--pictures 200] [--rounds 2] [--only NAME …]

Every way fills a new space with seeded 640 x 480 JPEGs and their captions, by `mini`, one thread in
each process, on a Ray cluster of this machine's own. Given are seconds of processor, by whose they
are: they bear other people's work on the machine, which the clock does not. Ray's own processes
work as time goes by, whatever is embedded, so theirs are given for a second of the clock. Ray Data
reads the same pictures, embeds them in actors and hands its rows to the space; it knows neither
captions, nor what is stored already, nor bad pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.ingest import write_pictures
from unisem import Record, SemanticSpace, load_encoder
from unisem.ingest.ray import RayIngestion
from unisem.records import EmbeddedRecord

OWN, ACTORS, RAY = "this process", "actors", "Ray"
Way = Callable[[SemanticSpace, Path, Callable[..., None]], None]


class Meter:
    """Seconds of processor of this process and of those below it, also of some that end."""

    def __init__(self, warm: int) -> None:
        self._own = psutil.Process()
        self._looking = 0.0
        self._warm = warm  # pictures after which what a further one costs is measured
        self._begun = self._read()
        self._since: dict[tuple[str, int], float] = {}
        self._latest = dict(self._begun)
        self.first: float | None = None  # when something was committed
        self.further = 0  # pictures since then
        self._done = 0
        self._turned = self._seconds = 0.0
        self._started = time.perf_counter()

    def _read(self) -> dict[tuple[str, int], float]:
        found: dict[tuple[str, int], float] = {}
        for process in (self._own, *self._own.children(recursive=True)):
            try:
                times, name = process.cpu_times(), " ".join(process.cmdline()[:1])
            except psutil.Error:
                continue
            embeds = "ParcelEmbedder" in name or "MapWorker" in name
            whose = OWN if process == self._own else ACTORS if embeds else RAY
            found[whose, process.pid] = times.user + times.system
            if whose == OWN:
                found[whose, process.pid] -= self._looking
        return found

    def look(self, done: int, total: int) -> None:
        """To be called now and then, and at last before actors end."""
        del total
        begun = time.process_time()
        if self.first is None:
            self.first = time.perf_counter() - self._started
        self._latest.update(self._read())
        now = time.perf_counter()
        if done >= self._warm and not self._since:
            self._since, self._done, self._turned = dict(self._latest), done, now
        elif self._since:
            self.further, self._seconds = done - self._done, now - self._turned
        self._looking += time.process_time() - begun  # which nobody does who does not measure

    def spent(self) -> float:
        """From beginning to end."""
        return sum(it - self._begun.get(key, 0.0) for key, it in self._latest.items())

    def spent_further(self) -> dict[str, float]:
        """For each picture after the first ones, by whose they are; Ray's, for each second."""
        sums = dict.fromkeys((OWN, ACTORS, RAY), 0.0)
        for key, seconds in self._latest.items():
            each = self._seconds if key[0] == RAY else self.further
            sums[key[0]] += (seconds - self._since.get(key, 0.0)) / each
        return sums


class Columns:
    """A Ray Data stage: files' bytes to `mini`'s vectors."""

    def __init__(self) -> None:
        self._encoder = load_encoder("mini", device="cpu")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch's paths and vectors."""
        ready = [self._encoder.prepare_image(data) for data in batch["bytes"]]
        return {"path": batch["path"], "vector": self._encoder.encode_prepared(ready)}


def ray_data(actors: int) -> Way:
    """Read, embed and commit, as Ray Data's guides do it."""

    def run(space: SemanticSpace, folder: Path, look: Callable[..., None]) -> None:
        import ray

        paths = [str(path) for path in sorted(folder.glob("*.jpg"))]
        rows = ray.data.read_binary_files(paths, include_paths=True).map_batches(
            Columns, batch_size=32, compute=ray.data.ActorPoolStrategy(size=actors), num_cpus=0.5
        )
        done = 0
        for batch in rows.iter_batches(batch_size=32):
            space.add_embedded(
                EmbeddedRecord(Record(id=Path(path).name, image=path), {"image": np.array(row)})
                for path, row in zip(batch["path"], batch["vector"], strict=True)
            )
            done += len(batch["path"])
            look(done, len(paths))

    return run


def over(settings: RayIngestion | None) -> Way:
    """`add_folder`, here or over Ray."""
    return lambda space, folder, look: (
        space.add_folder(folder, ray=settings, progress=look),
        None,
    )[1]


WAYS: dict[str, Way] = {
    "add_folder": over(None),
    "… over 1 actor": over(RayIngestion(actors=1, cpus=0.5)),
    "… over 2 actors": over(RayIngestion(actors=2, cpus=0.5)),
    "… over 1 actor, shared files": over(RayIngestion(actors=1, cpus=0.5, shared=True)),
    "Ray Data, 1 actor, no captions": ray_data(1),
}


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="ways, by name")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    measured: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as name, RayIngestion(address="local").connected():
        home = Path(name)
        folder = write_pictures(home / "photos", options.pictures)
        for turn in range(options.rounds):
            for number, way in enumerate(options.only or WAYS):
                path = home / f"{turn}-{number}.unisem"
                with SemanticSpace.open(path, image_roots=[home]) as space:
                    meter, started = Meter(options.pictures // 3), time.perf_counter()
                    WAYS[way](space, folder, meter.look)
                    seconds = time.perf_counter() - started
                    assert len(space) == options.pictures
                row = [*(1000 * it for it in meter.spent_further().values()), meter.spent()]
                measured.setdefault(way, []).append([*row, seconds, meter.first or 0.0])
                print(way, *(f"{it:.1f}" for it in measured[way][-1]), flush=True)
    clock = ("processor s in all", "s by the clock", "s to the first")
    table = Table(
        "ms of processor a further picture:", OWN, ACTORS, "together", "Ray, ms a second", *clock
    )
    for way, rows in measured.items():
        own, actors, others, *seconds = (
            statistics.median(part) for part in zip(*rows, strict=True)
        )
        parts = (own, actors, own + actors, others)
        table.add_row(way, *(f"{it:.1f}" for it in (*parts, *seconds)))
    Console().print(f"{options.pictures} pictures, {options.rounds} rounds", table)


if __name__ == "__main__":
    main()
