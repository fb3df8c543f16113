"""What was asked, answered and judged goes along when records get other ids."""

from __future__ import annotations

from pathlib import Path

from unisem.pairs.labelling.feedback import Feedback
from unisem.pairs.labelling.renaming import follow_renames
from unisem.pairs.labelling.state import LabelState
from unisem.stores.personal_files import LABELS_FILE

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


def test_nothing_is_made_where_nothing_was_kept(tmp_path: Path) -> None:
    follow_renames(tmp_path, MOVED)
    assert list(tmp_path.iterdir()) == []
