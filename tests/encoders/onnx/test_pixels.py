"""EfficientNet's pictures as transformers' own processor makes them, however it is set."""

from __future__ import annotations

from itertools import product

import numpy as np

from tests.support.pictures import noise
from unisem.encoders.onnx.pixels import Pixels


def test_efficientnets_pixels_are_the_processors() -> None:
    from transformers import EfficientNetImageProcessorPil

    pictures = [noise(0, (50, 40)), noise(1, (20, 33))]
    for offset, top, normal in product((False, True), repeat=3):
        processor = EfficientNetImageProcessorPil(
            size={"height": 32, "width": 24},
            image_mean=[0.4, 0.5, 0.6],
            image_std=[0.2, 0.5, 0.7],
            rescale_factor=1 / (127.5 if offset else 255),
            rescale_offset=offset,
            include_top=top,
            do_normalize=normal,
        )
        theirs = np.stack(processor(pictures)["pixel_values"])
        np.testing.assert_allclose(Pixels.from_processor(processor).of(pictures), theirs, atol=1e-5)
