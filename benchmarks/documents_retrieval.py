"""Are figures found by what their captions say, if nobody has written a caption under them?

The query is a figure's caption, which nothing that is searched holds; wanted is the figure, among
those of all manuals. One space for each way to describe a figure beside its picture; a space is
asked by its pictures alone, by its texts alone, and by both.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.documents_figures import Figure, figures_of, manuals_in
from unisem import Encoder, Record, SemanticSpace
from unisem.evaluation.bootstrap import bootstrap_interval
from unisem.records import EmbeddedRecord
from unisem.stores.selection import Match

K = 5
DESCRIPTIONS: dict[str, Callable[[Figure], str]] = {
    "none": lambda figure: "",
    "mentions": lambda figure: figure.mentions,
    "headings": lambda figure: figure.section,
    "neighbours": lambda figure: figure.around,
    "headings + neighbours": lambda figure: _joined(figure.section, figure.around),
}
"""What may stand for a figure beside its picture, if it has no caption."""


@dataclass(frozen=True)
class Row:
    """How often figures were found.

    Attributes:
        description: What they are described by.
        match: By which of a figure's vectors.
        hit_1: Share of the queries whose figure was first.
        hit_5: Among the first five.
        hits: Of each query, whether it was among the first five.
    """

    description: str
    match: str
    hit_1: float
    hit_5: float
    hits: NDArray[np.float64]


def figures_in(folder: Path, most: int) -> list[Figure]:
    """Some figures of each manual."""
    manuals = manuals_in(folder)
    return [one for name, root, files in manuals for one in figures_of(name, root, files, most)]


def rows_by_heading(figures: Sequence[Figure], encoder: Encoder) -> list[Row]:
    """Ask for a figure by the last heading above it, with captions for all to see.

    Right is any figure of a section with that heading in its manual.
    """
    sections = [(figure.manual, figure.section.rpartition(" > ")[2]) for figure in figures]
    asked = sorted({one for one in sections if len(one[1].split()) > 1})
    wanted = np.array([[section == one for section in sections] for one in asked])
    queries = encoder.encode_texts([heading for _, heading in asked], role="query")
    captions = [figure.caption for figure in figures]
    longer = [_joined(figure.caption, figure.mentions) for figure in figures]
    vectors = {
        "picture": encoder.encode_images([figure.image.open() for figure in figures]),
        "caption": encoder.encode_texts(captions),
        "caption + mentions": encoder.encode_texts(longer),
    }
    rows: list[Row] = []
    for name, found in vectors.items():
        best = np.argsort(-(queries @ found.T), axis=1)[:, :K]
        right = np.take_along_axis(wanted, best, axis=1)
        first, five = right[:, 0].astype(float), right.any(axis=1).astype(float)
        rows.append(Row(name, "headings", float(first.mean()), float(five.mean()), five))
    return rows


def rows_of(figures: Sequence[Figure], encoder: Encoder, calibrated: bool) -> list[Row]:
    """Ask for each figure by its caption, which is hidden, in all ways.

    Args:
        figures: Of all manuals.
        encoder: Makes the vectors.
        calibrated: The spaces are, by what they hold.
    """
    opened = [figure.image.open() for figure in figures]
    pictures = encoder.encode_images(opened)
    small = [_thumbnail(picture) for picture in opened]
    queries = [figure.caption for figure in figures]
    rows: list[Row] = []
    for name, describe in DESCRIPTIONS.items():
        texts = [describe(figure) for figure in figures]
        with SemanticSpace.open(None, encoder=encoder) as space:
            space.add_embedded(list(_embedded(small, texts, pictures, encoder)))
            if calibrated and sum(map(bool, texts)) >= 32:
                space.calibrate()
            ways: tuple[tuple[str, Match], ...] = (("picture", "image"),)
            if any(texts):
                ways = (("text", "text"), ("both", "any"))
            for told, match in ways:
                first, five = _found(space, queries, match)
                rows.append(Row(name, told, float(first.mean()), float(five.mean()), five))
    return rows


def gain(better: NDArray[np.float64], worse: NDArray[np.float64]) -> str:
    """A difference with its interval."""
    low, high = bootstrap_interval(better - worse)
    return f"{(better - worse).mean():+.3f} ({low:+.3f} to {high:+.3f})"


def _embedded(
    small: Sequence[bytes],
    texts: Sequence[str],
    pictures: NDArray[np.float32],
    encoder: Encoder,
) -> list[EmbeddedRecord]:
    told = [text for text in texts if text]
    vectors = dict(zip(told, encoder.encode_texts(told), strict=True)) if told else {}
    embedded: list[EmbeddedRecord] = []
    for number, (picture, text) in enumerate(zip(small, texts, strict=True)):
        record = Record(id=f"{number:04d}", text=text or None, image=picture)
        parts = {"image": pictures[number]} | ({"text": vectors[text]} if text else {})
        embedded.append(EmbeddedRecord(record, parts))  # type: ignore[arg-type]
    return embedded


def _found(
    space: SemanticSpace, queries: Sequence[str], match: Match
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether each query's figure was first, and among the first five."""
    first, five = np.zeros(len(queries)), np.zeros(len(queries))
    for number, query in enumerate(queries):
        found = [hit.record.id for hit in space.search(query, k=K, match=match)]
        first[number] = found[:1] == [f"{number:04d}"]
        five[number] = f"{number:04d}" in found
    return first, five


def _thumbnail(picture: Image.Image) -> bytes:
    """What stands for a picture whose vector is known."""
    buffer = io.BytesIO()
    picture.convert("RGB").resize((64, 64)).save(buffer, format="PNG")
    return buffer.getvalue()


def _joined(*parts: str) -> str:
    return "\n".join(filter(None, parts))
