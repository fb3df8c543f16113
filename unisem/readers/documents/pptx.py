"""`PPTX`: presentations; a slide is a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.readers.documents.block_elements import block_elements
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.office_package import OfficePackage
from unisem.readers.documents.office_xml import attribute, children, descend, local_name, relation
from unisem.readers.documents.pptx_blocks import blocks_of_slide
from unisem.readers.documents.slide_pictures import slide_pictures

if TYPE_CHECKING:
    from lxml.etree import _Element

_MOST_SLIDES = 5000


def _elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    package = OfficePackage(data, source)
    root = package.xml(package.main)
    if local_name(root) != "presentation":
        raise DocumentError(f"{source.path.name} is no presentation")
    parts = [
        package.part_at(package.main, relation(entry))
        for entry in children(descend(root, "sldIdLst"), "sldId")
    ]
    if len(parts) > _MOST_SLIDES:
        raise DocumentError(f"{source.path.name} has more than {_MOST_SLIDES:,} slides")
    slides: dict[int, tuple[str, _Element]] = {}
    for number, part in enumerate(parts, 1):
        tree = None if part is None else package.xml_if_sound(part)
        if part is not None and tree is not None and attribute(tree, "show") not in ("0", "false"):
            slides[number] = part, tree
    yield from package.faults
    package.faults.clear()
    pictures = slide_pictures(package, list(slides), len(parts))
    if isinstance(pictures, Skipped):
        yield pictures
        pictures = {}
    for number, (part, tree) in slides.items():
        blocks = list(blocks_of_slide(package, part, tree, number))
        titles = [block.text for block in blocks if block.kind == "heading"]
        # A slide without a title is in no other slide's section.
        heading = Element(kind="heading", text="".join(titles), page=number)
        yield heading
        if (picture := pictures.get(number)) is not None:
            yield Element(kind="page", text=heading.text, image=picture, page=number)
        rest = [block for block in blocks if block.kind != "heading"]
        yield from block_elements(rest, package.picture, str(source.path), drawings="shapes")
        yield from package.faults
        package.faults.clear()


PPTX = Format(
    name="PowerPoint", suffixes=frozenset({".pptx", ".pptm", ".ppsx"}), elements=_elements
)
"""Needs the extra ``documents`` (lxml). Macros are never run."""
