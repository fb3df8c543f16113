"""LlamaIndex's filters mean in UniSem what they mean in LlamaIndex's own store."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    ExactMatchFilter,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from llama_index_unisem import UniSemVectorStore
from llama_index_unisem.filters import to_filter
from unisem.errors import FilterError
from unisem.filters import And, Field, matches

METADATA: list[dict[str, Any]] = [
    {},
    {"year": 1999, "city": "Oslo", "tags": ["cat", "red"]},
    {"year": 2020, "city": "Rome", "tags": []},
    {"year": 2020.5, "city": "", "tags": ["dog"]},
    {"year": None, "city": None, "tags": None},
    {"city": "new rome"},
]
SUITABLE: dict[str, list[tuple[FilterOperator, Any]]] = {
    "year": [
        (operator, 2020)
        for operator in (
            FilterOperator.EQ,
            FilterOperator.NE,
            FilterOperator.GT,
            FilterOperator.GTE,
            FilterOperator.LT,
            FilterOperator.LTE,
        )
    ]
    + [(FilterOperator.IN, [1999, 2020]), (FilterOperator.NIN, [1999])],
    "city": [
        (FilterOperator.EQ, "Oslo"),
        (FilterOperator.NE, "Oslo"),
        (FilterOperator.GT, "P"),
        (FilterOperator.IN, ["Oslo", "Rome"]),
        (FilterOperator.NIN, ["Oslo", "Rome"]),
        (FilterOperator.TEXT_MATCH, "Rom"),
        (FilterOperator.TEXT_MATCH_INSENSITIVE, "ROM"),
    ],
    "tags": [
        (FilterOperator.CONTAINS, "cat"),
        (FilterOperator.ANY, ["cat", "dog"]),
        (FilterOperator.ALL, ["cat", "red"]),
    ],
}
LEAVES = [
    MetadataFilter(key=key, operator=operator, value=value)
    for key, pairs in SUITABLE.items()
    for operator, value in [*pairs, (FilterOperator.IS_EMPTY, None)]
]


def reference(filters: MetadataFilters, metadata: dict[str, Any]) -> bool:
    """LlamaIndex's own evaluation, which stops at nested filters; ours goes on with them."""
    if not filters.filters:
        return True
    found = [
        reference(part, metadata)
        if isinstance(part, MetadataFilters)
        else build_metadata_filter_fn(lambda _: metadata, MetadataFilters(filters=[part]))("id")
        for part in filters.filters
    ]
    match filters.condition:
        case FilterCondition.OR:
            return any(found)
        case FilterCondition.NOT:
            return not any(found)
    return all(found)


def ours(filters: MetadataFilters, metadata: dict[str, Any]) -> bool:
    translated = to_filter(filters)
    return True if translated is None else matches(translated, metadata)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: f"{leaf.key} {leaf.operator.value}")
def test_every_operator_agrees_with_llama_index(leaf: MetadataFilter) -> None:
    for metadata in METADATA:
        filters = MetadataFilters(filters=[leaf])
        assert ours(filters, metadata) == reference(filters, metadata), metadata


def test_every_operator_is_covered() -> None:
    assert {leaf.operator for leaf in LEAVES} == set(FilterOperator)


def test_nested_filters_agree_where_llama_index_gives_up() -> None:
    chance = random.Random(5)

    def tree(depth: int) -> MetadataFilters:
        return MetadataFilters(
            filters=[
                tree(depth - 1) if depth and chance.random() < 0.5 else chance.choice(LEAVES)
                for _ in range(chance.randint(0, 3))
            ],
            condition=chance.choice([None, *FilterCondition]),
        )

    for _ in range(300):
        filters = tree(3)
        for metadata in METADATA:
            assert ours(filters, metadata) == reference(filters, metadata), filters


def test_what_makes_llama_index_raise_in_the_middle_of_a_search_does_not_match() -> None:
    for operator, value in [
        (FilterOperator.GT, 5),
        (FilterOperator.TEXT_MATCH, "a"),
    ]:
        condition = MetadataFilter(key="year", operator=operator, value=value)
        stored = {"year": "five"} if operator == FilterOperator.GT else {"year": 5}
        with pytest.raises(TypeError):
            reference(MetadataFilters(filters=[condition]), stored)
        assert not ours(MetadataFilters(filters=[condition]), stored)


def test_unisem_filters_pass_and_nothing_stays_nothing() -> None:
    condition = Field("year") >= 2020
    assert to_filter(condition) is condition
    assert to_filter(None) is None
    assert to_filter(MetadataFilters(filters=[])) is None
    exact = to_filter(ExactMatchFilter(key="a", value=1))
    assert exact is not None
    assert matches(exact, {"a": 1})


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"year": 2020}, "not dict"),
        ("year > 2020", "not str"),
        (MetadataFilter(key="a", operator=FilterOperator.IN, value="x"), "needs a list"),
        (MetadataFilter(key="a", operator=FilterOperator.TEXT_MATCH, value=1), "needs a string"),
        (MetadataFilter(key="a", operator=FilterOperator.GT, value=None), "needs a string, number"),
        (MetadataFilter.model_construct(key="a", operator="~", value=1), "unknown operator '~'"),
        (
            MetadataFilters.model_construct(
                filters=[MetadataFilter(key="a", value=1)], condition="xor"
            ),
            "unknown filter condition 'xor'",
        ),
        (SimpleNamespace(filters=[]), "not SimpleNamespace"),
    ],
)
def test_what_means_nothing_is_a_value_error(filters: Any, reason: str) -> None:
    with pytest.raises(FilterError, match=reason) as caught:
        to_filter(filters)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("key", ["ref_doc_id", "doc_id", "document_id"])
@pytest.mark.parametrize(
    ("operator", "value"),
    [("==", "D1"), ("!=", "D1"), ("in", ["D1", "D2"]), ("nin", ["D1"]), ("text_match", "D")],
)
def test_the_document_is_filtered_by_as_in_llama_indexs_store(
    key: str, operator: str, value: Any
) -> None:
    condition = MetadataFilter(key=key, operator=FilterOperator(operator), value=value)
    filters = MetadataFilters(filters=[condition])
    results = []
    for store in (SimpleVectorStore(), UniSemVectorStore()):
        nodes = []
        for name, document in (("a", "D1"), ("b", "D2"), ("c", "E"), ("d", None)):
            node = TextNode(id_=name, text=name, embedding=[1.0, 0.0])
            if document is not None:
                source = RelatedNodeInfo(node_id=document)
                node.relationships[NodeRelationship.SOURCE] = source
            nodes.append(node)
        store.add(nodes)
        query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=9, filters=filters)
        found = sorted(store.query(query).ids or [])
        if isinstance(store, UniSemVectorStore):
            assert sorted(node.node_id for node in store.get_nodes(filters=filters)) == found
            many = (to_filter(filters),) * 300
            assert sorted(n.node_id for n in store.get_nodes(filters=And(many))) == found
        store.delete_nodes(filters=filters)
        query.filters = None
        results.append((found, sorted(store.query(query).ids or [])))
    assert results[0] == results[1]


@pytest.mark.parametrize("operator", ["==", "!="])
@pytest.mark.parametrize("wanted", [["x"], ["x", "y"], [], ["y", "x"]])
def test_a_list_is_compared_with_a_list(operator: str, wanted: list[str]) -> None:
    """Related: run-llama/llama_index #17849."""
    filters = MetadataFilters(
        filters=[MetadataFilter(key="k", value=wanted, operator=FilterOperator(operator))]
    )
    lists: dict[str, Any] = {"empty": [], "one": ["x"], "two": ["x", "y"], "text": "x"}
    results = []
    for store in (SimpleVectorStore(), UniSemVectorStore()):
        store.add(
            [
                TextNode(id_=name, text=name, metadata={"k": value}, embedding=[1.0, 0.0])
                for name, value in lists.items()
            ]
        )
        query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=9, filters=filters)
        results.append(sorted(store.query(query).ids or []))
        if isinstance(store, UniSemVectorStore):
            found = sorted(node.node_id for node in store.get_nodes(filters=filters))
            condition = to_filter(filters)
            assert condition is not None
            either = store.get_nodes(filters=condition | condition)
            assert sorted(node.node_id for node in either) == found == results[-1]
            by_meaning = [name for name, k in lists.items() if matches(condition, {"k": k})]
            assert sorted(by_meaning) == found
    assert results[0] == results[1]
