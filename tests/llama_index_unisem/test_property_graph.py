"""`UniSemPropertyGraphStore`, beside LlamaIndex's own store and in its index and retrievers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core import PropertyGraphIndex
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.graph_stores import SimplePropertyGraphStore
from llama_index.core.graph_stores.types import (
    KG_NODES_KEY,
    KG_RELATIONS_KEY,
    TRIPLET_SOURCE_KEY,
    EntityNode,
    PropertyGraphStore,
    Relation,
    Triplet,
)
from llama_index.core.llms import MockLLM
from llama_index.core.schema import BaseNode, TextNode, TransformComponent

from llama_index_unisem import UniSemPropertyGraphStore
from unisem import Record, SemanticSpace
from unisem.errors import GraphError
from unisem.graph import Entity, Mention
from unisem.graph import Relation as OwnRelation
from unisem.search import GraphExpansion

TRIPLES = (
    ("Banjo", "broader", "String instrument"),
    ("Harp", "broader", "String instrument"),
    ("String instrument", "broader", "Instrument"),
    ("Man", "plays", "Banjo"),
)
TEXTS = {"n1": "a man plays a banjo", "n2": "a harp has strings"}


class Synonyms(MockLLM):
    """Knows two words, whatever it is asked."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="banjo^lute")


class Extractor(TransformComponent):
    """Finds in a text those of the triples whose subject stands in it."""

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        for node in nodes:
            said = [it for it in TRIPLES if it[0].lower() in node.get_content()]
            names = dict.fromkeys(end for one, _, other in said for end in (one, other))
            node.metadata[KG_NODES_KEY] = [
                EntityNode(name=name, label="THING", properties={"n": len(name)}) for name in names
            ]
            node.metadata[KG_RELATIONS_KEY] = [
                Relation(label=how, source_id=one, target_id=other) for one, how, other in said
            ]
        return nodes


def index_over(store: PropertyGraphStore) -> PropertyGraphIndex:
    nodes = [TextNode(id_=name, text=text) for name, text in TEXTS.items()]
    return PropertyGraphIndex(
        nodes=nodes,
        property_graph_store=store,
        llm=Synonyms(),
        kg_extractors=[Extractor()],
        embed_kg_nodes=False,
        use_async=False,
    )


def said(triplets: Sequence[Triplet]) -> set[tuple[Any, ...]]:
    return {
        (one.id, one.label, one.properties.get("n"), how.id, other.id)
        for one, how, other in triplets
    }


@pytest.fixture
def store(space: SemanticSpace) -> UniSemPropertyGraphStore:
    return UniSemPropertyGraphStore(space)


def test_an_index_finds_what_it_finds_in_llama_index_s_own_store(
    store: UniSemPropertyGraphStore, space: SemanticSpace
) -> None:
    theirs, ours = index_over(SimplePropertyGraphStore()), index_over(store)
    for question in (
        {"ids": ["Banjo"]},
        {"entity_names": ["String instrument"], "relation_names": ["broader"]},
        {"relation_names": ["plays"]},
        {"properties": {"n": 4}},
    ):
        expected = said(theirs.property_graph_store.get_triplets(**question))
        assert expected
        assert said(store.get_triplets(**question)) == expected, question
    assert store.get_triplets() == []
    for has_text in (False, True):
        asked = [it.as_retriever(include_text=has_text).retrieve("lute?") for it in (theirs, ours)]
        # relations come from a set in LlamaIndex's own store, so lines in any order
        expected_lines, lines = (
            {frozenset(node.text.splitlines()) for node in found} for found in asked
        )
        assert lines == expected_lines
        assert any("Banjo -> broader -> String instrument" in text for text in lines)
    # what the index extracted is a part of the space
    (hit,) = space.search("instrument", k=1, graph=GraphExpansion())
    assert hit.path
    assert [it.id for it in space.get(list(TEXTS)) if it is not None] == list(TEXTS)
    assert {it.entity.id for it in space.graph.mentioned_by("n2")} == {"Harp", "String instrument"}


def test_a_deleted_chunk_takes_along_what_only_it_said(store: UniSemPropertyGraphStore) -> None:
    index_over(store)
    store.delete_llama_nodes(["n1"])
    assert store.get_llama_nodes(["n1"]) == []
    assert {node.id for node in store.get()} == {"Harp", "String instrument", "n2"}
    store.delete_llama_nodes(["unknown"])  # LlamaIndex's own store deletes everything then
    assert len(store.get()) == 3


def test_a_graph_that_was_filled_otherwise_is_read(
    store: UniSemPropertyGraphStore, space: SemanticSpace
) -> None:
    space.add([Record(id="photo", text="a man on the porch")])
    space.graph.add(
        [Entity("n:1", "banjo", ("five-string banjo",), "thing", {"n": 1})],
        [OwnRelation("n:1", "broader", "tool"), OwnRelation("tool", "near", "n:1", 2.0)],
        [Mention("photo", "n:1", 0.5)],
    )
    (node,) = store.get(ids=["Five-String BANJO"])
    assert isinstance(node, EntityNode)
    assert (node.id, node.name, node.label) == ("n:1", "banjo", "thing")
    assert node.properties == {"n": 1, TRIPLET_SOURCE_KEY: "photo"}
    assert [how.id for _, how, _ in store.get_rel_map([node], depth=1)] == ["near", "broader"]
    assert [how.id for _, how, _ in store.get_rel_map([node], limit=1)] == ["near"]
    ignoring = store.get_rel_map([node], ignore_rels=["near"])
    assert [how.id for _, how, _ in ignoring] == ["broader"]
    assert asyncio.run(store.aget_rel_map([node])) == store.get_rel_map([node])
    store.upsert_nodes([EntityNode(name="n:1", label="thing", properties={"n": 2})])
    assert space.graph.get(["n:1"]) == [
        Entity("n:1", "banjo", ("five-string banjo",), "thing", {"n": 2})
    ]
    assert store.get_schema() == {"entities": 2, "relations": {"broader": 1, "near": 1}}
    store.delete(relation_names=["near"])
    assert [how.id for _, how, _ in store.get_triplets(ids=["tool"])] == ["broader"]
    store.delete(ids=["n:1", "photo"])
    assert [it.id for it in space.graph.entities()] == ["tool"]
    assert space.get(["photo"]) != [None]  # it did not come as a node


def test_depth_is_counted_in_relations(store: UniSemPropertyGraphStore) -> None:
    chain = [Relation(label="next", source_id=a, target_id=b) for a, b in ("ab", "bc", "cd")]
    store.upsert_relations(chain)
    for depth in range(4):
        found = store.get_rel_map(store.get(ids=["a"]), depth=depth)
        assert [it.id for it, _, _ in found] == list("abc"[:depth])


def test_what_it_cannot_do_is_said(store: UniSemPropertyGraphStore) -> None:
    with pytest.raises(GraphError, match="no query language"):
        store.structured_query("MATCH (n) RETURN n")
    with pytest.raises(GraphError, match="vector_store"):
        store.vector_query(None)
    with pytest.raises(TypeError, match="a list of strings"):
        store.get(ids="banjo")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="SemanticSpace, not str"):
        UniSemPropertyGraphStore("photos")  # type: ignore[arg-type]
