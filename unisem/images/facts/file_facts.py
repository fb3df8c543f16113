"""`FileFacts`: what a picture's file knows of it, and what is believed where its parts disagree.

EXIF, IPTC and XMP say much of the same. Which of them counts is what the Metadata Working Group has
laid down (Guidelines for Handling Image Metadata 2.0, chapter 5), as exiftool's MWG module does it:
EXIF first; then XMP, unless the file's IPTC has been changed since by a program that knows no XMP,
which a digest tells. A sidecar is a person's latest word and comes before them all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from unisem.images.facts.blocks import MetadataBlocks, blocks_of
from unisem.images.facts.exif import exif_facts
from unisem.images.facts.iptc import iptc_facts
from unisem.images.facts.parts import Facts
from unisem.images.facts.xmp import xmp_facts

TAKEN = "taken"
"""The field that says when a picture was taken, in ISO 8601; a filter's value is text, too."""

_LOCATION = ("latitude", "longitude", "altitude")
_PLAIN = ("camera", "lens", "orientation", "rating", *_LOCATION)
BY_CAMERAS = re.compile(
    r".*\bdigital camera|sony dsc|exif_jpeg_picture|dcf 1\.0|dcim.*|samsung|camera|default|untitled"
    r"|image description|<.*>",
    re.IGNORECASE | re.DOTALL,
)
"""What cameras and programs write where a description belongs."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a picture's file knows; ``None`` or empty where it says nothing.

    Attributes:
        taken: When, by the clock where it was taken: ``2024-06-01T18:30:05``, with ``+02:00``
            behind it if the zone is known. So texts are in the order of clocks.
        camera: Maker and model.
        lens: Its model.
        orientation: EXIF's number for how the stored pixels are to be turned, 1 to 8.
        latitude: Degrees, north positive.
        longitude: Degrees, east positive.
        altitude: Metres above the sea.
        rating: Stars, 0 to 5.
        keywords: In the file's order.
        title: A few words.
        description: A caption.
        creator: Who took it.
        copyright: Whose it is.
    """

    taken: str | None = None
    camera: str | None = None
    lens: str | None = None
    orientation: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    rating: float | None = None
    keywords: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None
    creator: str | None = None
    copyright: str | None = None

    def metadata(self, *, location: bool = True) -> dict[str, Any]:
        """What is known, as a record's metadata.

        Args:
            location: Whether the place is among it.
        """
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        found["keywords"] = list(self.keywords)
        return {
            name: value
            for name, value in found.items()
            if value not in (None, []) and (location or name not in _LOCATION)
        }

    @property
    def words(self) -> str | None:
        """Title, description and keywords as one text; ``None`` if there are none."""
        lines = list(dict.fromkeys(filter(None, (self.title, self.description))))
        said = " ".join(lines).casefold()
        keywords = [word for word in self.keywords if word.casefold() not in said]
        if keywords:
            lines.append(", ".join(keywords))
        return "\n".join(lines) or None


def facts_of(data: bytes, sidecar: bytes = b"", *, page: int = 1) -> FileFacts:
    """Read what a picture's file knows of it; what is damaged is passed over.

    Args:
        data: The file's bytes.
        sidecar: The bytes of an XMP file beside it.
        page: Of a TIFF, which page, from 1.
    """
    blocks = blocks_of(data, page)
    beside = xmp_facts(sidecar)
    exif, xmp, iptc = exif_facts(blocks), xmp_facts(blocks.xmp), iptc_facts(blocks.iptc)
    texts = _of_texts(blocks)
    agreed = _agreed(blocks, xmp, iptc)
    order = [beside, exif, *agreed, texts]
    found: dict[str, Any] = {name: _first(name, order) for name in _PLAIN}
    for name in ("taken", "creator", "copyright", "description"):
        found[name] = _first(name, order)
    found["taken"] = found["taken"] or exif.digitized
    found["title"] = _first("title", [beside, xmp, iptc, exif, texts])
    found["rating"] = _first("rating", [beside, xmp, exif])
    found["keywords"] = _first("keywords", [beside, *agreed, exif, texts]) or ()
    found["description"] = found["description"] or exif.comment
    for name in ("title", "description"):
        if BY_CAMERAS.fullmatch(found[name] or "") or found[name] == found["camera"]:
            found[name] = None
    return FileFacts(**found)


def _agreed(blocks: MetadataBlocks, xmp: Facts, iptc: Facts) -> tuple[Facts, Facts]:
    """XMP and IPTC, what is to be believed first."""
    digest = blocks.iptc_digest
    if blocks.iptc and digest:
        is_changed = hashlib.md5(blocks.iptc, usedforsecurity=False).digest() != digest
        if is_changed:
            return iptc, xmp
    return xmp, iptc


def _of_texts(blocks: MetadataBlocks) -> Facts:
    """A PNG's keywords (its specification, section 11.3.3.2), or what an SVG says."""
    said = dict(blocks.texts)
    return Facts(
        title=said.get("title"),
        description=said.get("description"),
        creator=said.get("author"),
        copyright=said.get("copyright"),
        keywords=tuple(said.get("keywords", "").split("\n")),
    ).cleaned()


def _first(name: str, order: Sequence[Facts]) -> Any:
    values = (getattr(facts, name) for facts in order)
    return next((value for value in values if value not in (None, "", ())), None)
