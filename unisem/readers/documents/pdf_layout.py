"""`captioned`: the figures and tables of a PDF's page, each with the words that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from unisem.common.box import Box, around
from unisem.pdfium.page_text import Line
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.pdf_blocks import Block

_MOST_CAPTIONS = 100  # of a page; each is held against every figure and passage
_FARTHEST = 60.0  # points between a figure and its caption
_WRONG_SIDE = 12.0  # points that a caption is farther away which stands where few do
_ASIDE = 12.0  # points that one is which stands in the middle of the page, the figure at its edge
_NEAR = 36.0  # points between the parts of one figure
_WIDE = 60.0  # points of a table's rule
_TALLEST = 300.0  # points between two rules of one table
_PASSAGE = 80  # characters of a block that parts a figure from a caption
_SIGNS = tuple(".:|—–-)：．。")


@dataclass(slots=True, eq=False)
class Figure:
    """A figure or a table.

    Attributes:
        box: Where.
        kind: Which of the two.
        inside: The lines in it.
        caption: What is written under or over it.
    """

    box: Box
    kind: Literal["figure", "table"]
    inside: list[Line] = field(default_factory=list)
    caption: str | None = None

    @property
    def words(self) -> str:
        """The words in it; of a table by rows."""
        rows: list[list[Line]] = []
        for line in sorted(self.inside, key=lambda line: (line.box[1], line.box[0])):
            if rows and abs(line.box[1] - rows[-1][0].box[1]) < 0.5 * line.height:
                rows[-1].append(line)
            else:
                rows.append([line])
        between = " | " if self.kind == "table" else " "
        return "\n".join(
            between.join(line.text for line in sorted(row, key=lambda line: line.box[0]))
            for row in rows
        )


def captioned(
    blocks: Sequence[Block], figures: Sequence[Figure], rules: Sequence[Box]
) -> list[Block | Figure]:
    """Pair captions with figures and tables, and put these where their captions stand.

    Args:
        blocks: The page's text outside of figures, in reading order.
        figures: What is drawn.
        rules: Lines, between which a table may stand that has no other frame.

    Returns:
        In reading order, captions no longer among the blocks.
    """
    captions = [block for block in blocks if _is_caption(block)][:_MOST_CAPTIONS]
    found = list(figures)
    for caption in captions:
        if (table := _ruled(caption, blocks, rules, found)) is not None:
            found.append(table)
    owner: dict[int, Figure] = {}
    distances = sorted(
        (distance, position, number)
        for position, caption in enumerate(captions)
        for number, figure in enumerate(found)
        if (distance := _distance(caption, figure, blocks)) is not None
    )
    for _, position, number in distances:
        if position not in owner and found[number] not in owner.values():
            owner[position] = found[number]
            label = label_of(captions[position].text)
            found[number].kind = "table" if label and label.kind == "table" else "figure"
    taken = {id(captions[position]) for position in owner}
    for position, figure in owner.items():
        figure.caption = captions[position].text
        _absorb(figure, found, blocks)
    inside = {id(line) for figure in found for line in figure.inside}
    text = {
        id(block)
        for block in blocks
        if id(block) not in taken and not all(id(line) in inside for line in block.lines)
    }
    places = {id(captions[position]): figure for position, figure in owner.items()}
    ordered: list[Block | Figure] = []
    for block in blocks:
        if id(block) in places:
            ordered.append(places[id(block)])
        elif id(block) in text:
            ordered.append(block)
    for figure in found:
        if figure not in owner.values():
            ordered.insert(_place(figure, ordered), figure)
    return ordered


def _is_caption(block: Block) -> bool:
    """Whether a block begins with a label that is no part of a sentence."""
    label = label_of(block.text)
    if label is None or block.is_code or len(block.text) > 1200:
        return False
    rest = block.text[label.end :]
    following = rest.lstrip()
    return not following or rest.startswith(_SIGNS) or not following[0].islower()


def _ruled(
    caption: Block, blocks: Sequence[Block], rules: Sequence[Box], known: Sequence[Figure]
) -> Figure | None:
    """The table between the rules under, or over, a caption that nothing else is drawn for."""
    label = label_of(caption.text)
    if label is None or label.kind != "table":
        return None
    if any(_distance(caption, figure, blocks) is not None for figure in known):
        return None
    wide = [rule for rule in rules if rule[2] - rule[0] > _WIDE and _beside(rule, caption.box) > 0]
    for chain in (
        _chain(sorted(wide, key=lambda rule: rule[1]), caption.box[3], 1),
        _chain(sorted(wide, key=lambda rule: -rule[1]), caption.box[1], -1),
    ):
        if len(chain) > 1:
            box = chain[0]
            for rule in chain[1:]:
                box = around(box, rule)
            inside = [
                line
                for block in blocks
                if block is not caption
                for line in block.lines
                if box[1] - 2 <= (line.box[1] + line.box[3]) / 2 <= box[3] + 2
                and _beside(line.box, box) > 0
            ]
            if inside:
                return Figure(box, "table", inside)
    return None


def _chain(rules: Sequence[Box], start: float, way: int) -> list[Box]:
    """Rules that follow each other, up or down from a caption."""
    chain: list[Box] = []
    reach, most = start, _FARTHEST
    for rule in rules:
        gap = way * ((rule[1] + rule[3]) / 2 - reach)
        if gap < -2:
            continue
        if gap > most or (chain and abs(rule[2] - rule[0] - chain[0][2] + chain[0][0]) > 20):
            break
        chain.append(rule)
        reach, most = (rule[1] + rule[3]) / 2, _TALLEST
    return chain


def _distance(caption: Block, figure: Figure, blocks: Sequence[Block]) -> float | None:
    """How far a caption is from a figure, in points; ``None`` if it cannot be the figure's."""
    box, other = caption.box, figure.box
    is_table = (label := label_of(caption.text)) is not None and label.kind == "table"
    if (beside := _beside(box, other)) > 0:
        under = box[1] - other[3]
        over = other[1] - box[3]
        gap = max(under, over)
        if gap < -min(box[3] - box[1], other[3] - other[1]) / 2 or gap > _FARTHEST:
            return None
        if _parted(box, other, blocks, caption):
            return None
        usual = over if is_table else under
        is_under = beside > 0.3 * min(box[2] - box[0], other[2] - other[0])
        return max(gap, 0.0) + (0.0 if usual == gap else _WRONG_SIDE) + (not is_under) * _ASIDE
    if min(box[3], other[3]) - max(box[1], other[1]) > 0:  # at its side
        gap = max(box[0] - other[2], other[0] - box[2])
        return None if gap > _FARTHEST / 2 else max(gap, 0.0) + 2 * _WRONG_SIDE
    return None


def _parted(first: Box, second: Box, blocks: Sequence[Block], caption: Block | None) -> bool:
    """Whether a passage stands between two boxes, one above the other."""
    top, bottom = min(first[3], second[3]), max(first[1], second[1])
    return any(
        block is not caption
        and len(block.text) > _PASSAGE
        and top - 2 <= (block.box[1] + block.box[3]) / 2 <= bottom + 2
        and _beside(block.box, first) > 0
        for block in blocks
    )


def _absorb(figure: Figure, found: list[Figure], blocks: Sequence[Block]) -> None:
    """Add to a captioned figure the parts beside it that have no caption of their own."""
    changed = True
    while changed:
        changed = False
        for other in list(found):
            if other is figure or other.caption is not None or other.kind != figure.kind:
                continue
            gap = max(
                figure.box[1] - other.box[3],
                other.box[1] - figure.box[3],
                figure.box[0] - other.box[2],
                other.box[0] - figure.box[2],
            )
            if gap < _NEAR and not _parted(figure.box, other.box, blocks, None):
                figure.box = around(figure.box, other.box)
                figure.inside += other.inside
                found.remove(other)
                changed = True


def _beside(first: Box, second: Box) -> float:
    """How much two boxes overlap from left to right, in points."""
    return min(first[2], second[2]) - max(first[0], second[0])


def _place(figure: Figure, items: Sequence[Block | Figure]) -> int:
    """After the last item above a figure, in its column."""
    above = [
        position
        for position, item in enumerate(items)
        if item.box[3] <= figure.box[1] + 4 and _beside(item.box, figure.box) > 0
    ]
    return above[-1] + 1 if above else 0
