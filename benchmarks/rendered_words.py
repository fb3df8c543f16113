"""Screenshots, terminals and slides, drawn from text that is known, in English and in Chinese."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from lxml import html
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

KINDS = ("screenshot", "terminal", "slide")
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
_FONTS = {
    ("en", "screenshot"): ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "DejaVuSans-Bold.ttf"),
    ("en", "terminal"): ("DejaVuSansMono.ttf", "LiberationMono-Regular.ttf"),
    ("en", "slide"): ("LiberationSans-Bold.ttf", "DejaVuSerif.ttf", "LiberationSerif-Regular.ttf"),
    ("zh", "screenshot"): ("wqy-zenhei.ttc", "NotoSansCJK-Regular.ttc"),
    ("zh", "terminal"): ("wqy-zenhei.ttc", "NotoSansCJK-Regular.ttc"),
    ("zh", "slide"): ("NotoSansCJK-Bold.ttc", "NotoSerifCJK-Regular.ttc"),
}
_SIMPLIFIED = 2  # the number of that face in Noto's collections
_THEMES = (("#ffffff", "#1b1b1b"), ("#f2f2f2", "#222244"), ("#1e1e2e", "#e6e6e6"))
_SLIDES = (("#ffffff", "#203040"), ("#14365c", "#f5f5f5"), ("#fdf3dc", "#5a2a10"))
_WIDE = re.compile(r"\s*([\u2e80-\u9fff\uff00-\uffef\u3000-\u303f])\s*")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture whose words are known.

    Attributes:
        name: Unique.
        kind: One of `KINDS`.
        language: One of `LANGUAGES`.
        lines: What stands in it, from top to bottom.
        picture: The pixels.
    """

    name: str
    kind: str
    language: str
    lines: tuple[str, ...]
    picture: Image.Image


def drawn(handbook: Path, fonts: Path, each: int, seed: int) -> Iterator[Drawn]:
    """Draw so many of each kind and language, from sentences that are used once.

    Args:
        handbook: The Debian handbook's folder ``html``.
        fonts: A folder with fonts, however deep.
        each: How many.
        seed: Of the choice of sentences, sizes and colours.
    """
    files = {path.name: path for path in fonts.rglob("*.tt[fc]")}
    for language, folder in LANGUAGES.items():
        sentences = _sentences(handbook / folder, language)
        choice = random.Random(f"{seed} {language}")
        choice.shuffle(sentences)
        for kind in KINDS:
            for number in range(each):
                font = files[choice.choice(_FONTS[language, kind])]
                lines, picture = _draw(kind, language, font, sentences, choice)
                yield Drawn(f"{kind}-{language}-{number}", kind, language, tuple(lines), picture)


def noises() -> dict[str, Callable[[Image.Image], Image.Image]]:
    """What is done to pictures, by name."""

    def jpeg(picture: Image.Image) -> Image.Image:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=30)
        return Image.open(buffer).convert("RGB")

    def turned(picture: Image.Image) -> Image.Image:
        edge = picture.getpixel((2, 2))
        return picture.rotate(2, Image.Resampling.BICUBIC, expand=True, fillcolor=edge)

    return {
        "blur": lambda picture: picture.filter(ImageFilter.GaussianBlur(1)),
        "JPEG 30": jpeg,
        "turned by 2°": turned,
        "contrast ¼": lambda picture: ImageEnhance.Contrast(picture).enhance(0.25),
    }


def plain(text: str) -> str:
    """Text as it is compared: compatible letters as one, white space only where it tells words."""
    return _WIDE.sub(r"\1", " ".join(unicodedata.normalize("NFKC", text).split()))


def _sentences(folder: Path, language: str) -> list[str]:
    """Sentences of paragraphs, of a length that fits on a line or two."""
    found: dict[str, None] = {}
    end = re.compile(r"(?<=[.!?])\s+" if language == "en" else r"(?<=[。！？])")
    for path in sorted(folder.glob("*.html")):
        page = html.parse(str(path), html.HTMLParser(encoding="utf-8"))
        for paragraph in page.xpath("//div[@class='para']"):
            for sentence in end.split(" ".join(paragraph.text_content().split())):
                least, most = (30, 110) if language == "en" else (12, 45)
                is_plain = all(_is_common(letter, language) for letter in sentence)
                if least <= len(sentence) <= most and is_plain:
                    found[sentence.strip()] = None
    return sorted(found)


def _is_common(letter: str, language: str) -> bool:
    """Whether the fonts have it."""
    wide = "\u4e00" <= letter <= "\u9fff" or letter in "，。、；：？！（）《》“”"
    return 32 <= ord(letter) < 127 or (language == "zh" and wide)


def _draw(
    kind: str, language: str, file: Path, sentences: list[str], choice: random.Random
) -> tuple[list[str], Image.Image]:
    def font(size: int) -> ImageFont.FreeTypeFont:
        face = _SIMPLIFIED if file.name.startswith("Noto") else 0
        return ImageFont.truetype(str(file), size, index=face)

    size = choice.choice(
        {"screenshot": (13, 15, 18), "terminal": (14, 16), "slide": (26, 30)}[kind]
    )
    width, height = (1280, 720) if kind == "slide" else (1280, 800)
    back, ink = choice.choice(_SLIDES if kind == "slide" else _THEMES)
    if kind == "terminal":
        back, ink = "#101010", choice.choice(("#d8d8d8", "#7fe07f"))
    picture = Image.new("RGB", (width, height), back)
    pen = ImageDraw.Draw(picture)
    left, top, room = 60, 40, width - 120
    lines: list[str] = []

    def write(text: str, at: int, letters: ImageFont.FreeTypeFont) -> int:
        for row in _wrapped(text, letters, room, language):
            pen.text((left, at), row, ink, letters)
            lines.append(row)
            at += round(letters.size * 1.45)
        return at

    if kind == "slide":
        top = write(sentences.pop(), top, font(42)) + 30
    for _ in range(choice.randint(5, 6) if kind == "slide" else choice.randint(8, 14)):
        if top > height - 4 * size:
            break
        top = write(sentences.pop(), top, font(size)) + round(size * 0.6)
    if kind == "screenshot":
        pen.rectangle((0, 0, width, 24), fill="#5078b4")
        for button in range(3):
            pen.ellipse((width - 22 - 24 * button, 6, width - 10 - 24 * button, 18), fill="#dddddd")
        pen.rectangle((left - 20, 34, left + room + 20, top), outline="#888888")
    return lines, picture


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: int, language: str) -> Iterator[str]:
    """Text in lines that fit."""
    parts = re.findall(r"\S+\s*" if language == "en" else r"[ -~]+|.", text)
    line = ""
    for part in parts:
        if line and font.getlength((line + part).rstrip()) > room:
            yield line.strip()
            line = ""
        line += part
    if line.strip():
        yield line.strip()
