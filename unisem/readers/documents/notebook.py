"""`NOTEBOOK`: Jupyter notebooks: words, code, and the pictures that the code made."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.linked_picture import drawing_fault, linked_picture
from unisem.readers.documents.markdown import MARKDOWN, markdown_elements

_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")  # the best first
_MOST_OUTPUT = 2000  # characters of what a cell prints
_MOST_CODE = 500  # characters of a cell's code, its last, that a picture is found by
_MOST_ABOVE = 300  # characters of the passage above it
_NAMES = re.compile(r"<[^\n]*>")  # of objects, as Python shows what has no words of its own
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def notebook_elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    """Read a notebook in the format of 2015 and later (nbformat 4).

    A picture among a cell's output is a figure; its words are the passage above and the cell's
    code. What cells print is read up to 2,000 characters a piece; errors are left out.

    Args:
        data: JSON.
        source: Where it is from.

    Raises:
        DocumentError: It is no notebook, or of an older format.
    """
    above = ""
    for number, cell in enumerate(_cells(data, source.path.name), 1):
        words, place = _text(cell.get("source")), f"{source.path}: cell {number}"
        if cell.get("cell_type") == "markdown" and words.strip():
            for element in _markdown(words, cell, source, place):
                if isinstance(element, Element) and element.kind in ("text", "heading"):
                    above = element.text
                yield element
        elif cell.get("cell_type") == "code":
            if words.strip():
                yield Element(kind="code", text=words)
            context = "\n".join(filter(None, (above[-_MOST_ABOVE:], words.strip()[-_MOST_CODE:])))
            for output in _list(cell.get("outputs")):
                yield from _output(output, context, place)


def _markdown(
    words: str, cell: Mapping[str, Any], source: Source, place: str
) -> Iterator[Element | Skipped]:
    @cache  # an attachment may be shown any number of times, and is decoded once
    def picture(link: str) -> ImageRef | Skipped:
        if not link.startswith("attachment:"):
            return linked_picture(link, source)
        attached = cell.get("attachments")
        name = unquote(link.removeprefix("attachment:"))
        found = attached.get(name) if isinstance(attached, dict) else None
        image = _picture(found if isinstance(found, dict) else {}, f"{place}: {name[:80]}")
        return image or Skipped(f"{place}: {name[:80]}", "is not attached as a picture")

    try:
        yield from markdown_elements(words.encode("utf-8", "replace"), source, picture)
    except DocumentError as error:
        yield Skipped(place, str(error))


def _output(output: Mapping[str, Any], context: str, place: str) -> Iterator[Element | Skipped]:
    if output.get("output_type") == "stream":
        printed = _text(output.get("text"))
    elif output.get("output_type") in ("display_data", "execute_result"):
        shown = output.get("data")
        shown = shown if isinstance(shown, dict) else {}
        image = _picture(shown, place)
        if isinstance(image, ImageRef):
            yield Element(kind="figure", text=context, image=image)
        elif image is not None:
            yield image
        printed = _text(shown.get("text/plain"))
        if _NAMES.fullmatch(printed.strip()):
            return
    else:
        return
    printed = _ESCAPES.sub("", printed[: 2 * _MOST_OUTPUT])[:_MOST_OUTPUT]
    if printed.strip():
        yield Element(kind="code", text=printed)


def _picture(shown: Mapping[str, Any], place: str) -> ImageRef | Skipped | None:
    for kind in _PICTURES:
        if text := _text(shown.get(kind)):
            try:
                data = base64.b64decode(text)
            except (binascii.Error, ValueError) as error:
                return Skipped(place, f"has a picture that is damaged ({error})")
            return ImageRef(data=data) if data else None
    if drawing := _text(shown.get("image/svg+xml")):
        fault = drawing_fault(".svg")
        return ImageRef(data=drawing.encode()) if fault is None else Skipped(place, fault)
    return None


def _cells(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{name} is no notebook: it is no JSON ({error})") from error
    if isinstance(notebook, dict) and isinstance(notebook.get("cells"), list):
        return _list(notebook["cells"])
    if isinstance(notebook, dict) and "worksheets" in notebook:
        raise DocumentError(f"{name} is of an old format; save it with today's Jupyter")
    raise DocumentError(f"{name} is no notebook: it has no cells")


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A text as notebooks have it: a string, or its lines."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    # JSON may hold halves of characters, which no store takes.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _links(data: bytes) -> Iterable[str]:
    for cell in _cells(data, "the document"):
        if cell.get("cell_type") == "markdown":
            yield from MARKDOWN.links(_text(cell.get("source")).encode())


NOTEBOOK = Format(
    name="Jupyter notebook",
    suffixes=frozenset({".ipynb"}),
    elements=notebook_elements,
    links=_links,
)
"""Nothing of it is run."""
