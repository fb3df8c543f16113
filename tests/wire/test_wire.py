"""Values survive the way over the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pictures import encoded, solid
from unisem import Record
from unisem.errors import FilterError, ImageError
from unisem.filters import And, Comparison, Filter, Not, Operator, Or
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.stores.hits import Hit
from unisem.wire import (
    NewRecord,
    WireHit,
    WireImage,
    WireRecord,
    data_uri,
    filter_of,
    picture_of,
    wire_filter,
)

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=9)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(TEXT, st.integers(-(2**70), 2**70), st.booleans(), FLOATS)


def comparisons(operators: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[Filter]:
    return st.builds(Comparison, TEXT, st.sampled_from(operators.split()).map(Operator), values)


COMPARISONS = st.one_of(
    comparisons("eq ne lt ge contains", VALUES),
    comparisons("in not_in any all", st.lists(VALUES, max_size=3)),
    comparisons("text text_insensitive", TEXT),
    comparisons("exists is_empty", st.none()),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: Or(tuple(parts))),
        part.map(Not),
    ),
    max_leaves=8,
)


@given(FILTERS)
def test_filters_come_back(condition: Filter) -> None:
    sent = json.loads(json.dumps(wire_filter(condition)))
    assert repr(filter_of(sent)) == repr(condition)


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        "year > 3",
        {},
        {"and": {}},
        {"and": [], "or": []},
        {"field": "a", "operator": "eq", "value": 1, "more": 2},
        {"field": "a", "operator": "like", "value": 1},
        {"field": "\0source", "operator": "eq", "value": "a"},
        {"field": "a", "operator": "in", "value": "abc"},
        {"field": "a", "operator": "ge", "value": {}},
        {"field": 1, "operator": "eq", "value": 1},
    ],
)
def test_what_is_no_filter_is_refused(tree: object) -> None:
    with pytest.raises(FilterError, match="filter"):
        filter_of(tree)


def test_a_bottomless_filter_is_refused() -> None:
    tree: dict[str, object] = {"field": "a", "operator": "eq", "value": 1}
    for _ in range(5000):
        tree = {"not": tree}
    with pytest.raises(FilterError, match="deeper"):
        filter_of(tree)


@given(
    score=st.floats(allow_nan=False, allow_infinity=False), relevance=st.none() | st.floats(0, 1)
)
def test_hits_come_back_to_the_bit(score: float, relevance: float | None) -> None:
    image = ImageRef(sha256="ab", mime_type="image/png", width=3, height=4, data=b"")
    record = Record(
        id="a/b",
        text="t",
        image=image,
        metadata={"big": 2**200, "list": [1, 2.5, None, {"x": "ä"}]},
        source_id="s",
        links={"next": "c"},
        payload={"p": [True]},
    )
    copy = Record(id="copy", image=image, metadata={"x": 2})
    hit = Hit(record, score, "image", relevance, judged=None, copies=(copy,))
    sent = WireHit.of(hit, lambda it: f"/{it.id}").model_dump_json()
    received = WireHit.model_validate_json(sent)
    assert received.to_core(lambda wire: wire.to_core(lambda _: image)) == hit
    assert [it.image and it.image.url for it in (received.record, *received.copies)] == [
        "/a/b",
        "/copy",
    ]


def test_a_region_comes_back_without_its_path() -> None:
    region = Region(page=3, box=(1, 2, 3, 4), document="aa")
    image = ImageRef(path="/secret/a.pdf", region=region, sha256="ab")  # type: ignore[arg-type]
    sent = WireRecord.of(Record(id="a", image=image), "/there").model_dump_json()
    assert "secret" not in sent
    wire = WireRecord.model_validate_json(sent).image
    assert isinstance(wire, WireImage)
    assert wire.to_region() == region


def test_a_new_record_brings_its_picture() -> None:
    data = encoded(solid("red"))
    sent = NewRecord.of(Record(id="a", image=data, metadata={"x": 1})).model_dump_json()
    record = NewRecord.model_validate_json(sent).to_core()
    assert record.image is not None
    assert (record.id, record.image.data, record.metadata) == ("a", data, {"x": 1})


def test_pictures_are_data_and_nothing_else() -> None:
    data = encoded(solid("red"))
    assert picture_of(data_uri(data)) == data
    for other in ("", "data:", "http://a/b", "data:text/html;base64,AAAA", "data:image/png,AAAA"):
        with pytest.raises(ImageError, match="data URI"):
            picture_of(other)
