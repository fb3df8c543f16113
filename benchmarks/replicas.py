"""What it costs to publish a space, and to follow it: ``python -m benchmarks.replicas``.

Records are texts of 30 words with random vectors of 512 numbers, in a temporary folder. After the
first publication 1 % is added, then 1 % is replaced, then the space is compacted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.exchange.replicas import publish_space
from unisem.exchange.replicas.replica import Published
from unisem.records import EmbeddedRecord

DIMENSION = 512
_WORDS, _TEXTS, _BATCH = 2000, 3000, 5000
_Result = TypeVar("_Result")


def timed(what: str, action: Callable[[], _Result]) -> _Result:
    """Do something, and print how long it took."""
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what:24} {wall:7.2f} s  {processor:7.2f} s of a processor", flush=True)
    return result


class Texts:
    """Makes records.

    Args:
        seed: Of words and vectors.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._texts = [
            " ".join(f"word{n}" for n in self._rng.integers(0, _WORDS, 30)) for _ in range(_TEXTS)
        ]

    def add(self, space: SemanticSpace, numbers: Iterable[int], version: int = 0) -> None:
        """Add the records of these numbers, or replace them."""
        items = []
        for number in numbers:
            vector = self._rng.standard_normal(DIMENSION, dtype=np.float32)
            text = f"{number} {self._texts[(number * 7 + version) % _TEXTS]}"
            metadata = {"year": 2000 + number % 25, "version": version}
            record = Record(id=f"texts/{number:08}", text=text, metadata=metadata)
            items.append(EmbeddedRecord(record, {"text": vector / np.linalg.norm(vector)}))
        space.store.add(items)

    def some(self, count: int, of: int) -> list[int]:
        """Numbers drawn at random, none twice."""
        return [int(number) for number in self._rng.choice(of, count, replace=False)]


def measure(folder: Path, count: int) -> None:
    """Publish and follow a space of so many records."""
    encoder, texts, few = ToyEncoder(dimension=DIMENSION), Texts(), count // 100
    published = Published(folder / "published", cache=folder / "cache", encoder=encoder)
    with SemanticSpace.open(folder / "texts.unisem", encoder=encoder) as space:
        for start in range(0, count, _BATCH):
            texts.add(space, range(start, min(count, start + _BATCH)))
        space.compact("flat")

        def publish(what: str) -> None:
            report = timed(what, lambda: publish_space(space, folder / "published"))
            size, sent = report.version.size / 1e6, report.sent / 1e6
            print(f"{'':24} {sent:.1f} of {size:.1f} MB sent", flush=True)

        publish("publish")
        opened = timed("fetch and open", published.first)
        publish("publish again")
        for what, change in (
            ("1 % added", lambda: texts.add(space, range(count, count + few))),
            ("1 % replaced", lambda: texts.add(space, texts.some(few, count), 1)),
            ("compacted", lambda: space.compact("flat")),
        ):
            change()
            publish(f"publish, {what}")
            newer = timed(f"refresh, {what}", lambda: published.newer(opened))  # noqa: B023
            assert newer is not None
            opened.close()
            opened = newer
        opened.close()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="unisem-replicas-") as folder:
        measure(Path(folder), options.records)


if __name__ == "__main__":
    main()
