"""Two-hop questions over a manual: what one section says of another, whose figure is wanted.

The manual is GIMP's (Debian's ``gimp-help-en``). A question is a sentence of a section that links
to another page, without the words of the link: they name what the other page is about, and whoever
has them needs no graph. A sentence that lost its link has often lost its subject, too, and whoever
asks knows where they read it: the page's first heading and the section's are told before it. Right
is any figure of the section that the link leads to, or, if it leads to a page's beginning, of the
page's first section that has one. Left out are sentences of fewer than six words, and paragraphs of
which more than half is links, as lists and the way on to the next page are. There is one question
for each page and target, and each sentence is asked once.

Half of them are for choosing how to ask: those whose target's file has a name with an even
checksum, so that no figure answers questions of both halves.
"""

from __future__ import annotations

import random
import re
import zlib
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
_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_NUMBERING = re.compile(r"^[\d.]+\s+")
_MARK = "\x00"


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence that speaks of something which another section shows.

    Attributes:
        text: The sentence without the link's words.
        section: The page's heading, and that of the section in it.
        page: The file it is from.
        target: The file that the link leads to.
        linked: What the link says.
        right: Ids of the figures that answer it.
    """

    text: str
    section: str
    page: str
    target: str
    linked: str
    right: frozenset[str]

    @property
    def told(self) -> str:
        """What is asked: the sentence, and before it where it was read."""
        return f"{self.section}: {self.text}" if self.section else self.text

    @property
    def is_for_choosing(self) -> bool:
        """Whether it belongs to the half by which settings may be chosen."""
        return zlib.crc32(self.target.encode()) % 2 == 0


def questions(folder: Path, records: Sequence[Record], most: int, seed: int = 0) -> list[Question]:
    """Some questions of a manual, the same ones every time; each sentence once.

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
    indexed = {str(record.metadata["file_name"]) for record in records}
    found: dict[tuple[str, frozenset[str]], Question] = {}
    for path in sorted(folder.glob("*.html")):
        if path.name in indexed:
            for one in _questions(path, folder, figures):
                found.setdefault((one.page, one.right), one)
    chosen = list({one.text: one for one in found.values()}.values())
    random.Random(seed).shuffle(chosen)
    return chosen[:most]


def _questions(
    path: Path, folder: Path, figures: dict[tuple[str, str], list[str]]
) -> Iterator[Question]:
    headings: list[str] = []
    for node in html_tree(path.read_bytes(), path.name).iter():
        if node.tag in _HEADINGS:
            headings = [*headings[:1], _NUMBERING.sub("", _words(node))]
        links = [] if node.tag != "p" else list(node.iter("a"))
        if sum(len(_words(link)) for link in links) > len(_words(node)) / 2:
            continue
        for link in links:
            href, words = link.get("href") or "", _words(link)
            target = Source(path, folder).beside(href.partition("#")[0])
            if target is None or target == path or not target.is_file() or len(words) < 3:
                continue
            right = _shown(target, href.partition("#")[2], folder, figures)
            sentence = _sentence(node, link)
            if right and len(sentence.split()) >= _FEWEST_WORDS:
                where = ", ".join(filter(None, headings))
                yield Question(sentence, where, path.name, target.name, words, right)


def _words(node: _Element) -> str:
    return " ".join("".join(node.itertext()).split())


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
    from lxml import etree

    parts: list[str] = []
    for event, node in etree.iterwalk(paragraph, events=("start", "end")):
        inside = node is not link and link in node.iterancestors()
        if event == "start" and not inside:
            parts.append(_MARK if node is link else node.text or "")
        elif event == "end" and not inside and node is not paragraph:
            parts.append(node.tail or "")
    text = " ".join("".join(parts).split())
    around = next((one for one in _SENTENCE.split(text) if _MARK in one), "")
    words = " ".join(around.replace(_MARK, " ").split())
    return re.sub(r"\s+([.,;:)])", r"\1", words)
