"""`PdfFile`: a PDF of somebody else's, read and rendered within bounds of time and memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Self

from unisem.common.box import Box
from unisem.common.lazy import require
from unisem.common.process_apart import ProcessApart
from unisem.errors import ImageError
from unisem.pdfium.page_content import PageContent

if TYPE_CHECKING:
    from PIL import Image

_AT_LEAST, _A_PAGE, _AT_MOST = 60.0, 0.5, 1800.0  # seconds of a processor's for a document


PDFIUM = ProcessApart("unisem.pdfium.worker", "PDFium", "UNISEM_PDF_SECONDS")
"""This process's."""


class PdfFile:
    """A PDF.

    Args:
        data: Its bytes.
        name: What to call it in an error.

    Attributes:
        name: As given.
        pages: How many it says that it has.

    Raises:
        ImageError: It is none, is damaged, or needs a password; or PDFium is not installed.
    """

    def __init__(self, data: bytes, name: str) -> None:
        try:
            require("reading a PDF", "pypdfium2", "unisem[documents]")
        except ImportError as error:
            raise ImageError(name, "cannot be read", f" ({error})") from error
        self._data, self.name = data, name
        self._digest = hashlib.sha256(data).hexdigest()
        self._spent = 0.0
        answer, _ = self._ask("pages")
        if "error" in answer:
            if "password" in answer["error"].casefold():
                raise ImageError(name, "needs a password", "; save a copy without one")
            raise ImageError(name, "is damaged, or no PDF", f" ({answer['error']})")
        self.pages = int(answer["value"])

    @classmethod
    def from_the_start(cls, data: bytes, name: str) -> Self:
        """A PDF that is to be read page by page, whatever PDFium was ended over before.

        So that reading it again says of it what reading it has said.

        Raises:
            ImageError: As the constructor.
        """
        PDFIUM.forgive(hashlib.sha256(data).hexdigest())
        return cls(data, name)

    @property
    def is_spent(self) -> bool:
        """Whether it has taken all the time that a document of so many pages may take."""
        return self._spent > self.allowed or PDFIUM.gives_up(self._digest)

    @property
    def allowed(self) -> float:
        """Seconds of a processor's that a document of so many pages may take."""
        return min(_AT_LEAST + _A_PAGE * self.pages, _AT_MOST)

    def outline(self) -> list[tuple[int, int, str]]:
        """Its own table of contents: levels, from 1, pages, from 1, and titles.

        Raises:
            ImageError: It cannot be read.
        """
        answer, _ = self._ask("outline")
        if "error" in answer:
            raise ImageError(self.name, "is damaged", f" ({answer['error']})")
        return [(level, page, title) for level, page, title in answer["value"]]

    def page(self, number: int) -> PageContent:
        """What stands on a page, which is from 1.

        Raises:
            ImageError: It cannot be read.
        """
        return PageContent.from_json(self._of_page(number, "page")[0])

    def size(self, number: int) -> tuple[float, float]:
        """A page's width and height in points, as it is shown.

        Raises:
            ImageError: It cannot be read.
        """
        width, height = self._of_page(number, "size")[0]
        return width, height

    def rendered(self, number: int, box: Box, scale: float) -> Image.Image:
        """A part of a page, as RGB.

        Args:
            number: The page, from 1.
            box: On the page.
            scale: Pixels that a point has.

        Raises:
            ImageError: It cannot be rendered.
        """
        from PIL import Image

        width, height = self.size(number)
        left, top, right, bottom = box
        crop = left, height - bottom, width - right, top  # what to leave out at each side
        size, pixels = self._of_page(number, "render", crop, scale)
        return Image.frombytes("RGB", tuple(size), pixels)

    def _of_page(self, number: int, task: str, *arguments: Any) -> tuple[Any, bytes]:
        if not 1 <= number <= self.pages:
            raise ImageError(self.name, f"has {self.pages} pages, and no page {number}")
        answer, pixels = self._ask(task, number, *arguments)
        if "error" in answer:
            raise ImageError(self.name, "is damaged", f" ({answer['error']})")
        return answer["value"], pixels

    def _ask(self, task: str, *arguments: Any) -> tuple[dict[str, Any], bytes]:
        answer, pixels = PDFIUM.ask(self._data, self._digest, self.name, task, *arguments)
        self._spent += answer["seconds"]
        return answer, pixels
