"""Records: what they accept, and what they refuse by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import solid
from unisem import Record, records
from unisem.errors import RecordError

TEXTS = ["", "a", "é", "\0", "b\0", "\ud800"]
VALUES = [*TEXTS, 1, 2**2000, 0.5, math.nan, -math.inf, None, True, ["\0"], b"x", {"\0": 1}]


def test_parts_and_modality() -> None:
    text = Record(id="a", text="a tiger")
    picture = Record(id="b", image="tiger.jpg", text="a tiger", metadata={"year": 2024})
    assert (text.modality, picture.modality) == ("text", "image")
    assert picture.image is not None
    assert picture.image.path == Path("tiger.jpg")


def test_ids_are_made_up_and_differ() -> None:
    assert Record(text="x").id != Record(text="x").id


def test_pictures_may_be_bytes_or_pillow() -> None:
    for source in (solid("red"), b"bytes are not looked at yet"):
        image = Record(image=source).image
        assert image is not None
        assert image.data


def test_metadata_is_copied() -> None:
    metadata = {"year": 1}
    record = Record(text="x", metadata=metadata)
    metadata["year"] = 2
    assert record.metadata == {"year": 1}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"when": object()}, r"metadata\['when'\] is object"),
        ({"a": {"b": [1, {2}]}}, r"metadata\['a'\]\['b'\]\[1\] is set"),
        ({"bytes": b"x"}, "is bytes"),
        ({1: "x"}, "key 1"),
        ({"x": float("nan")}, "nan"),
        ({"x": float("inf")}, "inf"),
        ({"x": "\ud800"}, "Unicode"),
        ({"\ud800": 1}, "Unicode"),
    ],
)
def test_metadata_that_is_not_json_is_refused_with_its_key(metadata: Any, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Record(id="r7", text="x", metadata=metadata)
    with pytest.raises(RecordError, match="r7"):
        Record(id="r7", text="x", metadata=metadata)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "neither text nor image"),
        ({"text": "x", "id": ""}, "must not be empty"),
        ({"text": "x", "id": 3}, "id must be a string"),
        ({"text": 3}, "text must be a string"),
        ({"text": "\udfff"}, "Unicode"),
        ({"text": "x", "source_id": 3}, "source_id"),
        ({"text": "x", "links": {"next": 3}}, r"links\['next'\]"),
    ],
)
def test_bad_parts_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Record(**parts)


def test_empty_text_is_a_text() -> None:
    assert Record(text="").modality == "text"


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"id": "a\0b"}, "id"),
        ({"source_id": "a\0"}, "source_id"),
        ({"metadata": {"k": ["x", {"y": "\0"}]}}, r"metadata\['k'\]\[1\]\['y'\]"),
        ({"metadata": {"k\0": 1}}, "the key"),
    ],
)
def test_nul_is_refused_where_things_are_looked_for(parts: dict[str, Any], named: str) -> None:
    with pytest.raises(RecordError, match=named + ".* holds a NUL"):
        Record(**({"text": "a"} | parts))
    assert Record(text="a\0b", payload={"x": "\0"}).text == "a\0b"


@pytest.mark.parametrize("key", [*TEXTS, 3])
def test_what_is_taken_without_a_second_look_would_pass_it(key: Any) -> None:
    for value in VALUES:
        if records._is_plain({"first": 1, key: value}):
            records.check_json({key: value}, "metadata")
            records._check_findable({key: value}, "metadata")
