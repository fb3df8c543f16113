"""What is wrong with a value is said in words of this house, whatever pydantic calls it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, ValidationError

from unisem.wire.base import WireModel
from unisem.wire.wrong import what_is_wrong


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even; add one")
    return value


class Thing(WireModel):
    whole: int = Field(1, ge=0, le=1000)
    between: float = Field(1.5, gt=1, lt=2)
    text: str = Field("", max_length=3)
    kind: Literal["a", "b"] = "a"
    items: list[int] = Field([], max_length=1)
    even: Annotated[int, AfterValidator(_even)] = 0
    inner: dict[str, int] = {}
    digest: str = Field("0", pattern="^[0-9]$")
    sure: bool = True


class Needed(WireModel):
    name: str


@pytest.mark.parametrize(
    ("model", "value", "words"),
    [
        (Thing, {"whole": "1"}, "must be a whole number"),
        (Thing, {"whole": 1.5}, "must be a whole number"),
        (Thing, {"whole": -1}, "must be at least 0"),
        (Thing, {"whole": 1001}, "must be at most 1,000"),
        (Thing, {"between": 1.0}, "must be more than 1.0"),
        (Thing, {"between": 2.0}, "must be less than 2.0"),
        (Thing, {"between": "x"}, "must be a number"),
        (Thing, {"text": 1}, "must be a string"),
        (Thing, {"text": "long"}, "must have at most 3 characters"),
        (Thing, {"kind": "c"}, "must be 'a' or 'b'"),
        (Thing, {"items": {}}, "must be a list"),
        (Thing, {"items": [1, 2]}, "must have at most 1 items"),
        (Thing, {"even": 3}, "must be even; add one"),
        (Thing, {"inner": 1}, "must be an object"),
        (Thing, {"digest": "x"}, "must match ^[0-9]$"),
        (Thing, {"sure": 1}, "must be true or false"),
        (Thing, {"more": 1}, "is not known here; leave it out"),
        (Thing, 3, "must be an object"),
        (Needed, {}, "is missing; give it"),
    ],
)
def test_words(model: type[WireModel], value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    assert what_is_wrong(caught.value.errors()[0]) == words  # type: ignore[arg-type]
