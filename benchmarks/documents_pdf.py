"""What UniSem reads in a PDF, against the HTML of the same book.

* **found**: figures of the HTML whose picture is a figure of the PDF. Where the HTML's picture is
  there, the region is rendered and must look like it (`alike`), which it only does if the box is
  right;
* **paired**: of those found, the ones that have their own caption;
* **own**: figures of the PDF that are the HTML's, with a caption or without;
* **order**: the longest common subsequence of the words, as a share of the words that both have, by
  section;
* **words**: as a share of the HTML's;
* **headings**: of the HTML's that are headings of the PDF.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rapidfuzz.distance import LCSseq

from benchmarks.documents_books import (
    Book,
    Section,
    TrueFigure,
    Truth,
    label_and_words,
    title_of,
    truth_of,
    words_of,
)
from unisem.images.region import Region
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pdf import PDF

_ALIKE = 0.5  # correlation of two pictures, cut to what is drawn
_SAME_WORDS = 0.85  # of two captions
_SIDE = 48  # pixels
_DPI = 72
_INDEX = ("index", "contents", "list of figures", "list of tables")


@dataclass
class Outcome:
    """What a book's PDF gave."""

    name: str
    pages: int
    figures: int = 0
    found: int = 0
    paired: int = 0
    shown: int = 0
    own: int = 0
    words: int = 0
    common: int = 0
    in_order: int = 0
    headings: int = 0
    headings_found: int = 0
    faults: list[str] = field(default_factory=list)


def outcome_of(book: Book, folder: Path) -> Outcome | None:
    """Read a book both ways; ``None`` if it is not in the folder."""
    data = book.pdf_in(folder)
    if data is None:
        return None
    truth = truth_of(book, folder)
    with TemporaryDirectory() as place:
        path = Path(place) / f"{book.name}.pdf"
        path.write_bytes(data)
        elements = [
            element
            for element in PDF.elements(data, Source(path, Path(place)))
            if isinstance(element, Element)
        ]
    outcome = Outcome(book.name, max((element.page or 0 for element in elements), default=0))
    if truth.figures:
        _figures(book, data, truth, elements, outcome)
    _order(truth.sections, sections_of(elements), outcome)
    return outcome


def _figures(
    book: Book,
    data: bytes,
    truth: Truth,
    elements: Sequence[Element],
    outcome: Outcome,
) -> None:
    read = [element for element in elements if element.kind == "figure"]
    first = min((element.page or 0 for element in read if element.caption), default=0)
    outcome.shown = sum((element.page or 0) >= first for element in read)  # a cover has no caption
    outcome.figures = len(truth.figures)
    pictures: dict[int, NDArray[np.float64] | None] = {}
    taken: set[int] = set()

    def looks_like(number: int, wanted: NDArray[np.float64]) -> float:
        if number not in pictures:
            box, page = read[number].box, read[number].page
            assert box is not None
            assert page is not None
            pictures[number] = drawn(Region(page=page, box=box, dpi=_DPI).render(data, book.name))
        picture = pictures[number]
        return -1.0 if picture is None else alike(picture, wanted)

    for figure in truth.figures:
        named = next((n for n, e in enumerate(read) if same_caption(figure, e, book)), None)
        wanted = [drawn(path.read_bytes()) for path in figure.pictures]
        known = [picture for picture in wanted if picture is not None]
        if len(known) != 1:  # nothing to compare with, or several side by side
            outcome.found += named is not None
            outcome.paired += named is not None
            if named is not None:
                taken.add(named)
            else:
                outcome.faults.append(f"not found: {figure.caption[:70]}")
            continue
        if named is not None and looks_like(named, known[0]) >= _ALIKE:
            best = named
        else:
            scores = [looks_like(number, known[0]) for number in range(len(read))]
            best = int(np.argmax(scores)) if scores else -1
            if not scores or scores[best] < _ALIKE:
                told = "cut wrong" if named is not None else "not found"
                outcome.faults.append(f"{told}: {figure.caption[:70]}")
                continue
        outcome.found += 1
        taken.add(best)
        outcome.paired += best == named
        if best != named:
            outcome.faults.append(f"caption {read[best].caption!r}: {figure.caption[:70]}")
    for path in truth.pictures:
        known_picture = drawn(path.read_bytes()) if path.is_file() else None
        if known_picture is not None:
            left = [number for number in range(len(read)) if number not in taken]
            scores = [looks_like(number, known_picture) for number in left]
            if scores and max(scores) >= _ALIKE:
                taken.add(left[int(np.argmax(scores))])
    outcome.own = sum((read[number].page or 0) >= first for number in taken)
    outcome.faults += [
        f"page {element.page}, {[round(side) for side in element.box or ()]}: no figure of the "
        f"HTML's ({(element.caption or element.text)[:50]!r})"
        for number, element in enumerate(read)
        if number not in taken and (element.page or 0) >= first
    ]


def same_caption(figure: TrueFigure, element: Element, book: Book) -> bool:
    """Whether a figure of the PDF has the HTML's caption, and no more."""
    number, words = label_and_words(figure.caption)
    other, others = label_and_words(element.caption or "")
    if book.numbered and number != other:
        return False
    same = LCSseq.normalized_similarity(words, others) if words or others else 1.0
    return same >= _SAME_WORDS


def drawn(data: bytes) -> NDArray[np.float64] | None:
    """A picture in grey, cut to what is drawn on its ground, made small; its shape is lost.

    ``None`` if there is nothing.
    """
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGBA")
    except UnidentifiedImageError:  # a drawing
        return None
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    grey = np.asarray(ground.convert("L"), np.float64)
    inked = grey < 225
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    if not rows.size:
        return None
    cut = Image.fromarray(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("u1"))
    return np.asarray(cut.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64)


def alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The correlation of two pictures of `drawn`."""
    if first.std() == 0 or second.std() == 0:
        return -1.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def sections_of(elements: Sequence[Element]) -> list[Section]:
    """What was read of a PDF, under its headings, figures, and tables that float, left out."""
    sections = [Section("")]
    for element in elements:
        if element.kind == "heading":
            sections.append(Section(title_of(element.text)))
        elif element.kind != "figure" and not (element.kind == "table" and element.caption):
            sections[-1].words += words_of(" ".join(filter(None, (element.caption, element.text))))
    return sections


def _order(html: Sequence[Section], pdf: Sequence[Section], outcome: Outcome) -> None:
    """Cut both where they have the same heading, and compare piece by piece."""
    titles = [section.title for section in html], [section.title for section in pdf]
    blocks = SequenceMatcher(None, *titles, autojunk=False).get_matching_blocks()
    pairs = [(one.a + n, one.b + n) for one in blocks for n in range(one.size)]
    pairs = [(a, b) for a, b in pairs if titles[0][a]]
    outcome.headings = sum(bool(title) for title in titles[0])
    outcome.headings_found = len(pairs)
    for (a, b), (next_a, next_b) in zip(pairs, [*pairs[1:], (len(html), len(pdf))], strict=True):
        if any(word in titles[0][a] for word in _INDEX):
            continue
        one = _joined(html[a:next_a])
        other = _joined(pdf[b:next_b])
        overlap = sum((Counter(one) & Counter(other)).values())
        same = LCSseq.similarity(one, other)
        outcome.words += len(one)
        outcome.common += overlap
        outcome.in_order += same
        if overlap - same > 40 or len(one) - overlap > 100:
            outcome.faults.append(
                f"{titles[0][a]!r}: of {len(one)} words {overlap} are there, {same} in order"
            )


def _joined(sections: Sequence[Section]) -> list[str]:
    """The words of sections, headings but the first among them."""
    words = list(sections[0].words)
    for section in sections[1:]:
        words += [*section.title.split(), *section.words]
    return words


def total(outcomes: Sequence[Outcome]) -> Outcome:
    """All books as one."""
    whole = replace(outcomes[0], name="all", faults=[])
    for name in Outcome.__dataclass_fields__:
        if name not in ("name", "faults"):
            setattr(whole, name, sum(getattr(outcome, name) for outcome in outcomes))
    return whole
