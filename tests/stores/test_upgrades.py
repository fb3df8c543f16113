"""Upgrading the catalogue: a made-up format 0, because there is no older one yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.stores.faiss import upgrades
from unisem.stores.faiss.upgrades import Upgrade


def rename(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE records RENAME COLUMN extra TO payload")
    database.execute("UPDATE records SET payload = json_object('was', payload)")


@pytest.fixture
def old(tmp_path: Path, encoder: ToyEncoder) -> Path:
    """A space as of format 0, in which ``payload`` was called ``extra``."""
    path = tmp_path / "old.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("ALTER TABLE records RENAME COLUMN payload TO extra")
    database.execute("UPDATE facts SET value = 0 WHERE name = 'format'")
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
    known(Upgrade(1, "extra is called payload", rename))
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert [record.payload for record in space.get(["a", "b"])] == [{"was": "{}"}] * 2
        assert space.search("a tiger", k=1)[0].record.id == "a"
        space.add([Record(id="c", text="new")])
    assert columns(old / "catalog.sqlite")[0] == 1
    backup = old / "catalog.format-0.sqlite"
    format, names = columns(backup)
    assert format == 0
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

    known(Upgrade(1, "fails half-way", fail))
    with pytest.raises(StoreError, match=r"could not be upgraded.*is as it was"):
        SemanticSpace.open(old, encoder=encoder)
    assert columns(old / "catalog.sqlite") == columns(old / "catalog.format-0.sqlite")
    known(Upgrade(1, "works", rename))
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert len(space) == 2


def test_a_step_that_commits_is_a_mistake_that_shows(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    known(Upgrade(1, "commits", lambda database: database.executescript("SELECT 1;")))
    with pytest.raises(AssertionError, match="ended the transaction"):
        SemanticSpace.open(old, encoder=encoder)


def test_nobody_else_may_be_writing(
    old: Path, encoder: ToyEncoder, known: Callable[..., None]
) -> None:
    known(Upgrade(1, "works", rename))
    with (
        FileLock(old / "writer.lock"),
        pytest.raises(StoreLockedError, match="older format"),
    ):
        SemanticSpace.open(old, encoder=encoder)
    assert columns(old / "catalog.sqlite")[0] == 0
    with SemanticSpace.open(old, encoder=encoder) as space:
        assert len(space) == 2


@pytest.mark.parametrize("format", [-1, 2, "1", None, 1.5])
def test_formats_without_a_way_are_refused(
    old: Path, encoder: ToyEncoder, known: Callable[..., None], format: object
) -> None:
    known(Upgrade(1, "works", rename))
    database = sqlite3.connect(old / "catalog.sqlite")
    database.execute("UPDATE facts SET value = ? WHERE name = 'format'", (format,))
    database.commit()
    database.close()
    with pytest.raises(CorruptStoreError, match=r"has format .*export the space"):
        SemanticSpace.open(old, encoder=encoder)
    assert not list(old.glob("catalog.format-*"))


def test_the_registry_has_no_gaps() -> None:
    numbers = [step.number for step in upgrades.UPGRADES]
    assert numbers == list(range(upgrades.FORMAT + 1 - len(numbers), upgrades.FORMAT + 1))
