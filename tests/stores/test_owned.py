"""A space's directory that a stranger has made: nothing that it points at is touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import time
from pathlib import Path

import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, ImageError, StoreError, UniSemError
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.manifest import Manifest
from unisem.stores.faiss import FaissStore, checksums
from unisem.stores.faiss.statistics import StoreStatistics

LONG_AGO = time.time() - 3 * 86400


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Somebody's folder, with old files, some of them named like those of a space."""
    home = tmp_path / "home"
    (home / "ab").mkdir(parents=True)
    (home / "thesis.txt").write_text("ten years of work")
    solid("red").save(home / "passport.png")
    solid("red").save(home / "ab" / f"{'ab' * 32}.png")
    for file in home.rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    return home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "strange.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        space.add(
            [
                Record(id="a", text="hello"),
                Record(id="red", image=encoded(solid("red"))),
                Record(id="blue", image=encoded(solid("blue"))),
            ]
        )
        space.compact()
    return path


@pytest.fixture
def strange(made: Path, tmp_path: Path) -> Path:
    """A space with a text and two pictures of its own, as somebody has downloaded it."""
    return Path(shutil.copytree(made, tmp_path / "downloads" / "strange.unisem"))


def contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime) for path in files}


OWN = [
    "manifest.json",
    "catalog.sqlite",
    "catalog.sqlite-wal",
    "catalog.sqlite-journal",
    "vectors.json",
    "vectors-9.faiss",
    "vectors-9.f32",
    ".vectors.json.tmp",
    ".catalog.format-1.sqlite.tmp",
    pytest.param(f".manifest.json.{os.getpid()}", id=".manifest.json.PID"),
    "writer.lock",
    "writer.json",
    "blobs",
    "calibration.safetensors",
]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "link to nothing", "pipe"])
def test_links_and_pipes_in_place_of_files_are_refused(
    strange: Path, home: Path, encoder: ToyEncoder, name: str, kind: str
) -> None:
    path = strange / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        target = {"link to a file": home / "thesis.txt", "link to a folder": home}
        path.symlink_to(target.get(kind, home / "new"))
    before = contents(home)
    for opening in (
        lambda: SemanticSpace.open(strange, encoder=encoder),
        lambda: FaissStore(strange, ImageLibrary(strange)),
        lambda: StoreStatistics.of(strange),
        lambda: Manifest.read(strange),
    ):
        with pytest.raises(CorruptStoreError, match=f"{name} is (a link|neither)"):
            opening()
    assert contents(home) == before
    assert not (home / "new").exists()


def test_a_link_to_the_whole_space_is_followed(strange: Path, encoder: ToyEncoder) -> None:
    (strange.parent / "mine.unisem").symlink_to(strange)
    with SemanticSpace.open(strange.parent / "mine.unisem", encoder=encoder) as space:
        space.add([Record(id="b", image=encoded(solid("green")))])
        space.compact()
        assert all(r.image.open() for r in space.store.select() if r.image is not None)


@pytest.mark.parametrize("place", ["blobs", "child"])
def test_links_among_pictures_made_while_a_space_is_open_are_not_followed(
    strange: Path, home: Path, encoder: ToyEncoder, place: str
) -> None:
    with SemanticSpace.open(strange, encoder=encoder) as space:
        (record,) = [r for r in space.store.select() if r.id == "red"]
        assert record.image is not None
        assert record.image.path is not None
        folder = strange / "blobs" if place == "blobs" else record.image.path.parent
        shutil.move(folder, home / "moved")
        folder.symlink_to(home / "moved", target_is_directory=True)
        shutil.copytree(home / "ab", home / "moved" / "ab", dirs_exist_ok=True)
        for file in (home / "moved").rglob("*"):
            os.utime(file, (LONG_AGO, LONG_AGO))
        before = contents(home)
        with pytest.raises(ImageError, match="leads outside"):
            record.image.read_bytes()
        with pytest.raises(StoreError, match="is a link"):
            space.add([Record(id="again", image=encoded(solid("red")))])
        space.delete(ids=["red", "blue"])
        space.compact()
        assert contents(home) == before


def test_only_files_with_names_of_ours_are_deleted(strange: Path, encoder: ToyEncoder) -> None:
    (foreign := strange / "blobs" / "ab").mkdir(exist_ok=True)
    ours = [foreign / f"{'ab' * 32}.png", foreign / f".{'ab' * 32}.png.0123456789abcdef"]
    others = [
        strange / "vectors-of-mine.svg",
        strange / "vectors-7.faiss.bak",
        strange / "blobs" / "notes.txt",
        foreign / "notes.txt",
        foreign / f"{'cd' * 32}.png",
        foreign / f"{'ab' * 32}.txt",
    ]
    for path in (*ours, *others, strange / "vectors-77.npy"):
        path.write_text("x")
        os.utime(path, (LONG_AGO, LONG_AGO))
    (foreign / f"{'ab' * 31}aa.png").mkdir()
    with SemanticSpace.open(strange, encoder=encoder) as space:
        space.compact()
        assert all(r.image.open() for r in space.store.select() if r.image is not None)
    assert [path for path in others if not path.exists()] == []
    assert [path for path in (*ours, strange / "vectors-77.npy") if path.exists()] == []
    assert (foreign / f"{'ab' * 31}aa.png").is_dir()


def test_a_blob_that_was_replaced_is_noticed_and_written_anew(
    strange: Path, encoder: ToyEncoder
) -> None:
    with SemanticSpace.open(strange, encoder=encoder) as space:
        record = space.get(["red"])[0]
        assert record is not None
        assert record.image is not None
        assert record.image.path is not None
        data = record.image.path.read_bytes()
        record.image.path.write_bytes(data[:-1] + b"?")
        space.add([Record(id="again", image=data)])
        assert record.image.path.read_bytes() == data


def test_a_journal_that_names_another_file_does_not_delete_it(
    strange: Path, home: Path, encoder: ToyEncoder
) -> None:
    """SQLite rolls a hot journal back and then deletes the super-journal that it names."""
    before = contents(home)
    name = os.fsencode(home / "thesis.txt")
    magic = bytes.fromhex("d9d505f920a163d7")
    pages = (strange / "catalog.sqlite").stat().st_size // 8192
    header = magic + struct.pack(">IIIII", 0, 1, pages, 512, 8192)
    checksum = struct.pack(">I", sum(name))
    page = struct.pack(">I", 0x7FFFFFFF) + name + struct.pack(">I", len(name)) + checksum + magic
    journal = header.ljust(512, b"\0") + page
    (strange / "catalog.sqlite-journal").write_bytes(journal)
    with pytest.raises(CorruptStoreError, match="journal names another file"):
        SemanticSpace.open(strange, encoder=encoder)
    assert contents(home) == before
    with sqlite3.connect(strange / "catalog.sqlite") as database:
        assert database.execute("SELECT count(*) FROM records").fetchone() == (3,)
    database.close()
    assert contents(home) != before, "SQLite no longer does that: the check has no purpose"


# --- which folders pictures are read from --------------------------------------------------------


def pixels(space: SemanticSpace) -> bytes:
    record = space.search(text="hello", k=1)[0].record
    assert record.image is not None
    return record.image.read_bytes()


def is_refused(opened: SemanticSpace) -> bool:
    with opened as space, pytest.raises(ImageError, match="outside"):
        pixels(space)
    return True


def test_a_folder_is_allowed_by_who_opens_the_space_and_not_by_the_space(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("strange", "downloads", "work", "photos"):
        (tmp_path / folder).mkdir()
    solid("red").save(tmp_path / "photos" / "red.png")
    (tmp_path / "photos" / "red.txt").write_text("hello")
    monkeypatch.chdir(tmp_path / "work")
    space_path = tmp_path / "strange" / "s"
    with SemanticSpace.open(space_path, encoder=encoder) as space:
        assert space.add_folder(tmp_path / "photos").added == 1
    with SemanticSpace.open(space_path, encoder=encoder) as space:
        assert pixels(space)  # they have named it before
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of somebody else"))
    with SemanticSpace.open(space_path, encoder=encoder) as space:
        with pytest.raises(ImageError, match=r"outside.*image_roots.*--image-root"):
            pixels(space)
        (record,) = space.store.select()
        space.update({record.id: {"year": 2024}})  # and its place is not lost
        assert space.add_folder(tmp_path / "photos").added == 1  # the metadata
        assert pixels(space)
    shutil.move(space_path, tmp_path / "downloads" / "s")
    space_path = tmp_path / "downloads" / "s"
    for roots in (None, [], [tmp_path / "downloads"]):
        assert is_refused(SemanticSpace.open(space_path, encoder=encoder, image_roots=roots))
    for root in (tmp_path, tmp_path / "photos", "/"):
        with SemanticSpace.open(space_path, encoder=encoder, image_roots=[root]) as space:
            assert pixels(space)
    # A list of roots is for one opening.
    assert is_refused(SemanticSpace.open(space_path, encoder=encoder))


@pytest.mark.parametrize("theirs", ["named", "unnamed", "a link", "huge"])
def test_a_strangers_space_inherits_nothing_from_one_that_lay_at_its_place(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    for folder in ("photos", "at", "work", "kept", "strange"):
        (tmp_path / folder).mkdir()
    solid("red").save(tmp_path / "photos" / "red.png")
    (tmp_path / "photos" / "red.txt").write_text("hello")
    monkeypatch.chdir(tmp_path / "work")
    for place in ("at", "strange"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state" / place))
        with SemanticSpace.open(tmp_path / place / "s", encoder=encoder) as space:
            space.add_folder(tmp_path / "photos")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state" / "at"))
    shutil.move(tmp_path / "at" / "s", tmp_path / "kept" / "s")
    shutil.move(tmp_path / "strange" / "s", tmp_path / "at" / "s")
    identity = tmp_path / "at" / "s" / ".identity"
    if theirs != "named":
        identity.unlink()
    if theirs == "huge":
        identity.write_bytes(b"0" * 10_000_000)
    if theirs == "a link":
        identity.symlink_to(tmp_path / "kept" / "s" / ".identity")
        with pytest.raises(CorruptStoreError, match="is a link"):
            SemanticSpace.open(tmp_path / "at" / "s", encoder=encoder)
        return
    assert is_refused(SemanticSpace.open(tmp_path / "at" / "s", encoder=encoder))
    shutil.rmtree(tmp_path / "at" / "s")
    shutil.move(tmp_path / "kept" / "s", tmp_path / "at" / "s")
    with SemanticSpace.open(tmp_path / "at" / "s", encoder=encoder) as space:
        assert pixels(space)  # one's own, come back


@pytest.mark.parametrize("home", ["a file", "damaged", "of another space"])
def test_without_a_note_folders_are_named_again(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    for folder in ("photos", "at", "work"):
        (tmp_path / folder).mkdir()
    solid("red").save(tmp_path / "photos" / "red.png")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    if home == "a file":
        (tmp_path / "state").write_text("")
    with SemanticSpace.open(tmp_path / "at" / "s", encoder=encoder) as space:
        assert space.add_folder(tmp_path / "photos").added == 1
        assert pixels(space)
    for note in (tmp_path / "state").rglob("*.json"):
        text = note.read_text()
        note.write_text("[" if home == "damaged" else text.replace("/at/s", "/at/t"))
    assert is_refused(SemanticSpace.open(tmp_path / "at" / "s", encoder=encoder))


@pytest.mark.parametrize(
    "place",
    [
        '"beside":"../home/passport.png","root":".."',
        '"beside":"../home/passport.png","root":"../home"',
        '"beside":"photos/passport.png","root":"photos"',
        '"beside":"photos/passport.png","root":"."',
        '"folder":"{home}","path":"passport.png"',
        '"folder":"/","path":"{home}/passport.png"',
        '"folder":"{beside}","path":"../home/passport.png"',
        '"folder":"{beside}/photos","path":"passport.png"',
        '"blob":"../../../home/passport.png"',
        '"blob":"{home}/passport.png"',
        '"blob":"ab/link.png"',
    ],
)
def test_no_place_in_a_catalogue_leads_outside(
    strange: Path, home: Path, encoder: ToyEncoder, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strange.parent)
    (strange.parent / "photos").symlink_to(home)
    (strange / "blobs" / "ab").mkdir(exist_ok=True)
    (strange / "blobs" / "ab" / "link.png").symlink_to(home / "passport.png")
    place = place.replace("{home}", str(home)).replace("{beside}", str(strange.parent))
    facts = '"sha256":null,"mime_type":"image/png","width":1,"height":1'
    with sqlite3.connect(strange / "catalog.sqlite") as database:
        changed = database.execute(
            "UPDATE records SET image = ? WHERE id = 'red'", (f"{{{place},{facts}}}",)
        )
        assert changed.rowcount == 1
        checksums.renew(database)  # as a stranger would
    database.close()
    with SemanticSpace.open(strange, encoder=encoder) as space:
        record = space.get(["red"])[0]
        assert record is not None
        assert record.image is not None
        with pytest.raises(ImageError, match="outside the allowed folder"):
            record.image.read_bytes()


@pytest.mark.parametrize("at", ["working directory", "space"])
def test_the_root_of_a_file_system_is_no_folder_that_somebody_chose(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    solid("red").save(tmp_path / "red.png")
    (tmp_path / "srv").mkdir()
    monkeypatch.chdir("/")
    directory = None if at == "working directory" else Path("/s.unisem")
    for pictures in (ImageLibrary(directory), ImageLibrary(tmp_path / "srv" / "s.unisem")):
        with pytest.raises(UniSemError, match="outside the allowed folders"):
            pictures.admit(_ref(tmp_path / "red.png"))
        pictures.allow(Path("/"))  # by name it is, and not for ever
        assert pictures.admit(_ref(tmp_path / "red.png")).path == tmp_path / "red.png"
        pictures.close()
    with pytest.raises(UniSemError, match="outside the allowed folders"):
        ImageLibrary(tmp_path / "srv" / "s.unisem").admit(_ref(tmp_path / "red.png"))


def _ref(path: Path) -> ImageRef:

    return ImageRef.of(path)
