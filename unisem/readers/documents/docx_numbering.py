"""`DocxNumbering`: the numbers of a Word document's headings and lists, which no text of it has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unisem.readers.documents.office_xml import attribute, children, descend

if TYPE_CHECKING:
    from lxml.etree import _Element

_PLACE = re.compile(r"%([1-9])")
_ROMAN = ((100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"))
_LARGEST = 400  # that is written in letters; larger numbers are written in digits


@dataclass(slots=True)
class _Level:
    form: str = "decimal"
    template: str = "%1."
    start: int = 1


@dataclass(slots=True)
class _Counted:
    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)


class DocxNumbering:
    """Counts paragraphs as Word does when it shows them.

    Args:
        root: Of ``numbering.xml``; ``None`` if the document has none.
    """

    def __init__(self, root: _Element | None) -> None:
        kinds: dict[str, _Counted] = {}
        for node in children(root, "abstractNum"):
            levels = {
                _whole(attribute(one, "ilvl"), 0): _level(one) for one in children(node, "lvl")
            }
            kinds[attribute(node, "abstractNumId") or ""] = _Counted(levels)
        self._numbers: dict[str, _Counted] = {}
        for node in children(root, "num"):
            kind = attribute(descend(node, "abstractNumId"), "val") or ""
            if kind in kinds:
                restarts = descend(node, "lvlOverride") is not None
                known = kinds[kind]
                self._numbers[attribute(node, "numId") or ""] = (
                    _Counted(known.levels) if restarts else known
                )

    def next(self, number: str, level: int) -> str:
        """What stands before the next paragraph of a numbering; ``-`` before a point of a list."""
        counted = self._numbers.get(number)
        if counted is None:
            return "-"
        own = counted.levels.get(level, _Level())
        counted.counts[level] = counted.counts.get(level, own.start - 1) + 1
        for deeper in [known for known in counted.counts if known > level]:
            del counted.counts[deeper]
        if own.form in ("bullet", "none"):
            return "-" if own.form == "bullet" else ""

        def written(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            known = counted.levels.get(place, _Level())
            return _written(counted.counts.get(place, known.start), known.form)

        return _PLACE.sub(written, own.template).strip()


def _level(node: _Element) -> _Level:
    return _Level(
        form=attribute(descend(node, "numFmt"), "val") or "decimal",
        template=attribute(descend(node, "lvlText"), "val") or "",
        start=_whole(attribute(descend(node, "start"), "val"), 1),
    )


def _whole(said: str | None, otherwise: int) -> int:
    return int(said) if said is not None and said.isdecimal() and len(said) < 6 else otherwise


def _written(number: int, form: str) -> str:
    """A number in the ways that are common; in digits in all others.

    >>> _written(3, "lowerLetter"), _written(14, "upperRoman"), _written(28, "upperLetter")
    ('c', 'XIV', 'BB')
    """
    if not 0 < number < _LARGEST:
        return str(number)
    if form.endswith("Letter"):
        text = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    elif form.endswith("Roman"):
        text = ""
        for value, letters in (*_ROMAN, (1, "i")):
            text += letters * (number // value)
            number %= value
    else:
        return str(number)
    return text.upper() if form.startswith("upper") else text
