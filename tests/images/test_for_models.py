"""Pictures as chat models are sent them, within limits of pixels and bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from tests.support.pictures import encoded, noise, solid
from unisem import ImageRef
from unisem.errors import ImageError
from unisem.images.for_models import image_for_model


def test_a_picture_of_too_many_bytes_becomes_a_jpeg_before_it_is_made_smaller() -> None:
    picture = Image.effect_noise((400, 300), 20).convert("RGB")
    data = encoded(picture)
    assert image_for_model(ImageRef(data=data), max_bytes=len(data)).data == data
    sent = image_for_model(ImageRef(data=data), max_bytes=len(data) - 1)
    assert sent.mime_type == "image/jpeg"
    assert Image.open(BytesIO(sent.data)).size == (400, 300)
    for most in (20_000, 5_000, 1_000):
        sent = image_for_model(ImageRef(data=data), max_bytes=most)
        assert len(sent.data) <= most


def test_what_a_jpeg_would_not_make_smaller_stays_as_it_is() -> None:
    data = encoded(solid("red", (40, 30)))
    sent = image_for_model(ImageRef(data=data), max_bytes=len(data) - 1)
    assert sent.mime_type == "image/png"
    assert len(sent.data) < len(data)
    with pytest.raises(ImageError, match="does not fit into 10 bytes"):
        image_for_model(ImageRef(data=encoded(noise(1))), max_bytes=10)
