"""Requests and answers of those who search a space's store, and add to it, by themselves."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from unisem.calibration import QueryKind
from unisem.encoders.base import Role
from unisem.images.reference import ImageRef
from unisem.records import Modality, Record, Vector, VectorKind
from unisem.stores.selection import Match, Selection
from unisem.wire.base import FEW, Items, WireModel
from unisem.wire.filters import WireFilter, filter_of, wire_filter
from unisem.wire.hit import WireHit
from unisem.wire.pictures import WirePicture, data_uri
from unisem.wire.record import NewRecord, WireRecord


class WireRows(WireModel):
    """Vectors as base64 of little-endian float32, one after the other."""

    rows: int | None = Field(
        description="How many vectors; `null` for one that is no list of vectors.", ge=0
    )
    data: str = Field(description="Their numbers.")

    @classmethod
    def of(cls, vectors: Any) -> Self:
        """Write vectors, ``(d,)`` or ``(n, d)``; numbers come back to the bit."""
        given = np.ascontiguousarray(vectors, "<f4")
        return cls.model_construct(
            rows=None if given.ndim == 1 else len(given),
            data=base64.b64encode(given.tobytes()).decode("ascii"),
        )

    @classmethod
    def stacked(cls, vectors: Sequence[Vector]) -> Self:
        """Write a list of ``(d,)`` vectors."""
        return cls.of(np.stack(vectors))

    def to_core(self) -> Vector:
        """Read them.

        Raises:
            ValueError: They are not what `of` writes.
        """
        try:
            data = base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("vectors must be base64 of little-endian float32") from None
        if len(data) % 4:
            raise ValueError("vectors must be base64 of float32, four bytes a number")
        numbers: Vector = np.frombuffer(data, "<f4").astype(np.float32)
        if self.rows is None:
            return numbers
        if numbers.size % self.rows if self.rows else numbers.size:
            raise ValueError(f"there are no {self.rows} vectors in {numbers.size} numbers")
        return numbers.reshape(self.rows, -1) if self.rows else numbers.reshape(0, 0)


Vectors = dict[VectorKind, WireRows]
"""A record's vectors by what they were made from."""


def vectors_of(vectors: Vectors) -> dict[VectorKind, Vector]:
    """Read a record's vectors.

    Raises:
        ValueError: As `WireRows.to_core`.
    """
    return {kind: rows.to_core() for kind, rows in vectors.items()}


def wire_vectors(vectors: dict[VectorKind, Vector]) -> Vectors:
    """Write a record's vectors."""
    return {kind: WireRows.of(rows) for kind, rows in vectors.items()}


class WireSelection(WireModel):
    """Which records; every part that is given must hold."""

    ids: Items[str] | None = Field(None, description="One of these ids.")
    source_ids: Items[str] | None = Field(None, description="Cut from one of these sources.")
    filter: WireFilter | None = Field(None, description="A condition on metadata.")
    modality: Modality | None = Field(None, description="With a picture, or without.")
    digests: Items[str] | None = Field(
        None, description="With a picture of one of these SHA-256 digests, in hex."
    )

    @classmethod
    def of(cls, selection: Selection) -> Self:
        """Write a selection."""
        condition = selection.filter
        return cls(
            ids=None if selection.ids is None else list(selection.ids),
            source_ids=None if selection.source_ids is None else list(selection.source_ids),
            filter=None if condition is None else wire_filter(condition),
            modality=selection.modality,
            digests=None if selection.digests is None else list(selection.digests),
        )

    def to_core(self) -> Selection:
        """Read it.

        Raises:
            FilterError: As `filter_of`.
        """
        condition = None if self.filter is None else filter_of(self.filter)
        return Selection(self.ids, self.source_ids, condition, self.modality, self.digests)


class StoreLimits(WireModel):
    """How much one request may ask for."""

    body_bytes: int = Field(description="Bytes of a request.")
    values: int = Field(description="Values of a request's JSON.")
    images: int = Field(description="Pictures of a search, or to be embedded.")
    pixels: int = Field(description="Pixels of a picture that is sent.")
    queries: int = Field(description="Queries of a batch search.")
    vectors: int = Field(description="Vectors of a search of the store.")
    records: int = Field(description="Records of a page, or by their ids.")
    added: int = Field(description="Records with their vectors that are added at once.")
    inputs: int = Field(description="Texts that are embedded at once.")
    hits: int = Field(description="Hits of all queries of a batch, or of all vectors of a search.")


class StoreInfo(WireModel):
    """What a client that works over a space has to know of it."""

    name: str = Field(description="Its name in URLs.")
    records: int = Field(description="How many records.")
    encoder: str = Field(description="What embeds its records and queries.")
    fingerprint: str = Field(description="The encoder's.")
    image_fingerprint: str = Field(description="That of the encoder that embeds its pictures.")
    model_fingerprint: str | None = Field(
        None, description="That of the encoder's model, however it was asked to embed."
    )
    dimension: int = Field(description="Length of the encoder's vectors.")
    fuses: bool = Field(
        False, description="Whether it makes one vector of a text and a picture together."
    )
    options: dict[str, str | int] = Field(
        default_factory=dict, description="How the encoder was asked to embed."
    )
    stored_dimension: int | None = Field(description="Of those stored last; `null` for none.")
    writable: bool = Field(description="Whether records may be added and removed.")
    limits: StoreLimits = Field(description="How much one request may ask for.")


class PageRequest(WireModel):
    """Which records to give, page by page."""

    selection: WireSelection = Field(description="Which.")
    cursor: str | None = Field(None, description="The `cursor` of the page before.")
    limit: int = Field(description="How many records at most.", ge=1)
    with_vectors: bool = Field(False, description="Whether their vectors come, too.")


class StorePage(WireModel):
    """A page of records."""

    records: list[WireRecord] = Field(description="The records.")
    vectors: list[Vectors | None] | None = Field(description="Theirs, if they were asked for.")
    cursor: str | None = Field(description="Where the next page begins; `null` after the last.")
    count: int = Field(description="How many are selected now, on all pages.")


class IdsRequest(WireModel):
    """Whose vectors to give."""

    ids: Items[str] = Field(description="Ids of records.")


class VectorsAnswer(WireModel):
    """Vectors by record."""

    vectors: list[Vectors | None] = Field(description="In order; `null` where there is no record.")


class VectorSearch(WireModel):
    """Which records are nearest to vectors."""

    vectors: WireRows = Field(description="The vectors.")
    k: int = Field(description="How many hits of each at most.", ge=0)
    selection: WireSelection = Field(description="Which records may be found.")
    match: Match = Field("any", description="Which of a record's vectors are compared.")
    asked: QueryKind = Field("text", description="What the vectors were made of.")


class WordSearch(WireModel):
    """Which records have the words of a text."""

    text: str = Field(description="Words; they have no syntax.")
    k: int = Field(description="How many hits at most.", ge=0)
    selection: WireSelection = Field(description="Which records may be found.")


class StoreHits(WireModel):
    """Hits of each vector, best first."""

    results: list[list[WireHit]] = Field(description="In order of the vectors.")


class KeptImage(WireModel):
    """A picture that the space has already."""

    of: str = Field(description="The id of the record that has it.")
    sha256: str = Field(description="Its digest; no other picture is meant.")


class EmbeddedItem(NewRecord):
    """A record with its vectors. Its picture comes with it, or is one that the space has."""

    kept: KeptImage | None = Field(None, description="The picture, if the space has it already.")
    vectors: Vectors = Field(description="Its vectors.")

    @classmethod
    def with_vectors(
        cls, record: Record, vectors: dict[VectorKind, Vector], kept: KeptImage | None
    ) -> Self:
        """Write a record.

        Raises:
            ImageError: The picture cannot be read, or is not the one that it was.
        """
        image = record.image if kept is None else None
        return cls(
            id=record.id,
            text=record.text,
            image=None if image is None else data_uri(image.read_verified(), image.name),
            metadata=dict(record.metadata),
            source_id=record.source_id,
            links=dict(record.links),
            payload=dict(record.payload),
            kept=kept,
            vectors=wire_vectors(vectors),
        )

    def record_with(self, image: ImageRef | None) -> Record:
        """Rebuild the record, with the picture that `kept` means.

        Raises:
            RecordError: It cannot be stored.
            ImageError: Its picture is no data URI.
        """
        if image is None:
            return self.to_core()
        return Record(
            id=self.id,
            text=self.text,
            image=image,
            metadata=self.metadata,
            source_id=self.source_id,
            links=self.links,
            payload=self.payload,
        )


class EmbeddedItems(WireModel):
    """Records with their vectors, to add all or none."""

    items: Items[EmbeddedItem] = Field(description="The records.", min_length=1)


class Updates(WireModel):
    """New metadata of several records, all or none."""

    metadata: Annotated[dict[str, dict[str, Any]], FEW] = Field(
        description="The new metadata, whole, by id."
    )


class Updated(WireModel):
    """What was changed."""

    updated: int = Field(description="How many records.")


class Texts(WireModel):
    """Texts to be embedded."""

    kind: Literal["texts"] = "texts"
    texts: Items[str] = Field(description="The texts.", min_length=1)
    role: Role = Field("document", description="Whether they ask, or are searched.")


class Images(WireModel):
    """Pictures to be embedded."""

    kind: Literal["images"] = "images"
    images: Items[WirePicture] = Field(description="The pictures.", min_length=1)


class Pairs(WireModel):
    """Texts to be embedded together with pictures, by an encoder that fuses."""

    kind: Literal["pairs"] = "pairs"
    texts: Items[str] = Field(description="The texts.", min_length=1)
    images: Items[WirePicture] = Field(description="A picture for each.", min_length=1)
    role: Role = Field("document", description="Whether they ask, or are searched.")


EmbedRequest = Annotated[Texts | Images | Pairs, Field(discriminator="kind")]
"""What is to be embedded by the space's encoder."""


class Embedded(WireModel):
    """Vectors by the space's encoder."""

    vectors: WireRows = Field(description="In order of what was given.")


class WholeRequest(WireModel):
    """Texts whose length is in question."""

    texts: Items[str] = Field(description="The texts.", min_length=1)


class WholeAnswer(WireModel):
    """Whether texts are embedded to their end."""

    whole: list[bool] = Field(description="In order of the texts.")


def hits_of(results: Sequence[Sequence[WireHit]]) -> StoreHits:
    """Write hits, which were checked when they were made."""
    return StoreHits.model_construct(results=[list(hits) for hits in results])


class CalibrationRequest(WireModel):
    """Which calibration is known already."""

    known: str | None = Field(None, description="Its digest; `null` for none.")


class NewCalibration(WireModel):
    """A calibration to search by from now on."""

    data: str | None = Field(description="Base64 of its file; `null` for raw cosines.")


class CalibrationAnswer(WireModel):
    """What makes scores of texts and of pictures comparable."""

    digest: str | None = Field(description="SHA-256 of its file; `null` if there is none.")
    data: str | None = Field(None, description="Base64 of the file, unless it is known.")
