"""`Line`: the lines of a PDF's page, in the order of the file."""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from unisem.common.box import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

MOST_CHARACTERS = 200_000
"""Characters of a page that are read; no page that a person reads has more."""
MOST_LINES = 10_000
"""Lines of a page that are read."""

_GAP = 2.2  # times its size; what is further apart on one line stands in two columns
_FIXED_PITCH = 1  # of a font's flags, PDF 32000-1, table 123
_NAME = 128  # bytes of a font's name
_SAMPLED = 8  # letters of a line whose fonts are looked at
_UPRIGHT = 0.2  # radians that a line may lean


@dataclass(slots=True)
class Line:
    """A line of text.

    Attributes:
        text: Its words.
        box: Where, in points from the top left corner of the page as shown.
        size: Of its type, in points.
        is_bold: Whether its type is.
        is_code: Whether all its letters are equally wide.
        breaks_word: Whether it ends within a word, at a hyphen that is no part of it.
    """

    text: str
    box: Box
    size: float
    is_bold: bool = False
    is_code: bool = False
    breaks_word: bool = False

    @property
    def height(self) -> float:
        """Points from top to bottom."""
        return self.box[3] - self.box[1]


def shown_by(page: PdfPage) -> Callable[[float, float, float, float], Box]:
    """What turns a PDF's left, bottom, right, top into a box of the page as it is shown."""
    left, bottom, right, top = page.get_bbox()  # inherited ones, too
    rotation = page.get_rotation()  # asked once, not for each letter

    def shown(x0: float, y0: float, x1: float, y1: float) -> Box:
        match rotation:
            case 90:
                corners = y0 - bottom, x0 - left, y1 - bottom, x1 - left
            case 180:
                corners = right - x1, y0 - bottom, right - x0, y1 - bottom
            case 270:
                corners = top - y1, right - x1, top - y0, right - x0
            case _:
                corners = x0 - left, top - y1, x1 - left, top - y0
        return corners

    return shown


def lines_of(page: PdfPage) -> list[Line]:
    """The upright lines of a page, in the order of the file."""
    from pypdfium2 import raw

    shown = shown_by(page)
    text = page.get_textpage()
    try:
        lines: list[Line] = []
        letters: list[tuple[str, Box, float, int]] = []
        rectangle = raw.FS_RECTF()
        hyphen = False
        high = 0  # the last letter's first half, if that is all that is known of it

        def end() -> None:
            nonlocal hyphen
            if any(letter.strip() for letter, *_ in letters):
                lines.append(_line(text.raw, letters, hyphen))
            letters.clear()
            hyphen = False

        # Bound once: these are asked of each of some thousand letters.
        handle = text.raw
        unicode_of, is_hyphen = raw.FPDFText_GetUnicode, raw.FPDFText_IsHyphen
        box_of, angle_of = raw.FPDFText_GetLooseCharBox, raw.FPDFText_GetCharAngle
        size_of, place = raw.FPDFText_GetFontSize, ctypes.byref(rectangle)
        for index in range(min(text.count_chars(), MOST_CHARACTERS)):
            if len(lines) >= MOST_LINES:
                break
            code = unicode_of(handle, index)  # of UTF-16
            if high and 0xDC00 <= code < 0xE000:
                whole = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00
                letters[-1] = (_character(whole), *letters[-1][1:])
                high = 0
                continue
            high = 0
            if code in (10, 13):
                end()
                continue
            if code in (0, 0xFFFE, 0xFFFF, 2):  # 2 and FFFE: PDFium's marks for a hyphen at the end
                hyphen = hyphen or code in (2, 0xFFFE)
                continue
            if code == 0xAD or is_hyphen(handle, index) == 1:
                hyphen = True
                continue
            if not box_of(handle, index, place):
                continue
            if abs(_lean(angle_of(handle, index))) > _UPRIGHT:
                continue
            box = shown(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
            if letters and _is_elsewhere(letters, box):
                end()
            letters.append((_character(code), box, size_of(handle, index), index))
            high = code if 0xD800 <= code < 0xDC00 else 0
        end()
        return lines[:MOST_LINES]
    finally:
        text.close()


def _lean(angle: float) -> float:
    """An angle in radians, -pi to pi; what is unknown (-1) is upright."""
    return 0.0 if angle < 0 else (angle + 3.141593) % 6.283185 - 3.141593


def _character(code: int) -> str:
    if 0x20 <= code < 0x7F:
        return chr(code)
    letter = chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    if 0xFB00 <= code <= 0xFB06:  # ligatures
        return unicodedata.normalize("NFKC", letter)
    return " " if letter.isspace() or not letter.isprintable() else letter


def _is_elsewhere(letters: Sequence[tuple[str, Box, float, int]], box: Box) -> bool:
    """Whether a letter cannot belong to the line that these begin."""
    last = letters[-1][1]
    if letters[-1][0] == " ":
        last = next((item[1] for item in reversed(letters) if item[0] != " "), last)
    height = max(last[3] - last[1], box[3] - box[1], 1.0)
    apart = box[0] - last[2]
    overlap = min(last[3], box[3]) - max(last[1], box[1])
    return overlap < 0.2 * min(height, box[3] - box[1]) or apart > _GAP * height


def _line(text: object, letters: Sequence[tuple[str, Box, float, int]], hyphen: bool) -> Line:
    from pypdfium2 import raw

    words = "".join(letter for letter, *_ in letters)
    inked = [item for item in letters if item[0].strip()]
    boxes = [item[1] for item in inked]
    size = median(item[2] for item in inked)
    height = median(box[3] - box[1] for box in boxes)
    flags, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME)
    code = bold = 0
    sample = inked[:: max(len(inked) // _SAMPLED, 1)]
    for _, _, _, index in sample:
        raw.FPDFText_GetFontInfo(text, index, name, _NAME, flags)
        font = name.value.decode("utf-8", "replace").casefold()
        code += bool(flags.value & _FIXED_PITCH) or "mono" in font or "cmtt" in font
        weight = raw.FPDFText_GetFontWeight(text, index)
        bold += weight >= 600 or "bold" in font or "black" in font or "cmbx" in font
    is_code = 10 * code > 9 * len(sample)
    return Line(
        text=words.strip() if is_code else " ".join(words.split()),
        box=(
            min(box[0] for box in boxes),
            min(box[1] for box in boxes),
            max(box[2] for box in boxes),
            max(box[3] for box in boxes),
        ),
        size=size if size > 1.5 else height / 1.2,  # a size of 1 is scaled by a matrix
        is_bold=2 * bold > len(sample),
        is_code=is_code,
        breaks_word=hyphen,
    )
