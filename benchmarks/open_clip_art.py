"""The Open Clip Art retrieval set: pictures with titles and keywords, a fixed held-out part.

A picture belongs to the set if the SVG of the same path has a title; its caption is the title, a
full stop, and the keywords joined by commas. Paths of shapes, gradients, patterns, buttons, LEDs
and icons are left out. The distinct captions, sorted, are shuffled with
``numpy.random.RandomState(0)``; the first 1,000 and their pictures are held out and are each
other's candidates. Several pictures may share a caption: each of them is relevant to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
LEFT_OUT = ("shapes/", "gradients", "patterns", "buttons", "led", "icons")
"""What is in the paths of pictures that are left out."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Captions and the pictures that each describes.

    Attributes:
        captions: Distinct captions.
        pictures: Paths of distinct pictures.
        relevant: For each caption the positions of its pictures.
    """

    captions: list[str]
    pictures: list[Path]
    relevant: list[list[int]]

    @property
    def captions_of_pictures(self) -> list[list[int]]:
        """For each picture the positions of its captions; here always one."""
        owners: list[list[int]] = [[] for _ in self.pictures]
        for caption, pictures in enumerate(self.relevant):
            for picture in pictures:
                owners[picture].append(caption)
        return owners


def load_split(library: Path, *, held_out: int = 1000) -> tuple[Pairs, Pairs]:
    """Return the training part and the held-out part.

    Args:
        library: The folder with ``png`` and ``svg`` in it.
        held_out: How many captions are held out.
    """
    by_caption: dict[str, list[Path]] = {}
    for path, caption in described_pictures(library):
        by_caption.setdefault(caption, []).append(path)
    captions = sorted(by_caption)
    np.random.RandomState(0).shuffle(captions)
    return (
        _pairs(captions[held_out:], by_caption),
        _pairs(captions[:held_out], by_caption),
    )


def described_pictures(library: Path) -> Iterator[tuple[Path, str]]:
    """Yield the pictures that have a caption, sorted by path."""
    for path in sorted((library / "png").rglob("*.png")):
        name = path.relative_to(library / "png")
        if any(part in name.as_posix() for part in LEFT_OUT):
            continue
        svg = (library / "svg" / name).with_suffix(".svg")
        if svg.exists() and (caption := read_caption(svg)):
            yield path, caption


def read_caption(svg: Path) -> str | None:
    """Title and keywords of an SVG file; ``None`` where there is no title or no XML."""
    try:
        data = svg.read_bytes()
        if b"<!ENTITY" in data:
            data = data.replace(b"<!ENTITY", b"<!--ENTITY")  # never expanded; then not well-formed
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return None
    title = root.find(f".//{_DC}title")
    words = [
        (item.text or "").strip() for item in root.iterfind(f".//{_DC}subject/{_RDF}Bag/{_RDF}li")
    ]
    keywords = ", ".join(word for word in words if word)
    text = "" if title is None else (title.text or "").strip()
    if not text:
        return None
    return f"{text}. {keywords}" if keywords else text


def _pairs(captions: list[str], by_caption: dict[str, list[Path]]) -> Pairs:
    pictures: list[Path] = []
    relevant: list[list[int]] = []
    for caption in captions:
        relevant.append(list(range(len(pictures), len(pictures) + len(by_caption[caption]))))
        pictures += by_caption[caption]
    return Pairs(captions, pictures, relevant)
