"""`WireRecord` and `NewRecord`: a record as it is answered, and as it is sent to be added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field

from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.records import Record
from unisem.wire.base import WireModel
from unisem.wire.pictures import WirePicture, data_uri, picture_of

_ID = Field(
    description="The id, unique in its space; in a URL it is one percent-encoded segment.",
    examples=["cards/red.png"],
)
_TEXT = Field(None, description="The text, or the picture's caption.", examples=["a red card"])
_METADATA: Any = Field(
    default_factory=dict,
    description="JSON values under string keys, what filters look at.",
    examples=[{"year": 2024, "tags": ["cat"]}],
)
_SOURCE = Field(None, description="What the record was cut from.", examples=["cards/about.txt"])
_LINKS: Any = Field(
    default_factory=dict,
    description="Ids of neighbours by relation.",
    examples=[{"previous": "a", "next": "c"}],
)
_PAYLOAD: Any = Field(default_factory=dict, description="JSON that is kept and never searched.")


class WireRegion(WireModel):
    """The part of a document's page that a picture is."""

    page: int = Field(description="The page, from 1.", examples=[12])
    box: list[float] | None = Field(
        description="Left, top, right, bottom in points from the page's top left corner; `null` "
        "for the whole page.",
        examples=[[72.0, 90.0, 520.0, 300.0]],
    )
    dpi: int = Field(description="Pixels per inch that it is rendered with.", examples=[144])
    document: str | None = Field(None, description="SHA-256 of the document.")


class WireImage(WireModel):
    """What is said of a record's picture: what it is and where the service gives it, no path."""

    sha256: str | None = Field(description="SHA-256 of the picture's bytes, in hex.")
    mime_type: str | None = Field(description="Its type, by its content.", examples=["image/png"])
    width: int | None = Field(description="Pixels.", examples=[640])
    height: int | None = Field(description="Pixels.", examples=[480])
    look: str | None = Field(
        None,
        description="How it looks, by which nearly the same pictures are known: 193 characters, "
        "each a number from 0 to 63 in the alphabet of `base64url`.",
    )
    region: WireRegion | None = Field(description="Of a part of a page: which.")
    url: str = Field(
        description="Where the picture is, from the service's root; `?size=thumbnail` for a small "
        "copy, `?size=page` for the page that it is a part of.",
        examples=["/v1/spaces/photos/records/cards%2Fred.png/image"],
    )

    @classmethod
    def of(cls, image: ImageRef, url: str) -> Self:
        """Say what a picture is, without where its file lies."""
        region = image.region
        return cls(
            sha256=image.sha256,
            mime_type=image.mime_type,
            width=image.width,
            height=image.height,
            look=image.look,
            region=None
            if region is None
            else WireRegion(
                page=region.page,
                box=None if region.box is None else list(region.box),
                dpi=region.dpi,
                document=region.document,
            ),
            url=url,
        )

    def to_region(self) -> Region | None:
        """The part of a page that it is, if it is one."""
        if (region := self.region) is None:
            return None
        left, top, right, bottom = region.box or (0.0, 0.0, 0.0, 0.0)
        box = None if region.box is None else (left, top, right, bottom)
        return Region(page=region.page, box=box, dpi=region.dpi, document=region.document)


class WireRecord(WireModel):
    """A record as the service answers it."""

    id: str = _ID
    text: str | None = _TEXT
    metadata: dict[str, Any] = _METADATA
    source_id: str | None = _SOURCE
    links: dict[str, str] = _LINKS
    payload: dict[str, Any] = _PAYLOAD
    image: WireImage | None = Field(None, description="The picture; `null` if there is none.")

    @classmethod
    def of(cls, record: Record, url: str) -> Self:
        """Write a record.

        Args:
            record: The record.
            url: Where its picture is, if it has one.
        """
        return cls.model_construct(  # checked when it was made
            id=record.id,
            text=record.text,
            metadata=dict(record.metadata),
            source_id=record.source_id,
            links=dict(record.links),
            payload=dict(record.payload),
            image=None if record.image is None else WireImage.of(record.image, url),
        )

    def to_core(self, image: Callable[[WireImage], ImageRef]) -> Record:
        """Rebuild the record.

        Args:
            image: Makes the reference to a picture that the service holds.
        """
        return Record(
            id=self.id,
            text=self.text,
            image=None if self.image is None else image(self.image),
            metadata=self.metadata,
            source_id=self.source_id,
            links=self.links,
            payload=self.payload,
        )


class NewRecord(WireModel):
    """A record as it is sent to be added: a text, a picture, or a picture with its caption."""

    id: str | None = Field(
        None,
        description="As of a record; a random one if left out. One that exists is replaced.",
        examples=["cards/red.png"],
    )
    text: str | None = _TEXT
    image: WirePicture | None = Field(None, description="A picture, as a data URI.")
    metadata: dict[str, Any] = _METADATA
    source_id: str | None = _SOURCE
    links: dict[str, str] = _LINKS
    payload: dict[str, Any] = _PAYLOAD

    @classmethod
    def of(cls, record: Record) -> Self:
        """Write a record with its picture's bytes.

        Raises:
            ImageError: The picture cannot be read, or is not the one that it was.
        """
        image = record.image
        uri = None if image is None else data_uri(image.read_verified(), image.name)
        return cls(
            id=record.id,
            text=record.text,
            image=uri,
            metadata=dict(record.metadata),
            source_id=record.source_id,
            links=dict(record.links),
            payload=dict(record.payload),
        )

    def to_core(self) -> Record:
        """Rebuild the record; its picture is bytes that have not been looked at.

        Raises:
            RecordError: Neither text nor picture, or a value that cannot be stored.
            ImageError: The picture is no data URI.
        """
        return Record(
            id=self.id,
            text=self.text,
            image=None if self.image is None else picture_of(self.image),
            metadata=self.metadata,
            source_id=self.source_id,
            links=self.links,
            payload=self.payload,
        )
