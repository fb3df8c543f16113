"""`Neighbourhood`: what a record is about and what that is related to, as a small drawing."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Self

from unisem.common.printable import plain
from unisem.graph.knowledge_graph import KnowledgeGraph

_ROW, _WIDTH, _HEIGHT = 28, 560, 16  # pixels: between rows, of the drawing, of a row's text
_COLUMNS = (12, 60, 380)  # where the record, its entities and their neighbours begin
_LEFT, _RIGHT = _COLUMNS[1] + 160, _COLUMNS[2] - 6  # where lines to neighbours begin and end
_LONGEST = 24  # characters of a label that are shown; its title has them all
Line = tuple[float, float, float, float]
"""Where it begins and where it ends: x and y of each, in pixels."""


@dataclass(frozen=True, slots=True)
class Tie:
    """A relation of an entity, as it is drawn.

    Attributes:
        type: Which relation.
        name: What the entity at its other end is called.
        outward: Whether it is read towards that end.
    """

    type: str
    name: str
    outward: bool


@dataclass(frozen=True, slots=True)
class Label:
    """A word or a few in a drawing.

    Attributes:
        x: Where it begins, in pixels from the left.
        y: Where its line is, in pixels from the top.
        text: As much of it as there is room for, without characters that would show otherwise.
        whole: All of it.
        size: How large, in pixels.
        bold: Whether it stands out.
    """

    x: float
    y: float
    text: str
    whole: str
    size: int
    bold: bool

    @classmethod
    def of(
        cls, x: float, middle: float, name: str, *, bold: bool = False, size: int = 12,
        longest: int = _LONGEST,
    ) -> Self:  # fmt: skip
        """A label whose words stand around a line."""
        said = plain(name)
        short = said if len(said) <= longest else f"{said[: longest - 1]}…"
        return cls(x, middle + 4, short, said, size, bold)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines, labels, and a dot for the record, which whoever shows it renders.

    Attributes:
        title: What it shows, in words.
        width: In pixels.
        height: In pixels.
        dot: Where the record's middle is.
        lines: Between the dot, entities and their neighbours.
        labels: What entities, relations and neighbours are called.
    """

    title: str
    width: int
    height: int
    dot: tuple[float, float]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]

    def svg(self) -> str:
        """As an element of HTML or XML, whatever names say."""
        paths = (
            f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="currentColor" stroke-opacity=".35" '
            'fill="none"/>'
            for x1, y1, x2, y2 in self.lines
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'role="img" font-size="12" fill="currentColor"><title>{escape(self.title)}</title>'
            f"{''.join(paths)}{''.join(map(_text, self.labels))}"
            f'<circle cx="{self.dot[0]:g}" cy="{self.dot[1]:g}" r="5" fill="currentColor"/></svg>'
        )


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The entities that a record mentions, the most certain first, with their relations.

    Attributes:
        record_id: The record.
        entities: What each is called, and its relations, the heaviest first.
    """

    record_id: str
    entities: tuple[tuple[str, tuple[Tie, ...]], ...]

    @classmethod
    def of(
        cls, graph: KnowledgeGraph, record_id: str, *, entities: int = 4, relations: int = 4
    ) -> Neighbourhood:
        """Look up the surroundings of a record.

        Args:
            graph: Knows them.
            record_id: The record; one that mentions nothing has none.
            entities: How many at most.
            relations: How many of each entity at most.
        """
        found: list[tuple[str, tuple[Tie, ...]]] = []
        for link in graph.mentioned_by(record_id)[:entities]:
            near = graph.neighbours(link.entity.id, limit=relations)
            ties = tuple(Tie(one.type, one.entity.name, one.outward) for one in near)
            found.append((link.entity.name, ties))
        return cls(record_id, tuple(found))

    def drawing(self) -> Drawing | None:
        """Draw it in three columns: the record, its entities, their neighbours.

        The same neighbourhood gives the same drawing; ``None`` if there is nothing to draw.
        """
        if not self.entities:
            return None
        lines: list[Line] = []
        labels: list[Label] = []
        row, starts = 0, []
        for name, ties in self.entities:
            height = max(1, len(ties))
            middle = _y(row + (height - 1) / 2)
            starts.append(middle)
            labels.append(Label.of(_COLUMNS[1], middle, name, bold=True))
            for place, tie in enumerate(ties):
                end = _y(row + place)
                lines += [(_LEFT, middle, _LEFT + 30, end), (_LEFT + 30, end, _RIGHT, end)]
                sign = f"{tie.type} →" if tie.outward else f"← {tie.type}"
                labels.append(Label.of(_LEFT + 34, end - 8, sign, size=10, longest=18))
                labels.append(Label.of(_COLUMNS[2], end, tie.name))
            row += height
        record = (min(starts) + max(starts)) / 2
        lines += [(_COLUMNS[0] + 6, record, _COLUMNS[1] - 6, start) for start in starts]
        told = ", ".join(plain(name) for name, _ in self.entities)
        return Drawing(
            f"What is known of it: {told}",
            _WIDTH,
            row * _ROW + 8,
            (_COLUMNS[0], record),
            tuple(lines),
            tuple(labels),
        )

    def svg(self) -> str:
        """`drawing` as SVG, empty if there is nothing to draw.

        There is no script and no style of its own in it; names are escaped, and may say anything.
        It has the colour of the words around it.
        """
        drawn = self.drawing()
        return "" if drawn is None else drawn.svg()


def _text(label: Label) -> str:
    weight = ' font-weight="600"' if label.bold else ""
    whole = "" if label.text == label.whole else f"<title>{escape(label.whole)}</title>"
    return (
        f'<text x="{label.x:g}" y="{label.y:g}" font-size="{label.size}"{weight}>{whole}'
        f"{escape(label.text)}</text>"
    )


def _y(row: float) -> float:
    return _HEIGHT + row * _ROW
