"""`Runs`: what stands in one paragraph of a Word document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from unisem.readers.documents.office_package import OfficePackage
from unisem.readers.documents.office_xml import attribute, descend, is_on, local_name, relation

if TYPE_CHECKING:
    from lxml.etree import _Element

_SMALL = 350_000  # EMU, about a centimetre: of a sign among words
_LEFT_OUT = frozenset(
    ["del", "moveFrom", "Fallback", "pPr", "annotationRef", "rt", "sdtPr", "tblPr", "proofErr"]
)
_SPACES = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote"}
_SHAPES = frozenset(("wgp", "wpc"))  # several that are drawn together


@dataclass(slots=True)
class WordPicture:
    """A picture in a paragraph.

    Attributes:
        links: For `OfficePackage.picture`; none for a drawing.
        alternative: What is said for those who cannot see it.
        is_small: It is no larger than a sign.
    """

    links: tuple[str, ...]
    alternative: str
    is_small: bool


@dataclass(slots=True)
class _Field:
    """A field: what Word computes, and what it showed last."""

    instruction: str = ""
    result: str = ""
    is_shown: bool = False


@dataclass(slots=True)
class Runs:
    """What stands in one paragraph.

    Attributes:
        package: The document.
        sequences: How many captions of each kind were counted before; counted on.
        text: The words as shown.
        shown: The pictures.
        boxes: The contents of text boxes (``w:txbxContent``), not walked yet.
        parts: Charts and diagrams.
        notes: Kind and id of the notes that are referred to.
        anchors: The bookmarks in it.
        references: The bookmarks that it refers to.
        counts: It counts captions (a ``SEQ`` field).
    """

    package: OfficePackage
    sequences: Counter[str]
    text: str = ""
    shown: list[WordPicture] = field(default_factory=list)
    boxes: list[_Element] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    counts: bool = False
    _words: list[str] = field(default_factory=list)
    _fields: list[_Field] = field(default_factory=list)
    _alternative: str = ""
    _is_small: bool = False
    _is_decoration: bool = False

    def read(self, paragraph: _Element) -> Self:
        """Walk a paragraph once, without recursion."""
        from lxml import etree

        walk = etree.iterwalk(paragraph, events=("start", "end"))
        for event, node in walk:
            name = local_name(node)
            if event == "end":
                if name == "drawing":
                    self._close_drawing(node)
                elif name == "fldSimple":
                    self._end_field()
            elif name in _LEFT_OUT or (name == "r" and is_on(descend(node, "rPr", "vanish"))):
                walk.skip_subtree()
            elif name == "txbxContent":
                self.boxes.append(node)
                walk.skip_subtree()
            else:
                self._take(node, name)
        while self._fields:  # that the paragraph does not end
            self._end_field()
        self.text = "".join(self._words).strip("\n")
        return self

    def _take(self, node: _Element, name: str) -> None:
        if name == "t":
            self._say(node.text or "")
        elif name in _SPACES and local_name(node.getparent()) == "r":
            self._say(_SPACES[name])
        elif name in _NOTES:
            self.notes.append((_NOTES[name], attribute(node, "id") or ""))
        elif name == "bookmarkStart":
            self.anchors.add(attribute(node, "name") or "")
        elif name == "hyperlink":
            self.references.update(filter(None, [attribute(node, "anchor")]))
        elif name == "fldSimple":
            self._fields.append(_Field(attribute(node, "instr") or "", is_shown=True))
        elif name == "fldChar":
            self._turn_field(attribute(node, "fldCharType"))
        elif name == "instrText" and self._fields:
            self._fields[-1].instruction += node.text or ""
        else:
            self._look(node, name)

    def _look(self, node: _Element, name: str) -> None:
        """What is drawn, in DrawingML and in VML."""
        if name in ("drawing", "pict", "object"):
            self._alternative, self._is_small, self._is_decoration = "", False, False
        elif name == "extent":
            sides = [attribute(node, side) or "" for side in ("cx", "cy")]
            self._is_small = all(side.isdecimal() and int(side) < _SMALL for side in sides)
        elif name in ("docPr", "cNvPr"):
            said = attribute(node, "descr") or attribute(node, "title") or ""
            self._alternative = " ".join(said.split()) or self._alternative
        elif name == "decorative":
            self._is_decoration = attribute(node, "val") in ("1", "true")
        elif name in ("shape", "rect") and attribute(node, "alt"):
            self._alternative = " ".join((attribute(node, "alt") or "").split())
        elif name == "blip":
            self._show(relation(node, "embed") or relation(node, "link"))
        elif name == "imagedata":
            self._show(relation(node, "id"))
        elif name == "chart":
            self._relate(relation(node, "id"))
        elif name == "relIds":
            self._relate(relation(node, "dm"))

    def _show(self, reference: str | None) -> None:
        link = self.package.link(self.package.main, reference)
        if link and not self._is_decoration:
            self.shown.append(WordPicture((link,), self._alternative, self._is_small))

    def _relate(self, reference: str | None) -> None:
        part = self.package.part_at(self.package.main, reference)
        if part is not None:
            self.parts.append(part)

    def _close_drawing(self, node: _Element) -> None:
        names = {local_name(below) for below in node.iter()}
        if names & _SHAPES and "blip" not in names and not self._is_decoration:
            self.shown.append(WordPicture((), self._alternative, is_small=False))

    def _say(self, words: str) -> None:
        if not self._fields:
            self._words.append(words)
        elif self._fields[-1].is_shown:
            self._fields[-1].result += words

    def _turn_field(self, how: str | None) -> None:
        if how == "begin":
            self._fields.append(_Field())
        elif how == "separate" and self._fields:
            self._fields[-1].is_shown = True
        elif how == "end" and self._fields:
            self._end_field()

    def _end_field(self) -> None:
        ended = self._fields.pop()
        kind, *rest = ended.instruction.split() or [""]
        if kind.upper() == "SEQ" and rest:
            self.counts = True
            self.sequences[rest[0]] += 1
            ended.result = ended.result or str(self.sequences[rest[0]])
        elif kind.upper() in ("REF", "PAGEREF") and rest:
            self.references.add(rest[0])
        self._say(ended.result)
