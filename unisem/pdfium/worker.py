"""What runs in the process that PDFium lives in: ``python -m unisem.pdfium.worker``.

It opens no file and writes none: documents come, and answers go, through pipes. Nothing that takes
long to import is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from unisem.common.answering import Answer, answer_requests
from unisem.pdfium.page_content import PageContent

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_ENTRIES = 50_000
"""Entries of a table of contents that are read."""

_OPENED_ANEW = 32  # pages, after which what PDFium has kept of a document is let go
_DEEPEST = 8  # level of a table of contents


def main() -> None:
    """Answer what is asked of documents."""
    from pypdfium2 import PdfiumError

    desk = _Desk()
    answer_requests(desk.open, desk.tasks, (PdfiumError,))


class _Desk:
    """What is open, and what can be asked of it."""

    def __init__(self) -> None:
        self._data = b""
        self._document: PdfDocument | None = None
        self._read = 0
        self.tasks: Mapping[str, Callable[..., Answer]] = {
            "pages": self._pages,
            "outline": self._outline,
            "page": self._page,
            "size": self._size,
            "render": self._render,
        }

    def open(self, data: bytes) -> None:
        """Take a document."""
        from pypdfium2 import PdfDocument

        self._close()
        self._document = PdfDocument(data)
        self._data, self._read = data, 0

    def _close(self) -> None:
        document, self._document, self._data = self._document, None, b""
        if document is not None:
            document.close()

    def _opened(self) -> PdfDocument:
        assert self._document is not None
        return self._document

    def _pages(self) -> Answer:
        return len(self._opened()), b""

    def _outline(self) -> Answer:
        found: list[tuple[int, int, str]] = []
        for entry in self._opened().get_toc(max_depth=_DEEPEST):
            target = entry.get_dest()
            index = None if target is None else target.get_index()
            try:
                title = entry.get_title()
            except UnicodeDecodeError:  # half a letter of UTF-16
                continue
            if index is not None and title:
                found.append((entry.level + 1, index + 1, title))
            if len(found) == MOST_ENTRIES:
                break
        return found, b""

    def _page(self, number: int) -> Answer:
        if self._read == _OPENED_ANEW:
            self.open(self._data)
        self._read += 1
        return PageContent.read(self._opened(), number).to_json(), b""

    def _size(self, number: int) -> Answer:
        return self._opened().get_page_size(number - 1), b""

    def _render(self, number: int, crop: tuple[float, ...], scale: float) -> Answer:
        page = self._opened()[number - 1]
        try:
            bitmap = page.render(scale=scale, crop=crop, may_draw_forms=False)
            picture = bitmap.to_pil().convert("RGB")
            return picture.size, picture.tobytes()
        finally:
            page.close()


if __name__ == "__main__":
    main()
