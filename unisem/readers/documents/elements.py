"""`Element`: what a document is made of, whatever its format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from unisem.common.box import Box
from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef, ImageSource

START = 1 << 16
"""Bytes that a file is recognised by."""

Kind = Literal["heading", "text", "list", "code", "table", "figure", "page"]
"""What an element is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One thing of a document, in reading order.

    Attributes:
        kind: A heading, a paragraph, a list, code, a table, a figure, or a page as a picture.
        text: Its words: of a table its rows, of a figure what its alternative text says, or the
            words that were read in it.
        caption: What the document writes under or over a figure or a table, its label included.
        image: A figure's, a table's or a page's picture.
        level: Of a heading, from 1.
        page: The page, from 1; ``None`` where the format has none.
        page_label: What the document calls the page, if that is not its number: ``iv``, ``A-3``.
        box: Where on the page, in points from its top left corner.
        anchors: Names that links of the same document point to it by.
        references: Names that links inside its words point to.
        recognized: Its words were read from pixels.
        facts: What the file knows of it otherwise, as metadata.
    """

    kind: Kind
    text: str = ""
    caption: str | None = None
    image: ImageSource | None = None
    level: int = 1
    page: int | None = None
    page_label: str | None = None
    box: Box | None = None
    anchors: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    recognized: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document is from.

    Attributes:
        path: The file; its name is for messages, and what it refers to lies relative to it.
        root: The folder that it, and what it refers to, must lie in.
        places: Whether it is wanted where its pages were taken.
    """

    path: Path
    root: Path
    places: bool = True

    def beside(self, link: str) -> Path | None:
        """Where a relative link leads, normalised; ``None`` if that is no file inside the root.

        Nothing is opened, and nothing is fetched: a URL leads nowhere.
        """
        try:
            parts = urlsplit(link.strip())
        except ValueError:
            return None
        if parts.scheme or parts.netloc or not parts.path:
            return None
        path = Path(os.path.normpath(self.path.parent / unquote(parts.path)))
        return path if path.is_relative_to(self.root) and "\0" not in str(path) else None

    def image(self, link: str) -> ImageRef | None:
        """The picture that a relative link leads to, confined to the root; see `beside`."""
        path = self.beside(link)
        return None if path is None else ImageRef(path=path, root=self.root)


def no_links(data: bytes) -> Iterable[str]:
    """For formats whose pictures are inside."""
    del data
    return ()


def every_file(start: bytes) -> bool:
    """For formats that have their suffixes to themselves."""
    del start
    return True


@dataclass(frozen=True, slots=True)
class Format:
    """A format of documents.

    Attributes:
        name: What people call it.
        suffixes: How its files end, in small letters.
        elements: A document's bytes, and where they are from, to its elements in reading order; a
            `Skipped` for each part that cannot be used. Raises `DocumentError` if all of it cannot.
        has_scans: Its pages may be pictures without words.
        has_places: It may say where its pages were taken.
        version: To be raised when the same bytes give other elements, so that they are read again.
        links: The links to pictures among a document's bytes, found without reading all of it;
            those pictures are the document's, and are not also read for themselves.
        recognizes: Whether a file whose first `START` bytes are these is of the format; others with
            its suffix are left alone.
        recognized_by_all: It takes all of a file's bytes to say so.
    """

    name: str
    suffixes: frozenset[str]
    elements: Callable[[bytes, Source], Iterable[Element | Skipped]]
    version: int = 1
    has_scans: bool = False
    has_places: bool = False
    links: Callable[[bytes], Iterable[str]] = no_links
    recognizes: Callable[[bytes], bool] = every_file
    recognized_by_all: bool = False
