"""People who label over HTTP: nobody gets another's picture, and what they say is in the space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace
from unisem.service.http.app import create_app
from unisem.service.http.forwarding import _writes

ROOT = "/v1/spaces/cards/label"


@pytest.fixture
def wordless(tmp_path: Path) -> Iterator[SemanticSpace]:
    folder = tmp_path / "cards"
    folder.mkdir()
    for colour in COLOURS:
        solid(colour).save(folder / f"{colour}.png")
    with SemanticSpace.open(tmp_path / "cards.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        yield space


def test_two_people(wordless: SemanticSpace, tmp_path: Path) -> None:
    with TestClient(create_app({"cards": wordless})) as client:

        def ask(what: str, **said: Any) -> Any:
            answer = client.post(f"{ROOT}/{what}", json=said)
            assert answer.status_code == 200, answer.text
            return answer.json()["question"]

        anna, ben = ask("next", who="anna"), ask("next", who="ben")
        assert anna["record"]["id"] != ben["record"]["id"]
        assert anna["reason"]
        assert len(anna["suggestions"]) == 3
        assert ask("next", who="anna") == anna
        stolen = client.post(
            f"{ROOT}/answer", json={"who": "ben", "id": anna["record"]["id"], "caption": "x"}
        )
        assert stolen.status_code == 422
        assert "not yours" in stolen.json()["detail"]
        second = ask("answer", who="anna", id=anna["record"]["id"], caption="anna's card")
        assert second["record"]["id"] not in (anna["record"]["id"], ben["record"]["id"])
        (record,) = wordless.get([anna["record"]["id"]])
        assert record is not None
        assert record.text == "anna's card"
        assert "anna's card" in (tmp_path / "cards" / "metadata.jsonl").read_text()
        assert ask("undo", who="anna")["record"]["id"] == anna["record"]["id"]
        (record,) = wordless.get([anna["record"]["id"]])
        assert record is not None
        assert record.text is None
        assert ask("undo", who="ben") is None
        question = ask("answer", who="ben", id=ben["record"]["id"], caption=None)
        while question is not None:
            question = ask("answer", who="ben", id=question["record"]["id"], caption="ben's card")
        assert sum(it.text == "ben's card" for it in wordless.store.select()) == 4
        empty = client.post(f"{ROOT}/next", json={"who": ""})
        assert empty.status_code == 422


def test_questions_are_asked_by_the_process_that_writes() -> None:
    assert all(_writes("POST", f"{ROOT}/{what}") for what in ("next", "answer", "undo"))
