"""`blocks_of_page`: a page's paragraphs, headings, lists, code, tables and pictures, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unisem.readers.documents.html_figures import (
    figure_in,
    is_framed,
    is_picture_object,
    shown_in,
)
from unisem.readers.documents.html_tree import classes_of, is_boilerplate, tag_of, words_of
from unisem.readers.documents.page_block import PageBlock, Shown

if TYPE_CHECKING:
    from lxml.etree import _Element

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "caption",
        "dd",
        "details",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "frameset",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_LISTS = frozenset(("ul", "ol", "dl", "menu", "dir"))
_HEADING = re.compile(r"h[1-6]")
_ARRANGED = frozenset(
    ["table", "pre", "figure", "ul", "ol", "dl", "h1", "h2", "h3", "h4", "h5", "h6"]
)  # no table holds these
_CAPTIONS = frozenset(["caption", "wp-caption-text", "float-caption", "thumbcaption"])
_EMPHASIS = frozenset(["img", "picture", "a", "br", "em", "i", "small", "b", "strong", "span"])
_OVERSIZED = 100  # frames larger than a figure, after which a page's frames are no longer tried


def blocks_of_page(root: _Element, file_name: str) -> Iterator[PageBlock]:
    """Walk a page once, without recursion.

    Args:
        root: What is read of it.
        file_name: The page's own, so that links to it are known as links within it.
    """
    return _Walk(file_name).over(root)


@dataclass(slots=True)
class _Walk:
    file_name: str
    words: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)  # of places just passed
    references: set[str] = field(default_factory=set)
    waiting: list[Shown] = field(default_factory=list)  # pictures among words
    lists: list[str] = field(default_factory=list)  # open ones: what stands before their next item
    group: int = 0
    marker: str = ""
    level: int = 0  # of the heading that is open
    oversized: int = 0

    def over(self, root: _Element) -> Iterator[PageBlock]:
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        skipped: _Element | None = None
        for event, node in walk:
            if event == "end":
                if node is skipped:
                    skipped = None
                elif tag_of(node) in _BLOCKS:
                    yield from self._closed(node)
                if node is not root:
                    self.words.append(node.tail or "")
            elif (node is not root and is_boilerplate(node)) or self._is_inline(node):
                walk.skip_subtree()
                skipped = node
            elif (whole := self._whole(node)) is not None:
                yield from self._flushed()
                yield from whole
                walk.skip_subtree()
                skipped = node
            else:
                if tag_of(node) in _BLOCKS:
                    yield from self._flushed()
                self._open(node)
        yield from self._flushed()

    def _is_inline(self, node: _Element) -> bool:
        """Take in what stands among words and is not walked through."""
        tag = tag_of(node)
        if tag in ("svg", "math", "img") or (tag == "object" and is_picture_object(node)):
            self.waiting += shown_in(node)
            if tag == "math":
                self.words.append(node.get("alttext") or words_of(node))
            elif tag == "img" and classes_of(node) & {"math", "tex", "latex"}:
                self.words.append(f" {node.get('alt') or ''} ")
            elif tag == "img" and (name := node.get("id")):
                self.anchors.add(name)
            return True
        return False

    def _whole(self, node: _Element) -> list[PageBlock] | None:
        """What is read at once; ``None`` for what is walked through."""
        tag = tag_of(node)
        if tag == "pre":
            code = PageBlock("code", _code(node), references=self._links(node))
            return ([code] if code.text.strip() else []) + self._pictures(node)
        if tag == "table" and (rows := _rows(node)):
            table = PageBlock("table", "\n".join(" | ".join(row) for row in rows))
            table.caption = next(map(words_of, node.iterchildren("caption")), "")
            table.anchors = _ids(node) | self.anchors
            table.references = self._links(node)
            self.anchors = set()
            return [table, *self._pictures(node)]
        if is_framed(node) and self.oversized < _OVERSIZED:
            shown = figure_in(node)
            self.oversized += shown is None
            if shown:
                anchors, links = _ids(node) | self.anchors, self._links(node)
                self.anchors = set()
                return [
                    PageBlock(
                        "figure", figure=one, caption=one.caption, anchors=anchors, references=links
                    )
                    for one in shown
                ]
        return None

    def _pictures(self, node: _Element) -> list[PageBlock]:
        return [PageBlock("figure", figure=one) for one in shown_in(node)]

    def _open(self, node: _Element) -> None:
        tag = tag_of(node)
        if tag in _LISTS:
            self.group += not self.lists
            self.lists.append("1" if tag == "ol" else "" if tag == "dl" else "-")
        elif tag == "li" and self.lists:
            number = self.lists[-1]
            self.marker = f"{number}. " if number.isdigit() else "- "
            if number.isdigit():
                self.lists[-1] = str(int(number) + 1)
        elif _HEADING.fullmatch(tag):
            self.level = int(tag[1])
        elif tag == "br":
            self.words.append("\n")
        if tag in ("a", "span", "p"):
            self.anchors |= {name for name in (node.get("id"), node.get("name")) if name}
        self.references |= _link(node, self.file_name)
        self.words.append(node.text or "")

    def _closed(self, node: _Element) -> Iterator[PageBlock]:
        tag = tag_of(node)
        is_caption = (
            tag in ("figcaption", "caption")
            or bool(classes_of(node) & _CAPTIONS)
            or (bool(self.waiting) and _is_emphasis(node))
        )
        yield from self._flushed(is_caption=is_caption)
        if tag in _LISTS and self.lists:
            self.lists.pop()
            self.marker = ""
        if _HEADING.fullmatch(tag):
            self.level = 0

    def _flushed(self, *, is_caption: bool = False) -> Iterator[PageBlock]:
        """The pictures among the words up to here, and the words."""
        text = " ".join("".join(self.words).split())
        self.words.clear()
        for one in self.waiting:
            yield PageBlock("figure", figure=one, anchors=frozenset(self.anchors))
        if self.waiting or text:
            self.anchors.clear()
        self.waiting.clear()
        if not text:
            return
        links = frozenset(self.references)
        self.references.clear()
        block = PageBlock("text", text, is_caption=is_caption, references=links)
        if self.level:
            block.kind, block.level = "heading", self.level
        elif self.lists and not is_caption:
            block.kind, block.group = "list", self.group
            block.text, self.marker = self.marker + text, ""
        yield block

    def _links(self, node: _Element) -> set[str]:
        found: set[str] = set()
        return found.union(*(_link(below, self.file_name) for below in node.iter("a")))


def _is_emphasis(node: _Element) -> bool:
    """Whether all words of a paragraph, which has a picture, are set apart from the text."""
    return not (node.text or "").strip() and all(
        tag_of(child) in _EMPHASIS and not (child.tail or "").strip() for child in node
    )


def _code(node: _Element) -> str:
    parts: list[str] = []
    for event, below in _walked(node):
        if event == "start":
            parts.append("\n" if tag_of(below) == "br" else below.text or "")
        elif below is not node:
            parts.append(below.tail or "")
    return "".join(parts).strip("\n")


def _rows(table: _Element) -> list[list[str]]:
    """A table's rows; none if it only arranges other things on the page."""
    rows: list[list[list[str]]] = []
    for event, node in _walked(table):
        tag = tag_of(node)
        if event == "start" and node is not table:
            if tag in _ARRANGED:
                return []
            if tag == "tr":
                rows.append([])
            elif tag in ("td", "th") and rows:
                rows[-1].append([])
            elif tag in _BLOCKS and rows and rows[-1]:
                rows[-1][-1].append(" ")
        if rows and rows[-1] and tag not in ("script", "style"):
            said = (node.text if event == "start" else node.tail) or ""
            if tag == "br":
                said = " " + said
            if tag not in ("tr", "td", "th", "tbody") or event == "start":
                rows[-1][-1].append(said)
    words = [[" ".join("".join(cell).split()) for cell in row] for row in rows]
    words = [row for row in words if any(row)]
    columns = max((sum(map(bool, row)) for row in words), default=0)
    return words if columns > 1 and len(words) > 1 else []


def _walked(node: _Element) -> Iterator[tuple[str, _Element]]:
    from lxml import etree

    yield from etree.iterwalk(node, events=("start", "end"))


def _ids(node: _Element) -> set[str]:
    names = (name for below in node.iter() for name in (below.get("id"), below.get("name")))
    return {name for name in names if name}


def _link(node: _Element, file_name: str) -> set[str]:
    href = node.get("href") if tag_of(node) == "a" else None
    page, mark, place = (href or "").partition("#")
    return {place} if mark and place and page in ("", file_name) else set()
