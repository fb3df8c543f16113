"""Manuals that Debian packages as HTML and as PDF, and what the HTML says is in them.

The HTML is read here by a few XPaths for each tool that writes manuals, and not by UniSem, so that
it can be held against what UniSem reads in the PDF.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree, html

_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_BREAKS = frozenset(["p", "div", "li", "td", "th", "tr", "dt", "dd", "pre", "br", "h1", "h2", "h3"])
_NUMBER = re.compile(r"^(?:(?:chapter|appendix|part)\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:]?\s+", re.I)
_LABEL = re.compile(r"^(?:figure|fig\.)\s*\d+(?:\.\d+)*\s*[.:]?\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Book:
    """A manual in two formats.

    Attributes:
        name: To call it by.
        package: Debian's package that has it.
        pdf: Where the PDF lies in it; it may be compressed.
        start: The first page of the HTML.
        contents: XPath of the links that lead on, page after page; none for one page.
        body: XPath of what is the text of a page.
        figures: XPath of frames around figures.
        captions: XPath, in a frame, of its caption.
        left_out: XPath of what only the HTML has: navigation, links to itself.
        numbered: The HTML numbers its figures as the PDF does.
    """

    name: str
    package: str
    pdf: str
    start: str
    contents: str = ""
    body: str = "//body"
    figures: str = ""
    captions: str = ""
    left_out: str = ""
    numbered: bool = True

    def pdf_in(self, folder: Path) -> bytes | None:
        """The PDF's bytes; ``None`` if the package is not unpacked anywhere in the folder."""
        path = _found(folder, self.pdf)
        if path is None or _found(folder, self.start) is None:
            return None
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data

    def pages_in(self, folder: Path) -> Iterator[Path]:
        """The HTML's pages in reading order."""
        start = _found(folder, self.start)
        waiting, seen = [] if start is None else [start], set[Path]()
        while waiting:
            page = waiting.pop()
            if page in seen or not page.exists():
                continue
            seen.add(page)
            yield page
            if self.contents:
                links = [urlsplit(str(link)) for link in _tree(page).xpath(self.contents)]
                places = [page.parent / unquote(link.path) for link in links if link.path]
                waiting += [place for place in reversed(places) if place.parent == page.parent]


@dataclass(frozen=True)
class TrueFigure:
    """A figure of the HTML.

    Attributes:
        caption: All of it.
        pictures: The files, where they are there.
        section: The heading above.
    """

    caption: str
    pictures: tuple[Path, ...]
    section: str


@dataclass
class Section:
    """Words under one heading, captions of figures left out."""

    title: str
    words: list[str] = field(default_factory=list)


@dataclass
class Truth:
    """What a book's HTML says is in it."""

    figures: list[TrueFigure] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)  # without a caption
    sections: list[Section] = field(default_factory=list)


def truth_of(book: Book, folder: Path) -> Truth:
    """Read a book's HTML."""
    truth = Truth(sections=[Section("")])
    for page in book.pages_in(folder):
        tree = _tree(page)
        if book.left_out:
            for node in tree.xpath(book.left_out):
                node.drop_tree()
        for body in tree.xpath(book.body)[:1]:
            frames = list(body.xpath(book.figures)) if book.figures else []
            _walk(book, page, body, frames, truth)
    return truth


def _walk(
    book: Book,
    page: Path,
    body: html.HtmlElement,
    frames: list[html.HtmlElement],
    truth: Truth,
) -> None:
    text: list[str] = []

    def flush() -> None:
        truth.sections[-1].words += words_of("".join(text))
        text.clear()

    walk = etree.iterwalk(body, events=("start", "end"))
    for event, node in walk:
        if event == "end":
            text.append(" " if node.tag in _BREAKS else "")
            text.append((node.tail or "") if node is not body else "")
        elif node.tag in _HEADINGS:
            flush()
            truth.sections.append(Section(title_of(node.text_content())))
            walk.skip_subtree()
        elif node in frames:
            flush()
            pictures = [page.parent / unquote(str(link)) for link in node.xpath(".//img/@src")]
            captions = [" ".join(part.text_content().split()) for part in node.xpath(book.captions)]
            if pictures and captions:
                there = tuple(picture for picture in pictures if picture.exists())
                section = truth.sections[-1].title
                truth.figures.append(TrueFigure(" ".join(captions), there, section))
                walk.skip_subtree()
        elif node.tag == "img":
            truth.pictures.append(page.parent / unquote(node.get("src") or ""))
        elif node.tag not in ("script", "style") and isinstance(node.tag, str):
            text.append(" " if node.tag in _BREAKS else "")
            text.append(node.text or "")
        else:
            walk.skip_subtree()
    flush()


def words_of(text: str) -> list[str]:
    """Letters and digits, without what typesetting does to them."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def title_of(heading: str) -> str:
    """A heading without its number, in words."""
    return " ".join(words_of(_NUMBER.sub("", " ".join(heading.split()))))


def label_and_words(caption: str) -> tuple[str, list[str]]:
    """A caption's number, and the words after it."""
    match = _LABEL.match(caption.strip())
    if match is None:
        return "", words_of(caption)
    number = re.search(r"\d+(?:\.\d+)*", match[0])
    return number[0] if number else "", words_of(caption.strip()[match.end() :])


def _tree(page: Path) -> html.HtmlElement:
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    return html.document_fromstring(page.read_bytes(), parser)


def _found(folder: Path, name: str) -> Path | None:
    """A file of a package, which is unpacked in the folder or in one of its folders."""
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (place / name).exists():
            return place / name
    return None


_SPHINX = "//a[@class='headerlink'] | //div[@id='searchbox'] | //*[contains(@class, 'math')]"
_LILYPOND = "usr/share/doc/lilypond/html/Documentation"
_TEXINFO = (
    "//div[@class='header'] | //div[@class='contents'] | //div[@class='shortcontents'] | "
    "//*[contains(@class, 'copiable-anchor')] | //*[@class='contents-heading'] | "
    "//table[@class='menu'] | //ul[@class='menu'] | //div[@class='node'] | "
    "//table[starts-with(@class, 'index-')] | //div[@id='tocframe']"
)


def _lilypond(name: str) -> Book:
    return Book(
        name=f"lilypond-{name}",
        package="lilypond-doc-html lilypond-doc-pdf",
        pdf=f"{_LILYPOND}/{name}.pdf",
        start=f"{_LILYPOND}/{name}-big-page.html",
        body="//div[@id='main'] | //body",
        left_out=_TEXINFO,
    )


BOOKS = (
    Book(
        name="octave",
        package="octave-doc",
        pdf="usr/share/doc/octave/octave.pdf",
        start="usr/share/doc/octave/octave.html/index.html",
        contents="//div[@class='contents']//a/@href",
        figures=".//div[@class='float']",
        captions=".//div[@class='float-caption']",
        left_out=_TEXINFO,
    ),
    Book(
        name="geomview",
        package="geomview",
        pdf="usr/share/doc/geomview/geomview.pdf",
        start="usr/share/doc/geomview/html/index.html",
        contents="//ul[@class='menu']//a/@href",
        figures=".//div[@class='float']",
        captions=".//*[@class='float-caption']",
        left_out=_TEXINFO,
    ),
    Book(
        name="petsc",
        package="petsc3.18-doc",
        pdf="usr/share/doc/petsc3.18-doc/docs/docs/manual/manual.pdf.gz",
        start="usr/share/doc/petsc3.18-doc/docs/docs/manual/index.html",
        contents="//div[contains(@class, 'toctree-wrapper')]//a/@href",
        body="//article[@role='main']",
        figures=".//figure",
        captions=".//figcaption",
        left_out=_SPHINX + " | //div[contains(@class, 'toctree-wrapper')]",
        numbered=False,
    ),
    Book(
        name="ngspice",
        package="ngspice-doc",
        pdf="usr/share/doc/ngspice-doc/manual.pdf.gz",
        start="usr/share/doc/ngspice-doc/html/manual.html",
        figures=".//div[@class='float-figure']",
        captions=".//span[contains(@class, 'float-caption')]",
        left_out="//div[@class='toc']",
    ),
    Book(
        name="dynare",
        package="dynare-doc",
        pdf="usr/share/doc/dynare/dynare-manual.pdf.gz",
        start="usr/share/doc/dynare/dynare.html/index.html",
        contents="//div[contains(@class, 'toctree-wrapper')]//a/@href",
        body="//div[@role='main']",
        left_out=_SPHINX + " | //div[contains(@class, 'toctree-wrapper')]",
    ),
    Book(
        name="debian-reference",
        package="debian-reference-en",
        pdf="usr/share/debian-reference/debian-reference.en.pdf",
        start="usr/share/debian-reference/index.en.html",
        contents="//div[@class='toc']//a/@href",
        left_out="//div[@class='toc'] | //div[@class='navheader'] | //div[@class='navfooter'] | "
        "//div[@class='list-of-tables'] | //div[@class='table']",
    ),
    Book(
        name="gmsh",
        package="gmsh-doc",
        pdf="usr/share/doc/gmsh-doc/gmsh.pdf.gz",
        start="usr/share/doc/gmsh-doc/gmsh.html",
        left_out=_TEXINFO,
    ),
    _lilypond("learning"),
    _lilypond("usage"),
    _lilypond("essay"),
)
"""They are fetched by ``apt-get download`` and unpacked by ``dpkg-deb -x``."""
