"""Searching with a graph: what it adds, what it must not, and what it says of the way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.list_store import ListKind
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import StoreError
from unisem.filters import Field
from unisem.graph import Mention, Relation
from unisem.search import GraphExpansion
from unisem.search.fusion import RankFusion, WeightedFusion

MOSTLY = WeightedFusion(0.2)  # the toy encoder's cosines say little
NAMES = ("banjo", "violin", "drum", "spoon", "fork")


@pytest.fixture
def known(space: SemanticSpace) -> SemanticSpace:
    """Things of two kinds, a taxonomy of them, and who mentions what."""
    space.add(
        Record(id=f"{name} {n}", text=f"{name} number {n}", metadata={"n": n})
        for name in NAMES
        for n in range(4)
    )
    kinds = {"banjo": "instrument", "violin": "instrument", "drum": "instrument"}
    space.graph.add(
        relations=[Relation(it, "broader", kinds.get(it, "cutlery")) for it in NAMES],
        mentions=[Mention(f"{name} {n}", name, 1 - n / 10) for name in NAMES for n in range(4)],
    )
    return space


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_what_the_query_names_leads_to_records_and_hits_say_the_way(
    known: SemanticSpace, mode: Any
) -> None:
    how = GraphExpansion(fusion=MOSTLY)
    hits = known.search("an instrument", k=8, mode=mode, graph=how)
    assert {hit.record.id.split()[0] for hit in hits[:8]} <= {"banjo", "violin", "drum"}
    assert hits[0].path == ("instrument", hits[0].record.id.split()[0])
    assert len({hit.record.id for hit in hits}) == len(hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_first_hits_say_where_to_begin_too(known: SemanticSpace) -> None:
    known.graph.add(relations=[Relation("fork", "lies beside", "drum", 50.0)])
    how = GraphExpansion(depth=1, seed_hits=2, fusion=RankFusion())
    hits = known.search("number 0 fork", k=12, graph=how)
    assert ("fork", "drum") in {hit.path for hit in hits}
    alone = GraphExpansion(depth=1, seed_hits=0, types=["broader"])
    assert not [hit for hit in known.search("number 0", k=12, graph=alone) if hit.path]


@pytest.mark.parametrize("method", ["pagerank", "taxonomy"])
def test_filters_are_exact_and_k_is_kept(known: SemanticSpace, method: Any) -> None:
    how = GraphExpansion(method=method, fusion=MOSTLY)
    hits = known.search("an instrument", k=3, filter=Field("n") == 2, graph=how)
    assert [hit.record.metadata["n"] for hit in hits] == [2, 2, 2]
    assert {hit.record.id.split()[0] for hit in hits} == {"banjo", "violin", "drum"}
    only = known.search("instrument", ids=["fork 1"], graph=GraphExpansion(method=method))
    assert [hit.record.id for hit in only] == ["fork 1"]
    assert known.search("instrument", k=0, graph=GraphExpansion(method=method)) == []


def test_narrower_terms_need_no_mentions(known: SemanticSpace) -> None:
    known.graph.remove(records=[f"{name} {n}" for name in NAMES for n in range(4)])
    plain = known.search("instrument", k=8)
    hits = known.search(
        "instrument", k=8, graph=GraphExpansion(method="taxonomy", fusion=RankFusion())
    )
    found = [hit.record.id for hit in hits if hit.path]
    assert len(found) > 4
    assert hits[0].path[0] == "instrument"
    assert all(hit.path == () for hit in plain)


def test_narrower_terms_are_those_of_what_the_words_name(known: SemanticSpace) -> None:
    known.graph.embed_names()
    how = GraphExpansion(method="taxonomy", fusion=RankFusion())
    hits = known.search("instrument", k=20, graph=how)
    assert {hit.path[0] for hit in hits if hit.path} == {"instrument"}


@pytest.mark.parametrize(
    "text",
    ["instrument", "An Instrument", "kinds of instruments", "a picture of the instruments"],
)
def test_narrower_terms_are_looked_for_where_the_query_is_a_name(
    known: SemanticSpace, text: str
) -> None:
    hits = known.search(text, k=20, graph=GraphExpansion(method="taxonomy"))
    assert {hit.path for hit in hits if hit.path} == {
        ("instrument", name) for name in ("banjo", "violin", "drum")
    }


@pytest.mark.parametrize("text", ["instrument number 2", "an old instrument", "a kind of", "the"])
def test_a_query_that_says_more_than_a_name_is_left_alone(known: SemanticSpace, text: str) -> None:
    known.graph.embed_names()
    how = GraphExpansion(method="taxonomy", fusion=MOSTLY)
    assert known.search(text, k=20, graph=how) == known.search(text, k=20)


def test_a_record_counts_its_best_narrower_term(known: SemanticSpace, encoder: ToyEncoder) -> None:
    how = GraphExpansion(method="taxonomy", fusion=WeightedFusion(0.0))  # no hits of its own
    found = known.search("instrument", k=7, graph=how)
    records = [record for record in known.store.select() if record.text is not None]
    terms = encoder.encode_texts(["instrument", "banjo", "violin", "drum"], role="query")
    cosines = encoder.encode_texts([str(record.text) for record in records]) @ terms.T
    best = {it.id: float(row.max()) for it, row in zip(records, cosines, strict=True)}
    right = sorted(best, key=lambda name: (-round(best[name], 5), name))[:7]
    assert [hit.record.id for hit in found] == right


def test_what_is_called_like_the_query_comes_before_its_kinds(known: SemanticSpace) -> None:
    known.add([Record(id="itself", text="instrument"), Record(id="a kind", text="banjo")])
    hits = known.search("an instrument", k=20, graph=GraphExpansion(method="taxonomy"))
    assert hits[0].record.id == "itself"
    assert hits[0].path == ()  # no relation led to it
    assert "a kind" in [hit.record.id for hit in hits]


def test_each_method_is_fused_as_suits_it() -> None:
    assert GraphExpansion().fused_by == WeightedFusion(0.7)
    assert GraphExpansion(method="taxonomy").fused_by == WeightedFusion(0.5)
    assert GraphExpansion(method="taxonomy", fusion=MOSTLY).fused_by == MOSTLY


def test_an_empty_graph_gives_the_plain_answer(known: SemanticSpace, encoder: ToyEncoder) -> None:
    known.graph.clear()
    plain = known.search("banjo number 2", k=50)
    for how in (GraphExpansion(), GraphExpansion(method="taxonomy")):
        assert known.search("banjo number 2", k=50, graph=how) == plain
    known.graph.add(relations=[Relation("a moon", "has", "craters")])  # nothing to do with it
    assert known.search("banjo number 2", k=50, graph=GraphExpansion()) == plain


def test_a_deleted_record_is_not_found_by_the_graph(known: SemanticSpace) -> None:
    known.delete(["banjo 0", "banjo 1"])
    hits = known.search("instrument", k=50, graph=GraphExpansion())
    assert len(hits) == 18
    assert not {"banjo 0", "banjo 1"} & {hit.record.id for hit in hits}


def test_it_is_fused_before_a_choice_of_different_hits(known: SemanticSpace) -> None:
    hits = known.search("instrument", k=3, diversity=0.5, graph=GraphExpansion())
    assert len(hits) == 3
    assert any(hit.path for hit in hits)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"method": "walk"}, "method must be"),
        ({"depth": 0}, "depth must be from 1 to 4"),
        ({"limit": True}, "limit must be"),
        ({"damping": 1.0}, "damping must be"),
        ({"types": {"is": 0}}, "weight of 'is' must be from 1e-06"),
        ({"types": {"is": 5e-324}}, "weight of 'is' must be from 1e-06"),
        ({"types": {"is": float("nan")}}, "weight of 'is' must be from 1e-06"),
    ],
)
def test_what_makes_no_sense_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GraphExpansion(**parts)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ("broader", "list of types"),
        (3, "list of types"),
        ({"is": "2"}, "weight of 'is' must be a number, not '2'"),
        ([3], "3 must be the name"),
    ],
)
def test_types_of_another_type_are_named(types: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        GraphExpansion(types=types)


def test_a_store_without_a_graph_says_so(encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder, store=ListKind()) as space:
        space.add([Record(id="a", text="a")])
        with pytest.raises(StoreError, match="keeps no knowledge graph"):
            space.search("a", graph=GraphExpansion())
