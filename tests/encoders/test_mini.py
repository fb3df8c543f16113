"""The shipped encoder makes sense, on pictures drawn here."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from unisem import Encoder, load_encoder
from unisem.encoders.mini import FINGERPRINT, MODEL_DIRECTORY
from unisem.models.finding import fingerprint_model


@pytest.fixture(scope="module")
def mini() -> Encoder:
    return load_encoder("mini")


def traffic_light() -> Image.Image:
    image = Image.new("RGB", (300, 600), (120, 170, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 60, 210, 420), fill=(25, 25, 25))
    draw.rectangle((140, 420, 160, 600), fill=(40, 40, 40))
    for top, colour in ((80, (255, 30, 20)), (195, (80, 70, 0)), (310, (0, 70, 20))):
        draw.ellipse((105, top, 195, top + 90), fill=colour)
    return image


def test_it_knows_what_it_sees(mini: Encoder) -> None:
    picture = mini.encode_images([traffic_light()])[0]
    words = ["a traffic light", "a bowl of soup", "a sleeping dog", "a violin"]
    scores = mini.encode_texts(words, role="query") @ picture
    assert words[int(np.argmax(scores))] == "a traffic light"
    assert scores[0] > 0.3


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_batches_of_no_size_are_refused(mini: Encoder, batch_size: Any) -> None:
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        mini.encode_texts(["a", "b"], batch_size=batch_size)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        mini.encode_images([traffic_light()], batch_size=batch_size)


def test_text_nearness_is_minilms(mini: Encoder) -> None:
    cat, tiger, teapot = mini.encode_texts(["a big striped cat", "a tiger", "a teapot"])
    assert cat @ tiger > 0.3 > cat @ teapot


def test_a_wide_picture_is_padded_not_squashed(mini: Encoder) -> None:
    light = traffic_light()
    square = Image.new("RGB", (600, 600), "white")
    square.paste(light, (150, 0))
    vectors = mini.encode_images([light, square])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_it_loads_and_runs_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh = load_encoder("mini")
        fresh.encode_images([traffic_light()])
        fresh.encode_texts(["a cat " * 600])


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_half_precision_stays_near(mini: Encoder, dtype: str) -> None:
    half = load_encoder("mini", dtype=dtype)
    near = half.encode_images([traffic_light()])[0] @ mini.encode_images([traffic_light()])[0]
    assert near > 0.98


@pytest.mark.parametrize(
    "size", [(1, 300_000), (300_000, 1), (20_000, 700), (2000, 1000), (640, 480), (30, 30)]
)
def test_oblong_pictures_are_prepared_in_little_memory(
    mini: Encoder, size: tuple[int, int]
) -> None:
    prepared = mini.prepare_image(Image.new("RGB", size, "red"))
    assert prepared.width == prepared.height < 896
    assert mini.prepare_image(prepared).size == prepared.size


def test_its_fingerprint_is_that_of_its_files() -> None:
    assert load_encoder("mini").fingerprint == fingerprint_model(MODEL_DIRECTORY) == FINGERPRINT
