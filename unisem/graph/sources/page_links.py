"""`links_in`: what a page of HTML or Markdown links to, and from which of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.errors import DocumentError, ImageError
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Source
from unisem.readers.documents.html_tree import html_tree
from unisem.readers.documents.markdown import markdown_html
from unisem.readers.texts import decode_text

if TYPE_CHECKING:
    from lxml.etree import _Element

SUFFIXES = frozenset((".html", ".htm", ".xhtml", ".md", ".markdown"))
"""How files end whose links are read, in small letters."""
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HEADING = 200  # characters of a heading in a path, as `assemble` keeps them
_MOST = 20_000  # links and names of a page


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link from a page to a page, its own among them.

    Attributes:
        section: The headings above it, as in the metadata of records; empty above the first.
        path: The file that it leads to.
        name: Of the place in that file; empty for its beginning.
    """

    section: str
    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says of itself and of others.

    Attributes:
        links: In the page's order, each once.
        places: The section of each name that links can lead to.
    """

    links: tuple[PageLink, ...]
    places: dict[str, str]


def page_of(source: Source) -> Page | None:
    """Read a page's links; ``None`` if it cannot be read, or is of another kind.

    Nothing that it links to is opened, and nothing outside the source's root is named.
    """
    suffix = source.path.suffix.casefold()
    if suffix not in SUFFIXES:
        return None
    try:
        data = ImageRef(path=source.path, root=source.root).read_bytes()
        if suffix in (".md", ".markdown"):
            data = markdown_html(decode_text(data)).encode()
        root = html_tree(data, source.path.name)
    except (ImageError, DocumentError, ValueError):
        return None
    return _Walk(source).over(root)


class _Walk:
    """Walks over a page in its order, and knows under which headings it is."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._path: list[str] = []
        self._waiting: list[str] = []  # names that stand before what they are the names of
        self._links: dict[PageLink, None] = {}
        self._places: dict[str, str] = {}

    def over(self, root: _Element) -> Page:
        for node in root.iter():
            if not isinstance(node.tag, str):  # a comment
                continue
            self._waiting += [name for name in (node.get("id"), node.get("name")) if name]
            tag = node.tag.rpartition("}")[2].casefold()
            if tag in _HEADINGS:
                self._begin(_HEADINGS[tag], " ".join("".join(node.itertext()).split()))
            elif (node.text or "").strip():
                self._name()
            if tag == "a" and (link := node.get("href")):
                self._follow(link)
            if len(self._links) + len(self._places) > _MOST:
                break
        self._name()
        return Page(tuple(self._links), self._places)

    @property
    def _section(self) -> str:
        return " > ".join(filter(None, self._path))

    def _begin(self, level: int, heading: str) -> None:
        self._path[level - 1 :] = [""] * (level - 1 - len(self._path))
        self._path.append(heading[:_HEADING])
        self._name()
        slug = "".join(c for c in heading.casefold() if c.isalnum() or c in " -").replace(" ", "-")
        self._places.setdefault(slug, self._section)  # as GitHub names a heading

    def _name(self) -> None:
        for name in self._waiting:
            self._places.setdefault(name, self._section)
        self._waiting.clear()

    def _follow(self, link: str) -> None:
        before, _, name = link.strip().partition("#")
        path = self._source.beside(before) if before else self._source.path
        if path is not None and path.suffix.casefold() in SUFFIXES:
            self._links[PageLink(self._section, path, name)] = None
