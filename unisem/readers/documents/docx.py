"""`DOCX`: Word documents, with their figures, captions, tables, text boxes and notes."""

from __future__ import annotations

from collections.abc import Iterator

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.readers.documents.block_elements import block_elements
from unisem.readers.documents.docx_blocks import blocks_of_word
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.office_package import OfficePackage
from unisem.readers.documents.office_xml import descend, local_name


def _elements(data: bytes, source: Source) -> Iterator[Element | Skipped]:
    package = OfficePackage(data, source)
    root = package.xml(package.main)
    body = descend(root, "body")
    if local_name(root) != "document" or body is None:
        raise DocumentError(f"{source.path.name} is no Word document")
    blocks = blocks_of_word(package, body)
    yield from block_elements(blocks, package.picture, str(source.path), drawings="shapes")
    yield from package.faults


DOCX = Format(name="Word", suffixes=frozenset({".docx", ".docm"}), elements=_elements)
"""By lxml. Macros are never run."""
