"""`Drawings`: pictures with texts, from Open Clip Art and from emoji and icon sets.

Every picture becomes square and 224 pixels wide, as `mini` sees it. A further view or more of each
(mirrored, cut to its content, smaller and elsewhere on a tinted ground, turned, in other colours)
are what augmentation usually is, drawn once, because the image tower is frozen and its features are
computed once.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.open_clip_art import load_split
from tools.mini_training import captions
from tools.mini_training.sources import REPOSITORY, Sources
from unisem.encoders.hub import HubEncoder
from unisem.errors import ImageError

SIDE = 224
SVG_SETS = ("@iconify-json/noto", "@iconify-json/game-icons")
EMOJI = "@lobehub/fluent-emoji-3d"
GALLERY = REPOSITORY / "tools" / "gallery_selection.tsv"
_SKIN = re.compile(r"(light|medium|dark)-skin|skin-tone|-(light|medium|dark)$")
_SKIN_CODE = re.compile(r"1f3f[b-f]")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to train on.

    Attributes:
        image: Square, RGB.
        texts: `captions.VARIANTS` texts.
        group: Pictures of one group have the same caption and are no negatives of each other.
        accompanies: Whether it is there for breadth, as emoji are, and not clip art.
    """

    image: Image.Image
    texts: list[str]
    group: str
    accompanies: bool


def clip_art(library: Path, encoder: HubEncoder) -> Iterator[Drawing]:
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
            yield Drawing(image, captions.of_clip_art(caption), caption, accompanies=False)


def emoji(sources: Sources) -> Iterator[Drawing]:
    """Microsoft's Fluent emoji, drawn as solid things, with CLDR's names; one skin tone of each."""
    keywords, by_code = cldr(sources)
    for code, data in sorted(sources.members(EMOJI, ".webp").items()):
        points = "-".join(p.lstrip("0") for p in code.split("-") if p != "fe0f")
        if points in by_code and not _SKIN_CODE.search(points):
            text = by_code[points].replace("-", " ")
            texts = captions.of_emoji(text, keywords.get(slug(text), ()))
            yield Drawing(on_white(data), texts, f"emoji {text}", accompanies=True)


def icons(sources: Sources) -> Iterator[Drawing]:
    """Noto's emoji and the black-and-white Game-icons, by their names.

    Raises:
        ImportError: resvg-py, which draws them, is not installed.
    """
    keywords, _ = cldr(sources)
    for package in SVG_SETS:
        for name, image in svg_icons(sources, package):
            text = name.replace("-", " ")
            if re.search("[a-z]{2}", text):
                texts = captions.of_emoji(text, keywords.get(name, ()))
                yield Drawing(image, texts, f"emoji {text}", accompanies=True)


def svg_icons(sources: Sources, package: str) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures of an Iconify set, one skin tone of each."""
    import resvg_py

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
        yield name, on_white(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=288)))


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
    """An emoji with transparency, `SIDE` pixels wide, on white."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture.getchannel("A"))
    return canvas


def views(drawing: Drawing, random: np.random.Generator) -> list[Pixels]:
    """What the tower is shown of a drawing: clip art in five views, an emoji in two.

    Plain, as retrieval sees it; cut to its content; mirrored; on a ground; changed. An emoji:
    plain; elsewhere or on a ground, sometimes changed.
    """
    plain = drawing.image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    seen = as_pixels(plain)
    if drawing.accompanies:
        other = (elsewhere, on_ground)[int(random.integers(2))](plain, random)
        other = recoloured(other, random) if random.random() < 0.3 else other
        return [seen, other, seen, other, other]
    tight = cut_to_content(drawing.image)
    mirrored = as_pixels(plain.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    changed = recoloured(as_pixels(tight), random)
    return [seen, as_pixels(tight), mirrored, on_ground(tight, random), changed]


def cut_to_content(image: Image.Image) -> Image.Image:
    """The part that is not white, centred in a white square."""
    ink = np.asarray(image).min(2) < 245
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if len(rows) < 4 or len(columns) < 4:
        return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    part = image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    side = max(part.size)
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return canvas.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def elsewhere(image: Image.Image, random: np.random.Generator) -> Pixels:
    """Smaller, somewhere in the square, sometimes mirrored, on white or a light tint."""
    side = int(SIDE * random.uniform(0.45, 0.95))
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    if random.random() < 0.5:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
    top, left = random.integers(0, SIDE - side + 1, 2)
    canvas[top : top + side, left : left + side] = as_pixels(small)
    if random.random() < 0.5:
        canvas = (canvas * random.uniform(0.55, 1, 3)).astype(np.uint8)
    return canvas


def on_ground(image: Image.Image, random: np.random.Generator) -> Pixels:
    """Smaller, somewhere on a textured ground, with what is white in it cut away."""
    side = int(SIDE * random.uniform(0.5, 0.95))
    small = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    if random.random() < 0.5:
        small = small[:, ::-1]
    canvas = ground(random)
    top, left = random.integers(0, SIDE - side + 1, 2)
    opacity = np.clip((255 - small.min(2, keepdims=True)) / 20, 0, 1)
    below = canvas[top : top + side, left : left + side]
    canvas[top : top + side, left : left + side] = below * (1 - opacity) + small * opacity
    return canvas.astype(np.uint8)


def ground(random: np.random.Generator) -> NDArray[np.float64]:
    """Noise with the spectrum of natural scenes, brighter above or below, ``(224, 224, 3)``.

    Amplitudes fall as the frequency to the power of about one (Field 1987).
    """
    across = np.fft.fftfreq(SIDE)
    frequency = np.hypot(across[:, None], across[None])
    frequency[0, 0] = 1
    steepness = random.uniform(0.8, 1.8)

    def noise() -> NDArray[np.float64]:
        white = np.fft.fft2(random.standard_normal((SIDE, SIDE)))
        shaped = np.fft.ifft2(white / frequency**steepness).real
        return np.asarray(shaped / shaped.std())

    common = noise()
    own = [common + random.uniform(0.2, 0.8) * noise() for _ in range(3)]
    levels, contrast = random.uniform(50, 210, 3), random.uniform(15, 60)
    slope = np.linspace(-1, 1, SIDE)[:, None] * random.uniform(-50, 50)
    channels = [
        level + contrast * channel / channel.std() + slope
        for level, channel in zip(levels, own, strict=True)
    ]
    return np.clip(np.stack(channels, -1), 0, 255)


def recoloured(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Turned by up to 20 degrees, in grey or with paler channels, sometimes mirrored."""
    angle = float(random.uniform(-20, 20))
    turned = Image.fromarray(pixels).rotate(
        angle, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )
    values = np.asarray(turned).astype(np.float32)
    if random.random() < 0.3:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    else:
        values = 255 - (255 - values) * random.uniform(0.6, 1.0, 3).astype(np.float32)
    if random.random() < 0.5:
        values = values[:, ::-1]
    return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8))


def as_pixels(image: Image.Image) -> Pixels:
    """``(height, width, 3)`` bytes."""
    return np.asarray(image, np.uint8)
