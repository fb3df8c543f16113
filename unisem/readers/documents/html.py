"""`HTML`: saved pages and manuals, with the pictures that lie beside them or inside."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html_blocks import PageBlock, blocks_of_page
from unisem.readers.documents.html_figures import Shown, candidates
from unisem.readers.documents.html_tree import html_tree
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.linked_picture import linked_picture

_LONGEST_CAPTION = 500  # characters of a paragraph that is one by its first words
_TAG = re.compile(rb"<(?:img|source|object)\b([^<>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    rb"\b(src|srcset|data|data-src|data-srcset|data-original|data-lazy-src)\s*=\s*"
    rb"(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))",
    re.IGNORECASE,
)

Opener = Callable[[str], ImageRef | Skipped]
"""A link to its picture, or why there is none."""


def html_elements(
    data: bytes, source: Source, picture: Opener | None = None
) -> Iterator[Element | Skipped]:
    """Read a page.

    Args:
        data: Its bytes.
        source: Where it is from.
        picture: Opens its links; by default those to files beside it, and ``data:`` URIs.

    Raises:
        DocumentError: There is nothing in it.
    """
    opener = picture or partial(linked_picture, source=source)
    root = html_tree(data, source.path.name)
    drawings = 0
    for block in _captioned(_lists(blocks_of_page(root, source.path.name))):
        if block.figure is None:
            yield Element(
                kind=block.kind,
                text=block.text,
                level=block.level,
                caption=block.caption or None,
                anchors=tuple(sorted(block.anchors)),
                references=tuple(sorted(block.references)),
            )
            continue
        image, told = _opened(block.figure, opener)
        drawings += not block.figure.links
        yield from told
        caption = block.caption or None
        if image is not None or caption or block.figure.alternative:
            yield Element(
                kind="figure",
                text=block.figure.alternative,
                caption=caption,
                image=image,
                anchors=tuple(sorted(block.anchors)),
                references=tuple(sorted(block.references)),
            )
    if drawings:
        yield Skipped(
            str(source.path),
            f"has {drawings} drawings (inline SVG) that are not read; their captions are",
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
    """Blocks, the items of a list as one."""
    joined: list[PageBlock] = []
    lines: list[str] = []
    for block in blocks:
        if block.kind == "list" and joined and joined[-1].group == block.group:
            lines.append(block.text)
            joined[-1].references |= block.references
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
                    taken.add(place)
                    break
    return (block for place, block in enumerate(blocks) if place not in taken)


def _heads(text: str, kind: str) -> bool:
    """Whether a paragraph is a caption by its first words: a label, and no sentence about it."""
    label = label_of(text) if len(text) <= _LONGEST_CAPTION else None
    if label is None or (label.kind == "table") != (kind == "table"):
        return False
    rest = text[label.end :].lstrip()
    return not rest or not (rest[0].islower() and rest[0].isascii())


def _links(data: bytes) -> Iterator[str]:
    for tag in _TAG.finditer(data):
        for name, *values in _ATTRIBUTE.findall(tag[1]):
            said = html.unescape(next(filter(None, values), b"").decode("utf-8", "replace"))
            if not said.startswith("data:"):
                yield from candidates(said) if b"srcset" in name.lower() else [said]


HTML = Format(
    name="HTML",
    suffixes=frozenset({".html", ".htm", ".xhtml"}),
    elements=html_elements,
    links=_links,
)
"""Needs the extra ``documents`` (lxml)."""
