"""`views`: what the image tower is shown of a drawing.

Every picture becomes square and 224 pixels wide, as `mini` sees it. Further views of each
(mirrored, cut to its content, smaller and elsewhere on a tinted or textured ground, turned, in
other colours) are what augmentation usually is, made once, because the image tower is frozen and
its features are computed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from tools.mini_training.pictures import Drawing

SIDE = 224
Pixels = NDArray[np.uint8]


def views(drawing: Drawing, random: np.random.Generator) -> list[Pixels]:
    """Five views of a drawing, the first as retrieval sees it; an icon has two, repeated.

    Clip art: cut to its content; mirrored; on a ground; changed. An icon: elsewhere or on a ground,
    sometimes changed. A flag, which a mirror would make another's: cut to its content; elsewhere,
    twice; changed.
    """
    plain = drawing.image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    seen = as_pixels(plain)
    if drawing.kind == "icon":
        other = (elsewhere, on_ground)[int(random.integers(2))](plain, random)
        other = recoloured(other, random) if random.random() < 0.3 else other
        return [seen, other, seen, other, other]
    tight = cut_to_content(drawing.image)
    if drawing.kind == "flag":
        smaller = [elsewhere(plain, random, mirrored=0) for _ in range(2)]
        return [seen, as_pixels(tight), *smaller, recoloured(seen, random, mirrored=0)]
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


def elsewhere(image: Image.Image, random: np.random.Generator, *, mirrored: float = 0.5) -> Pixels:
    """Smaller, somewhere in the square, mirrored at these odds, on white or a light tint."""
    side = int(SIDE * random.uniform(0.45, 0.95))
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    if random.random() < mirrored:
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


def recoloured(pixels: Pixels, random: np.random.Generator, *, mirrored: float = 0.5) -> Pixels:
    """Turned by up to 20 degrees, in grey or with paler channels, mirrored at these odds."""
    angle = float(random.uniform(-20, 20))
    turned = Image.fromarray(pixels).rotate(
        angle, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )
    values = np.asarray(turned).astype(np.float32)
    if random.random() < 0.3:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    else:
        values = 255 - (255 - values) * random.uniform(0.6, 1.0, 3).astype(np.float32)
    if random.random() < mirrored:
        values = values[:, ::-1]
    return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8))


def as_pixels(image: Image.Image) -> Pixels:
    """``(height, width, 3)`` bytes."""
    return np.asarray(image, np.uint8)
