"""Which pictures look nearly the same: rows against the definition, pictures against their kin."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tests.support.pictures import noise, solid
from unisem.images.looks import (
    LENGTH,
    NearLimits,
    are_near,
    candidates,
    first_near,
    is_look,
    look_of,
    rows_of,
)


def drawing(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Rectangles on a ground, no two seeds alike."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(random.integers(60, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        (left, right), (top, bottom) = np.sort(random.integers(0, min(size), (2, 2)))
        draw.rectangle((left, top, right + 40, bottom + 40), tuple(random.integers(0, 255, 3)))
    return image


def near(one: Image.Image, other: Image.Image) -> bool:
    found = are_near(rows_of([look_of(one)]), rows_of([look_of(other)]))
    assert found.shape == (1, 1)
    return bool(found[0, 0])


def saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def test_the_same_picture_scaled_or_stored_otherwise_is_near() -> None:
    known = []
    for seed in range(20):
        image = drawing(seed)
        for again in (
            image.resize((320, 240), Image.Resampling.LANCZOS),
            image.resize((1280, 960)),
            saved(image, 50),
            saved(image.resize((200, 150)), 80),
            image.point(lambda value: min(255, int(value * 1.03 + 3))),
        ):
            assert near(image, again) == near(again, image)
            known.append(near(image, again))
    assert np.mean(known) >= 0.75  # the others differ a little too much in one part


def test_others_are_not() -> None:
    looks = rows_of([look_of(drawing(seed)) for seed in range(60)])
    assert (are_near(looks, looks) == np.eye(60, dtype=bool)).all()
    image = drawing(1)
    others = [
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        image.resize((640, 600)),
        image.convert("L").convert("RGB"),
        image.crop((60, 60, 580, 450)),
        image.point(lambda value: 255 - value),
    ]
    assert not any(near(image, other) for other in others)


def test_plain_pictures_are_told_apart_by_their_colour() -> None:
    colours = ["red", "green", "blue", "white", "black", "yellow"]
    looks = rows_of([look_of(solid(colour)) for colour in colours])
    assert (are_near(looks, looks) == np.eye(len(colours), dtype=bool)).all()
    assert near(solid("red"), solid("red").resize((80, 60)))
    assert not near(noise(1), noise(2))


@pytest.mark.parametrize("is_shaded", [False, True])
def test_thousands_of_plain_pictures_are_not_compared_each_with_each(is_shaded: bool) -> None:
    random = np.random.default_rng(0)
    rows = np.zeros((2000, 3 + 144 + 48), np.float32)
    colours = random.integers(0, 64, (2000, 1, 3)) * np.float32(255 / 63)
    rows[:, 147:] = np.broadcast_to(colours, (2000, 16, 3)).reshape(2000, 48)
    rows[:, 1] = colours[:, 0] @ np.array([0.299, 0.587, 0.114], np.float32)
    rows[:, 2] = 3
    if is_shaded:
        rows[:, 3:147] = np.linspace(-1.7, 1.7, 144)
    found, near = candidates(rows, rows, NearLimits()), are_near(rows, rows)
    apart = np.abs(rows[:, None, 147:150] - rows[None, :, 147:150]).max(2)
    alike = np.abs(rows[:, None, 1] - rows[None, :, 1]) <= 18
    assert (near == ((apart <= 18) & alike)).all()
    assert not (near & ~found).any()
    assert found.sum() < 3 * near.sum() < 0.01 * len(rows) ** 2


def test_a_faint_drawing_is_no_other_faint_drawing() -> None:
    grounds = [Image.new("RGB", (400, 400), "white") for _ in range(2)]
    ImageDraw.Draw(grounds[0]).ellipse((40, 40, 360, 360), outline="grey")
    ImageDraw.Draw(grounds[1]).line((40, 40, 360, 360), "grey")
    assert not near(*grounds)
    assert near(grounds[0], grounds[0].resize((200, 200), Image.Resampling.LANCZOS))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=40))
def test_the_first_near_one_is_found(seeds: list[int]) -> None:
    kin = [look_of(drawing(seed, (96, 64))) for seed in range(4)]
    first: dict[int, int] = {}
    expected = [first.setdefault(seed, place) for place, seed in enumerate(seeds)]
    assert first_near([kin[seed] for seed in seeds]) == expected


@pytest.mark.parametrize(
    "text", ["", "A" * (LENGTH - 1), "A" * LENGTH + "A", "é" * LENGTH, None, 3]
)
def test_what_is_no_look_is_refused(text: object) -> None:
    assert not is_look(text)
    with pytest.raises(ValueError, match="no look"):
        rows_of([text])  # type: ignore[list-item]


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (47, 49)])
def test_every_picture_has_a_look(size: tuple[int, int]) -> None:
    assert is_look(look_of(Image.new("RGB", size, "red")))
