"""What waits in a record, as its payload keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unisem import Record
from unisem.ingest.unsettled import caption_waiting_in, in_place_of
from unisem.records import Vector, VectorKind

OLD, NEW = Record(id="a", text="a tiger"), Record(id="a", text="a teapot")


def waiting(caption: dict[VectorKind, Vector]) -> Record:
    """A record with vectors that wait in it, as it comes from the disk."""
    record = in_place_of(OLD, NEW, caption)
    return replace(record, payload=json.loads(json.dumps(dict(record.payload))))


def test_vectors_wait_bit_for_bit_and_in_little_room() -> None:
    rng = np.random.default_rng(0)
    caption: dict[VectorKind, Vector] = {
        "text": rng.standard_normal(64, np.float32),
        "both": rng.standard_normal((40, 64), np.float32),
    }
    record = waiting(caption)
    found = caption_waiting_in(record)
    assert found.keys() == caption.keys()
    for kind, rows in caption.items():
        assert found[kind].dtype == np.float32
        assert found[kind].shape == rows.shape
        assert found[kind].tobytes() == rows.tobytes()
    assert len(json.dumps(dict(record.payload))) < 41 * 64 * 4 * 1.5


def test_decimals_of_an_earlier_version_are_read() -> None:
    assert caption_waiting_in(_saying([0.5, -0.25]))["text"].tolist() == [0.5, -0.25]


@pytest.mark.parametrize(
    "said",
    [
        None,
        "AAAA",
        {},
        [[1.0], [1.0, 2.0]],
        {"shape": [1], "data": "?"},
        {"shape": [1], "data": "AAA="},
        {"shape": [2], "data": "AAAAAA=="},
        {"shape": "x", "data": "AAAAAA=="},
        {"shape": [1], "data": 1},
    ],
)
def test_what_is_no_vector_is_not_there(said: Any) -> None:
    assert caption_waiting_in(_saying(said)) == {}


def _saying(said: Any) -> Record:
    return replace(NEW, payload={"unsettled": {"caption": said}})
