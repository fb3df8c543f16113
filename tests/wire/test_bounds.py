"""No request makes more values, or more errors, than there is use for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from unisem.wire.base import MOST_ITEMS
from unisem.wire.openai import EmbeddingsRequest, RerankRequest
from unisem.wire.query import WireQuery
from unisem.wire.requests import Deletion, NewRecords, Queries, RecordIds
from unisem.wire.store import (
    EmbeddedItems,
    EmbedRequest,
    IdsRequest,
    Updates,
    WholeRequest,
    WireSelection,
)

MANY = MOST_ITEMS + 1
WRONG: Any = object()  # what is no item of any list, and would be an error of its own


@pytest.mark.parametrize(
    ("kind", "name", "rest"),
    [
        (Queries, "queries", {}),
        (NewRecords, "records", {}),
        (RecordIds, "ids", {}),
        (Deletion, "ids", {}),
        (Deletion, "source_ids", {}),
        (WireQuery, "ids", {}),
        (WireQuery, "source_ids", {}),
        (WireSelection, "ids", {}),
        (WireSelection, "source_ids", {}),
        (IdsRequest, "ids", {}),
        (EmbeddedItems, "items", {}),
        (WholeRequest, "texts", {}),
        (EmbeddingsRequest, "input", {}),
        (RerankRequest, "documents", {"query": "a"}),
    ],
)
def test_a_list_is_measured_before_its_items_are_looked_at(
    kind: type[BaseModel], name: str, rest: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({name: [WRONG] * MANY, **rest})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]
    assert "at most 10,000" in refused.value.errors()[0]["msg"]
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({name: [WRONG] * MOST_ITEMS, **rest})
    assert refused.value.error_count() < 9  # one of each kind of list that it could be


@pytest.mark.parametrize(("kind", "name"), [("texts", "texts"), ("images", "images")])
def test_what_is_embedded(kind: str, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(EmbedRequest).validate_python({"kind": kind, name: [WRONG] * MANY})
    assert refused.value.error_count() == 1


def test_tokens_in_lists() -> None:
    with pytest.raises(ValidationError) as refused:
        EmbeddingsRequest.model_validate({"input": [[WRONG] * MANY]})
    assert refused.value.error_count() < 9


def test_metadata_by_id() -> None:
    with pytest.raises(ValidationError, match="at most 10,000"):
        Updates.model_validate({"metadata": {str(number): {} for number in range(MANY)}})


def test_unknown_fields_are_not_told_one_by_one() -> None:
    with pytest.raises(ValidationError) as refused:
        WireQuery.model_validate({f"x{number}": 0 for number in range(1000)})
    assert refused.value.error_count() == 1
    with pytest.raises(ValidationError) as refused:
        WireQuery.model_validate({"text": "a", "colour": "red"})
    assert refused.value.errors()[0]["type"] == "extra_forbidden"
