"""`Region`: a part of a page of a PDF, which is a picture without being a file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from unisem.common.forks import Mutex
from unisem.common.lazy import require
from unisem.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfDocument, PdfPage

MAX_SIDE = 4096
"""Pixels that a rendered region's longer side may have; a larger one is rendered coarser."""

_POINTS = 72  # an inch
_FAINTEST, _FINEST = 18, 1200  # dots per inch
_PAGE_DPI = 96  # to find one's way on a page, not to read it
_FRAME, _FRAME_COLOUR = 4, (215, 38, 61)  # pixels
_PDFIUM = Mutex()  # PDFium bears one thread at a time

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in points (1/72 inch), from the top left corner of the page as shown."""


def around(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page of a PDF.

    Attributes:
        page: The page, from 1.
        box: The part of it, in points from the page's top left corner; all of it if ``None``.
        dpi: Pixels per inch that it is rendered with.
        document: SHA-256 of the PDF, once known. While the PDF has it, the region shows what it
            showed; if it has another one, what is rendered is compared.

    >>> Region(page=12, box=(72, 90, 520, 300)).to_json()
    {'page': 12, 'box': [72.0, 90.0, 520.0, 300.0], 'dpi': 144}
    """

    page: int
    box: Box | None = None
    dpi: int = 144
    document: str | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.page) or self.page < 1:
            raise ImageError("region", f"page must be a whole number from 1, not {self.page!r}")
        if not _is_whole(self.dpi) or not _FAINTEST <= self.dpi <= _FINEST:
            raise ImageError("region", f"dpi must be {_FAINTEST} to {_FINEST}, not {self.dpi!r}")
        if self.box is None:
            return
        numbers = tuple(map(float, self.box))
        if (
            len(numbers) != 4
            or not all(map(math.isfinite, numbers))
            or not (numbers[0] < numbers[2] and numbers[1] < numbers[3])
        ):
            raise ImageError("region", f"box must be (left, top, right, bottom), not {self.box!r}")
        object.__setattr__(self, "box", numbers)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary that JSON can hold, without what is ``None``."""
        parts: dict[str, Any] = {"page": self.page}
        if self.box is not None:
            parts["box"] = list(self.box)
        parts["dpi"] = self.dpi
        return parts if self.document is None else parts | {"document": self.document}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`.

        Raises:
            ImageError: They are not what `to_json` gives.
        """
        try:
            box = parts.get("box")
            return cls(
                page=parts["page"],
                box=None if box is None else tuple(box),
                dpi=parts["dpi"],
                document=parts.get("document"),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError("region", "is damaged", f" ({error})") from error

    def render(self, data: bytes, name: str) -> bytes:
        """Render to the bytes of a PNG.

        Args:
            data: The PDF.
            name: What to call it in an error.

        Raises:
            ImageError: No PDF, one that needs a password, or without such a page or box.
        """
        with self._opened(data, name) as page:
            width, height = page.get_size()
            box = self._inside(width, height, name)
            picture, _ = _rendered(page, box, self.dpi)
        buffer = BytesIO()
        picture.save(buffer, format="PNG", compress_level=3)
        return buffer.getvalue()

    def render_page(self, data: bytes, name: str) -> Image.Image:
        """Render the whole page, at 96 dots per inch, with a frame around the box.

        Raises:
            ImageError: As `render`.
        """
        from PIL import ImageDraw

        with self._opened(data, name) as page:
            width, height = page.get_size()
            box = self._inside(width, height, name)
            picture, scale = _rendered(page, (0.0, 0.0, width, height), _PAGE_DPI)
        if self.box is not None:
            left, top, right, bottom = (round(side * scale) for side in box)
            frame = (left - _FRAME, top - _FRAME, right + _FRAME, bottom + _FRAME)
            ImageDraw.Draw(picture).rectangle(frame, outline=_FRAME_COLOUR, width=_FRAME)
        return picture

    @contextmanager
    def _opened(self, data: bytes, name: str) -> Iterator[PdfPage]:
        with opened_pdf(data, name) as document:
            if self.page > len(document):
                raise ImageError(name, f"has {len(document)} pages, and no page {self.page}")
            page = document[self.page - 1]
            try:
                yield page
            finally:
                page.close()

    def _inside(self, width: float, height: float, name: str) -> Box:
        """The part of the box that is on the page."""
        left, top, right, bottom = self.box or (0.0, 0.0, width, height)
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, width), min(bottom, height)
        if right - left < 1 or bottom - top < 1:
            raise ImageError(name, f"has nothing at {self.box} on page {self.page}")
        return left, top, right, bottom


def _rendered(page: PdfPage, box: Box, dpi: int) -> tuple[Image.Image, float]:
    """What a part of a page shows, and how many pixels a point has."""
    width, height = page.get_size()
    left, top, right, bottom = box
    scale = min(dpi / _POINTS, MAX_SIDE / max(right - left, bottom - top))
    bitmap = page.render(
        scale=scale,
        crop=(left, height - bottom, width - right, top),  # what to leave out at each side
        may_draw_forms=False,
    )
    picture: Image.Image = bitmap.to_pil().convert("RGB")
    return picture, scale


@contextmanager
def opened_pdf(data: bytes, name: str) -> Iterator[PdfDocument]:
    """Open a PDF, to the exclusion of all other threads until it is closed.

    Raises:
        ImageError: It is none, is damaged, or needs a password; or PDFium fails within.
    """
    try:
        require("reading a PDF", "pypdfium2", "unisem[documents]")
    except ImportError as error:
        raise ImageError(name, "cannot be read", f" ({error})") from error
    from pypdfium2 import PdfDocument, PdfiumError

    with _PDFIUM:
        try:
            document = PdfDocument(data)
            try:
                yield document
            finally:
                document.close()
        except PdfiumError as error:
            if "password" in str(error).casefold():
                summary = "needs a password"
                raise ImageError(name, summary, "; save a copy without one") from error
            raise ImageError(name, "is damaged, or no PDF", f" ({error})") from error


def digest_of(data: bytes) -> str:
    """SHA-256 of a document's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
