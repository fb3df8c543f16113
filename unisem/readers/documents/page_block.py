"""`PageBlock`: a paragraph, a heading, a list's item, code, a table or a picture of a document."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from unisem.common.box import Box


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a document.

    Attributes:
        links: Where it is, the best first; none for a drawing inside the page.
        alternative: What is said for those who cannot see it.
        caption: What is written about it.
        anchors: Names of places in it.
    """

    links: tuple[str, ...]
    alternative: str = ""
    caption: str = ""
    anchors: tuple[str, ...] = ()


@dataclass(slots=True)
class PageBlock:
    """One block of a document that flows, as HTML and Word do.

    Attributes:
        kind: As of `Element`.
        text: Its words.
        level: Of a heading.
        figure: What a figure shows, or a table that is a picture, too.
        caption: Of a figure or a table.
        is_caption: The document marks it as a caption.
        anchors: Names of places in it.
        references: Names of places that it links to.
        group: Which list, counted from 1, an item is of, which code a line; pictures of one group
            share a caption. 0 for what stands by itself.
        page: As of `Element`.
        box: As of `Element`.
    """

    kind: Literal["heading", "text", "list", "code", "table", "figure"]
    text: str = ""
    level: int = 1
    figure: Shown | None = None
    caption: str = ""
    is_caption: bool = False
    anchors: Set[str] = frozenset()  # which, unlike a new set, takes no memory
    references: Set[str] = frozenset()
    group: int = 0
    page: int | None = None
    box: Box | None = None
