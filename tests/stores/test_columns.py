"""Columns decide filters as the oracle does, however records arrive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.test_filters import FILTERS, METADATA
from unisem.filters import Field, Filter, fields_of, look_up, matches
from unisem.stores.faiss.columns import Column, evaluate


def columns_of(batches: list[list[dict[str, Any]]], fields: set[str]) -> dict[str, Column]:
    columns = {field: Column() for field in fields}
    start = 0
    for batch in batches:
        for field, column in columns.items():
            found = [look_up(metadata, field) for metadata in batch]
            ordinals = [start + n for n, (present, _) in enumerate(found) if present]
            values = [value for present, value in found if present]
            column.extend(np.array(ordinals, np.int64), values, start + len(batch))
        start += len(batch)
    return columns


@given(FILTERS, st.lists(st.lists(METADATA, max_size=4), max_size=4))
@settings(max_examples=examples(150))
def test_columns_mean_what_python_means(
    condition: Filter, batches: list[list[dict[str, Any]]]
) -> None:
    everything = [metadata for batch in batches for metadata in batch]
    columns = columns_of(batches, fields_of(condition))
    mask = evaluate(condition, columns, len(everything))
    assert mask.tolist() == [matches(condition, metadata) for metadata in everything]


@pytest.mark.parametrize("value", [2**53, 2**53 + 1, -(2**60), 2.0**53, 10**30])
def test_large_integers_keep_their_order(value: float) -> None:
    batch = [{"n": n} for n in (2**53 - 1, 2**53, 2**53 + 1, -(2**60), 0.5, "x")]
    column = columns_of([batch], {"n"})["n"]
    for condition in (Field("n") > value, Field("n") <= value, Field("n") == value):
        assert column.mask(condition, 6).tolist() == [matches(condition, m) for m in batch]


def test_an_earlier_length_sees_earlier_records_only() -> None:
    column = columns_of([[{"a": 1}], [{"a": 2}, {}]], {"a"})["a"]
    assert column.mask(Field("a") >= 1, 1).tolist() == [True]
    assert column.mask(Field("a") >= 1, 3).tolist() == [True, True, False]
