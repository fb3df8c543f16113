"""Words in pictures: against records written by hand, and what becomes of them afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemVectorStore as LlamaIndexStore
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import RecognizerError
from unisem.filters import Field
from unisem.ingest.word_reading import WordReading, read_words
from unisem.readers import Reader
from unisem.stores.selection import Selection

WORDS = {COLOURS["red"]: ["Error 4711", "Press any key"], COLOURS["blue"]: ["Roadmap"]}


class Records(list[Record], Reader):
    """Reads what it holds."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        solid(colour).save(folder / f"{colour}.png")
    (folder / "red.txt").write_text("my caption")
    (folder / "about.txt").write_text("what this is about")
    return folder


@pytest.fixture
def space(tmp_path: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as opened:
        yield opened


def words(space: SemanticSpace) -> dict[str, str]:
    found = space.store.select()
    return {it.id: it.text or "" for it in found if it.metadata.get("recognized") is True}


def one(space: SemanticSpace, name: str) -> Record:
    (record,) = space.get([name])
    assert record is not None
    return record


def test_words_are_records_of_their_own(space: SemanticSpace, photos: Path) -> None:
    recognizer = ColourRecognizer(WORDS)
    report = space.add_folder(photos, recognizer=recognizer)
    assert (report.added, report.words_read, report.skipped) == (4, 2, ())
    assert words(space) == {
        "photos/red.png#words-1": "Error 4711\nPress any key",
        "photos/blue.png#words-1": "Roadmap",
    }
    picture, read = one(space, "photos/red.png"), one(space, "photos/red.png#words-1")
    assert picture.text == "my caption"
    assert picture.metadata["file_name"] == "red.png"
    assert dict(picture.links) == {"words": read.id}
    assert read.modality == "text"
    assert read.source_id == picture.source_id
    assert dict(read.links) == {"image": picture.id}
    assert dict(read.metadata) == {**picture.metadata, "recognized": True}
    vectors = space.store.vectors([read.id, picture.id])
    assert [sorted(it or ()) for it in vectors] == [["text"], ["image", "text"]]
    assert vectors[0] is not None
    expected = space.encoder.encode_texts([read.text or ""])[0]
    assert vectors[0]["text"] == pytest.approx(expected, abs=1e-6)


def test_no_picture_is_read_twice(space: SemanticSpace, photos: Path) -> None:
    recognizer = ColourRecognizer(WORDS)
    space.add_folder(photos, recognizer=recognizer)
    before = {record.id: record for record in space.store.select()}
    again = space.add_folder(photos, recognizer=recognizer)
    assert (again.added, again.unchanged, again.removed, again.words_read) == (0, 4, 0, 0)
    assert recognizer.read_count == 3
    without = space.add_folder(photos)  # what was read is kept
    assert (without.added, without.removed, without.gone) == (0, 0, ())
    assert {record.id: record for record in space.store.select()} == before


def test_another_recogniser_reads_anew(space: SemanticSpace, photos: Path) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    other = ColourRecognizer({COLOURS["green"]: ["Lawn"]}, fingerprint="two")
    report = space.add_folder(photos, recognizer=other)
    assert (report.words_read, report.removed, other.read_count) == (1, 2, 3)
    assert words(space) == {"photos/green.png#words-1": "Lawn"}
    assert dict(one(space, "photos/red.png").links) == {}


def test_words_go_with_their_picture(space: SemanticSpace, photos: Path) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    solid("green").save(photos / "red.png")
    changed = space.add_folder(photos)
    assert (changed.added, changed.removed) == (1, 1)
    assert list(words(space)) == ["photos/blue.png#words-1"]
    (photos / "blue.png").unlink()
    kept = space.add_folder(photos)
    assert (kept.removed, kept.gone) == (0, ("photos/blue.png",))
    assert list(words(space)) == ["photos/blue.png#words-1"]
    assert space.add_folder(photos, prune=True).removed == 2
    assert words(space) == {}


def from_a_space(space: SemanticSpace, name: str) -> None:
    assert space.delete([name]) == 2


def from_a_langchain_store(space: SemanticSpace, name: str) -> None:
    LangChainStore(space=space).delete([name])


def from_a_llama_index_store(space: SemanticSpace, name: str) -> None:
    LlamaIndexStore(space=space).delete_nodes([name])


def with_its_file(space: SemanticSpace, name: str) -> None:
    source = one(space, name).source_id
    assert source is not None
    LlamaIndexStore(space=space).delete(source)


@pytest.mark.parametrize(
    "delete", [from_a_space, from_a_langchain_store, from_a_llama_index_store, with_its_file]
)
def test_a_picture_that_is_deleted_takes_its_words_along(
    space: SemanticSpace, photos: Path, delete: Callable[[SemanticSpace, str], None]
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    delete(space, "photos/red.png")
    assert list(words(space)) == ["photos/blue.png#words-1"]
    ids = {record.id for record in space.store.select()}
    assert ids == {"photos/about.txt", "photos/blue.png", "photos/blue.png#words-1"} | {
        "photos/green.png"
    }


def test_a_picture_that_is_deleted_by_what_is_said_of_it_takes_its_words_along(
    space: SemanticSpace, photos: Path
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    space.update({"photos/red.png": {"drop": True}})
    assert space.delete(filter=Field("drop").is_in([True])) == 2
    assert space.delete(["photos/blue.png#words-1"]) == 1  # words alone may be deleted, too
    assert [it.id for it in space.store.select(Selection(modality="image"))] == [
        "photos/blue.png",
        "photos/green.png",
    ]


def test_a_link_to_the_words_of_another_picture_does_not_delete_them(
    space: SemanticSpace, photos: Path
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    theirs = "photos/red.png#words-1"
    for name in ("green", "red"):  # also if it is the same picture
        space.add([Record(id="evil", image=photos / f"{name}.png", links={"words": theirs})])
        assert space.delete(["evil"]) == 1
        assert theirs in words(space)


def test_a_record_that_changes_while_it_is_deleted_stays_with_its_words(
    space: SemanticSpace, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    space.update({f"photos/{name}.png": {"drop": True} for name in ("red", "blue", "green")})
    delete, meanwhile = space.store.delete, [{"photos/red.png": {}, "photos/green.png": {}}]

    def late(selection: Selection) -> int:
        if meanwhile:
            space.store.update(meanwhile.pop())
        return delete(selection)

    monkeypatch.setattr(space.store, "delete", late)
    assert space.delete(filter=Field("drop").is_in([True])) == 2  # blue and its words
    assert list(words(space)) == ["photos/red.png#words-1"]
    images = {it.id for it in space.store.select(Selection(modality="image"))}
    assert images == {"photos/red.png", "photos/green.png"}


def test_a_picture_that_was_renamed_is_read_under_its_name(
    space: SemanticSpace, photos: Path
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    (photos / "blue.png").rename(photos / "plan.png")
    report = space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    assert (report.renamed, report.gone) == (1, ())
    assert "photos/plan.png#words-1" in words(space)
    assert "photos/blue.png#words-1" not in words(space)


def test_words_follow_what_is_said_of_the_picture(space: SemanticSpace, photos: Path) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    (photos / "metadata.csv").write_text("file_name,text,year\nred.png,a box,2024\n")
    recognizer = ColourRecognizer(WORDS)
    space.add_folder(photos, recognizer=recognizer)
    assert recognizer.read_count == 0
    assert one(space, "photos/red.png").text == "a box"
    assert one(space, "photos/red.png#words-1").metadata["year"] == 2024


def test_a_link_to_other_records_does_not_overwrite_what_is_said_of_them(
    space: SemanticSpace, photos: Path
) -> None:
    space.add_folder(photos, recognizer=ColourRecognizer(WORDS))
    space.add([Record(id="victim", text="a text", metadata={"mine": 1})])
    links = {"words": "photos/red.png#words-1", "words:9": "victim"}
    for name in ("green", "red"):  # also if it is the same picture
        evil = Record(id="evil", image=photos / f"{name}.png", metadata={"evil": 1}, links=links)
        assert space.ingest(Records([evil])).added == 1
        assert dict(one(space, "victim").metadata) == {"mine": 1}
        assert "evil" not in one(space, "photos/red.png#words-1").metadata


def test_what_cannot_be_read_costs_nothing_else(space: SemanticSpace, photos: Path) -> None:
    recognizer = ColourRecognizer(WORDS, fails_on=(COLOURS["red"],))
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    report = space.add_folder(photos, recognizer=recognizer)
    assert report.words_read == 1
    reasons = {Path(it.name).name: it.reason for it in report.skipped}
    assert reasons.keys() == {"broken.png", "red.png"}
    assert reasons["red.png"] == "has no words read: no colour of mine"
    assert one(space, "photos/red.png").text == "my caption"
    assert space.add_folder(photos, recognizer=ColourRecognizer(WORDS)).words_read == 1


def test_a_recogniser_that_always_fails_is_given_up(space: SemanticSpace, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(20):
        solid((number, 0, 0)).save(tmp_path / "many" / f"{number}.png")
    fails = ColourRecognizer({}, fails_on=tuple((number, 0, 0) for number in range(20)))
    with pytest.raises(RecognizerError, match="16 pictures running"):
        space.add_folder(tmp_path / "many", recognizer=fails)
    assert len(space) == 20


def test_long_words_are_several_passages(space: SemanticSpace, photos: Path) -> None:
    lines = [f"Line number {number} of a long screenshot." for number in range(90)]
    space.add_folder(photos, recognizer=ColourRecognizer({COLOURS["green"]: lines}))
    picture = one(space, "photos/green.png")
    ids = list(words(space))
    assert list(picture.links.values()) == ids
    assert len(ids) > 3
    chain = [one(space, name) for name in ids]
    assert [it.links.get("next") for it in chain] == [*ids[1:], None]
    assert " ".join(words(space).values()).split() == " ".join(lines).split()


def test_a_picture_that_changes_meanwhile_gets_no_words(space: SemanticSpace, photos: Path) -> None:
    space.add_folder(photos)

    class Slow(ColourRecognizer):
        def read(self, image):  # type: ignore[no-untyped-def]
            found = super().read(image)
            if found:
                space.update({"photos/red.png": {"file_name": "red.png", "new": True}})
            return found

    report = read_words(space.store, space.encoder, Slow({COLOURS["red"]: ["Error"]}))
    assert report.read == 0
    assert words(space) == {}


def test_a_loader_gives_words_behind_their_picture(space: SemanticSpace, photos: Path) -> None:
    picture = Record(id="a", image=photos / "red.png")
    picture = picture.with_image(picture.image.inspected())  # type: ignore[union-attr]
    given = [picture, Record(id="b", text="a text")]
    found = list(WordReading(ColourRecognizer(WORDS)).among(given))
    assert [it.id for it in found if isinstance(it, Record)] == ["a", "a#words-1", "b"]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interruption_keeps_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(6):
        solid((number, 0, 0)).save(tmp_path / "many" / f"{number}.png")
    program = f"""
import os, signal
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
class Interrupted(ColourRecognizer):
    def read(self, image):
        if self.read_count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().read(image)
words = {{(number, 0, 0): [f"page {{number}}"] for number in range(6)}}
with SemanticSpace.open({str(tmp_path / "s.unisem")!r}, encoder=ToyEncoder()) as space:
    space.add_folder({str(tmp_path / "many")!r}, recognizer=Interrupted(words))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "KeyboardInterrupt" in ended.stderr
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        assert len(words(space)) == 3
        rest = ColourRecognizer({(number, 0, 0): [f"page {number}"] for number in range(6)})
        assert space.add_folder(tmp_path / "many", recognizer=rest).words_read == 3
        assert len(words(space)) == 6
        found = space.search("page 4", k=1, filter=Field("recognized").is_in([True]))
        assert found[0].record.text == "page 4"
