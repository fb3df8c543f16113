"""A backup holds what people have said, too; what goes to others does not."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from tests.support.pictures import encoded, noise, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.pairs.labelling import Feedback, Labelling, pairs_of_space
from unisem.pairs.labelling.state import LabelState
from unisem.stores.personal_files import FEEDBACK_FILE, LABELS_FILE


def labelled(folder: Path) -> SemanticSpace:
    """A space whose pictures lie in it, of which the first two were asked about."""
    pictures = folder / "cards"
    pictures.mkdir()
    for colour in COLOURS:
        solid(colour).save(pictures / f"{colour}.png")
    space = SemanticSpace.open(folder / "cards.unisem", encoder=ToyEncoder())
    space.add_folder(pictures)
    labelling = Labelling(space, who="anna")
    for caption in ("Tom's card", "mine"):
        question = labelling.next()
        assert question is not None
        labelling.answer(question.record_id, caption)
    return space


def test_what_people_said_comes_back_with_a_backup(tmp_path: Path) -> None:
    copy = tmp_path / "copy.unisem"
    with labelled(tmp_path) as space:
        assert space.path is not None
        searches = Feedback(space.path)
        searches.begin()
        kept = searches.keep("my favourite", [record.id for record in space.store.select()])
        searches.judge([2], kept)
        skipped = Labelling(space, who="anna")
        question = skipped.next()
        assert question is not None
        skipped.skip(question.record_id)
        space.backup(copy)
        pairs, left = list(pairs_of_space(space)), skipped.left()
    assert (copy / FEEDBACK_FILE).stat().st_mode & 0o077 == 0, "what somebody looks for is theirs"
    with SemanticSpace.open(copy, encoder=ToyEncoder()) as space:
        assert list(pairs_of_space(space)) == pairs
        labelling = Labelling(space, who="anna")
        assert labelling.left() == left, "what was skipped is not asked again"
        assert labelling.undo() is not None, "the skipping"
        undone = labelling.undo()
        assert undone is not None, "and the caption before"
        (record,) = space.get([undone.record_id])
        assert record is not None
        assert record.text != "mine"


def test_no_caption_is_lost_by_a_backup_while_people_label(tmp_path: Path) -> None:
    """An answer that a copy's list calls finished is in the copy's records."""
    started = threading.Event()
    with labelled(tmp_path) as space:
        space.add(Record(id=f"n{n}", image=encoded(noise(n))) for n in range(40))

        def answer() -> None:
            labelling = Labelling(space, strategy="random", who="ben", files=False)
            while (question := labelling.next()) is not None:
                labelling.answer(question.record_id, f"card of {question.record_id}")
                started.set()

        thread = threading.Thread(target=answer)
        thread.start()
        started.wait(30)
        copies = [tmp_path / f"{number}.unisem" for number in range(4)]
        for copy in copies:
            space.backup(copy)
        thread.join()
    counts = []
    for copy in copies:
        state = LabelState(copy / LABELS_FILE)
        with SemanticSpace.open(copy, encoder=ToyEncoder()) as space:
            assert Labelling(space).refused == ()
            while (answered := state.last("ben")) is not None:
                (record,) = space.get([answered.record_id])
                assert record is not None
                assert record.text == answered.caption
                state.take_back(answered, "ben", 0)
            counts.append(len(pairs_of_space(space)))
    assert counts == sorted(counts)
    assert counts[0] < 46, "somebody was still labelling"


def test_a_damaged_list_is_told_and_the_rest_copied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with labelled(tmp_path) as space:
        assert space.path is not None
        (space.path / LABELS_FILE).write_bytes(b"no database" * 1000)
        with caplog.at_level(logging.WARNING):
            space.backup(tmp_path / "copy.unisem")
    assert LABELS_FILE in caplog.text
    assert not (tmp_path / "copy.unisem" / LABELS_FILE).exists()
    with SemanticSpace.open(tmp_path / "copy.unisem", encoder=ToyEncoder()) as space:
        assert "mine" in {record.text for record in space.store.select()}


def test_what_goes_to_others_does_not_hold_it(tmp_path: Path) -> None:
    with labelled(tmp_path) as space:
        staged = tmp_path / "staged"
        staged.mkdir()
        space.store.maintenance().stage(staged)
    assert not [path.name for path in staged.iterdir() if "labels" in path.name]
