"""A folder that is changed as people change folders: what is embedded, kept and removed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.captioners import ColourCaptioner
from tests.support.examples import examples
from tests.support.pictures import noise, solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS, FusingToyEncoder, ToyEncoder
from unisem import IngestReport, Record, SemanticSpace
from unisem.images.reference import ImageRef
from unisem.ingest.moves import Moves
from unisem.ingest.pruning import Pruning
from unisem.records import EmbeddedRecord
from unisem.stores.graph import Entity, Mention, Relation

ROOT = Path(__file__).parents[2]


@dataclass
class Kept:
    """What a person has added to a picture, as far as it is there."""

    album: object
    entities: list[str]
    relations: list[str]
    caption: str | None


@dataclass
class Step:
    """A folder, its space, and what happened since it was indexed."""

    folder: Path
    space: SemanticSpace
    encoder: ToyEncoder

    def index(self, prune: bool | None = True) -> tuple[IngestReport, int]:
        """Index again; the report, and how many pictures were embedded."""
        before = self.encoder.images_encoded
        report = self.space.add_folder(self.folder, prune=prune)
        return report, self.encoder.images_encoded - before

    def add_by_hand(self, name: str, album: str) -> None:
        """Give a picture an album, a mention and a relation."""
        (record,) = self.space.get([name])
        assert record is not None
        self.space.update({name: {**record.metadata, "album": album}})
        self.space.graph.add(
            [Entity(album, album), Entity("thing", "thing")],
            [Relation(album, "shows", "thing", record_id=name)],
            [Mention(name, album)],
        )

    def by_hand(self, name: str) -> Kept | None:
        """What is there of that."""
        (record,) = self.space.get([name])
        if record is None:
            return None
        with self.space.store.graph.reading() as graph:
            numbers = [number for _, number, _ in graph.mentions_of([name])]
            entities = [it.id for it in graph.entities(numbers).values()]
            relations = [it.subject for it in graph.every_relation() if it.record_id == name]
        return Kept(record.metadata.get("album"), entities, relations, record.text)


@pytest.fixture(params=["read", pytest.param("seen", marks=pytest.mark.slow)])
def step(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Step]:
    """Three pictures, of which two have something that was added by hand.

    Once all files are read by each run, once only those that look different.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "seen":
            patch.setattr("unisem.readers.looks._YOUNG", 0)
        yield from _step(tmp_path)


def _step(tmp_path: Path) -> Iterator[Step]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        noise(number).save(folder / f"{name}.png")
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        step = Step(folder, space, encoder)
        assert step.index()[1] == 3
        for name in ("a", "b"):
            step.add_by_hand(f"photos/{name}.png", f"album {name}")
        yield step


def whole(album: str | None) -> Kept:
    """All that `Step.add_by_hand` adds."""
    return Kept(album, [] if album is None else [album], [] if album is None else [album], None)


def swapped(folder: Path, one: str, other: str) -> None:
    (folder / one).rename(folder / "aside")
    (folder / other).rename(folder / one)
    (folder / "aside").rename(folder / other)


def renamed(folder: Path) -> None:
    (folder / "a.png").rename(folder / "tom.png")


def moved(folder: Path) -> None:
    (folder / "cats").mkdir()
    (folder / "a.png").rename(folder / "cats" / "a.png")


def moved_folder(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / "old").mkdir(exist_ok=True)
        (folder / f"{name}.png").rename(folder / "old" / f"{name}.png")


def other_letters(folder: Path) -> None:
    (folder / "a.png").rename(folder / "A.PNG")


def two_swapped(folder: Path) -> None:
    swapped(folder, "a.png", "b.png")


def turned_round(folder: Path) -> None:
    swapped(folder, "a.png", "b.png")
    swapped(folder, "a.png", "c.png")


def moved_over(folder: Path) -> None:
    (folder / "a.png").rename(folder / "b.png")


def moved_on(folder: Path) -> None:
    (folder / "b.png").rename(folder / "d.png")
    (folder / "a.png").rename(folder / "b.png")


def edited(folder: Path) -> None:
    noise(7).save(folder / "a.png")


def replaced(folder: Path) -> None:
    (folder / "a.png").rename(folder / "kept.png")
    noise(8).save(folder / "a.png")


def touched(folder: Path) -> None:
    os.utime(folder / "a.png", (1, 1))


def deleted(folder: Path) -> None:
    (folder / "a.png").unlink()


def copied(folder: Path) -> None:
    shutil.copy(folder / "a.png", folder / "z.png")


A, B, NONE = whole("album a"), whole("album b"), whole(None)
Change = Callable[[Path], None]
TABLE: list[tuple[str, Change, int, int, dict[str, Kept]]] = [
    # what, how, pictures embedded, records removed, what is where
    ("renamed", renamed, 0, 0, {"tom.png": A, "b.png": B}),
    ("moved to another folder", moved, 0, 0, {"cats/a.png": A, "b.png": B}),
    ("its folder renamed or moved", moved_folder, 0, 0, {"old/a.png": A, "old/b.png": B}),
    ("renamed, small letters to capitals", other_letters, 0, 0, {"A.PNG": A, "b.png": B}),
    ("two files swap names", two_swapped, 0, 0, {"a.png": B, "b.png": A}),
    ("three files swap names", turned_round, 0, 0, {"a.png": NONE, "b.png": A, "c.png": B}),
    ("renamed over another file", moved_over, 0, 0, {"b.png": A}),
    (
        "renamed to what another was called, which was renamed, too",
        *(moved_on, 0, 0, {"b.png": A, "d.png": B}),
    ),
    ("edited", edited, 1, 0, {"a.png": A, "b.png": B}),
    ("renamed, and another one put in its place", replaced, 1, 0, {"a.png": NONE, "kept.png": A}),
    ("touched", touched, 0, 0, {"a.png": A, "b.png": B}),
    ("copied", copied, 0, 0, {"a.png": A, "z.png": NONE}),
    ("deleted", deleted, 0, 1, {"b.png": B}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "embedded", "removed", "there"), [row[1:] for row in TABLE])
def test_what_becomes_of_a_file_and_of_what_was_added_by_hand(
    step: Step, change: Change, embedded: int, removed: int, there: dict[str, Kept]
) -> None:
    change(step.folder)
    report, count = step.index()
    assert (count, report.removed, report.skipped) == (embedded, removed, ())
    assert report.added == embedded + (change is copied)
    files = {f"photos/{it.relative_to(step.folder).as_posix()}" for it in pictures(step.folder)}
    assert {record.id for record in step.space.store.select()} == files
    for name, kept in there.items():
        assert step.by_hand(f"photos/{name}") == kept, name
    assert all(it.image and it.image.look for it in step.space.store.select())
    again, count = step.index()
    assert (again.added, again.removed, again.moved, again.gone, count) == (0, 0, {}, (), 0)
    for name, kept in there.items():
        assert step.by_hand(f"photos/{name}") == kept, name
    assert not [it for it in step.space.store.maintenance().check() if it.is_problem]


def test_the_table_in_the_guide_says_what_this_test_asserts() -> None:
    text = (ROOT / "docs" / "guides" / "folders.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| (\d) \| (\d) \| ", text, flags=re.MULTILINE)
    assert [(what, int(n), int(m)) for what, n, m in rows] == [
        (what, embedded, removed) for what, _, embedded, removed, _ in TABLE
    ]


def pictures(folder: Path) -> list[Path]:
    return sorted(it for it in folder.rglob("*") if it.is_file())


def test_an_interruption_before_the_end_loses_nothing(step: Step) -> None:
    renamed(step.folder)
    for method in ("add", "delete"):  # of the graph and of the store, one after the other
        with pytest.MonkeyPatch.context() as patch:
            if method == "add":
                patch.setattr("unisem.ingest.moves.Moves.settle", _interrupt)
            else:
                patch.setattr(step.space.store, "delete", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                step.index()
    report, count = step.index()
    assert (report.moved, count) == ({"photos/a.png": "photos/tom.png"}, 0)
    assert step.by_hand("photos/tom.png") == A
    assert step.by_hand("photos/a.png") is None


@pytest.mark.parametrize("change", [two_swapped, replaced, edited, moved_on])
@pytest.mark.parametrize("where", ["settle", "_write", "_stored"])
def test_an_interruption_leaves_nothing_with_another_picture(
    step: Step, change: Change, where: str
) -> None:
    """Before anything has been given to its own, and once it has."""
    there = next(row[-1] for row in TABLE if row[1] is change)
    change(step.folder)
    calls: list[str] = []
    original = getattr(Moves, where)

    def interrupted(*parts: object) -> object:
        calls.append(where)
        if where != "_stored" or len(calls) == 2:
            raise KeyboardInterrupt
        return original(*parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Moves, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            step.index(prune=False)
    albums = {f"photos/{name}": kept.album for name, kept in there.items()}
    for _ in range(2):
        report, count = step.index(prune=False)
        assert (report.added, count) == (0, 0)
        found = {it.id: it for it in step.space.store.select()}
        assert {name: found[name].metadata.get("album") for name in albums} == albums
        assert not any("unsettled" in it.payload for it in found.values())


def test_a_copy_that_was_there_before_takes_no_record_away(step: Step) -> None:
    shutil.copy(step.folder / "a.png", step.folder / "copy.png")
    step.index()
    step.add_by_hand("photos/copy.png", "album copy")
    (step.folder / "copy.png").rename(step.folder.parent / "aside.png")
    report, _ = step.index(prune=False)
    assert (report.moved, report.gone, report.removed) == ({}, ("photos/copy.png",), 0)
    assert step.by_hand("photos/copy.png") == whole("album copy")
    assert step.by_hand("photos/a.png") == A


def test_a_text_has_moved_only_with_all_of_its_passages(step: Step) -> None:
    same = "the same in all " * 60
    (step.folder / "old.txt").write_text(f"{'of old ' * 140}\n\n{same}")
    step.index()
    assert len([it for it in step.space.store.select() if "old.txt" in it.id]) > 1
    (step.folder / "old.txt").unlink()
    (step.folder / "new.txt").write_text(f"{'of now ' * 140}\n\n{same}")
    report, _ = step.index(prune=False)
    assert report.moved == {}
    assert len(report.gone) > 1


def test_links_lead_to_what_was_renamed(step: Step) -> None:
    (record,) = step.space.get(["photos/c.png"])
    assert record is not None
    step.space.add([replace(record, links={"pair": "photos/a.png"})])
    renamed(step.folder)
    for _ in range(2):
        step.index()
        links = step.space.get(["photos/c.png"])[0].links  # type: ignore[union-attr]
        assert links == {"pair": "photos/tom.png"}


def _interrupt(*parts: object) -> None:
    raise KeyboardInterrupt


def test_a_folder_that_was_renamed_itself(step: Step, tmp_path: Path) -> None:
    step.folder.rename(tmp_path / "pictures")
    noise(9).save(tmp_path / "pictures" / "d.png")
    step.folder = tmp_path / "pictures"
    report, count = step.index()
    assert (count, report.renamed, report.gone) == (1, 3, ())
    names = {f"pictures/{name}.png" for name in "abcd"}
    assert {it.id for it in step.space.store.select()} == names
    assert step.by_hand("pictures/a.png") == A


@pytest.mark.parametrize("names", [("a.png",), ("a.png", "b.png")])
def test_copies_of_some_of_a_folder_that_is_not_mounted_take_nothing_away(
    step: Step, tmp_path: Path, names: tuple[str, ...]
) -> None:
    (tmp_path / "copies").mkdir()
    for name in names:
        shutil.copy(step.folder / name, tmp_path / "copies" / name)
    step.folder.rename(tmp_path / "elsewhere.unmounted")
    (tmp_path / "elsewhere.unmounted").rename(tmp_path / "photos.away")
    report = step.space.add_folder(tmp_path / "copies", prune=True)
    assert (report.moved, report.gone, report.removed, step.encoder.images_encoded) == (
        {},
        (),
        0,
        3,
    )
    assert step.by_hand("photos/a.png") == A
    assert step.by_hand("copies/a.png") == NONE


def test_columns_go_with_their_table_and_what_was_added_stays(step: Step) -> None:
    (step.folder / "metadata.csv").write_text("file_name,year,place\na.png,2024,Rome\n")
    step.index()
    (step.folder / "metadata.csv").write_text("file_name,year\na.png,2025\n")
    step.index()
    (record,) = step.space.get(["photos/a.png"])
    assert record is not None
    assert {key: record.metadata.get(key) for key in ("year", "place", "album")} == {
        "year": 2025,
        "place": None,
        "album": "album a",
    }
    (step.folder / "metadata.csv").write_text("file_name,album\na.png,of the file\n")
    step.index()
    assert step.space.get(["photos/a.png"])[0].metadata["album"] == "of the file"  # type: ignore[union-attr]


def test_what_no_file_says_stays_whatever_it_is_called(step: Step) -> None:
    by_hand = {"rating": 5, "title": "Gran", "keywords": ["family"], "creator": "Bo"}
    (record,) = step.space.get(["photos/c.png"])
    assert record is not None
    step.space.update({record.id: {**record.metadata, **by_hand}})
    (step.folder / "metadata.csv").write_text("file_name,place\na.png,Rome\n")
    for _ in range(2):
        step.index()
        metadata = step.space.get(["photos/c.png"])[0].metadata  # type: ignore[union-attr]
        assert by_hand.items() <= metadata.items()


def test_records_of_an_older_space_are_as_they_were(step: Step) -> None:
    """They do not say what their files say."""
    (step.folder / "metadata.csv").write_text("file_name,title\na.png,Rome\n")
    step.index()
    stored = list(step.space.store.select())
    older = [replace(it, payload={}) for it in stored]
    vectors = step.space.store.vectors([it.id for it in stored])
    step.space.store.add(
        [EmbeddedRecord(it, rows) for it, rows in zip(older, vectors, strict=True) if rows]
    )
    report, count = step.index()
    assert (report.added, report.unchanged, count) == (0, 3, 0)
    assert {it.id: it.payload for it in step.space.store.select()} == {
        it.id: it.payload for it in stored
    }


def test_what_is_added_as_a_record_stays(step: Step) -> None:
    name = "photos/c.png"
    (record,) = step.space.get([name])
    assert record is not None
    further = {**record.metadata, "stars": 5}
    step.space.add(
        [Record(id=name, image=record.image, metadata=further, source_id=record.source_id)]
    )
    step.index()
    renamed_to = step.folder / "d.png"
    (step.folder / "c.png").rename(renamed_to)
    step.index()
    (record,) = step.space.get(["photos/d.png"])
    assert record is not None
    assert record.metadata["stars"] == 5


def test_captions_and_words_that_no_file_has_follow_their_picture(step: Step) -> None:
    space = step.space
    said = {COLOURS["red"]: ["stop here"], COLOURS["green"]: ["go on, and on"]}
    for colour in ("red", "green"):
        solid(colour).save(step.folder / f"{colour}.png")
    space.add_folder(step.folder, recognizer=ColourRecognizer(said))
    space.caption(ColourCaptioner())
    before = {it.id: it for it in space.store.select()}
    texts = step.encoder.texts_encoded
    swapped(step.folder, "red.png", "green.png")
    (step.folder / "b.png").rename(step.folder / "q.png")
    report, count = step.index()
    assert (count, step.encoder.texts_encoded - texts) == (0, 0)
    moved = {
        "photos/red.png": "photos/green.png",
        "photos/green.png": "photos/red.png",
        "photos/b.png": "photos/q.png",
    }
    assert report.moved == moved
    after = {it.id: it for it in space.store.select()}
    assert len(after) == len(before)
    for old, new in {**moved, "photos/c.png": "photos/c.png"}.items():
        assert after[new].text == before[old].text
        for link, target in before[old].links.items():
            assert after[after[new].links[link]].text == before[target].text
            assert after[after[new].links[link]].links["image"] == new


def test_documents_and_texts_that_were_renamed_are_not_embedded_again(step: Step) -> None:
    (step.folder / "long.txt").write_text("\n\n".join(f"{n} " + "word " * 150 for n in range(4)))
    (step.folder / "page.html").write_text(
        "<h1>A page</h1>" + "".join(f"<p>{n} {'word ' * 150}</p>" for n in range(4))
    )
    step.index()
    parts = [it.id for it in step.space.store.select() if "page.html" in it.id]
    assert len(parts) > 2
    step.add_by_hand(parts[1], "album p")
    step.add_by_hand("photos/long.txt#2", "album t")
    texts = step.encoder.texts_encoded
    (step.folder / "page.html").rename(step.folder / "seite.html")
    (step.folder / "long.txt").rename(step.folder / "lang.txt")
    report, _ = step.index()
    assert (report.gone, report.removed, step.encoder.texts_encoded - texts) == ((), 0, 0)
    for name, album in (
        (parts[1].replace("page", "seite"), "album p"),
        ("photos/lang.txt#2", "album t"),
    ):
        kept = step.by_hand(name)
        assert kept is not None
        assert (kept.album, kept.entities) == (album, [album])
    assert not [it.id for it in step.space.store.select() if "page" in it.id or "long" in it.id]


def test_pruning_is_remembered_and_forgotten(step: Step, tmp_path: Path) -> None:
    (step.folder / "a.png").unlink()
    assert step.index(prune=None)[0].pruned  # as in the first run
    step.space.close()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=step.encoder) as step.space:
        (step.folder / "b.png").unlink()
        noise(9).save(step.folder / "d.png")
        report = step.index(prune=None)[0]
        assert (report.gone, report.pruned, report.withheld) == (
            ("photos/b.png",),
            ("photos/b.png",),
            None,
        )
        for name in ("c.png", "d.png"):
            (step.folder / name).unlink()
        noise(10).save(step.folder / "e.png")
        report = step.index(prune=None)[0]
        assert (len(report.gone), report.pruned, report.removed) == (2, (), 0)
        assert "more than half" in str(report.withheld)
        assert not step.index(prune=False)[0].pruned
        noise(11).save(step.folder / "f.png")
        assert not step.index(prune=None)[0].pruned
        assert step.index(prune=True)[0].removed == 2
        assert len(step.space) == 2


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, of those whose looks are relied upon at once."""
    monkeypatch.setattr("unisem.readers.looks._YOUNG", 0)
    names: list[str] = []
    read = ImageRef._file

    def reading(self: ImageRef, start: int | None = None) -> bytes:
        names.append(self.path.name if self.path else "")
        return read(self, start)

    monkeypatch.setattr(ImageRef, "_file", reading)
    return names


def test_what_looks_as_it_did_is_not_read_again(tmp_path: Path, reads: list[str]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        noise(number).save(folder / f"{name}.png")
    (folder / "page.html").write_text("<h1>A page</h1><p>of words</p>")
    where = tmp_path / "s.unisem"
    everything = {"a.png", "b.png", "c.png", "page.html"}
    with SemanticSpace.open(where, encoder=ToyEncoder()) as space:
        space.add_folder(folder)
    for expected, all_of_them in ((set(), False), (everything, True), (set(), False)):
        with SemanticSpace.open(where, encoder=ToyEncoder()) as space:
            reads.clear()
            report = space.add_folder(folder, read_all=all_of_them)
            assert (report.added, report.unchanged, report.documents.documents) == (0, 4, 1)
            assert {*reads} - {"page.html"} | ({"page.html"} & expected) == expected
    for copied in (True, False):
        with SemanticSpace.open(where, encoder=ToyEncoder(), copy_images=copied) as space:
            assert space.add_folder(folder).added == 3  # which lie elsewhere now
            assert space.add_folder(folder).added == 0
    with SemanticSpace.open(where, encoder=ToyEncoder()) as space:
        status = (folder / "a.png").stat()
        pixels = bytearray((folder / "b.png").read_bytes())
        (folder / "new.png").write_bytes(pixels)
        (folder / "new.png").replace(folder / "a.png")
        os.utime(folder / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))
        (folder / "b.xmp").write_text("<x/>")
        space.update({"photos/c.png": {"file_name": "c.png", "mine": 1}})
        reads.clear()
        report = space.add_folder(folder)
        assert {"a.png", "b.png", "c.png"} <= {*reads}
        assert report.added == 2  # another picture, and what the file says of c
        (space.path / "seen.sqlite").write_bytes(b"no database")  # type: ignore[operator]
        assert space.add_folder(folder).unchanged == 4


NAMES = ("a.png", "b.png", "A.PNG", "x/a.png", "x/b.png", "y/c.png")


@dataclass(frozen=True)
class Action:
    """One change: what, which name, which other name or picture."""

    kind: str
    name: str
    other: str
    picture: int


ACTIONS = st.builds(
    Action,
    st.sampled_from(
        ("write", "delete", "rename", "rename", "swap", "copy", "touch", "caption", "index")
    ),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.integers(0, 4),
)  # fmt: skip


def done(folder: Path, action: Action) -> None:
    """Change a folder; what is not possible is nothing."""
    path, other = folder / action.name, folder / action.other
    for it in (path, other):
        it.parent.mkdir(exist_ok=True)
    match action.kind:
        case "write":
            noise(action.picture).save(path)
        case "delete" if path.exists():
            path.unlink()
        case "rename" if path.exists():
            path.rename(other)
        case "swap" if path.exists() and other.exists() and path != other:
            swapped(folder, action.name, action.other)
        case "copy" if path.exists() and path != other:
            shutil.copy(path, other)
        case "touch" if path.exists():
            os.utime(path, (action.picture, action.picture))
        case "caption":
            path.with_suffix(".txt").write_text(f"caption {action.picture}")


def contents(space: SemanticSpace) -> dict[str, tuple[object, ...]]:
    """All of every record that a store gives back."""
    return {
        it.id: (it.text, it.image, it.metadata, it.source_id, it.links, it.payload)
        for it in space.store.select()
    }


def compare(tmp_path: Path, actions: list[Action]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    encoder = ToyEncoder()
    with SemanticSpace.open(None, encoder=encoder) as space:
        for action in (*actions, Action("index", "", "", 0)):
            if action.kind == "index":
                before = {it.image.sha256 for it in space.store.select() if it.image is not None}
                count = encoder.images_encoded
                space.add_folder(folder, prune=Pruning.NOW)
                now = {it.image.sha256 for it in space.store.select() if it.image is not None}
                new = [
                    it for it in space.store.select() if it.image and it.image.sha256 not in before
                ]
                assert now - before <= {it.image.sha256 for it in new if it.image}
                assert encoder.images_encoded - count <= len(new)  # what was there is not embedded
            else:
                done(folder, action)
        if not pictures(folder):
            return  # an empty folder prunes nothing
        with SemanticSpace.open(None, encoder=ToyEncoder()) as fresh:
            fresh.add_folder(folder)
            assert contents(space) == contents(fresh)
            ids = sorted(contents(fresh))
            for one, other in zip(space.store.vectors(ids), fresh.store.vectors(ids), strict=True):
                assert one is not None
                assert other is not None
                assert one.keys() == other.keys()
                for kind in one:
                    np.testing.assert_allclose(one[kind], other[kind], atol=1e-6)


@given(st.lists(ACTIONS, max_size=12))
@settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changes_end_in_what_a_fresh_index_has(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Action]
) -> None:
    compare(tmp_path_factory.mktemp("step"), actions)


@pytest.mark.slow
@pytest.mark.parametrize("young", [0, 2_000_000_000])
def test_many_changes_end_in_what_a_fresh_index_has(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, young: int
) -> None:
    monkeypatch.setattr("unisem.readers.looks._YOUNG", young)

    @given(st.lists(ACTIONS, min_size=5, max_size=40))
    @settings(max_examples=examples(400))
    def any_of_them(actions: list[Action]) -> None:
        compare(tmp_path_factory.mktemp("step"), actions)

    any_of_them()


@pytest.mark.parametrize("is_beside", [True, False])
def test_a_link_of_any_name_makes_no_file_another_folder_s(
    tmp_path: Path, *, is_beside: bool
) -> None:
    folder = tmp_path / "photos"
    (tmp_path / "else").mkdir()
    folder.mkdir()
    for number, name in enumerate("abc"):
        noise(number).save(folder / f"{name}.png")
    noise(9).save(tmp_path / "else" / "y", "PNG")
    place = (tmp_path if is_beside else folder) / "s.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        (folder / "x").symlink_to(tmp_path / "else" / "y")
        (folder / "a.png").unlink()
        assert space.add_folder(folder).gone == ("photos/a.png",)


@pytest.mark.parametrize("interrupted", [False, True])
def test_fused_vectors_of_captions_that_no_file_has_follow_their_picture(
    tmp_path: Path, interrupted: bool
) -> None:
    folder, encoder = tmp_path / "photos", FusingToyEncoder()
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        solid(colour).save(folder / f"{colour}.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        space.caption(ColourCaptioner())
        before = space.store.vectors([f"photos/{name}.png" for name in ("red", "green", "blue")])
        made = encoder.pairs_encoded
        assert made == 3
        swapped(folder, "red.png", "green.png")
        (folder / "blue.png").rename(folder / "azure.png")
        if interrupted:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("unisem.ingest.moves.Moves.settle", _interrupt)
                with pytest.raises(KeyboardInterrupt):
                    space.add_folder(folder)
        space.add_folder(folder)
        after = space.store.vectors([f"photos/{name}.png" for name in ("green", "red", "azure")])
        for old, new in zip(before, after, strict=True):
            assert old is not None
            assert new is not None
            assert new.keys() == old.keys() == {"text", "image", "both"}
            for kind, rows in new.items():
                np.testing.assert_array_equal(rows, old[kind])
        assert encoder.pairs_encoded == made  # none is made anew
