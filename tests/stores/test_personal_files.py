"""What was asked, answered and judged goes along when records get other ids."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import LabelError
from unisem.pairs.labelling.feedback import Feedback
from unisem.pairs.labelling.state import LabelState
from unisem.stores import personal_files
from unisem.stores.personal_files import LABELS_FILE, follow_renames

MOVED = {"a": "b", "b": "a", "c": "d"}


def test_questions_answers_and_searches_follow_their_records(tmp_path: Path) -> None:
    state = LabelState(tmp_path / LABELS_FILE)
    for name, caption in (("a", None), ("c", "a card")):
        state.ask([(name, "typical")])
        assert state.take("me", 1, 10) == (name, "typical")
        state.answer(name, "me", caption, "{}")
    state.ask([("b", "typical"), ("e", "typical")])
    feedback = Feedback(tmp_path)
    feedback.begin()
    feedback.keep("cards", ["a", "e", "c"])
    feedback.judge([1, 3])
    feedback.keep("others", ["e"])
    follow_renames(tmp_path, MOVED)
    assert state.waiting() == {"a", "e"}
    assert state.settled() == {"b", "d"}
    searches = [(it.shown, it.chosen) for it in feedback.searches()]
    assert searches == [(("b", "e", "d"), ("b", "d")), (("e",), None)]
    follow_renames(tmp_path, {})
    assert [(it.shown, it.chosen) for it in feedback.searches()] == searches


def test_a_copy_that_becomes_one_with_its_picture_asks_nothing_again(tmp_path: Path) -> None:
    state = LabelState(tmp_path / LABELS_FILE)
    copies = {"skipped 2": "skipped", "asked 2": "asked", "new 2": "new", "new 3": "new"}
    state.ask([(name, "first") for name in ("skipped", "asked")])
    assert state.take("ann", 1, 10) == ("skipped", "first")
    state.answer("skipped", "ann", None, "{}")
    assert state.take("ann", 1, 10) == ("asked", "first")
    state.ask([(name, "of a copy") for name in copies])
    follow_renames(tmp_path, copies)
    assert state.settled() == {"skipped"}
    assert state.waiting() == {"asked", "new"}
    assert state.take("ann", 2, 11) == ("asked", "first")
    state.answer("asked", "ann", "a card", "{}")
    assert state.take("bob", 2, 11) == ("new", "of a copy")


def test_a_picture_that_was_skipped_as_its_copy_is_not_asked_about(tmp_path: Path) -> None:
    state = LabelState(tmp_path / LABELS_FILE)
    state.ask([(name, "typical") for name in ("copy", "picture", "held", "held 2")])
    for name in ("copy", "picture", "held", "held 2"):
        assert state.take(name, 1, 10) == (name, "typical")
    for name in ("copy", "held 2"):
        state.answer(name, name, None, "{}")
    state.drop("picture")
    state.ask([("picture", "typical")])
    follow_renames(tmp_path, {"copy": "picture", "held 2": "held"})
    assert state.settled() == {"picture", "held"}
    assert state.waiting() == {"held"}, "somebody looks at it"


def test_nothing_is_made_where_nothing_was_kept(tmp_path: Path) -> None:
    follow_renames(tmp_path, MOVED)
    assert list(tmp_path.iterdir()) == []


def test_what_is_judged_while_searches_are_renamed_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feedback = Feedback(tmp_path)
    feedback.begin()
    feedback.keep("cards", ["a", "c"])
    rename = personal_files._rename_searches

    def judged_meanwhile(*asked: Any) -> None:
        with (
            closing(sqlite3.connect(feedback.path, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("UPDATE searches SET chosen = '[]'")
        rename(*asked)

    monkeypatch.setattr(personal_files, "_rename_searches", judged_meanwhile)
    follow_renames(tmp_path, {"a": "b"})
    assert feedback.judge([1]).chosen == ("b",)


def test_a_renamed_picture_keeps_its_question_whoever_runs_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    solid("red").save(folder / "a.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        assert space.path
        state = LabelState(space.path / LABELS_FILE)
        state.ask([("photos/a.png", "typical")])
        (folder / "a.png").rename(folder / "b.png")
        space.add_folder(folder)
    assert state.waiting() == {"photos/b.png"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / LABELS_FILE).write_bytes(b"no database at all" * 99)
    with pytest.raises(LabelError, match=LABELS_FILE):
        follow_renames(tmp_path, MOVED)
