"""`FORMATS`: which formats of documents are read, by the suffix of their files."""

from __future__ import annotations

from unisem.readers.documents.docling import DOCLING
from unisem.readers.documents.docx import DOCX
from unisem.readers.documents.elements import Format
from unisem.readers.documents.epub import EPUB
from unisem.readers.documents.html import HTML
from unisem.readers.documents.markdown import MARKDOWN
from unisem.readers.documents.notebook import NOTEBOOK
from unisem.readers.documents.pdf import PDF
from unisem.readers.documents.pptx import PPTX
from unisem.readers.documents.tiff import TIFF

FORMATS: dict[str, Format] = {
    suffix: form
    for form in (PDF, HTML, MARKDOWN, NOTEBOOK, EPUB, DOCX, PPTX, DOCLING, TIFF)
    for suffix in form.suffixes
}
"""Formats by suffix, in small letters."""
