"""Scanned pages: the page is a picture, and what was read on it passages with boxes."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from tests.support.manuals import manual
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import RecognizerError
from unisem.ingest.pruning import Pruning
from unisem.readers.documents.recognized_lines import reading_lines
from unisem.recognition import TextLine

PARAGRAPHS = ["The lamp must be dark before", "the cover is opened."], ["Keep the screws."]


def scan(*pages: Image.Image) -> bytes:
    """A PDF whose pages are bitmaps of 595 by 842 points."""
    pdf = FPDF(unit="pt", format=(595, 842))
    for page in pages:
        pdf.add_page()
        buffer = BytesIO()
        page.save(buffer, "PNG")
        pdf.image(buffer, x=0, y=0, w=595, h=842)
    return bytes(pdf.output())


def printed() -> Image.Image:
    """A page of two paragraphs, at twice the points; lines stand 40 pixels apart."""
    page = Image.new("RGB", (1190, 1684), "white")
    draw = ImageDraw.Draw(page)
    top = 200
    for paragraph in PARAGRAPHS:
        for line in paragraph:
            draw.text((140, top), line, "black", ImageFont.load_default(32))
            top += 40
        top += 80
    return page


def records(space: SemanticSpace) -> dict[str, Record]:
    return {record.id: record for record in space.store.select()}


def test_a_scan_is_its_page_and_what_was_read_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "letter.pdf").write_bytes(scan(printed()))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder, recognizer="ppocr-v5")
        assert report.skipped == ()
        found = records(space)
        assert {name: it.modality for name, it in found.items()} == {
            "scans/letter.pdf#p1-page-1": "image",
            "scans/letter.pdf#p1-1": "text",
        }
        read = found["scans/letter.pdf#p1-1"]
        assert read.text == "\n\n".join(" ".join(lines) for lines in PARAGRAPHS)
        assert read.metadata["recognized"] is True
        assert read.metadata["page"] == 1
        assert read.metadata["box"] == pytest.approx([70, 100, 285, 200], abs=10)
        assert read.links["of_page"] == "scans/letter.pdf#p1-page-1"
        hit = space.search("screws cover lamp", k=1, mode="keyword")[0]
        assert hit.record.id == read.id  # a passage of a document stays a passage
        around = space.search("screws cover lamp", k=1, mode="keyword", neighbors=1)
        assert {it.record.id for it in around} == set(found)


def test_scans_are_read_once_and_anew_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "letter.pdf").write_bytes(scan(solid("red"), solid("blue")))
    first = ColourRecognizer({COLOURS["red"]: ["A letter"], COLOURS["blue"]: ["Its end"]})
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        assert space.add_folder(folder).added == 2  # pages without words
        assert space.add_folder(folder, recognizer=first).added == 4  # links are new
        assert first.read_count == 2
        before = records(space)
        assert {it.text for it in before.values()} == {None, "A letter", "Its end"}
        assert space.add_folder(folder, recognizer=first).added == 0
        assert space.add_folder(folder).unchanged == 4  # what was read is kept
        assert first.read_count == 2
        assert records(space) == before
        second = ColourRecognizer({COLOURS["red"]: ["A letter"]}, fingerprint="two")
        assert space.add_folder(folder, recognizer=second).removed == 1
        assert {it.text for it in records(space).values()} == {None, "A letter"}


def test_a_page_that_cannot_be_read_keeps_its_picture(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "letter.pdf").write_bytes(scan(solid("red"), solid("blue")))
    fails = ColourRecognizer({COLOURS["red"]: ["A letter"]}, fails_on=(COLOURS["blue"],))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder, recognizer=fails)
        assert [it.reason for it in report.skipped] == [
            "page 2 has no words read: no colour of mine"
        ]
        assert len(space) == 3


def test_pages_that_the_recogniser_failed_on_are_read_by_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "letter.pdf").write_bytes(scan(solid("red"), solid("blue")))
    texts = {COLOURS["red"]: ["A letter"], COLOURS["blue"]: ["Its end"]}
    works = ColourRecognizer(texts)
    first = ColourRecognizer(texts, fails_on=(COLOURS["blue"],))
    worse = ColourRecognizer(texts, fails_on=tuple(texts))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        assert [it.again for it in space.add_folder(folder, recognizer=first).skipped] == [True]
        assert space.add_folder(folder).skipped == ()  # without one there is nothing to try again
        again = space.add_folder(folder, recognizer=worse)
        assert (len(again.skipped), again.removed) == (2, 0)
        assert {it.text for it in records(space).values()} == {None, "A letter"}  # is kept
        assert space.add_folder(folder, recognizer=works).skipped == ()
        assert {it.text for it in records(space).values()} == {None, "A letter", "Its end"}
        assert works.read_count == 2
        assert space.add_folder(folder, recognizer=works).unchanged == 4
        assert works.read_count == 2


@pytest.mark.parametrize("files", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_recogniser_that_fails_on_every_page_is_given_up(tmp_path: Path, files: int) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(files):
        pages = [solid("red")] * (20 // files)
        (folder / f"{number}.pdf").write_bytes(scan(*pages))
    fails = ColourRecognizer({}, fails_on=(COLOURS["red"],))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        with pytest.raises(RecognizerError, match="16 pictures running"):
            space.add_folder(folder, recognizer=fails)
        assert fails.read_count == 16


def test_pages_with_text_are_not_read_from_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "machine.pdf").write_bytes(manual())
    recognizer = ColourRecognizer({COLOURS["red"]: ["Cover"]})
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder, recognizer=recognizer)
        assert report.words_read == 1
        found = [it for it in records(space).values() if it.metadata.get("recognized")]
        assert [it.id for it in found] == ["manuals/machine.pdf#p1-figure-1#words-1"]
        assert found[0].metadata["page"] == 1
        assert "caption" not in found[0].metadata
        again = space.add_folder(folder, recognizer=recognizer)
        assert (again.added, again.removed, again.words_read) == (0, 0, 0)
        (folder / "machine.pdf").write_bytes(manual(extra="Mind the spring."))
        assert space.add_folder(folder, recognizer=recognizer).removed == 0
        assert "manuals/machine.pdf#p1-figure-1#words-1" in records(space)
        (folder / "machine.pdf").unlink()
        space.add_folder(folder)
        (folder / "other.txt").write_text("not empty")
        space.add_folder(folder, prune=Pruning.NOW)
        assert list(records(space)) == ["manuals/other.txt"]


@pytest.mark.parametrize("lean", [0.0, 3.0, -6.0])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_lines_are_put_in_order_whichever_way_they_stand(turn: int, lean: float) -> None:
    """Two columns of a page, the whole of it turned clockwise and leaning."""
    texts = [[f"{side} column, line {row} of several words" for row in range(9)] for side in "LR"]
    angle = math.radians(turn + lean)
    cos, sin = math.cos(angle), math.sin(angle)
    lines = []
    for column, rows in enumerate(texts):
        for row, text in enumerate(rows):
            width, height = 300 + 40 * (row % 3), 20
            x, y = 20 + 420 * column + width / 2, 20 + 26 * row
            x, y = x * cos - y * sin, x * sin + y * cos
            across = (abs(width * cos) + abs(height * sin)) / 2
            down = (abs(width * sin) + abs(height * cos)) / 2
            box = (x - across, y - down, x + across, y + down)
            lines.append(TextLine(text, box, 0.9, turn, lean))
            assert lines[-1].sides == pytest.approx((width, height))
    ordered = reading_lines(sorted(lines, key=lambda line: line.box))
    assert [line.text for line in ordered] == texts[0] + texts[1]
