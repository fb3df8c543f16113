"""`DocxStyles`: what a Word document's paragraphs are, by the names and levels of their styles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unisem.readers.documents.office_xml import attribute, children, descend

if TYPE_CHECKING:
    from lxml.etree import _Element

_DEEPEST = 9  # outline levels that Word has, from 0 to 8; 9 is text
_HEADING = re.compile(r"heading (\d)")
_CODE = re.compile(r"\b(?:code|preformatted|listing|source|verbatim|macro)\b")
_CONTENTS = re.compile(
    r"(?:toc \d|toc heading|table of (?:contents|figures)|index \d|contents \d).*"
)


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph is.

    Attributes:
        level: Of a heading, from 1.
        is_caption: It is written about a figure or a table.
        is_contents: It stands in a table of contents, or an index.
        is_code: It is code.
        number: Which numbering counts it; ``None`` if none does.
        number_level: On which of the numbering's levels, from 0.
    """

    level: int | None = None
    is_caption: bool = False
    is_contents: bool = False
    is_code: bool = False
    number: str | None = None
    number_level: int = 0


@dataclass(slots=True)
class _Style:
    name: str
    based_on: str | None
    properties: _Element | None


class DocxStyles:
    """The styles of a Word document.

    Args:
        root: Of ``styles.xml``; ``None`` if the document has none.
    """

    def __init__(self, root: _Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        for node in children(root, "style"):
            based_on = attribute(descend(node, "basedOn"), "val")
            name = (attribute(descend(node, "name"), "val") or "").casefold()
            properties = descend(node, "pPr")
            self._styles[attribute(node, "styleId") or ""] = _Style(name, based_on, properties)

    def of(self, paragraph: _Element) -> ParagraphStyle:
        """What a paragraph is; what it says itself goes before its style, that before its basis."""
        own = descend(paragraph, "pPr")
        lineage = self._lineage(attribute(descend(own, "pStyle"), "val"))
        names = [style.name for style in lineage]
        numbered = [own, *(style.properties for style in lineage)]
        number, number_level = _numbering(numbered)
        return ParagraphStyle(
            level=_outline(own, lineage),
            is_caption="caption" in names,
            is_contents=any(map(_CONTENTS.fullmatch, names)),
            is_code=any(map(_CODE.search, names)),
            number=number,
            number_level=number_level,
        )

    def _lineage(self, name: str | None) -> list[_Style]:
        found: dict[str, _Style] = {}
        while name is not None and name not in found and name in self._styles:
            found[name] = self._styles[name]
            name = found[name].based_on
        return list(found.values())


def _outline(own: _Element | None, lineage: list[_Style]) -> int | None:
    for properties, name in [(own, ""), *((style.properties, style.name) for style in lineage)]:
        said = attribute(descend(properties, "outlineLvl"), "val") or ""
        if said.isdecimal():
            return int(said) + 1 if int(said) < _DEEPEST else None
        if match := _HEADING.fullmatch(name):
            return int(match[1])
        if name == "title":
            return 1
    return None


def _numbering(properties: list[_Element | None]) -> tuple[str | None, int]:
    number: str | None = None
    level: int | None = None
    for node in properties:
        part = descend(node, "numPr")
        said = attribute(descend(part, "numId"), "val")
        depth = attribute(descend(part, "ilvl"), "val") or ""
        if level is None and depth.isdecimal():
            level = min(int(depth), _DEEPEST - 1)
        if number is None and said is not None:
            number = said
    return (None, 0) if number in (None, "0") else (number, level or 0)
