"""A small manual as a PDF, of which everything that stands in it is known."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from fpdf import FPDF
from PIL import Image

PASSAGE = (
    "Before you begin, switch the machine off and wait until the lamp is dark. "
    "The cover comes off as Figure 1 shows; keep its screws."
)


def manual(*, extra: str = "", pages: int = 2) -> bytes:
    """Two pages: headings, a passage, a red bitmap, a blue drawing and a table, with captions.

    Args:
        extra: A passage more at the end of the first page.
        pages: Pages in all; those from the third on have one passage each.
    """
    pdf = FPDF(unit="pt", format=(595, 842))
    pdf.set_creation_date(datetime(2024, 1, 1, tzinfo=UTC))
    pdf.set_auto_page_break(False)
    _page(pdf, 1)
    pdf.set_font("Helvetica", "B", 20)
    pdf.text(60, 100, "1 Opening the machine")
    _passage(pdf, 130, PASSAGE)
    red = BytesIO()
    Image.new("RGB", (60, 40), (220, 30, 30)).save(red, format="PNG")
    pdf.image(red, x=60, y=220, w=180, h=120)
    _passage(pdf, 350, "Figure 1: The cover and its screws.", size=9)
    if extra:
        _passage(pdf, 500, extra)
    _page(pdf, 2)
    pdf.set_font("Helvetica", "B", 20)
    pdf.text(60, 100, "2 Cleaning")
    pdf.set_fill_color(40, 60, 220)
    for step in range(8):
        pdf.polygon(
            [(60 + 20 * step, 250), (70 + 20 * step, 150), (90 + 20 * step, 250)], style="F"
        )
    _passage(pdf, 260, "Figure 2: The brush seen from below.", size=9)
    _passage(pdf, 330, "Table 1: How often to clean.", size=9)
    for row in range(4):
        pdf.line(60, 350 + 20 * row, 360, 350 + 20 * row)
        if row < 3:
            pdf.set_font("Helvetica", size=10)
            pdf.text(70, 364 + 20 * row, ("Part", "Brush", "Filter")[row])
            pdf.text(220, 364 + 20 * row, ("Days", "7", "30")[row])
    _passage(pdf, 480, "The brush of Fig. 2 is cleaned under running water, see also Table 1.")
    for number in range(3, pages + 1):
        _page(pdf, number)
        _passage(pdf, 130, f"This is what page number {number} says, and no other page.")
    return bytes(pdf.output())


def _page(pdf: FPDF, number: int) -> None:
    pdf.add_page()
    pdf.set_font("Helvetica", size=8)
    pdf.text(60, 40, "The Machine, second edition")
    pdf.text(290, 820, str(number))


def _passage(pdf: FPDF, y: float, text: str, size: float = 10) -> None:
    pdf.set_font("Helvetica", size=size)
    pdf.set_xy(60, y)
    pdf.multi_cell(400, size * 1.2, text)
