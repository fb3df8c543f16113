"""Word documents as Word and LibreOffice write them: what is shown is read, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import for_long
from tests.support.office import (
    NAMESPACES,
    add_picture,
    add_raw,
    caption,
    changed,
    picture,
    word,
)
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.docx import DOCX
from unisem.readers.documents.elements import Element, Source

RED, BLUE = encoded(solid("red")), encoded(solid("blue"))


def read(data: bytes, folder: Path = Path("/nowhere")) -> list[Element | Skipped]:
    return list(DOCX.elements(data, Source(folder / "manual.docx", folder)))


def elements(data: bytes) -> list[Element]:
    found = read(data)
    assert not [item for item in found if isinstance(item, Skipped)]
    return [item for item in found if isinstance(item, Element)]


def told(data: bytes) -> list[tuple[str, str]]:
    return [(item.kind, item.text) for item in elements(data)]


def figures(data: bytes) -> list[tuple[bytes | None, str | None, str]]:
    """Bytes, caption, alternative text."""
    return [
        (item.image.data if isinstance(item.image, ImageRef) else None, item.caption, item.text)
        for item in elements(data)
        if item.kind == "figure"
    ]


def test_headings_paragraphs_lists_and_tables() -> None:
    def fill(document: WordDocument) -> None:
        document.add_heading("Machine", 0)
        document.add_heading("Opening", 1)
        document.add_paragraph("Switch it off.\tThen wait.")
        document.add_paragraph("Brush", style="List Bullet")
        document.add_paragraph("Cloth", style="List Bullet")
        document.add_heading("The cover", 2)
        document.add_paragraph("Unscrew it", style="List Number")
        document.add_paragraph("Lift it", style="List Number")
        table = document.add_table(2, 2)
        for cell, said in zip(table._cells, ["Part", "Days", "Brush", "7"], strict=True):
            cell.text = said

    assert told(word(fill)) == [
        ("heading", "Machine"),
        ("heading", "Opening"),
        ("text", "Switch it off. Then wait."),
        ("list", "- Brush\n- Cloth"),
        ("heading", "The cover"),
        ("list", "1. Unscrew it\n2. Lift it"),
        ("table", "Part | Days\nBrush | 7"),
    ]
    levels = [item.level for item in elements(word(fill)) if item.kind == "heading"]
    assert levels == [1, 1, 2]
    assert {item.page for item in elements(word(fill))} == {None}


def test_a_heading_is_one_by_its_level_whatever_its_style_is_called() -> None:
    def fill(document: WordDocument) -> None:
        style = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles["Heading 2"]  # type: ignore[attr-defined]
        document.add_paragraph("Erstes", style="Kapitel")
        add_raw(
            document,
            '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Drittes</w:t></w:r></w:p>',
        )

    levels = [(item.text, item.level) for item in elements(word(fill)) if item.kind == "heading"]
    assert levels == [("Erstes", 2), ("Drittes", 3)]


NUMBERING = f"""<w:numbering {NAMESPACES}><w:abstractNum w:abstractNumId="7">
    <w:lvl w:ilvl="0"><w:start w:val="2"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1"/></w:lvl>
    <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/>
    </w:lvl></w:abstractNum><w:num w:numId="9"><w:abstractNumId w:val="7"/></w:num></w:numbering>"""


def test_numbers_that_word_counts_stand_where_word_shows_them() -> None:
    def fill(document: WordDocument) -> None:
        for style, level, words in [
            ("Heading1", 0, "Opening"),
            ("Heading2", 1, "Cover"),
            ("Heading2", 1, "Screws"),
            ("Heading1", 0, "Cleaning"),
            ("Heading2", 1, "Brush"),
        ]:
            add_raw(
                document,
                f'<w:p><w:pPr><w:pStyle w:val="{style}"/><w:numPr><w:ilvl w:val="{level}"/>'
                f'<w:numId w:val="9"/></w:numPr></w:pPr><w:r><w:t>{words}</w:t></w:r></w:p>',
            )

    data = changed(word(fill), {"word/numbering.xml": lambda old: NUMBERING.encode()})
    assert [words for _, words in told(data)] == [
        "2 Opening",
        "2.a) Cover",
        "2.b) Screws",
        "3 Cleaning",
        "3.a) Brush",
    ]


def test_a_picture_has_the_caption_below_or_above_it_and_its_alternative_text() -> None:
    def fill(document: WordDocument) -> None:
        document.add_paragraph("Before.")
        add_picture(document, "red", "A red square")
        add_raw(document, caption(": The cover."))
        document.add_paragraph("Between.")
        document.add_paragraph("Figure 2: The brush.")  # by its words alone
        add_picture(document, "blue")
        document.add_paragraph("After.")

    data = word(fill)
    assert figures(data) == [
        (RED, "Figure 1: The cover.", "A red square"),
        (BLUE, "Figure 2: The brush.", ""),
    ]
    texts = [words for kind, words in told(data) if kind == "text"]
    assert texts == ["Before.", "Between.", "After."]


def test_pictures_of_one_paragraph_share_a_caption() -> None:
    def fill(document: WordDocument) -> None:
        paragraph = document.add_paragraph()
        paragraph.add_run().add_picture(picture("red"))
        paragraph.add_run().add_picture(picture("blue"))
        add_raw(document, caption(": Before and after."))

    assert figures(word(fill)) == [
        (RED, "Figure 1: Before and after.", ""),
        (BLUE, "Figure 1: Before and after.", ""),
    ]


def test_a_field_that_was_never_computed_is_counted() -> None:
    def fill(document: WordDocument) -> None:
        for color, words in (("red", " The cover"), ("blue", " The brush")):
            add_picture(document, color)
            add_raw(document, caption(words, number=""))

    assert [one[1] for one in figures(word(fill))] == ["Figure 1 The cover", "Figure 2 The brush"]


def test_a_reference_to_a_caption_is_a_reference_to_its_figure() -> None:
    def fill(document: WordDocument) -> None:
        add_raw(
            document,
            """<w:p><w:r><w:t xml:space="preserve">As </w:t></w:r>
            <w:fldSimple w:instr=" REF _Ref5 \\h "><w:r><w:t>the figure</w:t></w:r></w:fldSimple>
            <w:r><w:t xml:space="preserve"> shows.</w:t></w:r></w:p>""",
        )
        add_picture(document, "red")
        marked = caption(": The cover.").replace(
            "<w:r>", '<w:bookmarkStart w:id="1" w:name="_Ref5"/><w:r>', 1
        )
        add_raw(document, marked)

    text, figure = elements(word(fill))
    assert text.text == "As the figure shows."
    assert text.references == ("_Ref5",)
    assert "_Ref5" in figure.anchors


def test_a_table_that_arranges_figures_gives_each_its_caption() -> None:
    def fill(document: WordDocument) -> None:
        table = document.add_table(2, 2)
        for column, (color, words) in enumerate((("red", "The cover"), ("blue", "The brush"))):
            table.cell(0, column).paragraphs[0].add_run().add_picture(picture(color))
            table.cell(1, column).text = f"Figure {column + 1}: {words}"

    assert figures(word(fill)) == [
        (RED, "Figure 1: The cover", ""),
        (BLUE, "Figure 2: The brush", ""),
    ]


def test_a_sign_in_a_table_is_told_by_its_row() -> None:
    def fill(document: WordDocument) -> None:
        table = document.add_table(3, 2)
        table.cell(0, 0).text, table.cell(0, 1).text = "Lamp", "Meaning"
        for row, color in ((1, "red"), (2, "blue")):
            table.cell(row, 0).paragraphs[0].add_run().add_picture(picture(color))
            table.cell(row, 1).text = f"It is {color}"

    data = word(fill)
    assert told(data)[0] == ("table", "Lamp | Meaning\n | It is red\n | It is blue")
    assert figures(data) == [(RED, None, "It is red"), (BLUE, None, "It is blue")]


def test_a_floating_picture_has_the_caption_of_its_text_box_once() -> None:
    def fill(document: WordDocument) -> None:
        add_picture(document, "red", "Alt")
        box = caption(": The cover.")
        inside = f"<wps:txbx><w:txbxContent>{box}</w:txbxContent></wps:txbx>"
        old = f"<v:textbox><w:txbxContent>{box}</w:txbxContent></v:textbox>"
        add_raw(
            document,
            f"""<w:p><w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wp:anchor>
            <a:graphic><a:graphicData><wps:wsp>{inside}</wps:wsp></a:graphicData></a:graphic>
            </wp:anchor></w:drawing></mc:Choice><mc:Fallback><w:pict><v:shape>{old}</v:shape>
            </w:pict></mc:Fallback></mc:AlternateContent></w:r>
            <w:r><w:t>The text beside it.</w:t></w:r></w:p>""",
        )

    data = word(fill)
    assert figures(data) == [(RED, "Figure 1: The cover.", "Alt")]
    assert told(data)[1:] == [("text", "The text beside it.")]


def test_pictures_in_the_old_drawing_language_are_read() -> None:
    def fill(document: WordDocument) -> None:
        relation, _ = document.part.get_or_add_image(picture("blue"))
        add_raw(
            document,
            f'<w:p><w:r><w:pict><v:shape alt="Old"><v:imagedata r:id="{relation}"/></v:shape>'
            "</w:pict></w:r></w:p>",
        )

    assert figures(word(fill)) == [(BLUE, None, "Old")]


def test_what_is_not_shown_is_not_read() -> None:
    def fill(document: WordDocument) -> None:
        document.sections[0].header.paragraphs[0].text = "Running head"
        document.sections[0].footer.paragraphs[0].text = "Running foot"
        add_raw(
            document,
            """<w:p><w:r><w:t xml:space="preserve">It is </w:t></w:r>
            <w:del w:id="1" w:author="A"><w:r><w:delText>not </w:delText></w:r></w:del>
            <w:ins w:id="2" w:author="A"><w:r><w:t>safe</w:t></w:r></w:ins>
            <w:r><w:rPr><w:vanish/></w:rPr><w:t>SECRET</w:t></w:r>
            <w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>.</w:t></w:r></w:p>""",
        )
        add_raw(
            document,
            '<w:p><w:pPr><w:pStyle w:val="TOC1"/></w:pPr><w:r><w:t>Opening 1</w:t></w:r></w:p>',
        )
        document.styles.add_style("TOC 1", WD_STYLE_TYPE.PARAGRAPH).element.set(
            f"{{{NAMESPACES.split(chr(34))[1]}}}styleId", "TOC1"
        )

    assert told(word(fill)) == [("text", "It is safe.")]


def test_footnotes_follow_their_paragraph_once_even_if_they_refer_to_themselves() -> None:
    def fill(document: WordDocument) -> None:
        for words in ("First.", "Second."):
            add_raw(
                document,
                f"<w:p><w:r><w:t>{words}</w:t></w:r>"
                '<w:r><w:footnoteReference w:id="2"/></w:r></w:p>',
            )

    notes = f"""<w:footnotes {NAMESPACES}>
        <w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>
        <w:footnote w:id="2"><w:p><w:r><w:t>See the law.</w:t></w:r>
        <w:r><w:footnoteReference w:id="2"/></w:r></w:p></w:footnote></w:footnotes>"""
    link = (
        '<Relationship Id="rId99" Target="footnotes.xml" Type="http://schemas.openxmlformats.org/'
        'officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    data = changed(
        word(fill),
        {
            "word/footnotes.xml": lambda old: notes.encode(),
            "word/_rels/document.xml.rels": lambda old: old.replace(
                b"</Relationships>", link.encode()
            ),
        },
    )
    assert [words for _, words in told(data)] == ["First.", "See the law.", "Second."]


def test_code_keeps_its_lines() -> None:
    def fill(document: WordDocument) -> None:
        document.styles.add_style("Source Code", WD_STYLE_TYPE.PARAGRAPH)
        for line in ("if off:", "    wait()"):
            document.add_paragraph(line, style="Source Code")

    assert told(word(fill)) == [("code", "if off:\n    wait()")]


def test_drawings_and_links_that_lead_out_are_skipped_with_reasons(tmp_path: Path) -> None:
    def fill(document: WordDocument) -> None:
        add_picture(document, "red", "Drawn")
        add_raw(document, caption(": The cover."))

    data = word(fill)
    drawing = changed(
        data,
        {
            "word/_rels/document.xml.rels": lambda old: old.replace(b"image1.png", b"image1.emf"),
        },
    )
    skipped = [item for item in read(drawing) if isinstance(item, Skipped)]
    assert ["EMF" in item.reason for item in skipped] == [True]
    (figure,) = [item for item in read(drawing) if isinstance(item, Element)]
    assert (figure.caption, figure.image) == ("Figure 1: The cover.", None)
    for target, reason in [
        ("http://example.com/a.png", "is a URL"),
        ("../../../../etc/passwd.png", "outside"),
        ("file:///etc/passwd", "is a URL"),
    ]:
        outside = changed(
            data,
            {
                "word/_rels/document.xml.rels": lambda old, to=target: old.replace(  # type: ignore[misc]
                    b'Target="media/image1.png"', f'TargetMode="External" Target="{to}"'.encode()
                )
            },
        )
        (told_of,) = [item for item in read(outside, tmp_path) if isinstance(item, Skipped)]
        assert reason in told_of.reason


def test_a_part_that_is_damaged_costs_only_what_it_says() -> None:
    data = word(lambda document: document.add_paragraph("Words."))
    broken = changed(data, {"word/styles.xml": lambda old: old[:100]})
    found = read(broken)
    assert [item.text for item in found if isinstance(item, Element)] == ["Words."]
    (told_of,) = [item for item in found if isinstance(item, Skipped)]
    assert "styles.xml is damaged" in told_of.reason
    with pytest.raises(DocumentError, match=r"document\.xml is damaged"):
        read(changed(data, {"word/document.xml": lambda old: old[:100]}))


@pytest.mark.parametrize("data", [b"", b"words", b"PK\x03\x04", bytes(600)])
def test_what_is_no_word_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read(data)


def test_tables_in_tables_end_somewhere() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 80 + "<w:p><w:r><w:t>Deep</w:t></w:r></w:p>"
    deep += "</w:tc></w:tr></w:tbl>" * 80
    data = word(lambda document: (document.add_paragraph("Words."), add_raw(document, deep)))
    assert told(data) == [("text", "Words.")]


SAMPLE = word(
    lambda document: (
        document.add_heading("Machine"),
        add_picture(document, "red"),
        add_raw(document, caption(": The cover.")),
        document.add_table(2, 2),
    )
)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
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
        words = [b"<w:p>", b"</w:p>", b'w:val="-1"']
        junk = data.draw(st.binary(max_size=20) | st.sampled_from(words))
        return old[:start] + junk + old[start + data.draw(st.integers(0, 20)) :]

    part = data.draw(
        st.sampled_from(
            [
                "word/document.xml",
                "word/styles.xml",
                "word/numbering.xml",
                "_rels/.rels",
                "word/_rels/document.xml.rels",
            ]
        )
    )
    with suppress(DocumentError):
        read(changed(SAMPLE, {part: damage}))


def test_a_folders_document_is_indexed_with_its_figure(tmp_path: Path) -> None:
    def fill(document: WordDocument) -> None:
        document.add_heading("Opening", 1)
        document.add_paragraph("Figure 1 shows how the cover comes off.")
        add_picture(document, "red")
        add_raw(document, caption(": The cover."))

    (tmp_path / "manuals").mkdir()
    (tmp_path / "manuals" / "machine.docx").write_bytes(word(fill))
    (tmp_path / "manuals" / "~$machine.docx").write_bytes(b"who has it open")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(tmp_path / "manuals")
        assert not report.skipped
        figure, passage = space.get(["manuals/machine.docx#figure-1", "manuals/machine.docx#1"])
        assert figure is not None
        assert passage is not None
        assert figure.image is not None
        assert figure.image.read_bytes() == RED
        assert figure.metadata["label"] == "Figure 1"
        assert figure.metadata["section"] == "Opening"
        assert passage.links["figure"] == figure.id
        assert space.add_folder(tmp_path / "manuals").added == 0
