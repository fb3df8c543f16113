"""`shapes_of_slide`: what stands on a slide, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unisem.common.box import Box
from unisem.readers.documents.office_xml import attribute, children, descend, local_name

if TYPE_CHECKING:
    from lxml.etree import _Element

_POINT = 12700  # EMU
_DEEPEST = 30  # groups in groups
_LARGEST = 1e6  # points; a slide has at most 4032
_TITLES = ("title", "ctrTitle")
_RUNNING = ("dt", "ftr", "sldNum", "hdr")
_SHAPES = ("sp", "pic", "graphicFrame")


@dataclass(frozen=True, slots=True)
class SlideShape:
    """A shape of a slide.

    Attributes:
        node: The shape (``p:sp``, ``p:pic``, ``p:graphicFrame``).
        box: Where, in points from the slide's top left corner; ``None`` if nothing says it.
        place: What it holds the place of: ``title``, ``body``, ``""`` for no placeholder.
        alternative: What is said for those who cannot see it.
    """

    node: _Element
    box: Box | None
    place: str
    alternative: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """How a group's own coordinates become the slide's."""

    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def box(self, form: _Element | None) -> Box | None:
        """The box of an ``a:xfrm``."""
        numbers = _numbers(form, ("off", "x"), ("off", "y"), ("ext", "cx"), ("ext", "cy"))
        if numbers is None:
            return None
        x, y, width, height = numbers
        left, top = x * self.scale[0] + self.shift[0], y * self.scale[1] + self.shift[1]
        right, bottom = left + width * self.scale[0], top + height * self.scale[1]
        box = (left / _POINT, top / _POINT, right / _POINT, bottom / _POINT)
        return box if left < right and top < bottom and max(map(abs, box)) < _LARGEST else None

    def within(self, form: _Element | None) -> _Frame:
        """The frame of a group's shapes; ``form`` is the group's ``a:xfrm``."""
        outer = _numbers(form, ("off", "x"), ("off", "y"), ("ext", "cx"), ("ext", "cy"))
        inner = _numbers(form, ("chOff", "x"), ("chOff", "y"), ("chExt", "cx"), ("chExt", "cy"))
        if outer is None or inner is None or not inner[2] or not inner[3]:
            return self
        scale = (outer[2] / inner[2], outer[3] / inner[3])
        shift = (outer[0] - inner[0] * scale[0], outer[1] - inner[1] * scale[1])
        return _Frame(
            (scale[0] * self.scale[0], scale[1] * self.scale[1]),
            (
                shift[0] * self.scale[0] + self.shift[0],
                shift[1] * self.scale[1] + self.shift[1],
            ),
        )


def shapes_of_slide(root: _Element, *inherited: _Element | None) -> list[SlideShape]:
    """The shapes of a slide in reading order: titles, then rows from the top, each from the left.

    What is hidden or decoration, dates, footers and slide numbers are left out.

    Args:
        root: Of the slide, or of its notes.
        *inherited: The layout and the master, from which placeholders have their place.
    """
    places: dict[str, Box] = {}
    for other in reversed(inherited):
        for name, box in _placeholders(other):
            places[name] = box
    found = list(_shapes(descend(root, "cSld", "spTree"), _Frame(), places, 0))
    titles = [shape for shape in found if shape.place == "title"]
    return titles + _in_order([shape for shape in found if shape.place != "title"])


def _placeholders(root: _Element | None) -> Iterator[tuple[str, Box]]:
    """Where a layout or a master has its placeholders, by type and by index."""
    for node in children(descend(root, "cSld", "spTree"), *_SHAPES):
        mark, box = _placeholder(node), _Frame().box(_form(node))
        if mark is not None and box is not None:
            yield from ((name, box) for name in _names_of(mark)[::-1])


def _shapes(
    tree: _Element | None, frame: _Frame, places: Mapping[str, Box], depth: int
) -> Iterator[SlideShape]:
    if depth > _DEEPEST:
        return
    for node in children(tree):
        name = local_name(node)
        if name == "grpSp":
            inner = frame.within(descend(node, "grpSpPr", "xfrm"))
            yield from _shapes(node, inner, places, depth + 1)
        elif name == "AlternateContent":
            yield from _shapes(descend(node, "Choice"), frame, places, depth + 1)
        elif name in _SHAPES and (shape := _shape(node, frame, places)) is not None:
            yield shape


def _shape(node: _Element, frame: _Frame, places: Mapping[str, Box]) -> SlideShape | None:
    said = next((below for below in node.iter() if local_name(below) == "cNvPr"), None)
    marks = () if said is None else said.iter()
    decorations = (mark for mark in marks if local_name(mark) == "decorative")
    if attribute(said, "hidden") in ("1", "true") or any(
        attribute(mark, "val") in ("1", "true") for mark in decorations
    ):
        return None
    mark, place, box = _placeholder(node), "", frame.box(_form(node))
    if mark is not None:
        place = attribute(mark, "type") or "body"
        if place in _RUNNING:
            return None
        names = _names_of(mark)
        box = box or next((places[name] for name in names if name in places), None)
    words = attribute(said, "descr") or attribute(said, "title") or ""
    shape = SlideShape(node, box, place, " ".join(words.split()))
    return replace(shape, place="title") if place in _TITLES else shape


def _placeholder(node: _Element) -> _Element | None:
    own = next((child for child in children(node) if local_name(child).startswith("nv")), None)
    return descend(own, "nvPr", "ph")


def _names_of(mark: _Element) -> list[str]:
    """By what a placeholder is known in a layout, and by what in a master, where indices differ."""
    kind, index = attribute(mark, "type") or "body", attribute(mark, "idx")
    kind = "title" if kind in _TITLES else kind
    return ([] if index is None else [f"#{index}"]) + [kind]


def _form(node: _Element) -> _Element | None:
    direct = descend(node, "xfrm")
    return descend(node, "spPr", "xfrm") if direct is None else direct


def _numbers(form: _Element | None, *names: tuple[str, str]) -> list[float] | None:
    found: list[float] = []
    for part, side in names:
        said = attribute(descend(form, part), side) or ""
        if not said.lstrip("-").isdecimal() or len(said) > 15:
            return None
        found.append(float(said))
    return found


def _in_order(shapes: list[SlideShape]) -> list[SlideShape]:
    """By rows: a shape is in the row of another if it begins above that one's middle."""
    unplaced = [shape for shape in shapes if shape.box is None]
    rows: list[list[tuple[Box, SlideShape]]] = []
    placed = [(shape.box, shape) for shape in shapes if shape.box is not None]
    for box, shape in sorted(placed, key=lambda pair: (pair[0][1], pair[0][0])):
        if rows and box[1] < (rows[-1][0][0][1] + rows[-1][0][0][3]) / 2:
            rows[-1].append((box, shape))
        else:
            rows.append([(box, shape)])
    ordered = (sorted(row, key=lambda pair: pair[0][0]) for row in rows)
    return [shape for row in ordered for _, shape in row] + unplaced
