"""Vectors of removed records: gone at once for everybody, and off the disk in time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore, rawvectors
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.statistics import StoreStatistics


def counted(path: Path) -> tuple[int, int]:
    """Vectors on the disk, and records whose vectors are to leave it."""
    database = sqlite3.connect(path / "catalog.sqlite")
    found = database.execute("SELECT (SELECT count(*) FROM vectors), count(*) FROM dropped")
    vectors, dropped = found.fetchone()
    database.close()
    return vectors, dropped


def records(number: int, word: str) -> list[Record]:
    return [Record(id=str(i), text=f"{word} {i}") for i in range(number)]


def test_what_is_removed_waits_and_compacting_takes_it_away(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add(records(40, "old"))
        space.compact()
        space.add(records(20, "new"))  # replaces 20
        space.delete(["0", "39"])
        assert counted(path) == (60, 22)
        assert StoreStatistics.of(path).vectors == {"text": 38, "image": 0}
        assert list(check_store(path, ImageLibrary(path))) == []
        with SemanticSpace.open(path, encoder=encoder) as reader:
            assert len(reader.search("old 5", k=100)) == 38
            assert reader.search("new 5", k=1)[0].record.id == "5"
        space.compact()
        assert counted(path) == (38, 0)
        assert len(space.search("old 5", k=100)) == 38


def test_a_space_without_its_index_does_not_bring_them_back(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add(records(100, "old"))
        space.compact()
        space.delete(["7"])
    assert counted(path) == (100, 1)
    for file in path.glob("vectors*"):
        file.unlink()
    with SemanticSpace.open(path, encoder=encoder) as space:
        found = {hit.record.id for hit in space.search("old 7", k=200)}
        assert found == {str(i) for i in range(100)} - {"7"}


@pytest.mark.parametrize("most", [0, 5, 30])
def test_a_file_whose_records_are_replaced_for_ever_does_not_grow_for_ever(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(rawvectors, "_MOST_DROPPED", most)
    rng = np.random.default_rng(0)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        for turn in range(40):
            space.add([Record(id=str(i), text=f"turn {turn}") for i in rng.integers(0, 10, 6)])
            vectors, dropped = counted(tmp_path / "s.unisem")
            assert vectors == len(space) + dropped
            assert dropped <= most
        assert len(space.search("turn 39", k=50)) == len(space)
        assert list(check_store(tmp_path / "s.unisem", ImageLibrary(None))) == []


def test_a_check_notices_a_record_that_would_lose_its_vectors(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add(records(3, "word"))
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("INSERT INTO dropped SELECT row FROM records WHERE id = '1'")
    database.commit()
    database.close()
    findings = [finding.text for finding in check_store(path, ImageLibrary(path))]
    assert findings[0] == "are to be dropped, though their records are there: text of '1'"


def test_rows_added_and_removed_while_a_reader_looked_elsewhere(tmp_path: Path) -> None:
    def item(name: str, *vector: float) -> EmbeddedRecord:
        return EmbeddedRecord(Record(id=name, text=name), {"text": np.array(vector, np.float32)})

    writer = FaissStore(tmp_path, ImageLibrary(tmp_path))
    writer.add([item("a", 1, 0)])
    reader = FaissStore(tmp_path, ImageLibrary(tmp_path))
    assert len(reader.search(np.eye(2, dtype=np.float32), 5)[0]) == 1
    writer.add([item("b", 0, 1)])
    writer.add([item("b", 0, -1)])
    ((first, second),) = reader.search(np.array([[0, 1]], np.float32), 5)
    assert [(first.record.id, first.score), (second.record.id, second.score)] == [
        ("a", 0),
        ("b", -1),
    ]
    reader.close()
    writer.close()
