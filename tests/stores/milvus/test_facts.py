"""Expressions of Milvus against `matches`, over values at every edge."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import and_, or_
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stores.contract.items import query
from tests.stores.milvus.conftest import opened
from tests.support.examples import examples
from tests.support.milvus_lite import milvus_place
from tests.test_filters import EDGES, comparisons
from unisem import Record
from unisem.filters import SOURCE, Comparison, Field, Filter, Operator, matches
from unisem.records import EmbeddedRecord
from unisem.stores.milvus import MilvusStore
from unisem.stores.milvus.facts import MOST_FACTS, OTHER, facts_of, said
from unisem.stores.selection import Selection

LONG = "ö" * 70  # of whose bytes some are cut off
VALUES: list[Any] = [
    *EDGES,
    *([value, "a"] for value in EDGES),
    *(True, False, "1", None, [], [True], "", {}, {"b": 1}, LONG, LONG + "a", [[1], 2], [None]),
    *(2**53, 2**53 + 1, 2**63, -(2**64) - 1, 2**999, 1e300, -0.0, 5e-324, "2024-06-15", "漢字"),
]
METADATA: list[dict[str, Any]] = [
    *({"a": value, "b": number} for number, value in enumerate(VALUES)),
    {},
    {"a": {"b": {"c": 3}}},
    {"a": {"b.c": 3}, "a.b": {"c": 4}},
    {"a.b.c": "x", "a": {"b": {"c": 3}}},
    {"": 1, "a": {"": 2}},
]
RECORDS = [Record(id=str(n), text="a", metadata=it) for n, it in enumerate(METADATA)]


@pytest.fixture(scope="module")
def filled() -> Iterator[MilvusStore]:
    store = opened(milvus_place())
    store.add([EmbeddedRecord(record, {"text": query(0)}) for record in RECORDS])
    yield store
    store.close()


def found(store: MilvusStore, expression: str) -> set[str]:
    pages = store._batches.pages(expression, ("pk", "key", "body", "pieces"))
    return {record.id for page in pages for record in store._records(page)}


def check(store: MilvusStore, condition: Filter) -> None:
    expected = {record.id for record in RECORDS if matches(condition, record.metadata)}
    told = {record.id for record in RECORDS if OTHER not in facts_of(record).facts}
    expression, is_exact = said(condition)
    by_milvus = found(store, expression) & told
    assert by_milvus >= expected & told
    if is_exact:
        assert by_milvus == expected & told
    assert {record.id for record in store.select(Selection(filter=condition))} == expected


FIELDS = ("a", "a.b", "a.b.c", "", "a.", "absent")


@given(
    st.lists(comparisons(), min_size=1, max_size=3),
    st.sampled_from([and_, or_]),
    st.booleans(),
)
@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_conditions(filled: MilvusStore, parts: list[Filter], join: Any, turned: bool) -> None:
    condition = reduce(join, parts)
    check(filled, ~condition if turned else condition)


SCALARS = [*EDGES, True, "1", "", LONG, LONG + "a", 2**53 + 1, 2**999, -(2**999), 1e300, "2024-07"]


@pytest.mark.parametrize(
    "operator",
    [
        Operator.GE,
        *(
            pytest.param(it, marks=pytest.mark.slow)
            for it in (Operator.GT, Operator.LT, Operator.LE)
        ),
    ],
)
def test_order(filled: MilvusStore, operator: Operator) -> None:
    for value in SCALARS:
        check(filled, Comparison("a", operator, value))
        check(filled, ~Comparison("a", operator, value))


def test_equality(filled: MilvusStore) -> None:
    for value in [*SCALARS, None, (), (True,), (1, "a")]:
        check(filled, Comparison("a", Operator.EQ, value))
        check(filled, Comparison("a", Operator.NE, value))


def test_paths(filled: MilvusStore) -> None:
    for name in FIELDS:
        for condition in (Field(name).exists(), Field(name).is_empty(), Field(name) >= 2):
            check(filled, condition)
            check(filled, ~condition)


def test_what_milvus_cannot_say_is_decided_before_the_search(filled: MilvusStore) -> None:
    said_in = Field("a").matches_text("Ö", ignore_case=True) & (Field("b") >= 0)
    expected = {record.id for record in RECORDS if matches(said_in, record.metadata)}
    hits = filled.search(query(0)[None], len(expected), Selection(filter=said_in))[0]
    assert {hit.record.id for hit in hits} == expected
    assert expected


def test_a_record_with_too_much_to_say_is_compared_when_it_is_read() -> None:
    many = Record(id="many", text="x", metadata={"tags": [f"t{n}" for n in range(MOST_FACTS)]})
    large = Record(id="large", text="x", metadata={f"f{n}": "long " * 40 for n in range(400)})
    few = Record(id="few", text="x", metadata={"tags": ["t7"]}, source_id="s")
    assert facts_of(few).facts != [OTHER]
    with_closing = opened(milvus_place())
    with_closing.add([EmbeddedRecord(it, {"text": query(0)}) for it in (many, large, few)])
    for store in (with_closing,):
        for tag, expected in (("t7", ["few", "many"]), ("t8", ["many"]), ("t", [])):
            chosen = Selection(filter=Field("tags").contains(tag))
            assert sorted(hit.record.id for hit in store.search(query(0)[None], 5, chosen)[0]) == (
                expected
            )
            assert store.count(chosen) == len(expected)
        assert store.get(["large"]) == [large]
        assert store.count(Selection(filter=Field("f399").exists())) == 1
    with_closing.close()


def test_sources_are_a_field_of_their_own() -> None:
    record = Record(id="a", text="a", source_id="s", metadata={"source": "s"})
    same = Record(id="a", text="a", source_id="s")
    assert set(facts_of(record).facts) > set(facts_of(same).facts)
    assert said(Field(SOURCE) == "s")[0].count('"') == 2
