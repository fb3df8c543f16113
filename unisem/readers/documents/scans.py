"""`with_words`: pages that are pictures, read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO

from PIL import Image

from unisem.common.skipped import Skipped
from unisem.errors import ImageError, RecognizerError
from unisem.images.reference import ImageRef
from unisem.images.region import MAX_SIDE
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pdf_blocks import blocks_of, leading_of
from unisem.readers.documents.recognized_lines import reading_lines
from unisem.recognition.base import TextRecognizer

_DPI = 200  # a page is read with
_POINTS = 72  # an inch


def with_words(
    elements: Iterable[Element | Skipped],
    data: bytes,
    source: Source,
    recognizer: TextRecognizer,
) -> Iterator[Element | Skipped]:
    """Yield elements, after each page that is a picture the paragraphs that were read on it.

    Args:
        elements: A document's.
        data: Its bytes.
        source: Where it is from.
        recognizer: Reads; a page that it fails on is yielded without words, and a `Skipped`.
    """
    for element in elements:
        yield element
        if isinstance(element, Skipped) or element.kind != "page" or element.text:
            continue
        image = element.image
        if isinstance(image, ImageRef) and image.region is not None:
            try:
                yield from _read(element, image, data, recognizer)
            except (ImageError, RecognizerError) as error:
                reason = error.reason if isinstance(error, ImageError) else str(error)
                yield Skipped(f"{source.path}", f"page {element.page} has no words read: {reason}")


def _read(page: Element, image: ImageRef, data: bytes, recognizer: TextRecognizer) -> list[Element]:
    assert image.region is not None
    rendered = replace(image.region, dpi=_DPI).render(data, image.name)
    with Image.open(BytesIO(rendered)) as picture:
        is_coarser = max(picture.size) >= MAX_SIDE  # by how much is not known
    lines = recognizer.read(rendered)
    upright = all(line.turn == 0 for line in lines)
    found = reading_lines(lines, _POINTS / _DPI)
    sizes = sorted(line.size for line in found for _ in line.text)
    body = sizes[len(sizes) // 2] if sizes else 10.0
    return [
        Element(
            kind="text",
            text=block.text,
            page=page.page,
            page_label=page.page_label,
            box=block.box if upright and not is_coarser else None,
            recognized=True,
        )
        for block in blocks_of(found, body, leading_of(found))
    ]
