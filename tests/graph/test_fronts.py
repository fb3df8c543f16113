"""Every front that asks with a graph gets the core's answer, and says the way."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import MetadataMode
from pydantic import ValidationError
from starlette.testclient import TestClient
from typer.testing import CliRunner

from langchain_unisem import UniSemRetrievalTool as LangChainTool
from langchain_unisem import UniSemRetriever as LangChainRetriever
from langchain_unisem.documents import items_of
from llama_index_unisem import UniSemRetriever as LlamaIndexRetriever
from llama_index_unisem import UniSemRetrieverTool as LlamaIndexTool
from tests.clients.live import serving
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application
from unisem.errors import StoreError
from unisem.filters import Field
from unisem.graph import Entity, Mention, Relation
from unisem.graph.neighbourhood import Neighbourhood
from unisem.search import GraphExpansion
from unisem.search.fusion import RankFusion
from unisem.search.query import Query
from unisem.service.http.app import create_app
from unisem.service.principals import Principal, Tokens
from unisem.wire.query import WireQuery

HOW = GraphExpansion(depth=1, types={"broader": 2.0}, fusion=RankFusion(10))


@pytest.fixture
def known(space: SemanticSpace) -> SemanticSpace:
    space.add(Record(id=name, text=f"a {name}") for name in ("banjo", "drum", "fork", "spoon"))
    space.graph.add(
        relations=[Relation(name, "broader", "instrument") for name in ("banjo", "drum")],
        mentions=[Mention(name, name) for name in ("banjo", "drum", "fork")],
    )
    return space


def test_both_frameworks_answer_as_the_core(known: SemanticSpace) -> None:
    hits = known.search("an instrument", k=3, graph=HOW)
    assert hits[0].path == ("instrument", hits[0].record.id)
    documents = LangChainRetriever(space=known, k=3, graph=HOW).invoke("an instrument")
    assert [it.id for it in documents] == [hit.record.id for hit in hits]
    assert documents[0].metadata["unisem"]["path"] == list(hits[0].path)
    (item, *_) = items_of(documents, known)
    assert item.metadata["way"] == " → ".join(hits[0].path)
    again = LangChainRetriever(space=known, k=3).invoke("an instrument", graph=HOW)
    assert again == documents
    nodes = LlamaIndexRetriever(space=known, similarity_top_k=3, graph=HOW).retrieve(
        "an instrument"
    )
    assert [(it.node_id, it.score) for it in nodes] == [(hit.record.id, hit.score) for hit in hits]
    assert nodes[0].metadata == {"way": item.metadata["way"]}
    assert f"way: {item.metadata['way']}" in nodes[0].get_content(MetadataMode.LLM)
    assert "way" not in nodes[0].get_content(MetadataMode.EMBED)


def test_a_record_keeps_what_it_calls_a_way(known: SemanticSpace) -> None:
    known.add([Record(id="banjo", text="a banjo", metadata={"way": "north"})])
    nodes = LlamaIndexRetriever(space=known, graph=HOW).retrieve("an instrument")
    (node,) = [it for it in nodes if it.node_id == "banjo"]
    assert node.metadata == {"way": "north", "way_": "instrument → banjo"}


def test_agents_of_both_frameworks_are_told_the_way(known: SemanticSpace) -> None:
    theirs = LangChainTool(retriever=LangChainRetriever(space=known, k=1, graph=HOW))
    assert "instrument → " in theirs.invoke({"query": "an instrument"})
    ours = LlamaIndexTool(LlamaIndexRetriever(space=known, similarity_top_k=1, graph=HOW))
    assert "instrument → " in ours.call(query="an instrument").content


def test_a_service_answers_as_the_core(known: SemanticSpace) -> None:
    with (
        serving(create_app({"cards": known})) as url,
        SemanticSpace.connect(url) as far,
    ):
        for how in (HOW, GraphExpansion(method="taxonomy")):
            assert far.search("instrument", k=3, graph=how) == known.search(
                "instrument", k=3, graph=how
            )
        with pytest.raises(StoreError, match="is searched there"):
            _ = far.graph


def test_a_service_draws_what_is_known_of_a_record(known: SemanticSpace) -> None:
    known.add([Record(id="bare", text="nothing")])
    bound = Principal("read", frozenset({"cards"}), Field("year") > 0)
    principals = {"whole": Principal("read"), "part": bound}
    tokens = Tokens({sha256(name.encode()).hexdigest(): one for name, one in principals.items()})
    client = TestClient(create_app({"cards": known}, tokens=tokens))

    def asked(path: str, token: str = "whole") -> Any:
        return client.get(f"/v1/{path}", headers={"Authorization": f"Bearer {token}"})

    drawn = asked("spaces/cards/records/banjo/graph").json()["drawing"]
    assert drawn["title"] == "What is known of it: banjo"
    assert [it["text"] for it in drawn["labels"]] == ["banjo", "broader →", "instrument"]
    assert drawn == json.loads(json.dumps(asdict(Neighbourhood.of(known.graph, "banjo").drawing())))
    assert asked("spaces/cards/records/bare/graph").json() == {"drawing": None}
    assert asked("spaces/cards/records/none/graph").status_code == 404
    assert asked("spaces").json()["spaces"][0]["graph"] is True
    known.update({"banjo": {"year": 2026}})
    assert asked("spaces/cards/records/banjo", "part").status_code == 200
    assert asked("spaces/cards/records/banjo/graph", "part").status_code == 403
    assert asked("spaces", "part").json()["spaces"][0]["graph"] is False


@pytest.mark.parametrize("weight", [0, 9e-7, 2e6, -1, "much"])
def test_a_weight_that_no_relation_can_have_is_refused_by_the_wire(weight: Any) -> None:
    with pytest.raises(ValidationError, match="types"):
        WireQuery.model_validate({"text": "a", "graph": {"types": {"broader": weight}}})


@pytest.mark.parametrize("method", ["pagerank", "taxonomy"])
def test_a_way_is_said_in_names_and_never_in_ids(space: SemanticSpace, method: Any) -> None:
    names = {"banjo.n.01": "banjo", "s2": "string instrument", "s3": "musical instrument"}
    space.add([Record(id="a", text="a banjo")])
    space.graph.add(
        [Entity(name, called) for name, called in names.items()],
        [Relation("banjo.n.01", "broader", "s2"), Relation("s2", "broader", "s3")],
        [Mention("a", "banjo.n.01")],
    )
    (hit,) = space.search("musical instrument", graph=GraphExpansion(method=method))
    assert hit.path[0] == "musical instrument"
    assert set(hit.path) <= set(names.values())


@pytest.mark.parametrize("how", [HOW, GraphExpansion(method="taxonomy", depth=3, terms=4)])
def test_an_expansion_is_the_same_after_the_wire(how: GraphExpansion) -> None:
    sent = WireQuery.of(Query(text="a", graph=how)).model_dump_json()
    back = WireQuery.model_validate_json(sent).to_core().graph
    assert back is not None
    for name in ("method", "depth", "type_weights", "damping", "limit", "seed_hits", "terms"):
        assert getattr(back, name) == getattr(how, name)
    assert back.fusion == how.fusion


def test_the_command_line(
    tmp_path: Path, known: SemanticSpace, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.close()
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda *_, **__: encoder)
    space, table = str(tmp_path / "toy.unisem"), tmp_path / "triples.csv"

    def run(*arguments: Any) -> str:
        result = CliRunner().invoke(application(), list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return result.output

    table.write_text("subject,type,object\nspoon,broader,cutlery\n", encoding="utf-8")
    assert "1 relation" in run("graph", "add", space, table)
    assert "mention" in run("graph", "link", space)
    assert json.loads(run("graph", "stats", space, "--json"))["types"] == {"broader": 3}
    assert "broader: 3" in run("graph", "stats", space)
    assert "— broader → instrument" in run("graph", "show", space, "banjo")
    found = json.loads(run("search", space, "cutlery", "--graph", "pagerank", "--json"))
    assert ["cutlery", "spoon"] in [hit["path"] for hit in found["hits"]]
    assert "cutlery → spoon" in run("search", space, "cutlery", "--graph", "pagerank")
