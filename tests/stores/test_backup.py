"""Copies of a space that are taken while it is written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissKind
from unisem.stores.maintenance import check_images


def opened(path: Path) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder())


def whole(path: Path) -> bool:
    keeper = FaissKind().maintenance(path, ImageLibrary(path))
    return not [*keeper.check(), *check_images(keeper)]


def test_a_copy_is_a_space_with_pictures_and_index(tmp_path: Path) -> None:
    original, copy = tmp_path / "s.unisem", tmp_path / "copy.unisem"
    with opened(original) as space:
        space.add([Record(id="p", text="red", image=encoded(solid("red")))])
        space.add([Record(id=f"a{n}", text=f"a{n}") for n in range(50)])
        space.compact("hnsw")
        space.add([Record(id="later", text="later")])
        space.backup(copy)
        space.add([Record(id="not there", text="x")])
    assert whole(copy)
    assert not list(tmp_path.glob(".*"))
    with opened(copy) as space:
        assert len(space) == 52
        assert space.store.index_kind == "hnsw"  # type: ignore[attr-defined]
        picture = space.get(["p"])[0]
        assert picture is not None
        assert picture.image is not None
        assert picture.image.path is not None
        assert picture.image.path.is_relative_to(copy)
        assert picture.image.read_bytes() == encoded(solid("red"))
        space.add([Record(id="own", text="own")])  # its past parts from the original's
    assert whole(copy)
    assert whole(original)


def test_copies_beside_a_writer_are_each_one_committed_state(tmp_path: Path) -> None:
    """Each write replaces a record of each of two kinds, so that no state has an odd one."""
    stop, failures = threading.Event(), []
    with opened(tmp_path / "s.unisem") as space:
        space.add([Record(id=i, text=f"{i} 0", metadata={"n": 0}) for i in "ab"])

        def write() -> None:
            try:
                for n in range(1, 10_000):
                    if stop.is_set():
                        return
                    picture = encoded(solid("red"))
                    space.add(
                        [
                            Record(id="a", text=f"a {n}", metadata={"n": n}),
                            Record(id="b", text=f"b {n}", image=picture, metadata={"n": n}),
                        ]
                    )
                    if n % 10 == 0:
                        space.compact()
            except Exception as error:  # noqa: BLE001 - shown below
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(5):
                space.backup(tmp_path / f"{number}.unisem")
        finally:
            stop.set()
            thread.join()
    assert failures == []
    for number in range(5):
        copy = tmp_path / f"{number}.unisem"
        assert whole(copy)
        with opened(copy) as space:
            a, b = space.get(["a", "b"])
            assert a is not None
            assert b is not None
            assert a.metadata == b.metadata
            assert space.search(a.text, k=1)[0].record.id == "a"


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_nothing_that_exists_is_overwritten(tmp_path: Path, there: str) -> None:
    copy = tmp_path / "copy"
    if there == "file":
        copy.write_text("mine")
    elif there == "folder":
        copy.mkdir()
    else:
        copy.symlink_to(tmp_path / "nowhere")
    with opened(tmp_path / "s.unisem") as space, pytest.raises(StoreError, match="exists"):
        space.backup(copy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "s.unisem"]


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "s.unisem") as space:
        space.add([Record(id="p", image=encoded(solid("red")))])
        with pytest.raises(StoreError, match="could not be written"):
            space.backup(tmp_path / "s.unisem" / "manifest.json" / "copy")

        def refuse(*_: object, **__: object) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr("shutil.copyfile", refuse)
        with pytest.raises(StoreError, match="no space left"):
            space.backup(tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["s.unisem"]


def test_a_space_in_memory_has_no_files() -> None:
    with opened(None) as space, pytest.raises(StoreError, match="memory"):  # type: ignore[arg-type]
        space.backup("copy")
