"""Two-hop questions over a manual: what one section says of another, whose figure is wanted.

The manual is GIMP's (Debian's ``gimp-help-en``), indexed page by page with `add_folder`. A question
is a sentence of a section that links to another page, without the words of the link: they name what
the other page is about, and whoever has them needs no graph. Right is any figure of the section
that the link leads to, or, if it leads to a page's beginning, of the page's first section that has
one. Links of tables of contents, of ``See also`` lists and of the glossary have no sentence around
them; sentences of fewer than six words are left out, as are pages that a section links to twice
and targets without a figure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.graph.sources.page_links import page_of
from unisem.readers.documents.elements import Source
from unisem.readers.documents.html_tree import html_tree
from unisem.records import Record

if TYPE_CHECKING:
    from lxml.etree import _Element

MANUAL = "usr/share/gimp/2.0/help/en"
_FEWEST_WORDS = 6
_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z])")
_MARK = "\x00"


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence that speaks of something which another section shows.

    Attributes:
        text: The sentence without the link's words.
        page: The file it is from.
        linked: What the link says.
        right: Ids of the figures that answer it.
    """

    text: str
    page: str
    linked: str
    right: frozenset[str]


def questions(folder: Path, records: Sequence[Record], most: int, seed: int = 0) -> list[Question]:
    """Some questions of a manual, the same ones every time; one for each target and page.

    Args:
        folder: Of the manual's pages.
        records: Of the space that holds them.
        most: How many at most.
        seed: Decides which.
    """
    figures: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.image is not None and record.metadata.get("kind") == "figure":
            place = (str(record.metadata["file_name"]), str(record.metadata.get("section") or ""))
            figures.setdefault(place, []).append(record.id)
    found: dict[tuple[str, frozenset[str]], Question] = {}
    for path in sorted(folder.glob("*.html")):
        for one in _questions(path, folder, figures):
            found.setdefault((one.page, one.right), one)
    chosen = list(found.values())
    random.Random(seed).shuffle(chosen)
    return chosen[:most]


def _questions(
    path: Path, folder: Path, figures: dict[tuple[str, str], list[str]]
) -> Iterator[Question]:
    root = html_tree(path.read_bytes(), path.name)
    for paragraph in root.iter("p"):
        for link in paragraph.iter("a"):
            href, words = link.get("href") or "", " ".join("".join(link.itertext()).split())
            target = Source(path, folder).beside(href.partition("#")[0])
            if target is None or target == path or not target.is_file() or len(words) < 3:
                continue
            right = _shown(target, href.partition("#")[2], folder, figures)
            sentence = _sentence(paragraph, link)
            if right and len(sentence.split()) >= _FEWEST_WORDS:
                yield Question(sentence, path.name, words, right)


def _shown(
    target: Path, name: str, folder: Path, figures: dict[tuple[str, str], list[str]]
) -> frozenset[str]:
    """The figures of the section that a link leads to."""
    page = page_of(Source(target, folder))
    section = page.places.get(name, "") if page and name else ""
    if section:
        return frozenset(figures.get((target.name, section), ()))
    first = next((ids for (file, _), ids in figures.items() if file == target.name), [])
    return frozenset(first)


def _sentence(paragraph: _Element, link: _Element) -> str:
    """The sentence around a link, without what the link says."""
    parts = [paragraph.text or ""]
    for node in paragraph.iterdescendants():
        inside = node is link or link in node.iterancestors()
        if node is link:
            parts.append(_MARK)
        if not inside:
            parts.append(node.text or "")
        if node is link or not inside:
            parts.append(node.tail or "")
    text = " ".join("".join(parts).split())
    around = next((one for one in _SENTENCE.split(text) if _MARK in one), "")
    words = " ".join(around.replace(_MARK, " ").split())
    return re.sub(r"\s+([.,;:)])", r"\1", words)
