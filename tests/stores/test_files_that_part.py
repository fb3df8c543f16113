"""Files of a space that were lost, or that come from another past than the file beside them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError
from unisem.images.library import ImageLibrary
from unisem.stores.faiss.checking import check_store

WRITE_AND_DIE = """
import os, signal, sys
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
space = SemanticSpace.open(sys.argv[1], encoder=ToyEncoder())
for n in range(int(sys.argv[2])):
    space.add([Record(id=f"other{n}", text=f"other{n}")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def texts(prefix: str, count: int) -> list[Record]:
    return [Record(id=f"{prefix}{n}", text=f"{prefix}{n}") for n in range(count)]


def not_found(space: SemanticSpace, prefix: str, count: int) -> list[str]:
    names = [f"{prefix}{n}" for n in range(count)]
    return [name for name in names if [hit.record.id for hit in space.search(name, k=1)] != [name]]


@pytest.fixture
def path(tmp_path: Path, encoder: ToyEncoder) -> Path:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add(texts("a", 50))
        space.compact()
    return path


def restored(path: Path, encoder: ToyEncoder) -> None:
    """Write more, compact, and put back the catalogue of before."""
    copy = path.with_name("copy.sqlite")
    shutil.copy(path / "catalog.sqlite", copy)
    with SemanticSpace.open(path, encoder=encoder) as space:
        for record in texts("new", 20):
            space.add([record])
        space.compact()
    for leftover in path.glob("catalog.sqlite-*"):
        leftover.unlink()
    shutil.copy(copy, path / "catalog.sqlite")


@pytest.mark.parametrize("writes", [0, 19, 20, 21, 40])
def test_an_index_of_what_was_lost_is_not_believed(
    path: Path, encoder: ToyEncoder, writes: int
) -> None:
    restored(path, encoder)
    if writes:
        command = [sys.executable, "-c", WRITE_AND_DIE, str(path), str(writes)]
        died = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
        assert died.returncode == -signal.SIGKILL
    found = [f.text for f in check_store(path, ImageLibrary(path)) if f.area == "segment"]
    assert len(found) == 1
    assert "copied back" in found[0]
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert len(space) == 50 + writes
        assert not_found(space, "a", 50) == []
        assert not_found(space, "other", writes) == []
        hits = space.search("q", k=999)
        assert len(hits) == len({hit.record.id for hit in hits}) == 50 + writes
        space.compact()
    assert list(check_store(path, ImageLibrary(path))) == []


def test_an_older_index_of_the_same_past_is_caught_up(path: Path, encoder: ToyEncoder) -> None:
    for session in range(2):  # each names an epoch of its own
        with SemanticSpace.open(path, encoder=encoder) as space:
            space.add(texts(f"{session}-", 1))
            assert space.store.index_kind == "flat"  # type: ignore[attr-defined]
    assert list(check_store(path, ImageLibrary(path))) == []
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert space.store._files.snapshots.newest().tail_length == 2  # type: ignore[attr-defined]
        assert not_found(space, "a", 50) == []


@pytest.mark.parametrize("how", ["missing", "empty"])
@pytest.mark.parametrize("beside", ["manifest.json", "vectors.json", "blobs"])
def test_a_space_without_its_catalogue_is_not_an_empty_one(
    path: Path, encoder: ToyEncoder, how: str, beside: str
) -> None:
    (path / "blobs").mkdir(exist_ok=True)
    (path / "catalog.sqlite").unlink()
    if how == "empty":
        (path / "catalog.sqlite").touch()
    for other in list(path.iterdir()):
        if other.name not in {beside, "manifest.json", "catalog.sqlite"} and other.is_file():
            other.unlink()
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    for _ in range(2):
        with pytest.raises(CorruptStoreError, match="catalog"):
            SemanticSpace.open(path, encoder=encoder)
    assert {f.name: f.read_bytes() for f in path.iterdir() if f.is_file()} == before


def test_a_catalogue_without_tables_beside_a_manifest_is_refused(
    path: Path, encoder: ToyEncoder
) -> None:
    import sqlite3

    (path / "catalog.sqlite").unlink()
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("PRAGMA user_version = 1")
    database.close()
    with pytest.raises(CorruptStoreError, match="catalog"):
        SemanticSpace.open(path, encoder=encoder)


def test_a_making_that_was_interrupted_is_taken_up_again(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.unisem"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unisem.manifest.Manifest.write", killed)
        with pytest.raises(KeyboardInterrupt):
            SemanticSpace.open(path, encoder=encoder)
    assert os.listdir(path)
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert space.add(texts("a", 1)) == ["a0"]


def test_a_catalogue_that_was_written_to_needs_its_manifest(
    path: Path, encoder: ToyEncoder
) -> None:
    (path / "manifest.json").unlink()
    with pytest.raises(CorruptStoreError, match="manifest"):
        SemanticSpace.open(path, encoder=encoder)
