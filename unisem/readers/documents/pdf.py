"""`PDF`: text in reading order, headings, and figures and tables with their captions."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from unisem.common.box import Box
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError, ImageError
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.pdfium.page_content import PageContent
from unisem.pdfium.page_text import Line
from unisem.pdfium.pdf_file import PdfFile
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.pdf_blocks import Block, blocks_of, leading_of
from unisem.readers.documents.pdf_figures import Shape, is_figure, is_table, shapes_of
from unisem.readers.documents.pdf_layout import Figure, captioned
from unisem.readers.documents.pdf_text import in_reading_order

MOST_LINES = 1_000_000
"""Lines of a document, which are held while its running heads are looked for."""

_MOST_FAULTS = 100  # pages that are damaged in a row, after which others are not tried
_EDGE = 0.12  # of a page's height, where running heads and page numbers stand
_REPEATED = 3  # pages on which a line stands that is no part of the text
_DPI = 144  # of figures
_SCANNED = 0.5  # of a page's area that one bitmap covers
_WORDLESS = 20  # characters of a page that has no text of its own
_LARGER = 1.15  # times the size of the text: a heading
_LONGEST_HEADING = 160  # characters
_LEVELS = 4
_MARGIN = 4.0  # points around a figure
_NUMBERED = re.compile(r"^(?:[^\W\d_]+\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:]?\s+")
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)


@dataclass(slots=True)
class _Outline:
    """A PDF's own table of contents: the level of a title on a page."""

    levels: dict[tuple[int, str], int] = field(default_factory=dict)

    def level(self, page: int, text: str) -> int | None:
        """The level of a heading; its number need not be in the table of contents."""
        known = self.levels.get((page, _plain(text)))
        return known or self.levels.get((page, _plain(_NUMBERED.sub("", text))))


def _elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    pages: list[PageContent] = []
    try:
        pdf = PdfFile.from_the_start(data, source.path.name)
    except ImageError as error:
        raise DocumentError(str(error)) from error
    if not pdf.pages:
        raise DocumentError(f"{source.path.name} has no pages, or damaged ones")
    shapes: dict[int, list[Shape]] = {}
    faults: list[Skipped] = []
    name = str(source.path)
    outline = _Outline()
    try:
        outline = _outline(pdf)
    except ImageError as error:
        reason = f"its table of contents is not used, as it {error.reason}"
        faults.append(Skipped(name, reason, error.again))
    lines = 0
    for page in _pages(pdf, name):
        if isinstance(page, Skipped):
            faults.append(page)
            continue
        pages.append(page)
        shapes[page.number] = shapes_of(page.drawn, page.width, page.height)
        page.drawn.clear()  # a map may have a hundred thousand
        lines += len(page.lines)
        if lines > MOST_LINES:
            what = f"what follows page {page.number} is not read, as there are too many lines"
            faults.append(Skipped(name, what))
            break
    if not pages:
        raise DocumentError(f"{source.path.name}: {'; '.join(it.reason for it in faults)}")
    yield from faults
    running = _running(pages)
    sizes = Counter[float]()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 10.0
    larger = sorted((size for size in sizes if size >= body * _LARGER), reverse=True)
    ranks = {size: min(rank, _LEVELS) for rank, size in enumerate(larger[-_LEVELS:], 1)}
    leading = leading_of([line for page in pages for line in page.lines])
    spent = 0.0
    for page in pages:
        reading = _Reading(
            page, shapes[page.number], source, running, outline, body, leading, ranks
        )
        began = time.thread_time()
        found = list(reading.elements())
        spent += time.thread_time() - began
        yield from found
        if spent > pdf.allowed and page is not pages[-1]:
            what = f"what follows page {page.number} is not read"
            yield Skipped(name, f"{what}, as the document has taken too long", again=True)
            return


def _pages(pdf: PdfFile, name: str) -> Iterator[PageContent | Skipped]:
    """Pages, and what is wrong with others, those in a row together."""
    faults: list[ImageError] = []  # of the pages just before
    number = 0
    while number < pdf.pages and len(faults) < _MOST_FAULTS and not pdf.is_spent:
        number += 1
        try:
            page = pdf.page(number)
        except ImageError as error:
            faults.append(error)
            continue
        if faults:
            yield _told(name, faults, number - 1)
            faults = []
        yield page
    if faults:
        yield _told(name, faults, number)
    if number < pdf.pages:
        why = "the document has taken too long" if pdf.is_spent else "there may be none"
        what = f"{_pages_to(number + 1, pdf.pages)} not read, as {why}"
        yield Skipped(name, what, again=pdf.is_spent)


def _told(name: str, faults: Sequence[ImageError], last: int) -> Skipped:
    """One sentence of the pages up to one."""
    first = "it" if len(faults) == 1 else "the first"
    what = f"{_pages_to(last - len(faults) + 1, last)} not read, as {first} {faults[0].reason}"
    return Skipped(name, what, again=any(fault.again for fault in faults))


def _pages_to(first: int, last: int) -> str:
    return f"page {first} is" if first == last else f"pages {first} to {last} are"


def _outline(pdf: PdfFile) -> _Outline:
    outline = _Outline()
    for level, page, title in pdf.outline():
        outline.levels.setdefault((page, _plain(title)), level)
    return outline


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _running(pages: Sequence[PageContent]) -> set[tuple[str, int]]:
    """Lines that stand at the same edge of several pages, but for numbers in them."""
    seen: Counter[tuple[str, int]] = Counter()
    for page in pages:
        seen.update({_edge_key(line, page) for line in page.lines} - {None})  # type: ignore[arg-type]
    enough = min(_REPEATED, max(len(pages), 2))
    return {key for key, count in seen.items() if count >= enough}


def _edge_key(line: Line, page: PageContent) -> tuple[str, int] | None:
    """What a line has in common with those in its place on other pages; ``None`` in the middle."""
    middle = (line.box[1] + line.box[3]) / 2
    if _EDGE * page.height < middle < (1 - _EDGE) * page.height or len(line.text) > 200:
        return None
    return _DIGITS.sub("0", line.text.strip()).casefold(), round(middle / 6)


@dataclass(slots=True)
class _Reading:
    """One page on its way to elements."""

    page: PageContent
    shapes: list[Shape]
    source: Source
    running: set[tuple[str, int]]
    outline: _Outline
    body: float
    leading: float
    ranks: dict[float, int]

    def elements(self) -> Iterator[Element]:
        page = self.page
        lines = [line for line in page.lines if _edge_key(line, page) not in self.running]
        if self._is_scan(lines):
            yield self._element("page", image=self._region(None))
            return
        figures = [
            Figure(shape.box, "table" if is_table(shape, inside) else "figure", inside)
            for shape in self.shapes
            for inside in [[line for line in lines if _holds(shape.box, line.box)]]
            if is_figure(shape, inside) or is_table(shape, inside)
        ]
        inner = {id(line) for figure in figures for line in figure.inside}
        free = [line for line in lines if id(line) not in inner]
        blocks = blocks_of(in_reading_order(free), self.body, self.leading)
        rules = [shape.box for shape in self.shapes if shape.rules and not shape.images]
        yield from self._told(captioned(blocks, figures, rules))

    def _told(self, items: Sequence[Block | Figure]) -> Iterator[Element]:
        for item in items:
            if isinstance(item, Figure):
                yield self._element(
                    item.kind,
                    text=item.words,
                    caption=item.caption,
                    image=self._region(item.box),
                    box=item.box,
                )
            elif (level := self._level(item)) is not None:
                yield self._element("heading", text=item.text, level=level, box=item.box)
            else:
                yield self._element(
                    "code" if item.is_code else "text", text=item.text, box=item.box
                )

    def _level(self, block: Block) -> int | None:
        if len(block.text) > _LONGEST_HEADING:
            return None
        known = self.outline.level(self.page.number, block.text)
        if known is not None:
            return known
        if self.outline.levels and block.size < self.body * 1.5:
            return None  # the document says itself what its headings are
        return self.ranks.get(round(block.size * 2) / 2)

    def _is_scan(self, lines: Sequence[Line]) -> bool:
        if sum(len(line.text) for line in lines) > _WORDLESS:
            return False
        area = self.page.width * self.page.height
        return any(
            shape.images
            and (shape.box[2] - shape.box[0]) * (shape.box[3] - shape.box[1]) > _SCANNED * area
            for shape in self.shapes
        )

    def _region(self, box: Box | None) -> ImageRef:
        if box is not None:
            left, top, right, bottom = box
            box = (
                max(left - _MARGIN, 0.0),
                max(top - _MARGIN, 0.0),
                min(right + _MARGIN, self.page.width),
                min(bottom + _MARGIN, self.page.height),
            )
        region = Region(page=self.page.number, box=box, dpi=_DPI)
        return ImageRef(path=self.source.path, root=self.source.root, region=region)

    def _element(self, kind: str, **parts: object) -> Element:
        return Element(kind=kind, page=self.page.number, page_label=self.page.label, **parts)  # type: ignore[arg-type]


def _holds(outer: Box, inner: Box) -> bool:
    """Whether the middle of a box lies in another one."""
    middle = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= middle[0] <= outer[2] and outer[1] <= middle[1] <= outer[3]


PDF = Format(name="PDF", suffixes=frozenset({".pdf"}), elements=_elements, has_scans=True)
"""Needs the extra ``documents`` (pypdfium2)."""
