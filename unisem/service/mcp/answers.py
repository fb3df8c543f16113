"""What tools answer as JSON, for programs, and for models that are shown nothing else.

It says the same as the words and pictures beside it. Texts are fenced as there.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from unisem.captions import is_generated
from unisem.images.reference import ImageRef
from unisem.presentation.fence import RULES, fenced
from unisem.records import Modality, Record, VectorKind
from unisem.service.mcp.arguments import Untitled
from unisem.stores.hits import Hit


class Answer(BaseModel):
    """What a tool answers."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def schema_of(cls) -> dict[str, Any]:
        """The JSON schema."""
        return cls.model_json_schema(schema_generator=Untitled)

    def as_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return self.model_dump(mode="json")


class PictureAnswer(Answer):
    """A record's picture: what it is, and where it is read."""

    uri: str = Field(description="Resource of the original.")
    mime_type: str | None = Field(description="Its type, by its content.")
    width: int | None = Field(description="Pixels.")
    height: int | None = Field(description="Pixels.")
    page: int | None = Field(default=None, description="Page of the document that it is a part of.")
    box: list[float] | None = Field(
        default=None,
        description="Where on the page: left, top, right, bottom in points from the top left.",
    )

    @classmethod
    def of(cls, image: ImageRef, uri: str) -> Self:
        """Describe a picture, without where its file lies."""
        region = image.region
        return cls(
            uri=uri,
            mime_type=image.mime_type,
            width=image.width,
            height=image.height,
            page=None if region is None else region.page,
            box=None if region is None or region.box is None else list(region.box),
        )


class RecordAnswer(Answer):
    """One record."""

    id: str = Field(description="By which it is shown, cited, and looked like.")
    uri: str = Field(description="Resource of the record.")
    modality: Modality = Field(description="Whether it has a picture.")
    text: str = Field(description="Its text, or its picture's caption.")
    is_cut: bool = Field(description="Whether the text goes on.")
    is_generated: bool = Field(description="Whether a captioner wrote the text, and no person.")
    metadata: dict[str, Any] = Field(description="What is known of it.")
    image: PictureAnswer | None = Field(description="Its picture.")


class FoundAnswer(RecordAnswer):
    """One record that a search found."""

    score: float = Field(description="Higher is better.")
    matched: VectorKind = Field(
        description="Whether its text, its picture, or both together are what is alike."
    )
    relevance: float | None = Field(description="The probability that it is relevant, if known.")
    copies: list[str] = Field(description="Ids of other records that have the same picture.")
    path: list[str] = Field(
        default_factory=list,
        description="What leads to it from what was asked for, where the graph found it.",
    )


class SearchAnswer(Answer):
    """What a search found."""

    notice: str = Field(default=RULES, description="What to keep in mind.")
    results: list[FoundAnswer] = Field(description="Best first.")


class RecordsAnswer(Answer):
    """Records, in the order of their document."""

    notice: str = Field(default=RULES, description="What to keep in mind.")
    records: list[RecordAnswer]


class AddedAnswer(Answer):
    """What was added."""

    id: str = Field(description="The id that the record has got.")
    uri: str = Field(description="Resource of the record.")


def record_parts(
    record: Record, text: str, metadata: dict[str, Any], uri: str, image_uri: str
) -> dict[str, Any]:
    """The fields of a `RecordAnswer`.

    Args:
        record: The record.
        text: As much of its text as is shown.
        metadata: What is shown of its metadata.
        uri: The record's resource.
        image_uri: Its picture's.
    """
    return {
        "id": record.id,
        "uri": uri,
        "modality": record.modality,
        "text": fenced(text),
        "is_cut": len(text) < len(record.text or ""),
        "is_generated": is_generated(record),
        "metadata": _all_fenced(metadata),
        "image": None if record.image is None else PictureAnswer.of(record.image, image_uri),
    }


def found_parts(hit: Hit) -> dict[str, Any]:
    """The fields that a `FoundAnswer` has beside those of the record."""
    return {
        "score": hit.score,
        "matched": hit.matched,
        "relevance": hit.relevance,
        "copies": [copy.id for copy in hit.copies],
        "path": _all_fenced(hit.path),
    }


def _all_fenced(value: Any) -> Any:
    """JSON whose strings, keys among them, open and close no tag."""
    match value:
        case str():
            return fenced(value)
        case dict():
            return {fenced(str(key)): _all_fenced(item) for key, item in value.items()}
        case list() | tuple():
            return [_all_fenced(item) for item in value]
    return value
