"""`block_elements`: the blocks of a document to elements, captions with what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from unisem.common.box import around
from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Element
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.page_block import PageBlock, Shown

_LONGEST_CAPTION = 500  # characters of a paragraph that is one by its first words

Opener = Callable[[str], ImageRef | Skipped]
"""A link to its picture, or why there is none."""


def block_elements(
    blocks: Iterable[PageBlock], opener: Opener, name: str, *, drawings: str
) -> Iterator[Element | Skipped]:
    """Turn blocks into elements.

    Args:
        blocks: In reading order.
        opener: Opens the links of their figures.
        name: What to call the document where a part of it is skipped.
        drawings: What figures are that have no link.
    """
    drawn = 0
    for block in _captioned(_lists(blocks)):
        if block.figure is None:
            yield Element(
                kind=block.kind,
                text=block.text,
                level=block.level,
                caption=block.caption or None,
                anchors=tuple(sorted(block.anchors)),
                references=tuple(sorted(block.references)),
                page=block.page,
                box=block.box,
            )
            continue
        image, told = _opened(block.figure, opener)
        drawn += not block.figure.links
        yield from told
        caption = block.caption or None
        if caption is None and _heads(block.figure.alternative, "figure"):
            caption = block.figure.alternative  # as Markdown writes captions
        words = block.text or block.figure.alternative
        if image is not None or caption or words:
            yield Element(
                kind=block.kind,
                text=words,
                caption=caption,
                image=image,
                anchors=tuple(sorted(block.anchors)),
                references=tuple(sorted(block.references)),
                page=block.page,
                box=block.box,
            )
    if drawn:
        yield Skipped(
            name,
            f"has {drawn} drawings ({drawings}) that are not read; their captions are",
        )


def _opened(shown: Shown, opener: Opener) -> tuple[ImageRef | None, list[Skipped]]:
    """The first of a picture's links that leads to one, or why the first does not."""
    faults: list[Skipped] = []
    for link in shown.links:
        found = opener(link)
        if isinstance(found, ImageRef):
            return found, []
        faults.append(found)
    return None, faults[:1]


def _lists(blocks: Iterable[PageBlock]) -> list[PageBlock]:
    """Blocks, the items of a list, and the lines of code, as one."""
    joined: list[PageBlock] = []
    lines: list[str] = []
    for block in blocks:
        before = joined[-1] if joined else None
        if (
            block.kind in ("list", "code")
            and before is not None
            and block.group
            and (before.kind, before.group) == (block.kind, block.group)
        ):
            lines.append(block.text)
            before.references |= block.references
            if before.box is not None and block.box is not None:
                before.box = around(before.box, block.box)
            continue
        if lines and joined:
            joined[-1].text = "\n".join([joined[-1].text, *lines])
        lines = []
        joined.append(block)
    if lines:
        joined[-1].text = "\n".join([joined[-1].text, *lines])
    return joined


def _captioned(blocks: Sequence[PageBlock]) -> Iterator[PageBlock]:
    """Blocks, what is a caption without a frame being its figure's or its table's."""
    taken: set[int] = set()
    for position, block in enumerate(blocks):
        if block.kind not in ("figure", "table") or block.caption:
            continue
        places = (position + 1, position - 1)
        for place in places if block.kind == "figure" else places[::-1]:
            if 0 <= place < len(blocks) and place not in taken:
                near = blocks[place]
                if near.kind == "text" and (near.is_caption or _heads(near.text, block.kind)):
                    block.caption = near.text
                    block.references |= near.references
                    block.anchors |= near.anchors
                    taken.add(place)
                    break
    captions = {block.group: block.caption for block in blocks if block.figure and block.caption}
    for block in blocks:
        if block.kind == "figure" and block.group and not block.caption:  # beside one that has it
            block.caption = captions.get(block.group, "")
    return (block for place, block in enumerate(blocks) if place not in taken)


def _heads(text: str, kind: str) -> bool:
    """Whether a paragraph is a caption by its first words: a label, and no sentence about it."""
    label = label_of(text) if len(text) <= _LONGEST_CAPTION else None
    if label is None or (label.kind == "table") != (kind == "table"):
        return False
    rest = text[label.end :].lstrip()
    return not rest or not (rest[0].islower() and rest[0].isascii())
