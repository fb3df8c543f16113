"""`Block`: paragraphs, headings and code of a PDF's page, made of its lines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from unisem.common.box import Box, around
from unisem.pdfium.page_text import Line
from unisem.readers.documents.labels import label_of

_BULLET = re.compile(r"([•‣◦▪–—*·]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_APART = 0.65  # times a line's size: white between two paragraphs
_LOOSER = 0.2  # times a line's size: white more than between two lines
_LOOKED_AT = 100  # lines before one, of a paragraph that is longer than a page
_INDENT = 0.8  # times its size, of a paragraph's first line
_SENTENCE_ENDS = tuple(".!?:;。！？：；”\"')")


@dataclass(slots=True)
class Block:
    """Lines that belong together.

    Attributes:
        lines: In order.
    """

    lines: list[Line]

    @property
    def text(self) -> str:
        """Its words; hyphens at ends of lines are taken out, code keeps its lines."""
        if self.is_code:
            return _code(self.lines)
        text = ""
        for before, line in pairwise([self.lines[0], *self.lines]):
            if not text:
                text = line.text
            elif joins := _broken(text, line, before):
                text = text[: -joins if joins > 1 else None] + line.text
            else:
                text += ("" if _is_wide(text[-1]) and _is_wide(line.text[:1]) else " ") + line.text
        return text

    @property
    def box(self) -> Box:
        """Where."""
        box = self.lines[0].box
        for line in self.lines[1:]:
            box = around(box, line.box)
        return box

    @property
    def size(self) -> float:
        """Of its type, in points."""
        return self.lines[0].size

    @property
    def is_code(self) -> bool:
        """Whether most of its letters are equally wide."""
        code = sum(len(line.text) for line in self.lines if line.is_code)
        return 2 * code > sum(len(line.text) for line in self.lines)


def leading_of(lines: Sequence[Line]) -> float:
    """White between most lines that follow each other, as a share of their size."""
    gaps = [
        (line.box[1] - last.box[3]) / last.size
        for last, line in pairwise(lines)
        if last.size > 1
        and abs(line.size - last.size) < 0.5
        and 0 < line.box[1] - last.box[1] < 2 * last.size
    ]
    return median(gaps) if gaps else math.inf


def blocks_of(lines: Sequence[Line], body: float, leading: float) -> list[Block]:
    """Group lines, which are in reading order, into blocks.

    Args:
        lines: In reading order.
        body: Size of the document's text.
        leading: Of the document's text, by `leading_of`.
    """
    blocks: list[Block] = []
    for line in lines:
        if blocks and _goes_on(blocks[-1], line, body, leading):
            blocks[-1].lines.append(line)
        else:
            blocks.append(Block([line]))
    return blocks


def _goes_on(block: Block, line: Line, body: float, leading: float) -> bool:
    last = block.lines[-1]
    if abs(line.size - last.size) > 0.12 * last.size or line.is_code != last.is_code:
        # a line may end, or begin, in another type
        beside = abs(line.box[1] - last.box[1]) < 0.5 * last.height
        return beside and line.box[0] - last.box[2] < 2 * body
    if line.box[1] < last.box[1] - last.height:  # on in the next column
        return not last.text.endswith(_SENTENCE_ENDS) and line.text[:1].islower()
    white = line.box[1] - last.box[3]
    if white > _APART * max(last.size, 6.0):
        return False
    if white > (leading + _LOOSER) * last.size and label_of(block.lines[0].text) is not None:
        return False  # a caption and what follows it are often set closer than two paragraphs
    if line.is_code:
        return True
    if line.is_bold != last.is_bold and len(block.lines) == 1:
        return False
    if _BULLET.match(line.text):
        return False
    begins = line.box[0] - min(item.box[0] for item in block.lines[-_LOOKED_AT:])
    ended = last.text.endswith(_SENTENCE_ENDS)
    return not (len(block.lines) > 1 and ended and begins > _INDENT * line.size)


def _broken(text: str, line: Line, before: Line) -> int:
    """How a word goes on in a line: 0 it does not, 1 as it is, 2 without the hyphen at the end."""
    if before.breaks_word:
        return 1
    word = text[-2:-1].isalpha() and text.endswith(("-", "\u2010"))
    return 2 if word and line.text[:1].islower() else 0


def _is_wide(letter: str) -> bool:
    return "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"


def _code(lines: Sequence[Line]) -> str:
    """Lines with the indentation that they have on the page."""
    left = min(line.box[0] for line in lines)
    rows: list[str] = []
    height = -1.0
    for line in lines:
        width = (line.box[2] - line.box[0]) / max(len(line.text), 1)
        column = round((line.box[0] - left) / width) if width > 0.5 else 0
        if rows and abs(line.box[1] - height) < 0.5 * line.height:
            rows[-1] = rows[-1].ljust(min(column, 200)) + line.text
        else:
            rows.append(" " * min(column, 80) + line.text)
        height = line.box[1]
    return "\n".join(rows)
