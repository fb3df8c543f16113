"""`Drawing`: pictures with texts, from Open Clip Art and from emoji and icon sets.

`flags` in `tools.mini_training.flags` has a third kind; `tools.mini_training.views` makes of each
what the image tower is shown.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from benchmarks.open_clip_art import load_split
from tools.mini_training import captions
from tools.mini_training.sources import Sources
from tools.mini_training.views import SIDE
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import ImageError

SVG_SETS = ("@iconify-json/noto", "@iconify-json/game-icons")
EMOJI = "@lobehub/fluent-emoji-3d"
_SKIN = re.compile(r"(light|medium|dark)-skin|skin-tone|-(light|medium|dark)$")
_SKIN_CODE = re.compile(r"1f3f[b-f]")
Kind = Literal["clip art", "icon", "flag"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to train on.

    Attributes:
        image: Square, RGB.
        texts: `captions.VARIANTS` texts.
        group: Pictures of one group have the same caption and are no negatives of each other.
        kind: Clip art, an emoji or icon, or a flag; batches have a share of each.
        digest: The sha256 of the file or SVG source that it was read from, in hex.
    """

    image: Image.Image
    texts: list[str]
    group: str
    kind: Kind
    digest: str


def clip_art(library: Path, encoder: SentenceTransformerEncoder) -> Iterator[Drawing]:
    """The training part of Open Clip Art, without pictures over the size limit."""
    pairs, _ = load_split(library)
    for caption, members in zip(pairs.captions, pairs.relevant, strict=True):
        for member in members:
            path = pairs.pictures[member]
            try:
                image = encoder.prepare_image(path)
            except ImageError:
                continue
            texts = captions.of_clip_art(caption)
            yield Drawing(image, texts, caption, "clip art", digest_of(path.read_bytes()))


def emoji(sources: Sources) -> Iterator[Drawing]:
    """Microsoft's Fluent emoji, drawn as solid things, with CLDR's names; one skin tone of each."""
    keywords, by_code = cldr(sources)
    for code, data in sorted(sources.members(EMOJI, ".webp").items()):
        points = "-".join(p.lstrip("0") for p in code.split("-") if p != "fe0f")
        if points in by_code and not _SKIN_CODE.search(points):
            text = by_code[points].replace("-", " ")
            texts = captions.of_emoji(text, keywords.get(slug(text), ()))
            yield Drawing(on_white(data), texts, f"emoji {text}", "icon", digest_of(data))


def icons(sources: Sources) -> Iterator[Drawing]:
    """Noto's emoji and the black-and-white Game-icons, by their names."""
    keywords, _ = cldr(sources)
    for package in SVG_SETS:
        for name, svg in svg_icons(sources, package):
            text = name.replace("-", " ")
            if re.search("[a-z]{2}", text):
                texts = captions.of_emoji(text, keywords.get(name, ()))
                yield Drawing(
                    on_white(drawn(svg)), texts, f"emoji {text}", "icon", digest_of(svg.encode())
                )


def svg_icons(sources: Sources, package: str) -> Iterator[tuple[str, str]]:
    """Names and SVG files of an Iconify set, one skin tone of each."""
    content = sources.json(package, "icons.json")
    shape = {"width": 16, "height": 16, "left": 0, "top": 0}
    shape |= {key: content[key] for key in shape if key in content}
    for name, icon in content["icons"].items():
        if icon.get("hidden") or _SKIN.search(name):
            continue
        box = shape | {key: icon[key] for key in shape if key in icon}
        body = re.sub(r"<animate.*?(/>|</animate\w*>)", "", icon["body"])
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box["left"]} {box["top"]} {box["width"]} {box["height"]}" '
            f'width="{box["width"]}" height="{box["height"]}" color="black">{body}</svg>'
        )
        yield name, svg


def drawn(svg: str) -> bytes:
    """A PNG file, 288 pixels wide.

    Raises:
        ImportError: resvg-py, which draws it, is not installed.
    """
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=288))


def cldr(sources: Sources) -> tuple[dict[str, list[str]], dict[str, str]]:
    """CLDR's English keywords by the slug of an emoji's name, and names by code points."""
    tree = sources.json("cldr-annotations-full", "annotations/en/annotations.json")
    keywords, by_code = {}, {}
    for character, entry in tree["annotations"]["annotations"].items():
        if "tts" in entry:
            keywords[slug(entry["tts"][0])] = entry.get("default", [])
            points = "-".join(f"{ord(c):x}" for c in character if ord(c) != 0xFE0F)
            by_code[points] = entry["tts"][0]
    return keywords, by_code


def slug(name: str) -> str:
    """A name in lower-case ASCII: ``"Man’s shoe"`` is ``"man-s-shoe"``."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def digest_of(data: bytes) -> str:
    """The sha256 of a file, in hex."""
    return hashlib.sha256(data).hexdigest()


def on_white(data: bytes) -> Image.Image:
    """A picture file, in the middle of a white square `SIDE` pixels wide."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    canvas.paste(picture, ((SIDE - width) // 2, (SIDE - height) // 2), picture.getchannel("A"))
    return canvas
