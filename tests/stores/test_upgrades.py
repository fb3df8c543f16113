"""Upgrading the catalogue: a made-up format before the present one, and the real ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.toy import FusingToyEncoder, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.common.filelock import FileLock
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, VectorKind
from unisem.stores.faiss import graph_schema, upgrades
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.statistics import StoreStatistics
from unisem.stores.faiss.upgrades import FORMAT, Upgrade
from unisem.stores.graph import Entity, Mention, Relation
from unisem.stores.vectors import MOST_VECTORS

OLD = FORMAT - 1


def rename(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE records RENAME COLUMN extra TO payload")
    database.execute("UPDATE records SET payload = json_object('was', payload)")


@pytest.fixture
def old(tmp_path: Path, encoder: ToyEncoder) -> Path:
    """A space as of format `OLD`, in which ``payload`` was called ``extra``."""
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("ALTER TABLE records RENAME COLUMN payload TO extra")
    database.execute("UPDATE facts SET value = ? WHERE name = 'format'", (OLD,))
    database.commit()
    database.close()
    return path


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def know(*steps: Upgrade) -> None:
        monkeypatch.setattr(upgrades, "UPGRADES", steps)

    return know


def columns(path: Path) -> tuple[int, set[str]]:
    database = sqlite3.connect(path)
    (format,) = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    names = {line[1] for line in database.execute("PRAGMA table_info(records)")}
    database.close()
    return format, names


def test_an_old_catalogue_is_upgraded_on_open_and_kept(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    known(Upgrade(FORMAT, "extra is called payload", rename))
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert [record.payload for record in space.get(["a", "b"])] == [{"was": "{}"}] * 2
        assert space.search("a tiger", k=1)[0].record.id == "a"
        space.add([Record(id="c", text="new")])
    assert columns(old / "catalog.sqlite")[0] == FORMAT
    backup = old / f"catalog.format-{OLD}.sqlite"
    format, names = columns(backup)
    assert format == OLD
    assert "extra" in names
    assert sqlite3.connect(backup).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    before = backup.stat().st_mtime_ns
    with SemanticSpace.open(old, encoder=encoder) as space:  # and only once
        assert len(space) == 3
    assert backup.stat().st_mtime_ns == before


def test_a_failing_upgrade_changes_nothing(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    def fail(database: sqlite3.Connection) -> None:
        rename(database)
        database.execute("SELECT * FROM nowhere")

    known(Upgrade(FORMAT, "fails half-way", fail))
    with pytest.raises(StoreError, match=r"could not be upgraded.*is as it was"):
        SemanticSpace.open(old, encoder=encoder)
    assert columns(old / "catalog.sqlite") == columns(old / f"catalog.format-{OLD}.sqlite")
    known(Upgrade(FORMAT, "works", rename))
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert len(space) == 2


def test_a_step_that_commits_is_a_mistake_that_shows(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    known(Upgrade(FORMAT, "commits", lambda database: database.executescript("SELECT 1;")))
    with pytest.raises(AssertionError, match="ended the transaction"):
        SemanticSpace.open(old, encoder=encoder)


def test_nobody_else_may_be_writing(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    known(Upgrade(FORMAT, "works", rename))
    with (
        FileLock(old / "writer.lock"),
        pytest.raises(StoreLockedError, match="older format"),
    ):
        SemanticSpace.open(old, encoder=encoder)
    assert columns(old / "catalog.sqlite")[0] == OLD
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert len(space) == 2


@pytest.mark.parametrize("format", [-1, FORMAT + 1, str(FORMAT), None, FORMAT + 0.5])
def test_formats_without_a_way_are_refused(
    old: Path, encoder: ToyEncoder, known: Callable[..., None], format: object
) -> None:
    known(Upgrade(FORMAT, "works", rename))
    database = sqlite3.connect(old / "catalog.sqlite")
    database.execute("UPDATE facts SET value = ? WHERE name = 'format'", (format,))
    database.commit()
    database.close()
    with pytest.raises(CorruptStoreError, match=r"has format .*export the space"):
        SemanticSpace.open(old, encoder=encoder)
    assert not list(old.glob("catalog.format-*"))


def take_format_6_away(database: sqlite3.Connection) -> None:
    for table in ("entities", "entity_vectors", "relations", "mentions"):
        database.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
    database.execute("ALTER TABLE mentions DROP COLUMN linked")


def take_format_5_away(database: sqlite3.Connection) -> None:
    for statement in graph_schema.TABLES:
        if found := re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", statement):
            database.execute(f"DROP TABLE {found[1]}")


def take_format_4_away(database: sqlite3.Connection) -> None:
    take_format_5_away(database)
    database.execute("DROP TABLE unerased")


def take_format_3_away(database: sqlite3.Connection) -> None:
    take_format_4_away(database)
    database.execute("DROP TABLE epochs")
    for table in ("records", "vectors"):
        database.execute(f"ALTER TABLE {table} DROP COLUMN checksum")


def test_format_1_whose_vectors_left_at_once(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("DROP TABLE dropped")
    take_format_3_away(database)
    database.execute("UPDATE facts SET value = 1 WHERE name = 'format'")
    database.commit()
    database.close()
    assert [finding.text for finding in check_store(path, ImageLibrary(path))] == [
        "has format 1; opening it upgrades it"
    ]
    assert StoreStatistics.of(path).vectors == {"text": 2, "image": 0}
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert space.delete(["b"]) == 1
        assert [hit.record.id for hit in space.search("a teapot")] == ["a"]
    assert list(check_store(path, ImageLibrary(path))) == []


def test_format_2_that_named_no_epochs(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
        space.compact()
    database = sqlite3.connect(path / "catalog.sqlite")
    take_format_3_away(database)
    database.execute("UPDATE facts SET value = 2 WHERE name = 'format'")
    database.commit()
    database.close()
    assert StoreStatistics.of(path).kind is None  # it would be built anew
    for _ in range(2):
        with SemanticSpace.open(path, encoder=encoder) as space:
            assert [hit.record.id for hit in space.search("a teapot")] == ["b", "a"]
            space.compact()
        assert list(check_store(path, ImageLibrary(path))) == []


def test_format_3_that_erased_at_once(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
        space.compact()
    database = sqlite3.connect(path / "catalog.sqlite")
    take_format_4_away(database)
    database.execute("UPDATE facts SET value = 3 WHERE name = 'format'")
    database.commit()
    database.close()
    assert [finding.text for finding in check_store(path, ImageLibrary(path))] == [
        "has format 3; opening it upgrades it"
    ]
    assert StoreStatistics.of(path).records == {"text": 2, "image": 0}
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert space.delete(["b"]) == 1
        assert [hit.record.id for hit in space.search("a teapot")] == ["a"]
    assert list(check_store(path, ImageLibrary(path))) == []


def test_format_4_that_kept_no_graph(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
        space.compact()
    database = sqlite3.connect(path / "catalog.sqlite")
    take_format_5_away(database)
    database.execute("UPDATE facts SET value = 4 WHERE name = 'format'")
    database.commit()
    database.close()
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.graph.add([Entity("tiger", "tiger")], mentions=[Mention("a", "tiger")])
        assert [hit.record.id for hit in space.search("a teapot")] == ["b", "a"]
    assert list(check_store(path, ImageLibrary(path))) == []


def test_format_5_whose_graphs_had_no_checksums(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
        cat = Relation("tiger", "broader", "cat", record_id="a", properties={"page": 3})
        space.graph.add([Entity("cat", "cat")], [cat], [Mention("a", "tiger", 0.25)])
        space.graph.embed_names()
    database = sqlite3.connect(path / "catalog.sqlite")
    take_format_6_away(database)
    database.execute("UPDATE facts SET value = 5 WHERE name = 'format'")
    database.commit()
    database.close()
    assert [finding.text for finding in check_store(path, ImageLibrary(path))] == [
        "has format 5; opening it upgrades it"
    ]
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert list(space.graph.relations()) == [cat]
        assert space.graph.counts.embedded == 2 == len(space.store.graph.name_vectors()[0])
        space.graph.link_records()  # what it was told before is not known to be found by linking
        assert [it.weight for it in space.graph.mentioned_by("a")] == [0.25]
    assert list(check_store(path, ImageLibrary(path))) == []


def test_format_7_whose_pictures_had_the_numbers_of_fused_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(MOST_VECTORS, "image", 2048)
    rows = np.random.default_rng(0).standard_normal((2048, 48)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    counts: dict[str, dict[VectorKind, int]] = {
        "wide": {"text": 2048, "image": 1900},
        "full": {"image": 1792},
        "with fused ones": {"text": 2, "image": 1792, "both": 2},
        "fused": {"text": 2, "image": 3, "both": 4},
    }
    path, encoder = tmp_path / "old.unisem", FusingToyEncoder()
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add_embedded(
            EmbeddedRecord(Record(id=id, text=id), {kind: rows[:n] for kind, n in each.items()})
            for id, each in counts.items()
        )
        space.compact()
        assert (space.store.vectors(["wide"])[0] or {})["both"].shape == (108, 48)  # the fault
    monkeypatch.setitem(MOST_VECTORS, "image", 1792)
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("UPDATE facts SET value = 7 WHERE name = 'format'")
    database.commit()
    database.close()
    counts["wide"]["image"] = 1792
    del counts["with fused ones"]["both"]  # numbers as of 1794 pictures
    for _ in range(2):
        with SemanticSpace.open(path, encoder=encoder) as space:
            for id, each in counts.items():
                (kept,) = space.store.vectors([id])
                assert kept is not None
                assert kept.keys() == each.keys()
                for kind, count in each.items():
                    np.testing.assert_array_equal(kept[kind], rows[:count])
            ((hit,),) = space.store.search(rows[:1], k=1, match="both")
            assert hit.record.id == "fused"
            hits = space.store.search(rows[1800:1801], k=3, match="image")[0]
            assert max(hit.score for hit in hits) < 0.9  # what is left out is not found
            space.compact()
        found = [it.text for it in check_store(path, ImageLibrary(path))]
        assert not [text for text in found if "but no picture" not in text]  # none has any
    told = (
        "may have 1792 vectors of pictures; of 2 that had more, or so many and fused ones as well,"
    )
    assert f"{told} such as 'wide'," in caplog.text
    copy = sqlite3.connect(path / "catalog.format-7.sqlite")
    assert copy.execute("SELECT count(*) FROM vectors").fetchone() == (1796 + 5749,)
    copy.close()


def test_the_registry_has_no_gaps() -> None:
    numbers = [step.number for step in upgrades.UPGRADES]
    assert numbers == list(range(upgrades.FORMAT + 1 - len(numbers), upgrades.FORMAT + 1))
