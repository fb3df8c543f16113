"""`Drawn`: what is drawn on a PDF's page, object by object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unisem.common.box import Box
from unisem.pdfium.page_text import shown_by

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

MOST_OBJECTS = 50_000
"""Objects of a page that are looked at; a drawing that has more is found by its first ones."""

_THIN = 2.0  # points; what is thinner is a rule
_BACKGROUND = 0.85  # of the page


@dataclass(frozen=True, slots=True)
class Drawn:
    """One object.

    Attributes:
        box: Where.
        kind: A bitmap; a drawing that was made elsewhere and included as a whole; a thin line; or
            another path.
    """

    box: Box
    kind: Literal["image", "form", "rule", "drawing"]


def drawn_on(page: PdfPage) -> list[Drawn]:
    """The objects of a page that are no text and no background, in the order of the file.

    Forms (a figure that was included as a PDF) count as a whole.
    """
    from pypdfium2 import raw

    width, height = page.get_size()
    shown = shown_by(page)
    found: list[Drawn] = []
    for number, item in enumerate(page.get_objects(max_depth=1)):
        if number >= MOST_OBJECTS:
            break
        if item.type not in (
            raw.FPDF_PAGEOBJ_IMAGE,
            raw.FPDF_PAGEOBJ_PATH,
            raw.FPDF_PAGEOBJ_FORM,
            raw.FPDF_PAGEOBJ_SHADING,
        ):
            continue
        left, top, right, bottom = shown(*item.get_bounds())
        left, top, right, bottom = (
            max(left, 0.0),
            max(top, 0.0),
            min(right, width),
            min(bottom, height),
        )
        if right < left or bottom < top:
            continue
        box = left, top, right, bottom
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            found.append(Drawn(box, "image"))
        elif (right - left) * (bottom - top) > _BACKGROUND * width * height:
            continue
        elif min(right - left, bottom - top) < _THIN:
            found.append(Drawn(box, "rule"))
        else:
            is_form = item.type == raw.FPDF_PAGEOBJ_FORM
            found.append(Drawn(box, "form" if is_form else "drawing"))
    return found
