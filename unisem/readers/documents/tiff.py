"""`TIFF`: what a scanner has put into one file, page by page."""

from __future__ import annotations

from collections.abc import Iterator

from unisem.images.facts.file_facts import facts_of
from unisem.images.raw import preview_of
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.images.tiff import Ifd, tables_of
from unisem.readers.documents.elements import Element, Format, Source

_MAY_BE_SMALLER, _IS_MASK = 1, 4  # of the tag that says what a page is for


def _elements(data: bytes, source: Source) -> Iterator[Element]:
    """Its pages; what one does not say of itself, the first one says for all.

    A place is one thing: a page with its own has nothing of the first one's.
    """
    first = facts_of(data)
    said = ""
    for number, table in enumerate(tables_of(data), 1):
        if _is_page(table):
            image = ImageRef(path=source.path, root=source.root, region=Region(page=number))
            own = facts_of(data, page=number)
            words = "" if own.words == said else own.words or ""
            said = words or said
            of_all = first.metadata(location=source.places and own.latitude is None)
            yield Element(
                kind="page",
                page=number,
                image=image,
                text=words,
                facts=of_all | own.metadata(location=source.places),
            )


def _is_page(table: Ifd) -> bool:
    """Whether it is shown for itself, and not a preview or a mask of another one."""
    return not (table.whole(254) or 0) & (_MAY_BE_SMALLER | _IS_MASK)


def has_pages(data: bytes) -> bool:
    """Whether a file has several pages; one with a single page is a picture like others.

    Args:
        data: All of its bytes: where its pages are may stand at its end.
    """
    return sum(map(_is_page, tables_of(data))) > 1 and preview_of(data) is None


TIFF = Format(
    "TIFF",
    frozenset({".tif", ".tiff"}),
    _elements,
    version=3,
    has_places=True,
    recognizes=has_pages,
    recognized_by_all=True,
)
