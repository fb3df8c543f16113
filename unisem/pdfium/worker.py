"""What runs in the process that PDFium lives in: ``python -m unisem.pdfium.worker``.

It opens no file and writes none: documents come, and answers go, through pipes. Nothing that takes
long to import is imported here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from unisem.pdfium.frames import receive, send
from unisem.pdfium.limits import limit_memory, limited
from unisem.pdfium.page_content import PageContent

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_ENTRIES = 50_000
"""Entries of a table of contents that are read."""

_OPENED_ANEW = 32  # pages, after which what PDFium has kept of a document is let go
_DEEPEST = 8  # level of a table of contents

Answer = tuple[Any, bytes]


def main() -> None:
    """Answer what comes on standard input until there is no more."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library's chatter is no answer
    limit_memory(int(sys.argv[1]))
    desk = _Desk()
    while True:
        try:
            request, data = receive(requests)
        except EOFError:
            return
        began = time.process_time()
        with limited(request["seconds"], request["clock"]):
            answer, pixels = desk.answer(request, data)
        send(answers, answer | {"seconds": time.process_time() - began}, pixels)


class _Desk:
    """What is open, and what can be asked of it."""

    def __init__(self) -> None:
        self._data = b""
        self._document: PdfDocument | None = None
        self._read = 0
        self._tasks: Mapping[str, Callable[..., Answer]] = {
            "pages": self._pages,
            "outline": self._outline,
            "page": self._page,
            "size": self._size,
            "render": self._render,
        }

    def answer(self, request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Do as a request says. What is no error of the document's ends this process."""
        from pypdfium2 import PdfiumError

        try:
            if request["task"] == "open":
                self._open(data)
                value, pixels = None, b""
            else:
                value, pixels = self._tasks[request["task"]](*request["arguments"])
        except PdfiumError as error:
            return {"error": str(error)}, b""
        return {"value": value}, pixels

    def _open(self, data: bytes) -> None:
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
            self._open(self._data)
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
