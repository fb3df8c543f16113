"""Figures of manuals with what is written around them, captions told apart.

Of each manual some figures that have a caption are drawn, the same ones every time. Each has the
texts that it may be found by: what its document says of it without the caption is what a figure
without one has.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.documents_books import BOOKS, label_and_words
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.assembly import assemble
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html import HTML
from unisem.readers.documents.labels import Label, label_of, mentions, sentence_with
from unisem.readers.documents.pdf import PDF
from unisem.records import Record

HTML_FOLDERS = {
    "gimp": "usr/share/gimp/2.0/help/en",
    "debian-handbook": "usr/share/doc/debian-handbook/html/en-US",
    "ns3": "usr/share/doc/ns3",
    "yade": "usr/share/doc/yade",
    "skimage": "usr/share/doc/python-skimage-doc/html",
}
"""Manuals that are only there as HTML: packages gimp-help-en, debian-handbook, ns3-doc, yade-doc
and python-skimage-doc."""

_FEWEST_WORDS = 3  # of a caption that says something
_AROUND = 300  # characters before and after a figure


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure and its surroundings.

    Attributes:
        manual: Which one it is of.
        file: The file.
        page: The page, of a PDF.
        image: Its picture.
        caption: Without the label.
        mentions: The sentences that speak of it.
        around: The passages before and after it.
        section: The headings above it.
    """

    manual: str
    file: Path
    page: int | None
    image: ImageRef
    caption: str
    mentions: str
    around: str
    section: str


def manuals_in(folder: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Name, root and files of each manual that is there; compressed PDFs are left out."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    for book in BOOKS:
        for place in places:
            if book.figures and (path := place / book.pdf.removesuffix(".gz")).is_file():
                yield book.name, path.parent.resolve(), [path.resolve()]
    for name, inside in HTML_FOLDERS.items():
        for place in places:
            if (root := place / inside).is_dir():
                root = root.resolve()
                yield name, root, sorted(path for path in root.rglob("*.html") if path.is_file())


def figures_of(name: str, root: Path, files: list[Path], most: int) -> list[Figure]:
    """Some figures of a manual, each picture and each caption once."""
    found: dict[str, Figure] = {}
    seen: set[str] = set()
    for path in files:
        for figure in _figures_in(name, root, path):
            key = " ".join(label_and_words(figure.caption)[1])
            digest = figure.image.sha256 or str(figure.image.path)
            if figure.image.region is not None:
                digest += str(figure.image.region)
            if len(key.split()) >= _FEWEST_WORDS and digest not in seen and _opens(figure.image):
                seen.add(digest)
                found.setdefault(key, figure)
    figures = list(found.values())
    random.Random(0).shuffle(figures)
    return figures[:most]


def elements_of(root: Path, path: Path) -> list[Element]:
    """What is in a file; nothing if it cannot be read."""
    form: Format = PDF if path.suffix == ".pdf" else HTML
    try:
        items = list(form.elements(path.read_bytes(), Source(path, root)))
    except DocumentError:
        return []
    return [item for item in items if isinstance(item, Element)]


def hidden(element: Element) -> Element:
    """A figure without its words, but for the label by which passages speak of it."""
    if element.kind != "figure":
        return element
    label = label_of(element.caption)
    return replace(element, caption=None if label is None else label.text, text="")


def records_of(root: Path, path: Path, elements: list[Element]) -> list[Record]:
    """Records of a document."""
    name = path.relative_to(root).as_posix()
    items = assemble(elements, name=name, source_id=name, file_name=name, mark={})
    return [item for item in items if not isinstance(item, Skipped)]


def _figures_in(manual: str, root: Path, path: Path) -> Iterator[Figure]:
    elements = elements_of(root, path)
    captions = [e.caption for e in elements if e.kind == "figure" and e.image is not None]
    if not any(captions):
        return
    records = records_of(root, path, list(map(hidden, elements)))
    by_id = {record.id: record for record in records}
    pictured = [record for record in records if record.image is not None]
    shown = [record for record in pictured if record.metadata["kind"] == "figure"]
    for record, caption in zip(shown, captions, strict=True):
        if caption is None or not isinstance(record.image, ImageRef):
            continue
        label = label_of(caption)
        yield Figure(
            manual=manual,
            file=path,
            page=record.metadata.get("page"),
            image=record.image,
            caption=caption[label.end :].lstrip(" .:—–-") if label else caption,
            mentions="" if label is None else _mentions(label, record, by_id),
            around=_around(record, by_id),
            section=record.metadata.get("section") or "",
        )


def _mentions(label: Label, record: Record, by_id: dict[str, Record]) -> str:
    """The sentences that have a figure's label in them, as `assemble` takes them."""
    names = [target for name, target in record.links.items() if name.startswith("mentioned_by")]
    texts = [by_id[name].text or "" for name in names]
    said = [
        sentence_with(text, one) for text in texts for one in mentions(text) if one.key == label.key
    ]
    return " ".join(dict.fromkeys(said))[:_AROUND]


def _around(record: Record, by_id: dict[str, Record]) -> str:
    """The end of the passage before and the beginning of the one after."""
    parts: list[str] = []
    for relation in ("previous", "next"):
        near = by_id.get(record.links.get(relation, ""))
        while near is not None and near.metadata["kind"] == "figure":
            near = by_id.get(near.links.get(relation, ""))
        text = "" if near is None else near.text or ""
        parts.append(text[-_AROUND:] if relation == "previous" else text[:_AROUND])
    return "\n".join(filter(None, parts))


def _opens(image: ImageRef) -> bool:
    from unisem.errors import ImageError

    try:
        return min(image.open().size) >= 32
    except ImageError:
        return False
