"""Filters: their meaning in Python, and that the compiled SQL means the same."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from unisem.common import json_values
from unisem.common.json_values import kind, same
from unisem.errors import FilterError
from unisem.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    And,
    Comparison,
    Field,
    Filter,
    Not,
    Operator,
    Or,
    conditions_in,
    matches,
    narrows,
)
from unisem.stores.faiss.sql import compile_filter, define_functions

TIGER = {"year": 2024, "tags": ["cat", "striped"], "title": "Tiger", "rare": True, "note": None}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Field("year") == 2024, True),
        (Field("year") == 2024.0, True),
        (Field("year") == "2024", False),
        (Field("year") >= 2024, True),
        (Field("year") > 2024, False),
        (Field("year") < "3", False),
        (Field("rare") == True, True),  # noqa: E712
        (Field("rare") == 1, False),
        (Field("title") > "Panther", True),
        (Field("missing") == 1, False),
        (Field("missing") != 1, True),
        (Field("missing") < 1, False),
        (Field("missing").not_in([1, 2]), True),
        (Field("missing").is_empty(), True),
        (Field("note").is_empty(), True),
        (Field("note").exists(), True),
        (Field("note") == None, True),  # noqa: E711
        (Field("missing").exists(), False),
        (Field("tags").contains("cat"), True),
        (Field("tags").contains("ca"), False),
        (Field("title").contains("Tig"), False),
        (Field("tags").any_of(["dog", "cat"]), True),
        (Field("tags").all_of(["striped", "cat"]), True),
        (Field("tags").all_of(["dog", "cat"]), False),
        (Field("tags").all_of([]), True),
        (Field("title").matches_text("ige"), True),
        (Field("title").matches_text("IGE"), False),
        (Field("title").matches_text("IGE", ignore_case=True), True),
        (Field("year").matches_text("20"), False),
        (Field("year").is_in([1, 2024]), True),
        (Field("year").is_in([]), False),
        (~(Field("year") == 2024) | Field("rare").exists(), True),
        (And(()), True),
        (Or(()), False),
    ],
)
def test_meaning(condition: Filter, expected: bool) -> None:
    assert matches(condition, TIGER) is expected
    assert sql_matches(condition, TIGER) is expected


def test_dates_compare_as_iso_strings() -> None:
    condition = Field("taken") >= date(2024, 5, 1)
    assert matches(condition, {"taken": "2024-05-02"})
    assert not matches(condition, {"taken": "2024-04-30"})


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        (Operator.IN, "abc"),
        (Operator.IN, 3),
        (Operator.TEXT, 3),
        (Operator.GT, None),
        (Operator.GT, [1]),
        (Operator.EQ, {"a": 1}),
        (Operator.CONTAINS, [1]),
    ],
)
def test_values_that_mean_nothing_are_refused_with_the_field_named(
    operator: Operator, value: Any
) -> None:
    with pytest.raises(FilterError, match="'colour'"):
        Comparison("colour", operator, value)


def test_large_and_deep_filters() -> None:
    many = Field("year").is_in(list(range(100_000)))
    assert sql_matches(many, TIGER)
    wide = Or(tuple(Field("year") == n for n in range(2000, 5000)))
    assert sql_matches(wide, TIGER)
    deep: Filter = Field("year") == 2024
    while deep.depth + 4 <= MAX_DEPTH:
        deep = And((Or((Not(Not(deep)), Field("no") == 1)), Field("rare").exists()))
    assert deep.depth > MAX_DEPTH - 4
    assert sql_matches(deep, TIGER)
    while deep.depth < MAX_DEPTH:
        deep = ~deep
    with pytest.raises(FilterError, match="nested deeper"):
        Not(deep)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (And(()), False),
        (Or(()), True),
        (Not(And(())), True),
        (Not(Or(())), False),
        (And((And(()), Not(Or(())))), False),
        (Or((Field("x") == 1, And(()))), False),
        (And((Field("x") == 1, And(()))), True),
        (Or((Field("x") == 1, Or(()))), True),
        (Not(And((Field("x") == 1, Or(())))), False),
        (Field("x").not_in([]), False),
        (~Field("x").is_in([]), False),
        (Field("x").is_in([]), True),
        (Field("x").not_in([1]), True),
    ],
)
def test_which_filters_narrow(condition: Filter, expected: bool) -> None:
    assert narrows(condition) is expected
    some = [TIGER, {}, {"x": 1}, {"x": [1]}, {"x": None}]
    assert narrows(condition) is not all(matches(condition, metadata) for metadata in some)


@pytest.mark.parametrize("join", [and_, or_])
def test_conditions_joined_one_by_one_are_one_level(join: Callable[..., Filter]) -> None:
    parts = [Field(f"f{n % 7}") == n for n in range(MAX_CONDITIONS)]
    many = reduce(join, parts)
    assert isinstance(many, And | Or)
    assert (many.parts, many.depth, many.size) == (tuple(parts), 2, MAX_CONDITIONS)
    assert reduce(lambda right, left: join(left, right), reversed(parts[:50])) == reduce(
        join, parts[:50]
    )
    assert type(many)(many.parts) == many
    assert sql_matches(many, {"f3": 3}) is matches(many, {"f3": 3})
    with pytest.raises(FilterError, match="use is_in"):
        join(many, Field("x") == 1)


def test_different_fields_by_the_thousand() -> None:
    many = reduce(or_, [Field(f"f{n}") > n for n in range(3000)])
    assert sql_matches(many, {"f2999": 3000})
    assert not sql_matches(many, {"f2999": 2999})


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinity_is_beyond_every_number(value: float) -> None:
    for condition in (
        Field("year") < value,
        Field("year") > value,
        Field("year") == value,
        Field("year").is_in([value, 2024]),
        Field("big") < value,
        Field("big").not_in([value]),
    ):
        metadata = {"year": 2024, "big": 2**64}
        assert sql_matches(condition, metadata) is matches(condition, metadata)


@pytest.mark.parametrize("value", [10**5000, [10**400], -(2**1001)], ids=["5,000", "list", "-"])
def test_endless_integers_are_refused(value: Any) -> None:
    with pytest.raises(FilterError, match="bits"):
        Comparison("colour", Operator.ANY if isinstance(value, list) else Operator.EQ, value)


@pytest.mark.parametrize("build", [lambda: Field("a") == "\ud800", lambda: Field("\udfff") == 1])
def test_lone_surrogates_are_refused(build: Callable[[], Filter]) -> None:
    with pytest.raises(FilterError, match="Unicode"):
        build()


@pytest.mark.parametrize(
    "key", ["a'b", 'a"b', "a.b", "$", "x); DROP TABLE records; --", "", "ключ", "a\\b", "%"]
)
def test_hostile_keys_are_only_keys(key: str) -> None:
    assert sql_matches(Field(key) == 1, {key: 1})
    assert not sql_matches(Field(key) == 1, {"other": 1})


KEYS = st.sampled_from(["a", "b", "a'b", "a.b", "a.b.c"])
EDGES = (
    *(
        sign * (2**power + step)
        for power in (53, 63, 64)
        for step in (-1, 0, 1)
        for sign in (1, -1)
    ),
    *(2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1.7e308, 5e-324, 2**1000 - 1, -0.0),
)
"""Numbers that other numbers are easily taken for."""
SCALARS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.0, 0.5, -1.5, 1.0]),
    st.sampled_from(EDGES),
    st.booleans(),
    st.sampled_from(["", "a", "A", "ab", "ß", "1", "ÄB", "true"]),
)
VALUES = st.one_of(SCALARS, st.none(), st.lists(SCALARS, max_size=3))
NESTED = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=2), max_size=2)
METADATA = st.dictionaries(KEYS, VALUES | NESTED, max_size=3)


def comparisons() -> st.SearchStrategy[Filter]:
    lists = st.lists(st.one_of(SCALARS), max_size=3)
    return st.one_of(
        st.builds(
            Comparison,
            KEYS,
            st.sampled_from([Operator.GT, Operator.GE, Operator.LT, Operator.LE]),
            SCALARS,
        ),
        st.builds(
            Comparison,
            KEYS,
            st.sampled_from([Operator.EQ, Operator.NE]),
            st.one_of(SCALARS, st.none()),
        ),
        st.builds(Comparison, KEYS, st.just(Operator.CONTAINS), SCALARS),
        st.builds(
            Comparison,
            KEYS,
            st.sampled_from([Operator.IN, Operator.NOT_IN, Operator.ANY, Operator.ALL]),
            lists,
        ),
        st.builds(
            Comparison,
            KEYS,
            st.sampled_from([Operator.TEXT, Operator.TEXT_INSENSITIVE]),
            st.sampled_from(["", "a", "B", "ss", "äb"]),
        ),
        st.builds(Comparison, KEYS, st.sampled_from([Operator.EXISTS, Operator.IS_EMPTY])),
    )


FILTERS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(and_, inner, inner),
        st.builds(or_, inner, inner),
    ),
    max_leaves=6,
)


@given(FILTERS, METADATA)
@settings(max_examples=examples(150))
def test_sql_means_what_python_means(condition: Filter, metadata: dict[str, Any]) -> None:
    assert sql_matches(condition, metadata) is matches(condition, metadata)


DATABASE = sqlite3.connect(":memory:")
define_functions(DATABASE)
DATABASE.execute("CREATE TABLE records (metadata TEXT)")


def sql_matches(condition: Filter, metadata: dict[str, Any]) -> bool:
    DATABASE.execute("DELETE FROM records")
    DATABASE.execute("INSERT INTO records VALUES (?)", (json.dumps(metadata),))
    text, parameters = compile_filter(condition)
    return bool(
        DATABASE.execute(f"SELECT count(*) FROM records WHERE {text}", parameters).fetchone()[0]
    )


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 1.0, 0.5, "0", "", "a"])
)


@given(
    operator=st.sampled_from([Operator.IN, Operator.NOT_IN, Operator.ANY, Operator.ALL]),
    wanted=st.lists(PLAIN.filter(lambda value: value is not None), max_size=4),
    stored=st.one_of(PLAIN, st.lists(st.one_of(PLAIN, st.lists(PLAIN, max_size=1)), max_size=4)),
)
def test_several_values_mean_what_each_means(
    operator: Operator, wanted: list[Any], stored: Any
) -> None:
    listed = stored if isinstance(stored, list) else []
    meaning = {
        Operator.IN: any(same(stored, value) for value in wanted),
        Operator.NOT_IN: not any(same(stored, value) for value in wanted),
        Operator.ANY: any(same(item, value) for item in listed for value in wanted),
        Operator.ALL: isinstance(stored, list)
        and all(any(same(item, value) for item in listed) for value in wanted),
    }
    assert matches(Comparison("x", operator, wanted), {"x": stored}) == meaning[operator]


@pytest.mark.parametrize("operator", ["any", "all", "in", "not_in"])
def test_the_values_of_a_list_are_looked_at_once(
    operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def counted(value: object) -> str:
        nonlocal looked
        looked += 1
        return kind(value)

    monkeypatch.setattr(json_values, "kind", counted)
    condition = Comparison("x", Operator(operator), list(range(1000)))
    for n in range(100):
        matches(condition, {"x": [n, n + 5000]})
    assert looked < 10_000  # and not for each record anew


def test_conditions_are_counted_as_they_are_looked_at() -> None:
    one = Field("x") == 1
    assert conditions_in(one) == conditions_in(~one) == conditions_in(one | (Field("x") == 2)) == 1
    assert conditions_in(one & (Field("x") == 2)) == 2
    assert conditions_in((one | (Field("y") == 1)) & ~(Field("x").is_in([1]) | one)) == 3
    assert conditions_in(And(())) == 0
