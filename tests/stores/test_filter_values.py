"""Values at the edge: what `matches` says, search, select and delete do."""

from __future__ import annotations

import sys
from functools import reduce
from operator import or_
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.toy import ToyEncoder
from tests.test_filters import EDGES, comparisons
from unisem import Record, SemanticSpace
from unisem.errors import RecordError
from unisem.filters import Comparison, Field, Filter, Operator, matches
from unisem.records import MAX_DEPTH
from unisem.stores.selection import Selection

VALUES: list[Any] = [*EDGES, *([value, "a"] for value in EDGES), True, False, "1", None, [], [True]]


def ids_by_each_evaluator(space: SemanticSpace, condition: Filter) -> list[set[str]]:
    records = list(space.store.select())
    return [
        {record.id for record in records if matches(condition, record.metadata)},
        {hit.record.id for hit in space.search(text="q", k=len(records), filter=condition)},
        {record.id for record in space.store.select(Selection(filter=condition))},
    ]


def filled() -> SemanticSpace:
    space = SemanticSpace.open(None, encoder=ToyEncoder())
    space.add(
        Record(id=str(n), text="a", metadata={"a": value, "b": n}) for n, value in enumerate(VALUES)
    )
    return space


@given(st.lists(comparisons(), min_size=1, max_size=2).map(lambda parts: reduce(or_, parts)))
@settings(max_examples=examples(60))
def test_every_evaluator_agrees(condition: Filter) -> None:
    expected, *others = ids_by_each_evaluator(SPACE, condition)
    assert others == [expected, expected]


SPACE = filled()


@pytest.mark.parametrize("value", [3, 2**64 + 1, [1, 3], None])
def test_a_path_leads_into_dictionaries_for_every_evaluator(value: Any) -> None:
    nested = [
        {"loc": {"lines": {"from": value}}},
        {"loc": {"lines": {"from": "x"}}},
        {"loc": {"lines": [{"from": value}]}},
        {"loc": 1, "loc.lines.from": value},
        {"loc.lines.from": "x", "loc": {"lines": {"from": value}}},
        {"loc.lines": {"from": value}},
    ]
    operator = Operator.CONTAINS if isinstance(value, list) else Operator.EQ
    wanted = value[1] if isinstance(value, list) else value
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add(Record(id=str(n), text="a", metadata=it) for n, it in enumerate(nested))
        found = Comparison("loc.lines.from", operator, wanted)
        for condition, expected in ((found, {"0", "3"}), (~found, {"1", "2", "4", "5"})):
            assert ids_by_each_evaluator(space, condition) == [expected] * 3
        assert space.delete(filter=found) == 2


@pytest.mark.parametrize("one", [2**63, 2**63 + 1, 2**64 - 1, 2**64 + 1, -(2**63) - 3, 2**999])
@pytest.mark.parametrize("operator", [Operator.EQ, Operator.IN, Operator.CONTAINS])
def test_large_integers_are_told_apart(one: int, operator: Operator) -> None:
    values = [one - 1, one, one + 1, float(one)]
    lists = operator is Operator.CONTAINS
    condition = Comparison("x", operator, [one] if operator is Operator.IN else one)
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add(
            Record(id=str(n), text="a", metadata={"x": [value] if lists else value})
            for n, value in enumerate(values)
        )
        expected = {str(n) for n, value in enumerate(values) if value == one}
        assert ids_by_each_evaluator(space, condition) == [expected] * 3
        assert space.delete(filter=condition) == len(expected)
        assert {record.id for record in space.store.select()} == {*"0123"} - expected


def test_thousands_of_conditions() -> None:
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add(Record(id=f"a{n}", text="a", metadata={"n": n, "m": -n}) for n in range(300))
        wanted = reduce(
            or_, [(Field("n") == n) | (Field("m") < -n - 290) for n in range(0, 3000, 2)]
        )
        expected, *others = ids_by_each_evaluator(space, wanted)
        assert len(expected) == 155
        assert others == [expected, expected]
        assert space.delete(filter=wanted) == 155


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_accepted_can_be_read_back() -> None:
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        metadata = {"x": nested(MAX_DEPTH - 1), "y": 1}
        space.add([Record(id="deep", text="deep", metadata=metadata, payload=metadata)])
        (found,) = space.get(["deep"])
        assert found is not None
        assert found.metadata == found.payload == metadata
        assert ids_by_each_evaluator(space, Field("y") == 1) == [{"deep"}] * 3
        assert space.delete(["deep"]) == 1


@pytest.mark.parametrize("part", ["metadata", "payload"])
@pytest.mark.parametrize(
    "value",
    [nested(MAX_DEPTH), nested(980), 10**5000, -(2**1001), [10**400]],
    ids=["deep", "deeper", "5,000 digits", "below", "in a list"],
)
def test_what_could_not_be_read_back_is_refused(part: str, value: Any) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # a thread with room for it
    try:
        with pytest.raises(RecordError, match=r"deeper|bits"):
            Record(id="a", text="a", **{part: {"x": value}})
    finally:
        sys.setrecursionlimit(limit)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecordError, match="deeper"):
        Record(id="a", text="a", metadata={"x": endless})
