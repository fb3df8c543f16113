"""A person labels a folder: what is asked, and where what they say goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pictures import noise, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.captions import with_caption
from unisem.errors import LabelError
from unisem.pairs.labelling import Labelling, pairs_of_space
from unisem.pairs.labelling.labelling import LEASE
from unisem.stores.personal_files import LABELS_FILE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    (folder / "more").mkdir(parents=True)
    for colour in COLOURS:
        solid(colour).save(folder / f"{colour}.png")
    noise(1).save(folder / "more" / "noise.png")
    return folder


@pytest.fixture
def space(folder: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(folder.with_suffix(".unisem"), encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        yield space


def table(folder: Path) -> list[dict[str, str]]:
    text = (folder / "metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_caption_goes_everywhere_and_comes_back_out(space: SemanticSpace, folder: Path) -> None:
    labelling = Labelling(space, strategy="random")
    question = labelling.next()
    assert question is not None
    assert question.reason == "drawn by lot"
    assert labelling.next() == question, "the same, until it is answered"
    before = space.store.vectors([question.record_id])[0]
    labelling.answer(question.record_id, "  Tom's \n card ")
    (record,) = space.get([question.record_id])
    assert record is not None
    assert record.text == "Tom's card"
    after = space.store.vectors([question.record_id])[0]
    assert before is not None
    assert after is not None
    assert (before["image"] == after["image"]).all()
    assert (after["text"] == space.encoder.encode_texts(["Tom's card"])[0]).all()
    name = question.record_id.removeprefix("cards/")
    assert table(folder) == [{"file_name": name, "text": "Tom's card"}]
    assert space.add_folder(folder).unchanged == 7, "the folder says what the space says"
    assert [pair.caption for pair in pairs_of_space(space)] == ["Tom's card"]
    assert labelling.left() == 6
    assert labelling.undo() is not None
    (record,) = space.get([question.record_id])
    assert record is not None
    assert record.text is None
    assert (folder / "metadata.jsonl").read_bytes() == b""
    asked = labelling.next()
    assert asked is not None
    assert asked.record_id == question.record_id
    assert labelling.undo() is None


def test_all_are_asked_about_once_whoever_asks(space: SemanticSpace) -> None:
    """Two people, one who leaves in the middle, and a new process each time."""
    now = [1000.0]
    seen = []
    for _ in range(2):
        question = Labelling(space, who="anna", clock=lambda: now[0]).next()
        other = Labelling(space, who="ben", clock=lambda: now[0]).next()
        assert question is not None
        assert other is not None
        assert question.record_id != other.record_id
        Labelling(space, who="anna", clock=lambda: now[0]).answer(question.record_id, "a card")
        Labelling(space, who="ben", clock=lambda: now[0]).skip(other.record_id)
        seen += [question.record_id, other.record_id]
    left = Labelling(space, who="ben", clock=lambda: now[0]).next()
    assert left is not None
    anna = Labelling(space, who="anna", clock=lambda: now[0])
    while (question := anna.next()) is not None:
        seen.append(question.record_id)
        anna.answer(question.record_id, "a card")
    assert left.record_id not in seen
    assert anna.left() == 1
    now[0] += LEASE + 1
    question = anna.next()
    assert question is not None
    assert question.record_id == left.record_id
    with pytest.raises(LabelError, match="not yours to answer"):
        Labelling(space, who="ben", clock=lambda: now[0]).answer(left.record_id, "a card")
    anna.answer(left.record_id, "the last card")
    assert anna.next() is None
    assert sorted([*seen, left.record_id]) == sorted(it.id for it in space.store.select())


def test_suggestions(space: SemanticSpace) -> None:
    """A generated caption, captions that people gave to the nearest pictures, the nearest tags."""
    (red, blue) = space.get(["cards/red.png", "cards/blue.png"])
    assert red is not None
    assert blue is not None
    space.add([with_caption(red, "something red", "a model")])
    space.add([Record(id="mine", text="my card", image=blue.image)])
    labelling = Labelling(space, strategy="random", files=False)
    asked = {}
    while (question := labelling.next()) is not None:
        asked[question.record_id] = question.suggestions
        labelling.skip(question.record_id)
    assert "mine" not in asked
    assert asked["cards/red.png"][:2] == ("something red", "my card")
    assert asked["cards/blue.png"][0] == "my card"
    assert all(len(found) == len(set(found)) == 4 for found in asked.values() if len(found) < 5)
    assert labelling.left() == 0
    assert labelling.undo() is not None
    assert labelling.left() == 1


def test_what_a_crash_interrupted_is_finished(
    space: SemanticSpace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None

    def fail(*_: object) -> None:
        raise OSError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr(space.store, "add", fail)
        with pytest.raises(OSError, match="power"):
            labelling.answer(question.record_id, "a card")
    (record,) = space.get([question.record_id])
    assert record is not None
    assert record.text is None
    Labelling(space)
    (record,) = space.get([question.record_id])
    assert record is not None
    assert record.text == "a card"
    assert len(table(folder)) == 1


def caption_of(space: SemanticSpace, record_id: str) -> str | None:
    (record,) = space.get([record_id])
    assert record is not None
    return record.text


def test_a_caption_that_no_file_has_stays_until_a_file_says_something(
    space: SemanticSpace, folder: Path
) -> None:
    labelling = Labelling(space, files=False)
    question = labelling.next()
    assert question is not None
    labelling.answer(question.record_id, "a card")
    picture = folder / question.record_id.removeprefix("cards/")
    before = space.store.vectors([question.record_id])[0]
    for _ in range(2):
        assert space.add_folder(folder).unchanged == 7
        assert caption_of(space, question.record_id) == "a card"
    after = space.store.vectors([question.record_id])[0]
    assert before is not None
    assert after is not None
    assert (before["text"] == after["text"]).all()
    picture.with_suffix(".txt").write_text("what the file says")
    space.add_folder(folder)
    assert caption_of(space, question.record_id) == "what the file says"
    picture.with_suffix(".txt").unlink()
    space.add_folder(folder)
    assert caption_of(space, question.record_id) is None, "a file's caption goes with the file"
    labelling.answer(ask_for(labelling, question.record_id), "another card")
    noise(2).save(picture)
    space.add_folder(folder)
    assert caption_of(space, question.record_id) is None, "it is of another picture"


def ask_for(labelling: Labelling, record_id: str) -> str:
    """Skip until a picture is asked about."""
    while (question := labelling.next()) is not None and question.record_id != record_id:
        labelling.skip(question.record_id)
    assert question is not None
    return question.record_id


def test_a_caption_without_a_file_is_taken_back(space: SemanticSpace, folder: Path) -> None:
    labelling = Labelling(space, files=False)
    question = labelling.next()
    assert question is not None
    (before,) = space.get([question.record_id])
    labelling.answer(question.record_id, "a card")
    space.add_folder(folder)
    labelling.undo()
    assert space.get([question.record_id]) == [before]


def test_what_is_interrupted_at_the_file_is_finished(
    space: SemanticSpace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C just before the file is written."""
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unisem.pairs.labelling.labelling.write_caption", interrupt)
        with pytest.raises(KeyboardInterrupt):
            labelling.answer(question.record_id, "a card")
    Labelling(space)
    assert [row["text"] for row in table(folder)] == ["a card"]
    assert caption_of(space, question.record_id) == "a card"


def test_a_refused_caption_waits_and_touches_nothing(space: SemanticSpace, folder: Path) -> None:
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None
    sheet = folder / "metadata.csv"
    sheet.write_text(f"file_name,text\n{question.record_id.removeprefix('cards/')},\n")
    with pytest.raises(LabelError, match=r"metadata\.csv describes"):
        labelling.answer(question.record_id, "a card")
    assert caption_of(space, question.record_id) is None
    other = labelling.next()
    assert other is not None
    assert other.record_id != question.record_id
    assert labelling.left() == 6, "it is answered"
    (reason,) = Labelling(space).refused
    assert "metadata.csv describes" in reason
    sheet.unlink()
    assert Labelling(space).refused == ()
    assert caption_of(space, question.record_id) == "a card"
    assert [row["text"] for row in table(folder)] == ["a card"]


def test_a_refused_caption_gives_way_to_another_door(space: SemanticSpace, folder: Path) -> None:
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None
    name = question.record_id.removeprefix("cards/")
    (folder / "metadata.csv").write_text(f"file_name,text\n{name},\n")
    with pytest.raises(LabelError):
        labelling.answer(question.record_id, "a card")
    (folder / f"{name}.txt").write_text("as the error advised")
    space.add_folder(folder)
    assert Labelling(space, files=False).refused == ()
    assert caption_of(space, question.record_id) == "as the error advised"


def test_what_is_gone_is_not_asked_about(space: SemanticSpace) -> None:
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None
    space.delete([question.record_id])
    with pytest.raises(LabelError, match="not in the space any more"):
        labelling.answer(question.record_id, "a card")
    other = labelling.next()
    assert other is not None
    assert other.record_id != question.record_id


@pytest.mark.parametrize("caption", ["", " \n", "\ud800"])
def test_captions_that_are_none(space: SemanticSpace, caption: str) -> None:
    labelling = Labelling(space)
    question = labelling.next()
    assert question is not None
    with pytest.raises(LabelError):
        labelling.answer(question.record_id, caption)
    assert labelling.next() == question


def test_a_damaged_file_is_told_and_a_space_in_memory_refused(space: SemanticSpace) -> None:
    assert space.path is not None
    (space.path / LABELS_FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(LabelError, match=r"labels\.sqlite.*move it away"):
        Labelling(space)
    with (
        SemanticSpace.open(None, encoder=ToyEncoder()) as memory,
        pytest.raises(LabelError, match="has none"),
    ):
        Labelling(memory)
