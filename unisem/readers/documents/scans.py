"""`with_words`: pages that are pictures, read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from unisem.common.skipped import Skipped
from unisem.errors import ImageError, RecognizerError
from unisem.images.decoding import inspect_image
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.pdfium.pdf_file import PdfFile
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pdf_blocks import blocks_of, leading_of
from unisem.readers.documents.recognized_lines import reading_lines
from unisem.recognition.recognizer_run import RecognizerRun

_DPI = 200  # a page is read with


def with_words(
    elements: Iterable[Element | Skipped],
    data: bytes,
    source: Source,
    recognizer: RecognizerRun,
) -> Iterator[Element | Skipped]:
    """Yield elements, after each page that is a picture the paragraphs that were read on it.

    Args:
        elements: A document's.
        data: Its bytes.
        source: Where it is from.
        recognizer: Reads; a page that it fails on is yielded without words, and a `Skipped`.

    Raises:
        RecognizerError: The recogniser has failed on 16 pictures running.
    """
    pdf: PdfFile | None = None
    for element in elements:
        yield element
        if isinstance(element, Skipped) or element.kind != "page" or element.text:
            continue
        image = element.image
        if isinstance(image, ImageRef) and image.region is not None:
            try:
                pdf = pdf or PdfFile(data, source.path.name)
                found = _read(element, image.region, pdf, recognizer)
            except ImageError as error:
                yield _unread(element, source, error.reason, error.again)
                continue
            if isinstance(found, RecognizerError):
                yield _unread(element, source, str(found), again=True)
            else:
                yield from found


def _unread(page: Element, source: Source, reason: str, again: bool) -> Skipped:
    return Skipped(f"{source.path}", f"page {page.page} has no words read: {reason}", again)


def _read(
    page: Element, region: Region, pdf: PdfFile, recognizer: RecognizerRun
) -> list[Element] | RecognizerError:
    rendered = replace(region, dpi=_DPI).render_from(pdf)
    width, _ = pdf.size(region.page)
    lines = recognizer.read(rendered)
    if isinstance(lines, RecognizerError):
        return lines
    upright = all(line.turn == 0 for line in lines)
    found = reading_lines(lines, width / inspect_image(rendered, pdf.name).width)
    sizes = sorted(line.size for line in found for _ in line.text)
    body = sizes[len(sizes) // 2] if sizes else 10.0
    return [
        Element(
            kind="text",
            text=block.text,
            page=page.page,
            page_label=page.page_label,
            box=block.box if upright else None,
            recognized=True,
        )
        for block in blocks_of(found, body, leading_of(found))
    ]
