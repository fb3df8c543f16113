"""A store that was emptied takes vectors of another dimension, whoever has it open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.oracle import BruteForce
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import VectorError
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Vector
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.index_settings import IndexKind
from unisem.stores.faiss.snapshot_keeper import SnapshotKeeper
from unisem.stores.selection import Selection


def open_store(path: Path | None) -> FaissStore:
    return FaissStore(path, ImageLibrary(path))


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaissStore]:
    store = open_store(tmp_path if request.param == "disk" else None)
    yield store
    store.close()


def rows(count: int, dimension: int, seed: int = 0) -> Vector:
    drawn = np.random.default_rng([seed, dimension]).normal(size=(count, dimension))
    unit: Vector = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


def items(count: int, dimension: int, seed: int = 0) -> list[EmbeddedRecord]:
    return [
        EmbeddedRecord(Record(id=f"{seed}-{n}", text="x", metadata={"n": n % 3}), {"text": row})
        for n, row in enumerate(rows(count, dimension, seed))
    ]


def assert_holds(store: FaissStore, held: list[EmbeddedRecord], dimension: int) -> None:
    """The store finds what brute force over these records finds, with a filter and without."""
    oracle = BruteForce()
    oracle.add(held)
    queries = rows(3, dimension, seed=99)
    for selection in (Selection(), Selection(filter=Field("n") == 1)):
        found = store.search(queries, 5, selection)
        for query, hits in zip(queries, found, strict=True):
            expected = oracle.search(query, 5, selection)
            assert [hit.record.id for hit in hits] == [found[0] for found in expected]
    assert store.dimension == dimension
    assert [item.record.id for item in store.embedded()] == [item.record.id for item in held]


@pytest.mark.parametrize("kind", [None, "flat", "hnsw", "ivf_pq"])
def test_an_emptied_store_takes_another_dimension(
    store: FaissStore, kind: IndexKind | None
) -> None:
    for seed, dimension in enumerate([4, 9, 4]):
        held = items(40, dimension, seed)
        store.add(held)
        if kind is not None:
            store.compact(kind)
        assert_holds(store, held, dimension)
        with pytest.raises(VectorError, match=f"dimension {dimension}"):
            store.add(items(1, dimension + 1, seed=7))
        store.delete(Selection())
        assert store.search(rows(1, 5), 3) == [[]]


def test_a_record_left_keeps_the_dimension(store: FaissStore) -> None:
    held = items(3, 4)
    store.add(held)
    store.delete(Selection(ids=("0-0", "0-1")))
    with pytest.raises(VectorError, match="dimension 4, not 9"):
        store.add(items(1, 9, seed=1))
    with pytest.raises(VectorError, match="dimension 4, not 9"):  # in its own place, too
        store.add([EmbeddedRecord(held[2].record, {"text": rows(1, 9)[0]})])
    assert_holds(store, held[2:], 4)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_reader_follows(tmp_path: Path, indexed: bool) -> None:
    writer, reader = open_store(tmp_path), open_store(tmp_path)
    for seed, dimension in enumerate([4, 9, 9, 4]):
        held = items(30, dimension, seed)
        writer.add(held)
        if indexed:
            writer.compact("flat")
        assert_holds(reader, held, dimension)
        writer.delete(Selection())
    writer.add(items(30, 4, seed=8))
    assert_holds(reader, items(30, 4, seed=8), 4)
    reader.close()
    writer.close()
    assert [found.text for found in check_store(tmp_path, ImageLibrary(tmp_path))] == []
    reopened = open_store(tmp_path)
    assert_holds(reopened, items(30, 4, seed=8), 4)
    reopened.close()


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_an_interrupted_change_is_whole(
    store: FaissStore, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store.add(items(20, 4))
    store.compact("flat")
    store.delete(Selection())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "before the commit":
            patch.setattr(type(store._files.catalog), "check_in_place", interrupted)
            patch.setattr(store._files, "lock_for_writing", lambda: None)
        else:
            patch.setattr(SnapshotKeeper, "move_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.add(items(20, 9, seed=1))
    if moment == "before the commit":
        assert (store.dimension, len(store)) == (4, 0)
        store.add(items(20, 4, seed=2))
        assert_holds(store, items(20, 4, seed=2), 4)
    else:
        assert_holds(store, items(20, 9, seed=1), 9)


def test_no_vector_of_the_dimension_before_stays_on_the_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.add(items(20, 4))
    store.delete(Selection())
    store.add(items(1, 9, seed=1))
    store.close()
    kept = open_store(tmp_path)
    with kept._files.catalog.reader() as catalog:
        assert catalog.all_vectors()[2].shape == (1, 9)
    kept.close()


def test_a_space_keeps_the_dimension_of_its_encoder() -> None:
    with SemanticSpace.open(None, encoder=ToyEncoder(8)) as space:
        space.add([Record(id="a", text="a")])
        space.delete(["a"])
        wrong = EmbeddedRecord(Record(id="b", text="b"), {"text": rows(1, 9)[0]})
        for add in (space.add_embedded, space.store.add):
            with pytest.raises(VectorError, match="dimension 8, not 9"):
                add([wrong])
        space.add([Record(id="b", text="b")])
        assert space.search(text="b", k=1)[0].record.id == "b"
