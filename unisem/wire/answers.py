"""What the service answers beside records and hits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unisem.wire.base import WireModel
from unisem.wire.hit import WireHit
from unisem.wire.record import WireRecord


class Found(WireModel):
    """What a query found."""

    hits: list[WireHit] = Field(description="Hits, best first.")


class FoundMany(WireModel):
    """What several queries found."""

    results: list[Found] = Field(description="For each query its hits, in order.")


class Got(WireModel):
    """Records by id."""

    records: list[WireRecord | None] = Field(description="In order; `null` where there is none.")


class Listing(WireModel):
    """A page of a space's records."""

    records: list[WireRecord] = Field(description="The records, oldest first.")
    cursor: str | None = Field(description="Where the next page begins; `null` after the last.")


class Added(WireModel):
    """What was added."""

    ids: list[str] = Field(description="The records' ids, in order.")


class Deleted(WireModel):
    """What was removed."""

    deleted: int = Field(description="How many records were removed.", examples=[2])


class SpaceLimits(WireModel):
    """How much a space gives at once."""

    k: int = Field(description="Hits of a search at most.", examples=[1000])
    records: int = Field(description="Records of a page of a listing at most.", examples=[500])


class SpaceEntry(WireModel):
    """A space that may be asked."""

    name: str = Field(description="Its name in URLs.", examples=["photos"])
    records: int = Field(description="How many records.", examples=[440])
    encoder: str = Field(description="What embeds its records and queries.", examples=["mini"])
    writable: bool = Field(description="Whether records may be added and removed.")
    graph: bool = Field(description="Whether a knowledge graph may take part in searches.")
    limits: SpaceLimits = Field(description="How much it gives at once.")


class WireLabel(WireModel):
    """A word or a few in a drawing."""

    x: float = Field(description="Where it begins, in pixels from the left.")
    y: float = Field(description="Where its line is, in pixels from the top.")
    text: str = Field(description="As much of it as there is room for.")
    whole: str = Field(description="All of it.")
    size: int = Field(description="How large, in pixels.")
    bold: bool = Field(description="Whether it stands out.")


class WireDrawing(WireModel):
    """A drawing of lines, labels and one dot, which stands for the record."""

    title: str = Field(description="What it shows, in words.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    dot: tuple[float, float] = Field(description="Where the record's middle is.")
    lines: list[tuple[float, float, float, float]] = Field(
        description="x and y of the beginning, x and y of the end."
    )
    labels: list[WireLabel] = Field(description="What things are called.")


class Drawn(WireModel):
    """What is known of a record."""

    drawing: WireDrawing | None = Field(description="`null` if that is nothing.")


class SpaceList(WireModel):
    """The spaces that may be asked."""

    spaces: list[SpaceEntry] = Field(description="The spaces.")


class SpaceVersion(WireModel):
    """A version of a published space."""

    number: int = Field(description="Greater than that of the version before.", examples=[12])
    published: str = Field(description="When, in UTC.", examples=["2026-11-29T20:00:00+00:00"])


class SpaceStats(WireModel):
    """What a space holds."""

    name: str = Field(description="Its name in URLs.", examples=["photos"])
    records: int = Field(description="How many records.", examples=[440])
    modalities: dict[str, int] = Field(
        description="Of them with a picture (`image`) and without (`text`).",
        examples=[{"image": 439, "text": 1}],
    )
    encoder: str = Field(description="What embeds its records and queries.", examples=["mini"])
    fingerprint: str = Field(description="The encoder's; vectors of another are no use.")
    dimension: int = Field(description="Length of a vector.", examples=[384])
    options: dict[str, str | int] = Field(
        default_factory=dict,
        description="How the encoder was asked to embed, as of `load_encoder`.",
        examples=[{"dimension": 256, "dtype": "bfloat16"}],
    )
    calibrated: bool = Field(description="Whether scores of texts and pictures are comparable.")
    rerankers: list[str] = Field(description="Names that `rerank` takes.")
    writable: bool = Field(description="Whether records may be added and removed.")
    version: SpaceVersion | None = Field(
        None, description="Which version of a published space it is, if it is a replica."
    )


class FieldValue(WireModel):
    """A value of a metadata field."""

    value: str | int | float | bool = Field(description="The value.", examples=["cat"])
    records: int = Field(description="How many records have it.", examples=[12])


class MetadataField(WireModel):
    """A metadata field that records have."""

    name: str = Field(description="Its name in filters.", examples=["year"])
    kind: Literal["string", "number", "boolean", "list", "mixed"] = Field(
        description="Of what its values are."
    )
    records: int = Field(description="How many records have it.", examples=[440])
    values: list[FieldValue] = Field(description="The commonest values, of a list's items.")
    least: float | None = Field(None, description="The least number.", examples=[1999])
    most: float | None = Field(None, description="The greatest number.", examples=[2024])


class Fields(WireModel):
    """The metadata fields of a space, to filter by."""

    fields: list[MetadataField] = Field(description="The fields, the commonest first.")
    looked_at: int = Field(
        description="How many records they were found in; large spaces are looked at in part."
    )
