"""Removed records that wait to be erased: gone at once for everybody, and off the disk in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.keywords import found, item, open_store
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissStore, indexer, unerased
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.salvage import Salvage
from unisem.stores.faiss.statistics import StoreStatistics
from unisem.stores.selection import EVERYTHING, Selection

SIX = [item(name, f"{name} tiger", n=n) for n, name in enumerate("abcdef")]


@pytest.fixture(autouse=True)
def all_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unerased, "_SHARE", 1)


def counted(path: Path) -> tuple[int, int]:
    """Records on the disk, and those of them that are removed."""
    database = sqlite3.connect(path / "catalog.sqlite")
    found = database.execute("SELECT (SELECT count(*) FROM records), count(*) FROM unerased")
    there, waiting = found.fetchone()
    database.close()
    return there, waiting


def seen(store: FaissStore) -> dict[str, object]:
    """The ids that each way of asking gives."""
    query = np.array([[1, 0, 0, 0]], np.float32)
    from_two = Selection(filter=Field("n") >= 2)
    return {
        "length": len(store),
        "count": store.count(from_two),
        "select": [record.id for record in store.select()],
        "page": [record.id for record in store.page(EVERYTHING, None, 9)[0]],
        "embedded": [one.record.id for one in store.embedded()],
        "vectors": [store.vectors([name])[0] is not None for name in "abcdef"],
        "search": sorted(hit.record.id for hit in store.search(query, 9)[0]),
        "filtered": sorted(hit.record.id for hit in store.search(query, 9, from_two)[0]),
        "words": sorted(found(store, "tiger")),
        "chosen words": sorted(found(store, "tiger", 9, from_two)),
    }


def test_what_waits_is_seen_by_nobody(tmp_path: Path) -> None:
    path, bare = tmp_path / "s", open_store(tmp_path / "bare")
    bare.add([one for one in SIX if one.record.id not in "be"])
    expected = seen(bare)
    bare.close()
    store, reader = open_store(path), open_store(path)
    store.add(SIX)
    assert len(seen(reader)["search"]) == 6  # type: ignore[arg-type]
    assert store.delete(Selection(ids=("b", "e", "nobody"))) == 2
    assert (
        store.delete(Selection(ids=("b",))) == store.delete(Selection(filter=Field("n") == 1)) == 0
    )
    assert counted(path) == (6, 2)
    for one in (store, reader, open_store(path)):
        assert seen(one) == expected
    assert StoreStatistics.of(path).records == {"text": 4, "image": 0}
    assert list(check_store(path, ImageLibrary(path))) == []
    saved = Salvage(sqlite3.connect(path / "catalog.sqlite"), ImageLibrary(path))
    assert [one.record.id for one in saved] == ["a", "c", "d", "f"]
    assert saved.lost == 0
    store.compact()
    assert counted(path) == (4, 0)
    assert seen(store) == seen(reader) == expected
    store.close()
    reader.close()


def test_an_id_that_waits_can_be_added_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add(SIX)
    store.delete(Selection(ids=("b", "e")))
    store.add([item("b", "b lion", n=7), item("c", "c lion", n=8)])
    assert counted(tmp_path / "s") == (6, 1)
    assert [record.id for record in store.select()] == ["a", "d", "f", "b", "c"]
    assert (sorted(found(store, "lion")), sorted(found(store, "tiger"))) == (
        ["b", "c"],
        ["a", "d", "f"],
    )
    assert store.delete(EVERYTHING) == 5
    assert len(store) == 0
    store.add(SIX)
    assert seen(store)["select"] == list("abcdef")
    assert list(check_store(tmp_path / "s", ImageLibrary(tmp_path / "s"))) == []
    store.close()


@pytest.mark.parametrize("share", [1, 3])
@pytest.mark.parametrize("finish", [FaissStore.compact, FaissStore.shrink])
def test_no_more_wait_than_may(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    share: int,
    finish: Callable[[FaissStore], str],
) -> None:
    monkeypatch.setattr(unerased, "_SHARE", share)
    store, rng = open_store(tmp_path / "s"), np.random.default_rng(0)
    living: set[str] = set()
    for _ in range(12):
        names = {f"r{n}" for n in rng.integers(0, 60, 20)}
        store.add([item(name, f"{name} tiger") for name in names])
        living |= names
        gone = rng.choice(sorted(living), 9, replace=False).tolist()
        store.delete(Selection(ids=tuple(gone)))
        living -= set(gone)
        there, waiting = counted(tmp_path / "s")
        assert there - waiting == len(store) == len(living)
        assert waiting <= len(living) // share
    assert set(found(store, "tiger", 99)) == living
    finish(store)
    assert counted(tmp_path / "s") == (len(living), 0)
    assert set(found(store, "tiger", 99)) == living
    assert list(check_store(tmp_path / "s", ImageLibrary(tmp_path / "s"))) == []
    store.close()


def test_a_picture_that_waits_is_not_published_and_goes_with_its_record(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        colours = ["red", "green", "blue"]
        space.add([Record(id=it, image=Image.new("RGB", (9, 9), it)) for it in colours])
        space.delete(["green"])
        assert counted(path) == (3, 1)
        copy = tmp_path / "copy"
        copy.mkdir()
        assert len(list(space.store.maintenance().stage(copy).pictures)) == 2
        assert len(list(path.glob("blobs/*/*"))) == 3
        space.compact()
        assert len(list(path.glob("blobs/*/*"))) == 2


def test_a_failed_removal_hides_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add(SIX)
    catalog = store._files.catalog

    def fail() -> None:
        with catalog.transaction():
            catalog.remove(Selection(ids=("a",)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert counted(tmp_path / "s") == (6, 0)
    assert seen(store)["select"] == list("abcdef")
    store.close()


def test_a_damaged_record_that_waits_is_erased(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add(SIX)
    store.delete(Selection(ids=("b",)))
    store.close()
    database = sqlite3.connect(tmp_path / "s" / "catalog.sqlite")
    database.execute("UPDATE records SET text = 'b lion' WHERE id = 'b'")
    database.commit()
    database.close()
    store = open_store(tmp_path / "s")
    assert [record.id for record in store.select()] == list("acdef")
    store.compact()
    assert counted(tmp_path / "s") == (5, 0)
    assert (found(store, "lion"), sorted(found(store, "tiger"))) == ([], list("acdef"))
    assert list(check_store(tmp_path / "s", ImageLibrary(tmp_path / "s"))) == []
    store.close()


def test_a_check_notices_a_record_that_is_hidden_though_nobody_removed_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add(SIX)
    store.close()
    database = sqlite3.connect(tmp_path / "s" / "catalog.sqlite")
    database.execute("INSERT INTO unerased SELECT row FROM records WHERE id = 'c'")
    database.commit()
    database.close()
    texts = [it.text for it in check_store(tmp_path / "s", ImageLibrary(None)) if it.is_problem]
    assert texts[0] == "are hidden as removed, which their records never were: text of 'c'"


def test_a_list_of_what_waits_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s"
    store = open_store(path)
    store.add(SIX)
    store.close()
    database = sqlite3.connect(path / "catalog.sqlite")
    (page,) = database.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'unerased'"
    ).fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with (path / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    saved = Salvage(sqlite3.connect(path / "catalog.sqlite"), ImageLibrary(path))
    assert [one.record.id for one in saved] == list("abcdef")
    assert saved.may_be_removed
    texts = [it.text for it in check_store(path, ImageLibrary(path)) if it.is_problem]
    assert any("Which records were removed cannot be read" in text for text in texts)


def test_what_waits_is_not_read_where_others_are_replaced(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add([item(f"r{n}", "tiger") for n in range(2_000)])

    def steps() -> int:
        """Hundreds of instructions that SQLite takes to replace a record."""
        taken: list[None] = []
        store._files.catalog._db.set_progress_handler(lambda: taken.append(None), 100)
        store.add([item("r0", "tiger")])
        store._files.catalog._db.set_progress_handler(None, 0)
        return len(taken)

    before = steps()
    store.delete(Selection(ids=tuple(f"r{n}" for n in range(1, 900))))
    assert counted(tmp_path / "s") == (2_000, 899)
    assert steps() < before + 9  # hundreds; each of those that wait takes some
    store.close()


def test_nothing_of_what_waits_is_in_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "FEWEST", 1)
    path, copy = tmp_path / "s", tmp_path / "copy"
    store = open_store(path)
    store.add([*SIX, item("gone", "a zanzibar", name="quetzalcoatl")])
    store.compact()
    store.delete(Selection(ids=("gone",)))
    copy.mkdir()
    assert list(store.maintenance().stage(copy).pictures) == []
    store.close()
    files = [file for file in copy.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"catalog.sqlite", "columns.json"}
    for file in files:
        for word in (b"zanzibar", b"quetzalcoatl", b"gone"):
            assert word not in file.read_bytes(), file
    assert counted(copy) == (6, 0)
    assert list(check_store(copy, ImageLibrary(copy))) == []
    published = open_store(copy)
    assert seen(published)["select"] == list("abcdef")
    assert sorted(found(published, "tiger", 9)) == list("abcdef")
    published.close()
