"""`Label`: "Figure 3" at the head of a caption, and wherever a text mentions it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIGURE = ("figures", "figure", "figs.", "figs", "fig.", "fig", "abbildungen", "abbildung")
_FIGURE_ELSEWHERE = ("abb.", "рисунок", "рис.", "figura", "图", "圖", "図")
_TABLE = ("tables", "table", "tab.", "tabelle", "tabellen", "таблица", "табл.", "tabla", "表")
_OTHER = ("listing", "example", "algorithm", "plate", "chart", "screenshot")
_KINDS = dict.fromkeys(_FIGURE + _FIGURE_ELSEWHERE, "figure") | dict.fromkeys(_TABLE, "table")
_KINDS |= {word: word for word in _OTHER}

_WORDS = "|".join(re.escape(word) for word in sorted(_KINDS, key=len, reverse=True))
_LETTER = r"(?<![^\W\d_])[A-Z]"  # no part of a word: "Tables" is no table S
_NUMBER = rf"(?:{_LETTER}|\d+)(?:[.\-–]\d+)*[a-zA-Z]?|(?<![^\W\d_])[IVXLC]+"  # 3, 2.1, A.3, 3a, IV
_LABEL = re.compile(rf"(?<![^\W_])((?i:{_WORDS}))[\s\xa0]*({_NUMBER})(?![^\W_])")
_CAPTION = re.compile(rf"\s*((?i:{_WORDS}))[\s\xa0]*({_NUMBER})(?![^\W_])")
_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Label:
    """A label where it stands in a text.

    Attributes:
        kind: ``figure``, ``table``, or another word that numbers what is shown.
        number: As written, ``3``, ``2.1``, ``A-3``.
        start: Where it begins.
        end: Where it ends.
        text: As written.
    """

    kind: str
    number: str
    start: int
    end: int
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What two labels of the same figure have in common."""
        return self.kind, self.number.replace("–", "-").replace("-", ".").casefold()


def label_of(caption: str | None) -> Label | None:
    """The label that a caption begins with.

    >>> label_of("Fig. 2-1: The menu").key
    ('figure', '2.1')
    >>> label_of("图 2 菜单").key
    ('figure', '2')
    """
    match = _CAPTION.match(caption or "")
    return None if match is None else _label(match)


def mentions(text: str) -> Iterator[Label]:
    """The labels in a text, in order."""
    return map(_label, _LABEL.finditer(text))


def sentence_with(text: str, label: Label) -> str:
    """The sentence that a label stands in.

    >>> text = "Open it. Figure 3 shows the menu. Then click."
    >>> sentence_with(text, next(mentions(text)))
    'Figure 3 shows the menu.'
    """
    start, end = 0, len(text)
    for seam in _END.finditer(text):
        if seam.end() <= label.start:
            start = seam.end()
        elif seam.start() >= label.end:
            end = seam.start()
            break
    paragraph = text.rfind("\n\n", start, label.start)
    start = start if paragraph < 0 else paragraph + 2
    paragraph = text.find("\n\n", label.end, end)
    return " ".join(text[start : end if paragraph < 0 else paragraph].split())


def _label(match: re.Match[str]) -> Label:
    return Label(
        _KINDS[match[1].casefold()], match[2], match.start(1), match.end(2), match[0].strip()
    )
