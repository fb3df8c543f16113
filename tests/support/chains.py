"""Records that know those before and after them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.support.pictures import solid
from unisem import Record


def chain(ids: list[str], **parts: Any) -> list[Record]:
    """Records of these ids, linked in this order; a name with a colour is a picture of it."""
    links: dict[str, dict[str, str]] = {name: {} for name in ids}
    for first, second in pairwise(ids):
        links[first]["next"] = second
        links[second]["previous"] = first
    records = []
    for name in ids:
        kind, _, words = name.partition(" ")
        picture = solid(words) if kind == "picture" else None
        text = None if picture is not None else words
        records.append(Record(id=name, text=text, image=picture, links=links[name], **parts))
    return records


def manual() -> list[Record]:
    """Steps, each followed by its picture."""
    return chain(
        [
            "step open the lid",
            "picture red",
            "step pour the water",
            "picture blue",
            "step press the button",
            "picture green",
            "step wait a while",
        ],
        source_id="manual",
    )
