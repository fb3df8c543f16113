"""Word and PowerPoint documents of which everything that stands in them is known."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO

import docx
import pptx
from docx.document import Document as WordDocument
from docx.oxml import parse_xml
from docx.shared import Inches
from pptx.presentation import Presentation

from tests.support.pictures import encoded, solid

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)


def picture(color: str = "red") -> BytesIO:
    """A PNG of one colour."""
    return BytesIO(encoded(solid(color)))


def word(fill: Callable[[WordDocument], object]) -> bytes:
    """A Word document, as python-docx writes it, filled by a function."""
    document = docx.Document()
    fill(document)
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def add_raw(document: WordDocument, xml: str) -> None:
    """Add what python-docx has no word for, at the end of the body."""
    assert document.element.body is not None
    end = document.element.body.sectPr
    end.addprevious(parse_xml(f"<w:body {NAMESPACES}>{xml}</w:body>")[0])


def add_picture(document: WordDocument, color: str, alternative: str = "") -> None:
    """Add a paragraph with a picture in it."""
    shape = document.add_picture(picture(color), width=Inches(2))
    shape._inline.docPr.set("descr", alternative)


def caption(words: str, kind: str = "Figure", number: str = "1", style: str = "Caption") -> str:
    """A caption as Word writes it: its number is a field."""
    return f"""<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>
        <w:r><w:t xml:space="preserve">{kind} </w:t></w:r>
        <w:r><w:fldChar w:fldCharType="begin"/></w:r>
        <w:r><w:instrText xml:space="preserve"> SEQ {kind} \\* ARABIC </w:instrText></w:r>
        <w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{number}</w:t></w:r>
        <w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:t>{words}</w:t></w:r></w:p>"""


def changed(data: bytes, parts: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """A zip file with some of its members written anew; one that is not there begins empty."""
    buffer = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = list(dict.fromkeys([*old.namelist(), *parts]))
        for name in names:
            known = old.read(name) if name in old.namelist() else b""
            new.writestr(name, parts[name](known) if name in parts else known)
    return buffer.getvalue()


def slides(fill: Callable[[Presentation], object]) -> bytes:
    """A presentation, as python-pptx writes it, filled by a function."""
    presentation = pptx.Presentation()
    fill(presentation)
    buffer = BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()
