"""`Neighbourhood`: what a record is about and what that is related to, as a small drawing."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from unisem.common.printable import plain
from unisem.graph.knowledge_graph import KnowledgeGraph

_ROW, _WIDTH, _HEIGHT = 28, 560, 16  # pixels: between rows, of the drawing, of a row's text
_COLUMNS = (12, 60, 380)  # where the record, its entities and their neighbours begin
_LONGEST = 24  # characters of a label that are shown; its title has them all


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

    def svg(self) -> str:
        """Draw it in three columns: the record, its entities, their neighbours.

        The same neighbourhood gives the same drawing. There is no script and no style of its own
        in it; names are escaped, and may say anything. It has the colour of the words around it.
        Empty if there is nothing to draw.
        """
        if not self.entities:
            return ""
        lines: list[str] = []
        row, starts = 0, []
        for name, ties in self.entities:
            height = max(1, len(ties))
            middle = _y(row + (height - 1) / 2)
            starts.append(middle)
            lines.append(_label(_COLUMNS[1], middle, name, bold=True))
            for place, tie in enumerate(ties):
                lines += _tie(middle, _y(row + place), tie)
            row += height
        record = (min(starts) + max(starts)) / 2
        lines += [_line(_COLUMNS[0] + 6, record, _COLUMNS[1] - 6, start) for start in starts]
        dot = f'<circle cx="{_COLUMNS[0]}" cy="{record:g}" r="5" fill="currentColor"/>'
        told = ", ".join(name for name, _ in self.entities)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {row * _ROW + 8}" '
            f'role="img" font-size="12" fill="currentColor">'
            f"<title>{_text(f'What is known of it: {told}')}</title>"
            f"{''.join(lines)}{dot}</svg>"
        )


def _tie(start: float, end: float, tie: Tie) -> list[str]:
    """The line to a neighbour, its type above it, read from the arrow's tail to its head."""
    left, right = _COLUMNS[1] + 160, _COLUMNS[2] - 6
    sign = f"{tie.type} →" if tie.outward else f"← {tie.type}"
    return [
        _line(left, start, left + 30, end),
        _line(left + 30, end, right, end),
        _label(left + 34, end - 8, sign, size=10, longest=18),
        _label(_COLUMNS[2], end, tie.name),
    ]


def _label(
    x: float, y: float, name: str, *, bold: bool = False, size: int = 12, longest: int = _LONGEST
) -> str:
    said = plain(name)
    short = said if len(said) <= longest else f"{said[: longest - 1]}…"
    weight = ' font-weight="600"' if bold else ""
    whole = "" if short == said else f"<title>{_text(said)}</title>"
    return f'<text x="{x:g}" y="{y + 4:g}" font-size="{size}"{weight}>{whole}{_text(short)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="currentColor" stroke-opacity=".35" '
        'fill="none"/>'
    )


def _text(said: str) -> str:
    return escape(plain(said))


def _y(row: float) -> float:
    return _HEIGHT + row * _ROW
