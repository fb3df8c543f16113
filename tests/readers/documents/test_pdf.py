"""A PDF whose content is known: what is read of it, and what becomes of a damaged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.hostile_pdfs import page
from tests.support.manuals import PASSAGE, manual
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.pdfium.page_content import PageContent
from unisem.pdfium.pdf_file import PdfFile
from unisem.readers.documents.document import Document
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pdf import PDF
from unisem.readers.documents.pdf_figures import shapes_of
from unisem.records import Record


def records(tmp_path: Path, data: bytes) -> dict[str, Record]:
    path = tmp_path / "manual.pdf"
    path.write_bytes(data)
    source = Source(path, tmp_path)
    document = Document(PDF, source, name="m.pdf", source_id="m", file_name="manual.pdf")
    found = list(document.records(document.read()))
    assert not [item for item in found if isinstance(item, Skipped)]
    return {item.id: item for item in found if isinstance(item, Record)}


def colour(image: ImageRef | None) -> tuple[int, ...]:
    """The colour of the middle."""
    assert image is not None
    pixels = np.asarray(image.open())
    return tuple(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].tolist())


def test_everything_in_a_manual_is_found_once_and_in_order(tmp_path: Path) -> None:
    found = records(tmp_path, manual(pages=4))
    kinds = [(name, record.metadata["kind"]) for name, record in found.items()]
    assert kinds == [
        ("m.pdf#p1-1", "text"),
        ("m.pdf#p1-figure-1", "figure"),
        ("m.pdf#p2-figure-1", "figure"),
        ("m.pdf#p2-table-1", "table"),
        ("m.pdf#p2-1", "text"),
        ("m.pdf#p3-1", "text"),
        ("m.pdf#p4-1", "text"),
    ]
    assert found["m.pdf#p1-1"].text == f"1 Opening the machine\n\n{PASSAGE}"
    assert "second edition" not in " ".join(record.text or "" for record in found.values())
    assert found["m.pdf#p2-1"].metadata["section"] == "2 Cleaning"


def test_figures_are_regions_with_their_captions_and_what_mentions_them(tmp_path: Path) -> None:
    found = records(tmp_path, manual())
    cover, brush = found["m.pdf#p1-figure-1"], found["m.pdf#p2-figure-1"]
    assert cover.metadata["caption"] == "Figure 1: The cover and its screws."
    assert cover.metadata["label"] == "Figure 1"
    assert cover.metadata["page"] == 1
    assert np.allclose(cover.metadata["box"], [60, 220, 240, 340], atol=1)
    assert cover.text is not None
    assert cover.text.endswith("The cover comes off as Figure 1 shows; keep its screws.")
    assert colour(cover.image) == (220, 30, 30)
    assert np.allclose(brush.metadata["box"], [60, 150, 230, 250], atol=2)
    assert brush.links["mentioned_by"] == "m.pdf#p2-1"
    assert found["m.pdf#p1-1"].links["figure"] == cover.id
    passage = found["m.pdf#p2-1"].links
    assert {passage["figure"], passage["figure:2"]} == {brush.id, "m.pdf#p2-table-1"}


def test_a_table_is_text_and_picture(tmp_path: Path) -> None:
    table = records(tmp_path, manual())["m.pdf#p2-table-1"]
    assert table.text is not None
    assert table.text.splitlines()[:4] == [
        "Table 1: How often to clean.",
        "Part | Days",
        "Brush | 7",
        "Filter | 30",
    ]
    assert table.image is not None
    assert table.image.region is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged, or no PDF"),
        (b"%PDF-1.7 and then nothing", "damaged, or no PDF"),
        (manual()[:400], "damaged, or no PDF"),
    ],
)
def test_what_is_no_pdf_is_one_error_that_names_it(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=rf"manual\.pdf.*{words}"):
        records(tmp_path, data)


def test_an_encrypted_pdf_says_what_to_do(tmp_path: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user")
    with pytest.raises(DocumentError, match="needs a password; save a copy without one"):
        records(tmp_path, bytes(pdf.output()))


def test_a_document_that_takes_too_long_to_arrange_is_cut_off_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = PdfFile.page

    def slowly(pdf: PdfFile, number: int) -> PageContent:
        if number == 4:
            monkeypatch.setattr(PdfFile, "allowed", -1.0)
        return reads(pdf, number)

    monkeypatch.setattr(PdfFile, "page", slowly)
    monkeypatch.setattr(PdfFile, "is_spent", False)
    found = list(PDF.elements(manual(pages=4), Source(tmp_path / "x.pdf", tmp_path)))
    assert isinstance(found[-1], Skipped)
    assert found[-1].reason.startswith("what follows page 1 is not read, as the document has taken")
    assert {item.page for item in found if isinstance(item, Element)} == {1}


def test_lines_that_are_held_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.readers.documents.pdf.MOST_LINES", 8)
    found = list(PDF.elements(manual(pages=4), Source(tmp_path / "x.pdf", tmp_path)))
    skipped = [item.reason for item in found if isinstance(item, Skipped)]
    assert skipped == ["what follows page 2 is not read, as there are too many lines"]
    assert {item.page for item in found if isinstance(item, Element)} == {1, 2}


@pytest.mark.slow
def test_a_page_that_nobody_could_read_is_read_within_bounds(tmp_path: Path) -> None:
    places = [(60 + 7 * (n % 75), 60 + n // 75 % 700) for n in range(15_000)]
    letters = b"".join(b"1 0 0 1 %d %d Tm (a) Tj\n" % place for place in places)
    squares = b"".join(b"%d %d 3 3 re f\n" % (8 * n % 600, n // 75 * 8) for n in range(7_500))
    data = page(b"BT /F 2 Tf\n" + letters + b"ET\n" + squares)
    content = PdfFile(data, "x.pdf").page(1)
    assert len(content.lines) <= 10_000
    assert len(shapes_of(content.drawn, content.width, content.height)) <= 200
    found = list(PDF.elements(data, Source(tmp_path / "x.pdf", tmp_path)))
    assert sum(item.text.count("a") for item in found if isinstance(item, Element)) > 5_000
