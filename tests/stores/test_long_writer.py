"""A process that writes for long: its log, its dropped vectors and its tail stay small."""

from __future__ import annotations

from pathlib import Path

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace

MEGABYTE = 2**20


def opened(path: Path) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder(), durability="relaxed")


def log_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("catalog*"))


def test_the_log_of_many_writes_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        for n in range(3000):
            space.add([Record(id=f"a{n % 50}", text=f"a{n % 50} {n}")])
        assert log_size(path) < 48 * MEGABYTE


def test_a_selection_that_is_not_read_to_its_end_does_not_keep_the_log(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        space.add(Record(id=f"a{n}", text=f"a{n}") for n in range(3000))
        reading = space.store.select()
        assert next(reading).id == "a0"
        for n in range(2000):
            space.add([Record(id=f"a{n}", text=f"b{n}")])
        assert log_size(path) < 64 * MEGABYTE
        assert [record.text for record in reading] == [f"a{n}" for n in range(1, 3000)]
