"""`DOCLING`: documents as Docling has parsed them and written them down as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, unquote

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.block_elements import block_elements
from unisem.readers.documents.docling_blocks import blocks_of_docling, uri_of
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.linked_picture import linked_picture

MOST_PARTS = 5_000_000
"""Values that the JSON may have; Docling writes about 2,000 for a page full of words."""

_NAME = re.compile(rb'"schema_name"\s*:\s*"DoclingDocument"')
_DRAWINGS = "pictures that Docling did not keep; convert with generate_picture_images=True"


def docling_elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    """Read a ``DoclingDocument``, or docling-serve's answer with one.

    Pictures are data URIs, or files beside the JSON (``ImageRefMode.REFERENCED``); a page's own
    picture is a page. Boxes are in the units of the page's size, which are points for PDF.

    Args:
        data: JSON.
        source: Where it is from.

    Raises:
        DocumentError: It is none.
    """
    document = _parsed(data, source.path.name)

    def opened(uri: str) -> ImageRef | Skipped:
        return linked_picture(_link(uri), source)

    waiting = _page_pictures(document)[::-1]
    for element in block_elements(
        blocks_of_docling(document), opened, str(source.path), drawings=_DRAWINGS
    ):
        page = element.page if isinstance(element, Element) else None
        while page is not None and waiting and waiting[-1][0] <= page:
            yield _page(*waiting.pop(), opened)
        yield element
    while waiting:
        yield _page(*waiting.pop(), opened)


def is_docling(start: bytes) -> bool:
    """Whether a file that starts so is one; Docling writes the schema's name first."""
    return _NAME.search(start) is not None


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_PARTS:
        raise DocumentError(f"{name} has more than {MOST_PARTS:,} values")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{name} is damaged: it is no JSON ({error})") from error
    served = found.get("document") if isinstance(found, dict) else None
    inside = served.get("json_content") if isinstance(served, dict) else None
    for document in (found, inside):
        if isinstance(document, dict) and document.get("schema_name") == "DoclingDocument":
            return document
    raise DocumentError(f"{name} is no document of Docling")


def _page_pictures(document: dict[str, Any]) -> list[tuple[int, str]]:
    pages = document.get("pages")
    found = [
        (int(number), uri)
        for number, page in (pages.items() if isinstance(pages, dict) else ())
        if number.isascii() and number.isdigit() and len(number) < 10 and isinstance(page, dict)
        if int(number) and (uri := uri_of(page))
    ]
    return sorted(found)


def _page(number: int, uri: str, opened: Any) -> Element | Skipped:
    image = opened(uri)
    if isinstance(image, Skipped):
        return image
    return Element(kind="page", image=image, page=number)


def _link(uri: str) -> str:
    """A picture's URI as a link; Docling writes paths as they are, not quoted."""
    if uri.lower().startswith("file://"):
        return quote(unquote("/" + uri[7:].partition("/")[2]))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", uri):
        return uri
    return quote(PurePath(uri).as_posix())


def _links(data: bytes) -> Iterable[str]:
    document = _parsed(data, "the document")
    for kind in ("pictures", "tables"):
        items = document.get(kind)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and (uri := uri_of(item)):
                yield from _to_file(uri)
    for _, uri in _page_pictures(document):
        yield from _to_file(uri)


def _to_file(uri: str) -> Iterable[str]:
    return () if uri.startswith("data:") else (_link(uri),)


DOCLING = Format(
    name="Docling",
    suffixes=frozenset({".json"}),
    elements=docling_elements,
    links=_links,
    recognizes=is_docling,
)
"""Docling itself is not needed."""
