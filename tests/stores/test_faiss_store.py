"""The embedded store against brute force, across reopening, processes and damage."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.oracle import BruteForce
from unisem import Record
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore, segment
from unisem.stores.faiss.index_settings import KINDS
from unisem.stores.selection import EVERYTHING, Selection

DIMENSION = 8


def item(
    record_id: str, seed: int, *, picture: bool = False, year: int = 2000, source: str | None = None
) -> EmbeddedRecord:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    image = None
    if picture:
        image = ImageRef(path=Path("/pictures/a.png"), root=Path("/pictures"), sha256="00")
    record = Record(
        id=record_id,
        text=f"text {seed}",
        image=image,
        metadata={"year": year, "seed": seed},
        source_id=source,
    )
    return EmbeddedRecord(
        record, {"text": rows[0], "image": rows[1]} if picture else {"text": rows[0]}
    )


def query(seed: int) -> np.ndarray:
    vector = np.random.default_rng([7, seed]).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def open_store(path: Path | None) -> FaissStore:
    return FaissStore(path, ImageLibrary(path))


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaissStore]:
    opened = open_store(tmp_path / "s" if request.param == "disk" else None)
    yield opened
    opened.close()


def assert_agree(store: FaissStore, oracle: BruteForce, seed: int = 0) -> None:
    assert len(store) == len(oracle.items)
    assert [record.id for record in store.select()] == list(oracle.items)
    selections = [
        EVERYTHING,
        Selection(modality="image"),
        Selection(filter=Field("year") >= 2003),
        Selection(source_ids=("s1", "nowhere")),
        Selection(ids=("a", "c", "nobody")),
        Selection(ids=()),
    ]
    for selection in selections:
        for match in ("any", "text", "image"):
            for k in (1, 3, 50):
                vector = query(seed)
                hits = store.search(vector[None], k, selection, match)[0]
                expected = oracle.search(vector, k, selection, match)
                assert [hit.record.id for hit in hits] == [found[0] for found in expected]
                assert [hit.matched for hit in hits] == [found[2] for found in expected]
                assert [hit.score for hit in hits] == pytest.approx(
                    [found[1] for found in expected], abs=1e-6
                )


def test_empty_store(store: FaissStore) -> None:
    assert len(store) == 0
    assert store.search(query(0)[None], 5) == [[]]
    assert store.get(["a"]) == [None]
    assert list(store.select()) == []
    assert store.delete(EVERYTHING) == 0
    store.add([])
    assert len(store) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.lists(
                st.tuples(
                    st.sampled_from("abcdefgh"),
                    st.integers(0, 30),
                    st.booleans(),
                    st.integers(2000, 2005),
                    st.sampled_from([None, "s1", "s2"]),
                ),
                max_size=5,
            ),
        ),
        st.tuples(
            st.just("delete"),
            st.sampled_from(
                [
                    Selection(ids=("a", "b")),
                    Selection(source_ids=("s1",)),
                    Selection(filter=Field("year") == 2001),
                    Selection(modality="image"),
                    EVERYTHING,
                ]
            ),
        ),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("compact"), st.sampled_from([*KINDS, "auto"])),
    ),
    max_size=12,
)


@pytest.mark.parametrize("scanned", ["few vectors are scanned", "never scanned for being few"])
@given(steps=STEPS, on_disk=st.booleans())
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_sequence_of_writes_agrees_with_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, Any]],
    on_disk: bool,
    scanned: str,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if scanned.startswith("never"):
            patch.setattr(segment, "_FEW", 0)
            patch.setattr(segment, "_SPARSE", 0)
        run_steps(tmp_path_factory, steps, on_disk)


def run_steps(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]], on_disk: bool
) -> None:
    path = tmp_path_factory.mktemp("store") / "s" if on_disk else None
    store, oracle = open_store(path), BruteForce()
    for action, argument in steps:
        if action == "add":
            batch = [item(i, s, picture=p, year=y, source=o) for i, s, p, y, o in argument]
            store.add(batch)
            oracle.add(batch)
        elif action == "delete":
            assert store.delete(argument) == oracle.delete(argument)
        elif action == "compact":
            store.compact(argument)
        elif path is not None:
            store.close()
            store = open_store(path)
        assert_agree(store, oracle)
    store.close()


def test_ties_are_broken_by_id_even_at_the_cut(store: FaissStore) -> None:
    vector = query(0)
    same = [EmbeddedRecord(Record(id=f"{n:02}", text="x"), {"text": vector}) for n in range(40)]
    store.add(same[::-1])
    for k in (1, 5, 39):
        hits = store.search(vector[None], k)[0]
        assert [hit.record.id for hit in hits] == [f"{n:02}" for n in range(k)]


def test_a_captioned_picture_is_one_hit_at_its_best_score(store: FaissStore) -> None:
    pictures = [item(f"p{n}", n, picture=True) for n in range(20)]
    store.add(pictures)
    hits = store.search(query(1)[None], 20)[0]
    assert len(hits) == len({hit.record.id for hit in hits}) == 20
    assert {hit.matched for hit in hits} == {"text", "image"}


def test_many_queries_at_once_equal_one_by_one(store: FaissStore) -> None:
    store.add([item(f"r{n}", n, picture=n % 2 == 0) for n in range(50)])
    queries = np.stack([query(n) for n in range(9)])
    assert store.search(queries, 7) == [store.search(row[None], 7)[0] for row in queries]


def test_several_vectors_of_one_record_give_its_best(store: FaissStore) -> None:
    vectors = np.stack([query(n) for n in range(5)])
    store.add([EmbeddedRecord(Record(id="many", text="x"), {"text": vectors}), item("other", 3)])
    for n in range(5):
        hit = store.search(query(n)[None], 1)[0][0]
        assert (hit.record.id, hit.score) == ("many", pytest.approx(1, abs=1e-6))


def test_a_refused_batch_leaves_nothing(store: FaissStore) -> None:
    store.add([item("a", 1)])
    wrong = EmbeddedRecord(Record(id="w", text="x"), {"text": np.ones(5, np.float32)})
    with pytest.raises(StoreError, match="dimension"):
        store.add([item("b", 2), wrong])
    with pytest.raises(StoreError, match=r"dimension 8, not 5"):
        store.add([wrong])
    with pytest.raises(StoreError, match="no vector"):
        store.add([item("b", 2), EmbeddedRecord(Record(id="v", text="x"), {})])
    assert [record.id for record in store.select()] == ["a"]
    with pytest.raises(StoreError, match="dimension 5"):
        store.search(np.ones((1, 5), np.float32), 1)


def test_a_record_comes_back_as_it_went_in(store: FaissStore) -> None:
    record = Record(
        id="ä/1 'quoted'",
        text="text\nwith \x00 and 漢字",
        metadata={"a": [1, 2.5, None, {"b": True}], "": "empty key", "id": 7},
        source_id="s",
        links={"next": "b"},
        payload={"node": {"x": [1]}},
    )
    store.add([EmbeddedRecord(record, {"text": query(0)})])
    assert store.get(["nobody", record.id]) == [None, record]


def test_reader_in_the_same_process_sees_commits_at_its_next_search(tmp_path: Path) -> None:
    writer, reader = open_store(tmp_path / "s"), open_store(tmp_path / "s")
    oracle = BruteForce()
    assert reader.search(query(0)[None], 3) == [[]]
    for n in range(12):
        batch = [item(f"r{n % 7}", n, picture=n % 3 == 0)]
        writer.add(batch)
        oracle.add(batch)
        if n % 4 == 3:
            assert writer.delete(Selection(ids=(f"r{n % 5}",))) == oracle.delete(
                Selection(ids=(f"r{n % 5}",))
            )
        assert_agree(reader, oracle)
    writer.close()
    reader.close()


def _hold(path: Path, ready: Any, done: Any) -> None:
    store = open_store(path)
    store.add([item("held", 1)])
    ready.set()
    done.wait(30)
    store.close()


def test_second_writer_is_told_who_holds_the_space(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "s", ready, done))
    process.start()
    try:
        assert ready.wait(60)
        mine = open_store(tmp_path / "s")
        assert [hit.record.id for hit in mine.search(query(0)[None], 5)[0]] == ["held"]
        with pytest.raises(StoreLockedError, match=f"process {process.pid} on "):
            mine.add([item("mine", 2)])
    finally:
        done.set()
        process.join(30)
    mine.add([item("mine", 2)])  # the holder has gone
    assert len(mine) == 2
    mine.close()


def filled(path: Path) -> BruteForce:
    oracle = BruteForce()
    batch = [item(f"r{n}", n, picture=n % 2 == 0) for n in range(30)]
    with_store = open_store(path)
    with_store.add(batch)
    with_store.close()
    oracle.add(batch)
    return oracle


@pytest.mark.parametrize("name", ["vectors-*.faiss", "vectors-*.npy", "vectors.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped"])
def test_damaged_derived_files_are_rebuilt_with_a_notice(
    tmp_path: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    oracle = filled(tmp_path / "s")
    (path,) = (tmp_path / "s").glob(name)
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        whole = {"empty": b"", "truncated": bytes(data[: len(data) // 2]), "flipped": bytes(data)}
        path.write_bytes(whole[damage])
    with caplog.at_level(logging.WARNING):
        store = open_store(tmp_path / "s")
        assert_agree(store, oracle)
    assert "rebuilding" in caplog.text
    store.close()


def test_intact_derived_file_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    oracle = filled(tmp_path / "s")
    (path,) = (tmp_path / "s").glob("vectors-*.faiss")
    before = path.stat().st_mtime_ns
    with caplog.at_level(logging.WARNING):
        store = open_store(tmp_path / "s")
        assert_agree(store, oracle)
        store.close()
    assert not caplog.text
    assert path.stat().st_mtime_ns == before


def test_derived_file_of_an_older_commit_is_caught_up(tmp_path: Path) -> None:
    oracle = filled(tmp_path / "s")
    store = open_store(tmp_path / "s")
    store.add([item("new", 99)])
    store.delete(Selection(ids=("r3",)))
    oracle.add([item("new", 99)])
    oracle.delete(Selection(ids=("r3",)))
    del store  # killed: never closed, so the segment is behind
    again = open_store(tmp_path / "s")
    assert_agree(again, oracle)
    again.close()


def test_derived_file_from_the_future_of_a_restored_catalogue_is_not_believed(
    tmp_path: Path,
) -> None:
    filled(tmp_path / "s")
    backup = (tmp_path / "s" / "catalog.sqlite").read_bytes()
    store = open_store(tmp_path / "s")
    store.add([item("later", 5)])
    store.close()
    for stale in (tmp_path / "s").glob("catalog.sqlite-*"):
        stale.unlink()
    (tmp_path / "s" / "catalog.sqlite").write_bytes(backup)
    restored = open_store(tmp_path / "s")
    assert "later" not in [hit.record.id for hit in restored.search(query(0)[None], 99)[0]]
    restored.close()


def test_damaged_catalogue_is_a_clear_error(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    (tmp_path / "s" / "catalog.sqlite").write_bytes(b"not a database, no")
    with pytest.raises(CorruptStoreError, match=r"catalog\.sqlite cannot be read"):
        open_store(tmp_path / "s")


def test_catalogue_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    database = sqlite3.connect(tmp_path / "s" / "catalog.sqlite")
    database.execute("UPDATE facts SET value = 99 WHERE name = 'format'")
    database.commit()
    database.close()
    with pytest.raises(CorruptStoreError, match="Upgrade unisem"):
        open_store(tmp_path / "s")


def test_the_catalogue_holds_plain_columns_not_objects(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    database = sqlite3.connect(tmp_path / "s" / "catalog.sqlite")
    record_id, metadata = database.execute("SELECT id, metadata FROM records").fetchone()
    assert record_id == "r0"
    assert json.loads(metadata) == {"year": 2000, "seed": 0}
    database.close()


def test_a_reader_that_opens_while_the_segment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer = open_store(tmp_path)
    writer.add([item(str(n), n) for n in range(30)])
    writer.compact()
    load, left = segment.Segment.load, iter((True, True))

    def load_slowly(directory: Path, dimension: int) -> segment.Segment | None:
        loaded = load(directory, dimension)
        if next(left, False):  # the writer is faster, twice
            monkeypatch.setattr(segment.Segment, "load", load)
            writer.delete(Selection(ids=(str(len(writer) - 1),)))
            writer.compact()
            monkeypatch.setattr(segment.Segment, "load", load_slowly)
        return loaded

    monkeypatch.setattr(segment.Segment, "load", load_slowly)
    reader = open_store(tmp_path)
    with caplog.at_level(logging.WARNING):
        found = reader.search(query(1)[None], 50)[0]
    assert {hit.record.id for hit in found} == {str(n) for n in range(28)}
    assert reader.index_kind == "flat"  # not built anew from the catalogue
    assert caplog.messages == []
    reader.close()
    writer.close()


def test_nul_in_what_is_asked_finds_nothing_else(store: FaissStore) -> None:
    store.add([item("a", 1, source="s")])
    for selection in (
        Selection(ids=("a\0b",)),
        Selection(source_ids=("s\0",)),
        Selection(filter=Field("year").is_in(["2000\0", "\0"])),
    ):
        assert store.search(query(1)[None], 5, selection) == [[]]
        assert store.delete(selection) == 0
    assert store.get(["a\0"]) == [None]
    assert len(store) == 1
