"""`PageContent`: what stands on a PDF's page, as PDFium tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from unisem.pdfium.page_drawings import Drawn, drawn_on
from unisem.pdfium.page_text import Line, lines_of

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument


@dataclass(slots=True)
class PageContent:
    """A page.

    Attributes:
        number: From 1.
        label: What the document calls it, if that is not its number.
        width: Points.
        height: Points.
        lines: Its upright lines, in the order of the file.
        drawn: What is drawn on it, in the order of the file.
    """

    number: int
    label: str | None
    width: float
    height: float
    lines: list[Line]
    drawn: list[Drawn]

    @classmethod
    def read(cls, document: PdfDocument, number: int) -> Self:
        """Read a page.

        Raises:
            PdfiumError: It is damaged.
        """
        page = document[number - 1]
        try:
            try:
                label = document.get_page_label(number - 1)
            except UnicodeDecodeError:  # half a letter of UTF-16
                label = None
            return cls(
                number=number,
                label=label if label and label != str(number) else None,
                width=page.get_width(),
                height=page.get_height(),
                lines=lines_of(page),
                drawn=drawn_on(page),
            )
        finally:
            page.close()

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "number": self.number,
            "label": self.label,
            "size": [self.width, self.height],
            "lines": [
                (line.text, line.box, line.size, line.is_bold, line.is_code, line.breaks_word)
                for line in self.lines
            ],
            "drawn": [(*one.box, one.kind) for one in self.drawn],
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        width, height = parts["size"]
        return cls(
            number=parts["number"],
            label=parts["label"],
            width=width,
            height=height,
            lines=[Line(text, tuple(box), *rest) for text, box, *rest in parts["lines"]],
            drawn=[Drawn(tuple(box), kind) for *box, kind in parts["drawn"]],
        )
