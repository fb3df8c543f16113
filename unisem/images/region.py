"""`Region`: a part of a page of a PDF, or a page of a TIFF: a picture without being a file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from unisem.common.box import Box
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.tiff import byte_order

if TYPE_CHECKING:
    from PIL import Image

    from unisem.pdfium.pdf_file import PdfFile

MAX_SIDE = 4096
"""Pixels that a rendered region's longer side may have; a larger one is rendered coarser."""

_POINTS = 72  # an inch
_FAINTEST, _FINEST = 18, 1200  # dots per inch
_PAGE_DPI = 96  # to find one's way on a page, not to read it
_FRAME, _FRAME_COLOUR = 4, (215, 38, 61)  # pixels


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page of a PDF.

    Attributes:
        page: The page, from 1.
        box: The part of it, in points from the page's top left corner; all of it if ``None``, as
            always of a TIFF.
        dpi: Pixels per inch that it is rendered with; a TIFF's page has its own.
        document: SHA-256 of the file, once known. While the file has it, the region shows what it
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
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError("region", "is damaged", f" ({error})") from error

    def render(self, data: bytes, name: str) -> bytes:
        """Render to the bytes of a PNG.

        Args:
            data: The PDF, or the TIFF.
            name: What to call it in an error.

        Raises:
            ImageError: Neither, one that needs a password, without such a page or box, or one that
                PDFium takes too long over.
        """
        if byte_order(data):
            return _as_png(self._page_of_tiff(data, name))
        from unisem.pdfium.pdf_file import PdfFile  # of few pictures

        return self.render_from(PdfFile(data, name))

    def render_from(self, pdf: PdfFile) -> bytes:
        """The same of a PDF that is open, as for many regions of one.

        Raises:
            ImageError: As `render`.
        """
        left, top, right, bottom = box = self._inside(*pdf.size(self.page), pdf.name)
        scale = min(self.dpi / _POINTS, MAX_SIDE / max(right - left, bottom - top))
        return _as_png(pdf.rendered(self.page, box, scale))

    def render_page(self, data: bytes, name: str) -> Image.Image:
        """Render the whole page, at 96 dots per inch, with a frame around the box.

        Raises:
            ImageError: As `render`.
        """
        if byte_order(data):
            return self._page_of_tiff(data, name)
        from PIL import ImageDraw

        from unisem.pdfium.pdf_file import PdfFile  # of few pictures

        pdf = PdfFile(data, name)
        width, height = pdf.size(self.page)
        box = self._inside(width, height, name)
        scale = min(_PAGE_DPI / _POINTS, MAX_SIDE / max(width, height))
        picture = pdf.rendered(self.page, (0.0, 0.0, width, height), scale)
        if self.box is not None:
            left, top, right, bottom = (round(side * scale) for side in box)
            frame = (left - _FRAME, top - _FRAME, right + _FRAME, bottom + _FRAME)
            ImageDraw.Draw(picture).rectangle(frame, outline=_FRAME_COLOUR, width=_FRAME)
        return picture

    def _page_of_tiff(self, data: bytes, name: str) -> Image.Image:
        picture = decode_image(data, name, min_side=MAX_SIDE, page=self.page)
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        return picture

    def _inside(self, width: float, height: float, name: str) -> Box:
        """The part of the box that is on the page."""
        left, top, right, bottom = self.box or (0.0, 0.0, width, height)
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, width), min(bottom, height)
        if right - left < 1 or bottom - top < 1:
            raise ImageError(name, f"has nothing at {self.box} on page {self.page}")
        return left, top, right, bottom


def _as_png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def digest_of(data: bytes) -> str:
    """SHA-256 of a document's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
