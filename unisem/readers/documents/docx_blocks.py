"""`blocks_of_word`: a Word document's paragraphs, headings, lists, tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unisem.readers.documents.docx_numbering import DocxNumbering
from unisem.readers.documents.docx_runs import Runs
from unisem.readers.documents.docx_styles import DocxStyles
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.office_charts import chart_table
from unisem.readers.documents.office_package import OfficePackage
from unisem.readers.documents.office_xml import (
    attribute,
    children,
    descend,
    local_name,
)
from unisem.readers.documents.page_block import PageBlock, Shown

if TYPE_CHECKING:
    from lxml.etree import _Element

_DEEPEST = 30  # tables, text boxes and frames inside each other
_DELETED = ("del", "moveFrom")


def blocks_of_word(package: OfficePackage, body: _Element) -> Iterator[PageBlock]:
    """Walk the body of a Word document.

    What was deleted with changes tracked, what is hidden, running heads and tables of contents are
    left out. Numbers that Word counts stand before headings and items as Word shows them.

    Args:
        package: The document.
        body: ``w:body``; tables and text boxes in each other are read 30 deep.

    """
    main = package.main

    def root(kind: str) -> _Element | None:
        part = package.related(main, kind)
        return None if part is None else package.xml_if_sound(part)

    styles, numbering = DocxStyles(root("styles")), DocxNumbering(root("numbering"))
    notes = {
        (kind, attribute(note, "id") or ""): note
        for kind in ("footnote", "endnote")
        for note in children(root(f"{kind}s"), kind)
    }
    return _Walk(package, styles, numbering, notes).blocks(body, 0)


@dataclass(slots=True)
class _Walk:
    package: OfficePackage
    styles: DocxStyles
    numbering: DocxNumbering
    notes: dict[tuple[str, str], _Element]
    sequences: Counter[str] = field(default_factory=Counter)  # "Figure": how many there were
    group: int = 0  # of a list, of code, or of the pictures of one paragraph
    open_group: str | None = None  # what the blocks of the last group are

    def blocks(self, container: _Element, depth: int) -> Iterator[PageBlock]:
        if depth > _DEEPEST:
            return
        for node in children(container):
            name = local_name(node)
            if name == "p":
                yield from self._paragraph(node, depth)
            elif name == "tbl":
                self.open_group = None
                yield from self._table(node, depth)
            elif name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"):
                yield from self.blocks(node, depth + 1)

    def _paragraph(self, node: _Element, depth: int) -> Iterator[PageBlock]:
        style = self.styles.of(node)
        if style.is_contents:
            return
        runs = Runs(self.package, self.sequences).read(node)
        words = runs.text if style.is_code else " ".join(runs.text.split())
        number = (
            "" if style.number is None else self.numbering.next(style.number, style.number_level)
        )
        if not words and not runs.shown and not runs.boxes and not runs.parts:
            return
        text = PageBlock("text", words, references=runs.references)
        is_caption = style.is_caption or (runs.counts and label_of(words) is not None)
        if style.level is not None and words:
            text.kind, text.level = "heading", style.level
            text.text = f"{number} {words}" if number not in ("", "-") else words
        elif is_caption:
            text.is_caption = True
        elif number and words:
            text.kind, text.group = "list", self._grouped("list")
            text.text = f"{number} {words}"
        elif style.is_code:
            text.kind, text.group = "code", self._grouped("code")
        if text.kind not in ("list", "code"):
            self.open_group = None
        if text.kind == "heading":
            yield text
        together = self._grouped("pictures") if len(runs.shown) > 1 else 0
        if runs.shown:
            self.open_group = None
        for one in runs.shown:
            if not (one.is_small and words):  # a sign among the words
                figure = Shown(one.links, one.alternative)
                yield PageBlock("figure", figure=figure, anchors=runs.anchors, group=together)
        for part in runs.parts:
            yield from self._part(part)
        for box in runs.boxes:
            yield from self.blocks(box, depth + 1)
        if words and text.kind != "heading":
            text.anchors = runs.anchors
            yield text
        for key in runs.notes:
            if (note := self.notes.pop(key, None)) is not None:  # each once
                yield from self.blocks(note, depth + 1)

    def _grouped(self, kind: str) -> int:
        """The group that a block is of: the last one, as long as nothing else came between."""
        self.group += self.open_group != kind
        self.open_group = kind
        return self.group

    def _part(self, part: str) -> Iterator[PageBlock]:
        """A chart as a table, a diagram as its words."""
        root = self.package.xml_if_sound(part)
        if root is None:
            return
        if local_name(root) == "chartSpace":
            title, rows = chart_table(root)
            if title or rows:
                yield PageBlock("table", rows, caption=title)
            return
        words = (node.text or "" for node in root.iter() if local_name(node) == "t")
        if text := "\n".join(filter(None, map(str.strip, words))):
            yield PageBlock("text", text)

    def _table(self, node: _Element, depth: int) -> Iterator[PageBlock]:
        rows = [
            [list(self._cell(cell, depth)) for cell in _within(row, "tc")]
            for row in _within(node, "tr")
            if not any(children(descend(row, "trPr"), "del"))
        ]
        words = [[_words(cell) for cell in row] for row in rows]
        if _is_arranged(rows, words):
            yield from _in_order(rows)
            return
        lines = [" | ".join(row) for row in words if any(row)]
        yield PageBlock("table", "\n".join(lines), anchors=_anchors(node))
        for row, said in zip(rows, words, strict=True):
            for block in (block for cell in row for block in cell):
                if block.figure is not None:
                    if not block.figure.alternative:
                        told = " ".join(filter(None, said))
                        block.figure = Shown(block.figure.links, told)
                    yield block

    def _cell(self, node: _Element, depth: int) -> Iterator[PageBlock]:
        merged = descend(node, "tcPr", "vMerge")
        if merged is None or attribute(merged, "val") == "restart":
            yield from self.blocks(node, depth + 1)


def _within(node: _Element, name: str) -> Iterator[_Element]:
    """Rows or cells, those in content controls and insertions included."""
    for child in children(node, name, "sdt", "ins", "customXml"):
        if local_name(child) == name:
            yield child
        else:
            for place in (child, descend(child, "sdtContent")):
                yield from children(place, name)


def _words(blocks: list[PageBlock]) -> str:
    return " ".join(" ".join(block.text.split()) for block in blocks if block.text)


def _is_arranged(rows: list[list[list[PageBlock]]], words: list[list[str]]) -> bool:
    """Whether a table only puts other things in their places: no two cells of words in a row."""
    blocks = [block for row in rows for cell in row for block in cell]
    pictures = any(block.figure is not None for block in blocks)
    said = [block for block in blocks if block.figure is None]
    if pictures and all(block.is_caption or label_of(block.text) for block in said):
        return True
    columns = max((sum(map(bool, row)) for row in words), default=0)
    if pictures and len(rows) > 1 and max(map(len, rows), default=0) > 1:
        return False  # signs and what they mean
    return columns < 2 or sum(map(any, words)) < 2


def _in_order(rows: list[list[list[PageBlock]]]) -> Iterator[PageBlock]:
    """Blocks by rows, or by columns where captions stand in rows of their own."""
    mixed = any(
        any(block.figure is not None for cell in row for block in cell)
        and any(block.text for cell in row for block in cell)
        for row in rows
    )
    if mixed:
        yield from (block for row in rows for cell in row for block in cell)
        return
    for column in range(max(map(len, rows), default=0)):
        for row in rows:
            if column < len(row):
                yield from row[column]


def _anchors(node: _Element) -> set[str]:
    marks = (below for below in node.iter() if local_name(below) == "bookmarkStart")
    return {name for mark in marks if (name := attribute(mark, "name"))}
