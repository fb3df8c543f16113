"""`Drawing`: pictures with texts, from Open Clip Art and from emoji and icon sets.

`flags` in `tools.mini_training.flags` has a third kind; `tools.mini_training.views` makes of each
what the image tower is shown.
"""

from __future__ import annotations

import csv
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
from tools.mini_training.sources import REPOSITORY, Sources
from tools.mini_training.views import SIDE
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import ImageError

SVG_SETS = ("@iconify-json/noto", "@iconify-json/game-icons")
EMOJI = "@lobehub/fluent-emoji-3d"
GALLERY = REPOSITORY / "tools" / "gallery_selection.tsv"
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
    """

    image: Image.Image
    texts: list[str]
    group: str
    kind: Kind


def clip_art(library: Path, encoder: SentenceTransformerEncoder) -> Iterator[Drawing]:
    """The training part of Open Clip Art, without the pictures of `examples/gallery`.

    Those are for people to try things on, so the model must not know them. Pictures over the size
    limit are left out as well.
    """
    pairs, _ = load_split(library)
    with GALLERY.open(encoding="utf-8", newline="") as file:
        gallery = {library / "png" / row["source"] for row in csv.DictReader(file, delimiter="\t")}
    for caption, members in zip(pairs.captions, pairs.relevant, strict=True):
        for member in members:
            if pairs.pictures[member] in gallery:
                continue
            try:
                image = encoder.prepare_image(pairs.pictures[member])
            except ImageError:
                continue
            yield Drawing(image, captions.of_clip_art(caption), caption, "clip art")


def emoji(sources: Sources) -> Iterator[Drawing]:
    """Microsoft's Fluent emoji, drawn as solid things, with CLDR's names; one skin tone of each."""
    keywords, by_code = cldr(sources)
    for code, data in sorted(sources.members(EMOJI, ".webp").items()):
        points = "-".join(p.lstrip("0") for p in code.split("-") if p != "fe0f")
        if points in by_code and not _SKIN_CODE.search(points):
            text = by_code[points].replace("-", " ")
            texts = captions.of_emoji(text, keywords.get(slug(text), ()))
            yield Drawing(on_white(data), texts, f"emoji {text}", "icon")


def icons(sources: Sources) -> Iterator[Drawing]:
    """Noto's emoji and the black-and-white Game-icons, by their names."""
    keywords, _ = cldr(sources)
    for package in SVG_SETS:
        for name, image in svg_icons(sources, package):
            text = name.replace("-", " ")
            if re.search("[a-z]{2}", text):
                texts = captions.of_emoji(text, keywords.get(name, ()))
                yield Drawing(image, texts, f"emoji {text}", "icon")


def svg_icons(sources: Sources, package: str) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures of an Iconify set, one skin tone of each, square on white.

    Raises:
        ImportError: resvg-py, which draws them, is not installed.
    """
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
        yield name, on_white(drawn(svg))


def drawn(svg: str) -> bytes:
    """A PNG file, 288 pixels wide."""
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


def on_white(data: bytes) -> Image.Image:
    """A picture file, in the middle of a white square `SIDE` pixels wide."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    canvas.paste(picture, ((SIDE - width) // 2, (SIDE - height) // 2), picture.getchannel("A"))
    return canvas
