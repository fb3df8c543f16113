"""`EPUB`: books, chapter by chapter in the order of their spine, with the pictures inside."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.archive import Archive
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html import html_elements
from unisem.readers.documents.html_tree import tag_of, words_of
from unisem.readers.documents.linked_picture import drawing_fault, linked_picture

if TYPE_CHECKING:
    from lxml.etree import _Element

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_OF_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")
_TITLE = 200  # characters


def epub_elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    """Read a book.

    A chapter without a heading has the title that the table of contents gives it. A chapter that
    cannot be read is skipped.

    Args:
        data: A zip file, see `Archive` for its bounds.
        source: Where it is from.

    Raises:
        DocumentError: It is damaged, protected, no book, or none of its chapters can be read.
    """
    book = _Book(Archive(data, source.path.name), source)
    chapters = book.chapters()
    faults: list[Skipped] = []
    for member, title in chapters:
        try:
            yield from book.chapter(member, title)
        except DocumentError as error:
            faults.append(Skipped(f"{source.path}: {member}", str(error)))
    if len(faults) == len(chapters):
        reason = faults[0].reason if faults else "it has no chapters"
        raise DocumentError(f"{source.path.name} cannot be read: {reason}")
    yield from faults


@dataclass(slots=True)
class _Book:
    archive: Archive
    source: Source
    pictures: dict[str, ImageRef | Skipped] = field(default_factory=dict)

    def chapters(self) -> list[tuple[str, str]]:
        """Members in the order of the spine, each once, with titles."""
        self._refuse_protection()
        roots = [
            node.get("full-path") or ""
            for node in self.archive.xml(_CONTAINER).iter()
            if tag_of(node) == "rootfile"
        ]
        package = roots[0] if roots else ""
        members: dict[str, str] = {}
        contents: list[str] = []
        spine: list[str] = []
        for node in self.archive.xml(package).iter():
            if tag_of(node) == "item":
                member = _beside(package, node.get("href") or "")
                kind = node.get("media-type") or ""
                if "nav" in (node.get("properties") or "").split():
                    contents.insert(0, member)
                elif kind == "application/x-dtbncx+xml":
                    contents.append(member)
                elif kind in _PAGES:
                    members[node.get("id") or ""] = member
            elif tag_of(node) == "itemref":
                spine.append(node.get("idref") or "")
        wanted = dict.fromkeys(members[name] for name in spine if name in members)
        titles = self._titles(contents)
        return [(member, titles.get(member, "")) for member in wanted]

    def chapter(self, member: str, title: str) -> Iterator[Element | Skipped]:
        """A chapter's elements, places in it told from those in others.

        Raises:
            DocumentError: It cannot be read.
        """
        place = replace(self.source, path=self.source.path / member)
        page = self.archive.read(member)
        is_first = True
        for item in html_elements(page, place, lambda link: self._picture(link, member, place)):
            if isinstance(item, Skipped):
                yield item
                continue
            if is_first and title and item.kind != "heading":
                yield Element(kind="heading", text=title)
            is_first = False
            yield replace(
                item,
                anchors=tuple(f"{member}#{name}" for name in item.anchors),
                references=tuple(f"{member}#{name}" for name in item.references),
            )

    def _picture(self, link: str, member: str, place: Source) -> ImageRef | Skipped:
        head, colon, _ = link.strip().partition(":")
        if (colon and head.isalpha()) or link.startswith("//"):
            return linked_picture(link, place)
        target = _beside(member, link)
        if target not in self.pictures:
            self.pictures[target] = self._unpacked(target)
        return self.pictures[target]

    def _unpacked(self, target: str) -> ImageRef | Skipped:
        name = f"{self.source.path}: {target[:200]}"
        if (fault := drawing_fault(target)) is not None:
            return Skipped(name, fault)
        try:
            data = self.archive.read(target)
        except DocumentError as error:
            return Skipped(name, str(error))
        return ImageRef(data=data) if data else Skipped(name, "is empty")

    def _refuse_protection(self) -> None:
        if _ENCRYPTION not in self.archive:
            return
        for node in self.archive.xml(_ENCRYPTION).iter():
            method = node.get("Algorithm")
            if tag_of(node) == "encryptionmethod" and method not in _OF_FONTS:
                raise DocumentError(
                    f"{self.archive.name} is protected (DRM); index a copy that is not"
                )

    def _titles(self, contents: list[str]) -> dict[str, str]:
        """What the table of contents calls the chapters; none if it is damaged."""
        for member in contents:
            try:
                root = self.archive.xml(member)
            except DocumentError:  # the chapters are read without
                continue
            titles: dict[str, str] = {}
            for link, title in _entries(root):
                titles.setdefault(_beside(member, link), " ".join(title.split())[:_TITLE])
            return titles
        return {}


def _entries(root: _Element) -> Iterator[tuple[str, str]]:
    """Links and titles of EPUB 3's list of links, or of EPUB 2's tree of points."""
    label = ""
    for node in root.iter():
        tag = tag_of(node)
        if tag == "a" and node.get("href"):
            yield node.get("href") or "", words_of(node)
        elif tag == "text":
            label = node.text or ""
        elif tag == "content" and node.get("src"):
            yield node.get("src") or "", label


def _beside(member: str, link: str) -> str:
    """The name of the member that a link in another leads to, which need not be there."""
    path = unquote(link.strip().partition("#")[0].partition("?")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(member), path))


EPUB = Format(name="EPUB", suffixes=frozenset({".epub"}), elements=epub_elements)
"""Versions 2 and 3."""
