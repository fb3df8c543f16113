"""Presentations: a slide is a page, and what stands on it is read from top to bottom."""

from __future__ import annotations

import stat
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation
from pptx.util import Pt

from tests.support.examples import examples
from tests.support.fuzzing import for_long
from tests.support.office import changed, picture, slides
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents import slide_pictures
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pptx import PPTX

RED, BLUE = encoded(solid("red")), encoded(solid("blue"))
TITLE_ONLY, TITLE_AND_BODY, BLANK = 5, 1, 6


@pytest.fixture(autouse=True)
def no_office(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not this machine has LibreOffice."""
    monkeypatch.setattr(slide_pictures, "PROGRAMS", ())


def read(data: bytes) -> list[Element | Skipped]:
    return list(PPTX.elements(data, Source(Path("/nowhere/talk.pptx"), Path("/nowhere"))))


def elements(data: bytes) -> list[Element]:
    found = read(data)
    assert not [item for item in found if isinstance(item, Skipped)]
    return [item for item in found if isinstance(item, Element)]


def told(data: bytes) -> list[tuple[int | None, str, str]]:
    return [(item.page, item.kind, item.text) for item in elements(data)]


def talk(presentation: Presentation) -> None:
    first = presentation.slides.add_slide(presentation.slide_layouts[TITLE_AND_BODY])
    first.shapes.title.text = "Opening"
    first.placeholders[1].text = "Switch it off\nWait"
    first.notes_slide.notes_text_frame.text = "Say it slowly."
    second = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY])
    second.shapes.title.text = "The cover"
    low = second.shapes.add_textbox(Pt(50), Pt(400), Pt(300), Pt(30))
    low.text_frame.text = "Figure 1: The cover."
    shown = second.shapes.add_picture(picture("red"), Pt(50), Pt(150), Pt(200), Pt(200))
    shown._element.nvPicPr.cNvPr.set("descr", "A red square")


def test_titles_lists_notes_and_figures_of_each_slide() -> None:
    assert told(slides(talk)) == [
        (1, "heading", "Opening"),
        (1, "list", "- Switch it off\n- Wait"),
        (1, "text", "Notes: Say it slowly."),
        (2, "heading", "The cover"),
        (2, "figure", "A red square"),
    ]
    figure = elements(slides(talk))[-1]
    assert figure.caption == "Figure 1: The cover."
    assert isinstance(figure.image, ImageRef)
    assert figure.image.data == RED
    assert figure.box == (50, 150, 250, 350)


def test_shapes_are_read_by_rows_wherever_the_file_has_them() -> None:
    def fill(presentation: Presentation) -> None:
        slide = presentation.slides.add_slide(presentation.slide_layouts[BLANK])
        for words, left, top in [
            ("4", 300, 410),
            ("1", 50, 100),
            ("3", 50, 400),
            ("2", 300, 90),
        ]:
            box = slide.shapes.add_textbox(Pt(left), Pt(top), Pt(100), Pt(60))
            box.text_frame.text = words

    words = [item.text for item in elements(slides(fill)) if item.kind == "text"]
    assert words == ["1", "2", "3", "4"]


def test_a_group_places_its_shapes_on_the_slide() -> None:
    def fill(presentation: Presentation) -> None:
        slide = presentation.slides.add_slide(presentation.slide_layouts[BLANK])
        group = slide.shapes.add_group_shape()
        inner = group.shapes.add_picture(picture("blue"), Pt(10), Pt(20), Pt(30), Pt(40))
        del inner
        group.left, group.top, group.width, group.height = Pt(100), Pt(200), Pt(60), Pt(80)

    (figure,) = [item for item in elements(slides(fill)) if item.kind == "figure"]
    assert figure.box == (100, 200, 160, 280)  # twice as large as in the group's own coordinates


def test_tables_and_charts_are_rows() -> None:
    def fill(presentation: Presentation) -> None:
        slide = presentation.slides.add_slide(presentation.slide_layouts[BLANK])
        table = slide.shapes.add_table(2, 2, Pt(10), Pt(10), Pt(200), Pt(60)).table
        for place, words in enumerate(("Part", "Days", "Brush", "7")):
            table.cell(place // 2, place % 2).text = words
        data = CategoryChartData()
        data.categories = ["2023", "2024"]
        data.add_series("Sold", (3, 4.5))
        data.add_series("Lost", (1, 2))
        frame = slide.shapes.add_chart(
            XL_CHART_TYPE.COLUMN_CLUSTERED, Pt(10), Pt(200), Pt(300), Pt(200), data
        )
        frame.chart.has_title = True
        frame.chart.chart_title.text_frame.text = "Machines"

    table, chart = [item for item in elements(slides(fill)) if item.kind == "table"]
    assert table.text == "Part | Days\nBrush | 7"
    assert chart.caption == "Machines"
    assert chart.text == " | Sold | Lost\n2023 | 3 | 1\n2024 | 4.5 | 2"


def test_what_is_not_shown_is_not_read_and_numbers_stay() -> None:
    def fill(presentation: Presentation) -> None:
        for words in ("One", "Two", "Three"):
            slide = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY])
            slide.shapes.title.text = words
        presentation.slides[1]._element.set("show", "0")
        box = presentation.slides[2].shapes.add_textbox(Pt(1), Pt(1), Pt(9), Pt(9))
        box.text_frame.text = "SECRET"
        box._element.nvSpPr.cNvPr.set("hidden", "1")

    assert told(slides(fill)) == [(1, "heading", "One"), (3, "heading", "Three")]


OFFICE = """\
#!{python}
import pathlib, shutil, sys, zipfile
target = pathlib.Path(sys.argv[sys.argv.index("--outdir") + 1])
copy = zipfile.ZipFile(sys.argv[-1])
names = [name for name in copy.namelist() if name.endswith(".rels")]
assert not any(b"TargetMode" in copy.read(name) for name in names)
assert not any("embeddings" in name for name in copy.namelist())
shutil.copy({pdf!r}, target / "slides.pdf")
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes LibreOffice's arguments, checks its input and gives a known PDF."""
    program = tmp_path / "bin" / "soffice"
    program.parent.mkdir()
    program.write_text(OFFICE.format(python=sys.executable, pdf=str(tmp_path / "slides.pdf")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(slide_pictures, "PROGRAMS", ("soffice",))
    return tmp_path


def pdf_of(*colors: tuple[int, int, int]) -> bytes:
    pdf = FPDF(unit="pt", format=(720, 540))
    for color in colors:
        pdf.add_page()
        pdf.set_fill_color(*color)
        pdf.rect(0, 0, 720, 540, style="F")
    return bytes(pdf.output())


def linked(presentation: Presentation) -> None:
    """Four slides, the second hidden; with a link, a chart's workbook, and one without a title."""
    for words in ("One", "Two", "Three"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY])
        slide.shapes.title.text = words
    presentation.slides[1]._element.set("show", "0")
    run = slide.shapes.title.text_frame.paragraphs[0].runs[0]
    run.hyperlink.address = "http://example.com/x"
    data = CategoryChartData()
    data.categories = ["a"]
    data.add_series("b", (1,))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, Pt(10), Pt(200), Pt(300), Pt(200), data)
    presentation.slides.add_slide(presentation.slide_layouts[BLANK])


def test_a_slide_is_a_picture_where_there_is_libreoffice(office: Path) -> None:
    (office / "slides.pdf").write_bytes(pdf_of((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    pages = [item for item in elements(slides(linked)) if item.kind == "page"]
    assert [(page.page, page.text) for page in pages] == [(1, "One"), (3, "Three"), (4, "")]
    for page, color in zip(pages, ((255, 0, 0), (0, 255, 0), (0, 0, 255)), strict=True):
        assert isinstance(page.image, ImageRef)
        shown = page.image.open()
        assert shown.size == (960, 720)
        assert shown.getpixel((480, 360)) == color


def test_what_libreoffice_cannot_render_is_read_all_the_same(office: Path) -> None:
    for content, reason in [(None, "made no PDF"), (pdf_of((0, 0, 0)), "1 came of 3")]:
        if content is not None:
            (office / "slides.pdf").write_bytes(content)
        found = read(slides(linked))
        (skipped,) = [item for item in found if isinstance(item, Skipped)]
        assert reason in skipped.reason
        kinds = [item.kind for item in found if isinstance(item, Element)]
        assert kinds == ["heading", "heading", "table", "heading"]


def test_libreoffice_is_ended_when_its_time_is_over(
    office: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (office / "bin" / "soffice").write_text(
        dedent(f"""\
        #!{sys.executable}
        import time
        time.sleep(600)
        """)
    )
    monkeypatch.setattr(slide_pictures, "SECONDS", 0.5)
    (skipped,) = [item for item in read(slides(linked)) if isinstance(item, Skipped)]
    assert "timed out" in skipped.reason
    assert skipped.again  # the next run may have more of the machine


def test_a_folders_talk_is_indexed_with_pages_and_sections(tmp_path: Path) -> None:
    def fill(presentation: Presentation) -> None:
        talk(presentation)
        presentation.slides.add_slide(presentation.slide_layouts[BLANK]).shapes.add_textbox(
            Pt(10), Pt(10), Pt(100), Pt(20)
        ).text_frame.text = "Questions, please"

    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "a.pptx").write_bytes(slides(fill))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(tmp_path / "talks")
        assert not report.skipped
        ids = [f"talks/a.pptx#{name}" for name in ("p1-1", "p2-figure-1", "p2-1", "p3-1")]
        records = space.get(ids)
        assert [record and record.text for record in records] == [
            "Opening\n\n- Switch it off\n- Wait\n\nNotes: Say it slowly.",
            "Figure 1: The cover.",
            "The cover",
            "Questions, please",
        ]
        sections = [record and record.metadata.get("section") for record in records]
        assert sections == ["Opening", "The cover", "The cover", None]


@pytest.mark.parametrize("data", [b"", b"words", b"PK\x03\x04", bytes(600)])
def test_what_is_no_presentation_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read(data)


SAMPLE = slides(talk)


@given(st.data())
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=examples(20),
)
def test_damage_is_one_kind_of_error(data: st.DataObject) -> None:
    check_damage(data)


@pytest.mark.slow
@for_long
@given(st.data())
def test_damage_is_one_kind_of_error_for_long(data: st.DataObject) -> None:
    check_damage(data)


def check_damage(data: st.DataObject) -> None:
    """In the words of the document, so that the damage is not the zip file's."""

    def damage(old: bytes) -> bytes:
        start = data.draw(st.integers(0, len(old)))
        words = [b"<p:grpSp>", b"</p:sp>", b'x="-1"', b'cx="0"', b'r:id="rId1"']
        junk = data.draw(st.binary(max_size=20) | st.sampled_from(words))
        return old[:start] + junk + old[start + data.draw(st.integers(0, 20)) :]

    part = data.draw(
        st.sampled_from(
            [
                "ppt/presentation.xml",
                "ppt/slides/slide1.xml",
                "ppt/slides/slide2.xml",
                "ppt/slides/_rels/slide2.xml.rels",
                "ppt/slideLayouts/slideLayout2.xml",
                "ppt/_rels/presentation.xml.rels",
            ]
        )
    )
    with suppress(DocumentError):
        read(changed(SAMPLE, {part: damage}))
