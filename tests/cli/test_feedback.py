"""``unisem feedback``: off by default; what is told becomes pairs with wrong pictures; erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import LabelError
from unisem.pairs.labelling import pairs_of_space
from unisem.pairs.labelling.feedback import Feedback
from unisem.stores.personal_files import FEEDBACK_FILE


def test_from_a_search_to_pairs_and_back_to_nothing(run: Run, built: Path) -> None:
    kept = built / FEEDBACK_FILE
    assert run("search", built, "red").exit_code == 0
    assert not kept.exists(), "off unless turned on"
    assert run("feedback", "good", built, "1").exit_code == 1
    assert run("feedback", "on", built).exit_code == 0
    assert kept.stat().st_mode & 0o077 == 0
    done = run("search", built, "my favourite", "-k", "4", "--modality", "image")
    assert "unisem feedback good" in done.stderr.replace("\n", " ")
    assert run("search", built, "no such thing", "-k", "3").exit_code == 0
    assert run("feedback", "none", built).exit_code == 0
    assert run("feedback", "good", built, "3", "--search", "1").exit_code == 0
    assert run("feedback", "good", built, "9", "--search", "1").exit_code == 1
    assert run("feedback", "good", built, "1", "--search", "7").exit_code == 1
    first, second = Feedback(built).searches()
    assert (first.query, len(first.shown), first.chosen) == (
        "my favourite",
        4,
        (first.shown[2],),
    )
    assert first.wrong == first.shown[:2], "what stood above; what stood below was not looked at"
    assert (second.chosen, second.wrong) == ((), second.shown)
    with SemanticSpace.open(built, encoder=ToyEncoder()) as space:
        pairs = pairs_of_space(space)
    told = [pair for pair in pairs if pair.caption == "my favourite"]
    assert [(p.image_id, tuple(o.image_id for o in p.negatives)) for p in told] == [
        (first.shown[2], first.wrong)
    ]
    assert len(pairs) == 7, "and the captions of six cards"
    listed = run("feedback", "list", built).stdout
    assert "my favourite" in listed
    assert "none" in listed
    assert run("feedback", "erase", built).exit_code == 0
    assert not kept.exists()
    assert Feedback(built).searches() == []


def test_a_damaged_file_is_told(run: Run, built: Path) -> None:
    (built / FEEDBACK_FILE).write_bytes(b"no database" * 1000)
    done = run("search", built, "red")
    assert done.exit_code == 1
    assert "erase it" in done.stderr
    with pytest.raises(LabelError, match="cannot be kept"):
        Feedback(built).searches()
    assert run("feedback", "erase", built).exit_code == 0
    assert run("search", built, "red").exit_code == 0
    assert run("feedback", "on", "milvus://there/x").exit_code == 1
