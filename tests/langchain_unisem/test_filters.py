"""`to_filter` against an evaluator of the same dictionaries, written apart from it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_unisem import UniSemRetriever
from langchain_unisem.filters import to_filter
from tests.support.examples import examples
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import FilterError
from unisem.filters import Field, matches

ORDER = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
MISSING = object()


def holds(condition: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """The documented meaning, by interpretation."""
    return all(_entry(key, value, metadata) for key, value in condition.items())


def _entry(key: str, value: Any, metadata: Mapping[str, Any]) -> bool:
    if key == "$and":
        return all(holds(part, metadata) for part in value)
    if key == "$or":
        return any(holds(part, metadata) for part in value)
    if key == "$not":
        return not holds(value, metadata)
    return _on_field(metadata.get(key, MISSING), value)


def _on_field(stored: Any, value: Any) -> bool:
    if not isinstance(value, dict):
        return _equal(stored, value)
    results = []
    for name, operand in value.items():
        if name == "$not":
            results.append(not _on_field(stored, operand))
        elif name == "$exists":
            results.append((stored is not MISSING) == operand)
        elif name == "$eq":
            results.append(_equal(stored, operand))
        elif name in ("$ne", "$neq"):
            results.append(not _equal(stored, operand))
        elif name == "$in":
            results.append(any(_equal(stored, item) for item in operand))
        elif name == "$nin":
            results.append(not any(_equal(stored, item) for item in operand))
        elif name == "$contains":
            results.append(isinstance(stored, list) and any(_equal(x, operand) for x in stored))
        else:
            comparable = _type(stored) == _type(operand) in ("number", "text", "truth")
            results.append(comparable and ORDER[name](stored, operand))
    return all(results)


def _equal(stored: Any, value: Any) -> bool:
    return _type(stored) == _type(value) and _type(value) != "other" and stored == value


def _type(value: Any) -> str:
    if value is MISSING or isinstance(value, list):
        return "other"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "text"


scalars = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.5, 1.0]), st.sampled_from(["", "a", "b"]), st.booleans()
)
fields = st.sampled_from(["x", "y", "z"])
nullable = st.none() | scalars
operations = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$neq"]), nullable),
    st.tuples(st.sampled_from([*ORDER, "$contains"]), scalars),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(nullable, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)
on_field = st.recursive(
    nullable | st.lists(operations, min_size=1, max_size=3).map(dict),
    lambda inner: inner.map(lambda value: {"$not": value}),
    max_leaves=3,
)
conditions = st.recursive(
    st.dictionaries(fields, on_field, max_size=2),
    lambda inner: st.one_of(
        st.tuples(st.dictionaries(fields, on_field, max_size=1), inner).map(
            lambda pair: pair[0] | {"$not": pair[1]}
        ),
        st.tuples(
            st.dictionaries(fields, on_field, max_size=1),
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=1, max_size=3),
        ).map(lambda parts: parts[0] | {parts[1]: parts[2]}),
    ),
    max_leaves=5,
)
metadatas = st.dictionaries(fields, nullable | st.lists(scalars, max_size=3), max_size=3)


@settings(max_examples=examples(80))
@given(conditions, metadatas)
def test_means_what_it_says(condition: dict[str, Any], metadata: dict[str, Any]) -> None:
    translated = to_filter(condition)
    assert translated is not None
    assert matches(translated, metadata) == holds(condition, metadata)


def test_through_the_search(encoder: ToyEncoder) -> None:
    metadata: list[dict[str, Any]] = [
        {"year": 1999, "city": "Oslo", "tags": ["cat", "red"]},
        {"year": 2020, "city": "Rome", "tags": []},
        {"year": 2024.5, "city": None},
        {"year": "2024", "seen": True},
        {},
    ]
    filters: list[dict[str, Any]] = [
        {},
        {"year": 2020},
        {"city": None},
        {"year": {"$gte": 2000, "$lt": 2024}},
        {"year": {"$ne": 2020}},
        {"year": {"$neq": 2020}, "city": "Oslo"},
        {"city": {"$in": ["Oslo", None]}},
        {"city": {"$nin": ["Oslo", "Rome"]}},
        {"tags": {"$contains": "cat"}},
        {"seen": True},
        {"seen": {"$exists": False}},
        {"$or": [{"city": "Rome"}, {"seen": True}]},
        {"$and": [{"year": {"$gt": 1990}}, {"year": {"$lte": 2020}}], "city": "Rome"},
        {"$not": {"year": {"$gt": 1990}}},
        {"year": {"$not": {"$gt": 1990}}},
    ]
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add([Record(id=str(n), text="card", metadata=m) for n, m in enumerate(metadata)])
        retriever = UniSemRetriever(space=space, k=10)
        for condition in filters:
            expected = {str(n) for n, m in enumerate(metadata) if holds(condition, m)}
            found = retriever.invoke("card", filter=condition)
            assert {document.id for document in found} == expected, condition
            for again in (
                UniSemRetriever(space=space, k=10, filter=condition).invoke("card"),
                retriever.invoke("card", filter=to_filter(condition)),
            ):
                assert again == found


def test_filters_pass_through() -> None:
    condition = Field("year") >= 2020
    assert to_filter(condition) is condition
    assert to_filter(None) is None
    nested = to_filter({"$and": [condition, {"city": "Oslo"}]})
    assert nested is not None
    assert matches(nested, {"year": 2021, "city": "Oslo"})
    assert not matches(nested, {"year": 2019, "city": "Oslo"})


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"$nor": [{"a": 1}]}, r"unknown filter operator '\$nor' where a field or one of \$and"),
        ({"$eq": 1}, r"unknown filter operator '\$eq'"),
        ({"a": {"$regex": "x"}}, r"unknown filter operator '\$regex' on 'a', where one of \$eq"),
        ({"a": {"gt": 1}}, "unknown filter operator 'gt' on 'a'"),
        ({"a": {"$gt": 1, "b": 2}}, "unknown filter operator 'b'"),
        ({"a": {}}, "filter on 'a': the dictionary of operators is empty"),
        ({"a": [1, 2]}, r"filter on 'a': for one of several values write \{\"\$in\": \[...\]\}"),
        ({"a": {"$in": 1}}, "'in' needs a list of values, not 1"),
        ({"a": {"$in": "abc"}}, "'in' needs a list of values, not 'abc'"),
        ({"a": {"$gt": None}}, "'gt' needs a string, number, boolean or date, not NoneType"),
        ({"a": {"$gt": [1]}}, "'gt' needs a string, number, boolean or date, not list"),
        ({"a": object()}, "'eq' needs a string, number, boolean or date, not object"),
        ({"a": {"$exists": 1}}, r"filter on 'a': \$exists needs True or False, not 1"),
        ({"$and": []}, r"\$and needs a list of at least one condition"),
        ({"$or": {"a": 1}}, r"\$or needs a list of at least one condition"),
        ({"$or": [None]}, "must be a dictionary or a unisem.filters.Filter, not NoneType"),
        ({"$not": [{"a": 1}]}, "must be a dictionary or a unisem.filters.Filter, not list"),
        ({1: 2}, "a filter's keys are field names; 1 is no string"),
        ("year > 2020", "must be a dictionary or a unisem.filters.Filter, not str"),
        (lambda document: True, "not function; a function cannot be decided inside the search"),
    ],
)
def test_bad_filters(condition: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        to_filter(condition)


@pytest.mark.parametrize("depth", [40, 3_000, 100_000])
@pytest.mark.parametrize("wrap", [lambda inner: {"$not": inner}, lambda inner: {"$and": [inner]}])
def test_nesting_without_end_is_refused(depth: int, wrap: Callable[[Any], Any]) -> None:
    condition: Any = {"year": 2024}
    for _ in range(depth):
        condition = wrap(condition)
    with pytest.raises(FilterError, match="nested deeper"):
        to_filter(condition)
