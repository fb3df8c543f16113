"""What travels where somebody labels: who they are, what they say, and what they are asked."""

from __future__ import annotations

from pydantic import Field

from unisem.wire.base import WireModel
from unisem.wire.record import WireRecord

_WHO = Field(
    description="Whose questions these are; no other name is asked about the same pictures.",
    examples=["anna"],
    min_length=1,
    max_length=100,
)


class Labeller(WireModel):
    """Somebody who labels."""

    who: str = _WHO


class LabelAnswer(WireModel):
    """What somebody says of a picture that they were asked about."""

    who: str = _WHO
    id: str = Field(description="The record's id.", examples=["cards/red.png"])
    caption: str | None = Field(
        description="The caption; `null` skips the picture for good.",
        examples=["a red card"],
        max_length=10_000,
    )


class WireQuestion(WireModel):
    """A picture that somebody is asked about."""

    record: WireRecord = Field(description="The picture's record.")
    suggestions: list[str] = Field(description="What might be said of it, the likeliest first.")
    reason: str = Field(description="Why this picture.")


class Asked(WireModel):
    """What somebody is asked next."""

    question: WireQuestion | None = Field(description="`null` if there is nothing to ask them.")
