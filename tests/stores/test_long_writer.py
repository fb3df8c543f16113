"""A process that writes for long: its log, its dropped vectors and its tail stay small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissKind, FaissStore, snapshot
from unisem.stores.faiss.checking import check_store

MEGABYTE = 2**20


def opened(path: Path) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder(), store=FaissKind(durability="relaxed"))


def log_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("catalog*"))


@pytest.mark.slow
def test_the_log_of_many_writes_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        for n in range(3000):
            space.add([Record(id=f"a{n % 50}", text=f"a{n % 50} {n}")])
        assert log_size(path) < 48 * MEGABYTE


def test_the_log_is_as_small_as_what_the_catalogue_holds(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    largest = 0.0
    with opened(path) as space:
        for n in range(400):
            space.add([Record(id=f"a{n % 100}", text=f"turn {n} " + "word " * 20)])
            held = (path / "catalog.sqlite").stat().st_size
            log = (path / "catalog.sqlite-wal").stat().st_size
            largest = max(largest, log / max(MEGABYTE, held / 4))
    assert largest < 1.5  # a commit may be over it, the next one is not


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


@pytest.mark.parametrize("directory", [True, False], ids=["disk", "memory"])
def test_what_was_replaced_is_folded_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: bool
) -> None:
    monkeypatch.setattr(snapshot, "_FEW_DEAD", 30)
    encoder = ToyEncoder()
    path = tmp_path / "s.unisem" if directory else None
    with SemanticSpace.open(path, encoder=encoder, store=FaissKind(durability="relaxed")) as space:
        store = space.store
        assert isinstance(store, FaissStore)
        longest = 0
        for n in range(400):
            space.add([Record(id=f"a{n % 20}", text=f"a{n % 20} turn{n}")])
            if n % 7 == 0:
                store._indexer.wait()
                held = store._files.snapshots.newest()
                assert held is not None
                longest = max(longest, len(held.rows))
                newest = space.search(text=f"turn{n}", k=1)[0].record
                assert (newest.id, newest.text) == (f"a{n % 20}", f"a{n % 20} turn{n}")
        most = 30 + 2 * 20 + 7
        assert longest <= most
        assert len(space.search(text="a1", k=99)) == len(space) == 20
        if path is not None:
            assert list(check_store(path, ImageLibrary(path))) == []
            seal = json.loads((path / "vectors.json").read_text(encoding="utf-8"))
            assert seal["transaction"] >= 400 - most  # what is on the disk is folded, too
    if path is not None:
        with SemanticSpace.open(path, encoder=encoder) as space:
            assert {hit.record.text for hit in space.search(text="a1", k=99)} == {
                f"a{n % 20} turn{n}" for n in range(380, 400)
            }
