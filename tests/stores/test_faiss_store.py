"""The embedded store against brute force, across reopening, processes and damage."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stores.contract.items import assert_agree, item, query
from tests.support.examples import examples
from tests.support.oracle import BruteForce
from unisem.errors import CorruptStoreError, StoreLockedError
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissStore, segment
from unisem.stores.faiss.index_settings import KINDS
from unisem.stores.faiss.kinds import base
from unisem.stores.selection import EVERYTHING, Selection


def open_store(path: Path | None) -> FaissStore:
    return FaissStore(path, ImageLibrary(path))


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
    max_examples=examples(12),
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
            patch.setattr(base, "FEW", 0)
            for kind in (base.VectorIndex, *subclasses(base.VectorIndex)):
                patch.setattr(kind, "sparse", 0)
        run_steps(tmp_path_factory, steps, on_disk)


def subclasses(of: type) -> Iterator[type]:
    """All of them that are loaded."""
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


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
    done.wait(60)
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
        process.join(60)
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


@pytest.mark.parametrize(
    "name", ["vectors-*.f32", "vectors-*.sums", "vectors-*.npy", "vectors.json"]
)
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
    (path,) = (tmp_path / "s").glob("vectors-*.f32")
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


def test_records_may_come_one_by_one(tmp_path: Path) -> None:
    with closing(FaissStore(tmp_path, ImageLibrary(tmp_path))) as store:
        store.add(it for it in [item("a", 1), item("b", 2)])  # type: ignore[arg-type]
        store.add(it for it in ())  # type: ignore[arg-type]
        assert [record.id for record in store.select()] == ["a", "b"]
