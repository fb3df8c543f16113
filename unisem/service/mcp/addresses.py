"""`Addresses`: the URIs of a space's records, and what a URI names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, Self
from urllib.parse import quote, unquote

Aspect = Literal["record", "image"]
"""What of a record is read: its words and its picture, or the picture alone."""

_ODD = re.compile(r"[^\w.-]+", re.ASCII)
_REST = re.compile(r"/records/([^/?#]+)(/image)?")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The URIs of one space's records.

    Attributes:
        name: What the space is called in them.

    >>> here = Addresses.of("My photos")
    >>> here.uri("cards/red.png")
    'unisem://My-photos/records/cards%2Fred.png'
    >>> here.named("unisem://My-photos/records/cards%2Fred.png/image")
    ('cards/red.png', 'image')
    """

    name: str

    @classmethod
    def of(cls, name: str) -> Self:
        """The URIs of a space of that name, which is written in letters that any URI may have."""
        return cls(_ODD.sub("-", name).strip("-.") or "space")

    def uri(self, record_id: str, aspect: Aspect = "record") -> str:
        """The URI of a record, or of its picture."""
        record = f"unisem://{self.name}/records/{quote(record_id, safe='')}"
        return record if aspect == "record" else f"{record}/image"

    @property
    def templates(self) -> dict[Aspect, str]:
        """The URIs as templates (RFC 6570)."""
        record = f"unisem://{self.name}/records/{{id}}"
        return {"record": record, "image": f"{record}/image"}

    def named(self, uri: str) -> tuple[str, Aspect] | None:
        """The id that a URI names, and what of the record; ``None`` for any other URI."""
        start = f"unisem://{self.name}"
        if uri[: len(start)].casefold() != start.casefold():  # clients may lower a host's name
            return None
        found = _REST.fullmatch(uri[len(start) :])
        if found is None:
            return None
        try:
            record_id = unquote(found[1], errors="strict")
        except UnicodeDecodeError:
            return None
        return record_id, "image" if found[2] else "record"


def name_of(place: object) -> str:
    """What a space is called after its place, without the folders on the way there.

    >>> name_of("/srv/photos.unisem")
    'photos'
    """
    return PurePath(str(place)).name.removesuffix(".unisem")
