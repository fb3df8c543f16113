"""`blocks_of_slide`: a slide's title, texts, lists, tables, charts and pictures, in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

from unisem.readers.documents.office_charts import chart_table
from unisem.readers.documents.office_package import OfficePackage
from unisem.readers.documents.office_xml import (
    attribute,
    children,
    local_name,
    relation,
)
from unisem.readers.documents.page_block import PageBlock, Shown
from unisem.readers.documents.pptx_shapes import SlideShape, shapes_of_slide

if TYPE_CHECKING:
    from lxml.etree import _Element

NOTES = "Notes: "
"""What a speaker's notes begin with."""

_LISTED = ("body", "obj", "subTitle")


def blocks_of_slide(
    package: OfficePackage, part: str, root: _Element, number: int
) -> Iterator[PageBlock]:
    """Walk a slide.

    Args:
        package: The document.
        part: The slide's name.
        root: Its tree.
        number: Which it is, from 1.
    """
    layout = package.related(part, "slideLayout")
    master = None if layout is None else package.related(layout, "slideMaster")
    inherited = [None if name is None else package.xml_if_sound(name) for name in (layout, master)]
    groups = count(1)
    titled = False
    for shape in shapes_of_slide(root, *inherited):
        is_title = shape.place == "title" and not titled
        for block in _blocks(package, part, shape, next(groups), is_title=is_title):
            titled |= block.kind == "heading"
            block.page, block.box = number, shape.box
            yield block
    notes = package.related(part, "notesSlide")
    tree = None if notes is None else package.xml_if_sound(notes)
    for shape in [] if tree is None else shapes_of_slide(tree):
        words = " ".join(_paragraphs(shape.node)) if shape.place == "body" else ""
        if words:
            yield PageBlock("text", NOTES + words, page=number)


def _blocks(
    package: OfficePackage, part: str, shape: SlideShape, group: int, *, is_title: bool
) -> Iterator[PageBlock]:
    node = shape.node
    if (table := _below(node, "tbl")) is not None:
        yield PageBlock("table", _rows(table))
        return
    for name, reference in (("chart", "id"), ("relIds", "dm")):
        if (drawn := _below(node, name)) is not None:
            yield from _part(package, package.part_at(part, relation(drawn, reference)))
            return
    blip = _below(node, "blip")
    if blip is not None:
        link = package.link(part, relation(blip, "embed") or relation(blip, "link"))
        figure = Shown((link,) if link else (), shape.alternative)
        if link:
            yield PageBlock("figure", figure=figure)
    lines = _paragraphs(node)
    if not lines:
        return
    if is_title:
        yield PageBlock("heading", " ".join(lines))
    elif shape.place in _LISTED and len(lines) > 1:
        yield PageBlock("list", "\n".join(f"- {line}" for line in lines), group=group)
    else:
        yield PageBlock("text", "\n".join(lines))


def _part(package: OfficePackage, part: str | None) -> Iterator[PageBlock]:
    """A chart as a table, a diagram as the list of its words."""
    root = None if part is None else package.xml_if_sound(part)
    if root is None:
        return
    if local_name(root) == "chartSpace":
        title, rows = chart_table(root)
        if title or rows:
            yield PageBlock("table", rows, caption=title)
    elif lines := _paragraphs(root):
        yield PageBlock("text", "\n".join(lines))


def _below(node: _Element, name: str) -> _Element | None:
    return next((below for below in node.iter() if local_name(below) == name), None)


def _paragraphs(node: _Element) -> list[str]:
    """The lines of text at or below a node."""
    lines: list[str] = []
    for paragraph in node.iter():
        if local_name(paragraph) == "p":
            words = (
                " " if local_name(below) == "br" else below.text or ""
                for below in paragraph.iter()
                if local_name(below) in ("t", "br")
            )
            lines.append(" ".join("".join(words).split()))
    return list(filter(None, lines))


def _rows(table: _Element) -> str:
    rows: list[str] = []
    for row in children(table, "tr"):
        cells = [
            " ".join(_paragraphs(cell))
            for cell in children(row, "tc")
            if attribute(cell, "hMerge") not in ("1", "true")
        ]
        if any(cells):
            rows.append(" | ".join(cells))
    return "\n".join(rows)
