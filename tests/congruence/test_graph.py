"""Searches with a knowledge graph give the same at every door, to the bit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from typer.testing import CliRunner

from tests.clients.live import serving
from tests.congruence.conditions import Leaf
from tests.congruence.corpus import records
from tests.congruence.doors import DOORS
from tests.congruence.fronts import Core, Question
from tests.support.rerankers import ColourReranker
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace
from unisem.cli.app import application
from unisem.errors import StoreError
from unisem.graph import Relation
from unisem.search import GraphExpansion
from unisem.search.fusion import RankFusion
from unisem.service.http.app import create_app
from unisem.service.mcp import McpService, McpSettings

WALK = GraphExpansion()
TERMS = GraphExpansion(method="taxonomy")
QUESTIONS = (
    Question(text="animal", k=8, graph=WALK),
    Question(text="animal", k=8, graph=TERMS),
    Question(text="colour", k=6, mode="hybrid", graph=WALK),
    Question(text="colour", k=9, condition=Leaf("flag", "eq", True), graph=TERMS),
    Question(text="weather", k=5, modality="image", graph=WALK, neighbors=1),
    Question(text="red animal", k=5, fetch_k=6, reranker=ColourReranker(), graph=WALK),
    Question(text="a tiger in the snow", k=7, diversity=0.4, graph=WALK),
    Question(
        text="animal",
        graph=GraphExpansion(depth=1, types={"broader": 2.0}, fusion=RankFusion(10), seed_hits=0),
    ),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graph")


@pytest.fixture(scope="module")
def near(place: Path) -> Iterator[SemanticSpace]:
    """The corpus, and what is known of its words."""
    with SemanticSpace.open(place / "s.unisem", encoder=ToyEncoder(), image_roots=[place]) as space:
        space.add(records(place / "pictures"))
        kinds = {"tiger": "animal", "snow": "weather", **dict.fromkeys(COLOURS, "colour")}
        space.graph.add(relations=[Relation(one, "broader", kind) for one, kind in kinds.items()])
        space.graph.embed_names()
        space.graph.link_records()
        yield space


@pytest.fixture(scope="module")
def far(near: SemanticSpace, place: Path) -> Iterator[SemanticSpace]:
    """The same, as a service gives it."""
    with (
        serving(create_app({"far": near})) as url,
        SemanticSpace.connect(url, image_roots=[place]) as opened,
    ):
        yield opened


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_every_door_gives_what_the_space_gives(
    near: SemanticSpace, far: SemanticSpace, question: Question
) -> None:
    (expected,) = Core(near).ask(question)
    plain = Core(near).ask(Question(**{**_parts(question), "graph": None}))
    assert [expected] != plain, "the graph has a part"
    if question.reranker is not None:  # it is here, and the graph is there, as an error says
        with pytest.raises(StoreError, match="without a reranker"):
            Core(far).ask(question)
    else:
        assert Core(far).ask(question) == [expected]
    for space in (near,) if question.reranker is not None else (near, far):
        answers = {name: door(space, question) for name, door in DOORS.items()}
        assert sum(answer is not None for answer in answers.values()) >= 8
        for name, answer in answers.items():
            for (found, score), (wanted, its) in zip(answer or expected, expected, strict=True):
                assert (found, its if score is None else score) == (wanted, its), name


@pytest.mark.parametrize("method", ["pagerank", "taxonomy"])
def test_the_command_line_and_an_assistant(
    near: SemanticSpace, place: Path, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    hits = near.search("animal", k=6, graph=GraphExpansion(method=method))
    expected = [(hit.record.id, hit.score, list(hit.path)) for hit in hits]
    ways = [f'"way": "{" → ".join(hit.path)}"' for hit in hits if hit.path]
    assert ways

    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda *_, **__: ToyEncoder())
    asked = ["search", str(place / "s.unisem"), "animal", "--graph", method, "-k", "6", "--json"]
    result = CliRunner().invoke(application(), asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["hits"]
    assert [(it["id"], it["score"], it["path"]) for it in found] == expected

    service = McpService(near, McpSettings())

    async def called() -> Any:
        async with Client(service.server) as client:
            return await client.call_tool("search", {"text": "animal", "k": 6, "graph": method})

    answer = asyncio.run(called())
    service.close()
    told = answer.structured_content["results"]
    assert [(it["id"], it["score"], it["path"]) for it in told] == expected
    words = " ".join(block.text for block in answer.content if block.type == "text")
    assert all(way in words for way in ways)


def _parts(question: Question) -> dict[str, Any]:
    return {name: getattr(question, name) for name in question.__dataclass_fields__}
