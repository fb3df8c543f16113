"""Only the picture that was found is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from unisem import Record
from unisem.captions import with_caption
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.contents import Item, as_found, contents


def picture(path: Path, colour: str) -> ImageRef:
    Image.new("RGB", (40, 30), colour).save(path)
    return ImageRef(path=path).inspected()


@pytest.mark.parametrize("side", [8, 1536], ids=["scaled down", "as it is"])
def test_a_picture_that_was_replaced_is_not_shown_under_the_old_reference(tmp_path, side):
    found = picture(tmp_path / "a.png", "red")
    assert image_for_model(found, side=side).mime_type == "image/png"
    picture(tmp_path / "a.png", "blue")
    with pytest.raises(ImageError, match="has changed since it was indexed; add it again"):
        image_for_model(found, side=side)
    item = Item(id="a", text="a red card", image=found)
    (content,) = contents([item], ImageLimits(side=side))
    assert (content.image, content.omitted) == (None, "has changed since it was indexed")


def test_a_record_is_what_was_found_only_by_the_digest_of_its_picture(tmp_path):
    red, blue = picture(tmp_path / "a.png", "red"), picture(tmp_path / "b.png", "blue")
    record = Record(id="a", text="a card", image=red)
    assert as_found(record, red.sha256) is record
    assert as_found(record, blue.sha256) is None
    assert as_found(record, None) is None  # what was found was a text
    assert as_found(Record(id="a", text="a card"), red.sha256) is None
    assert as_found(None, red.sha256) is None


def test_a_record_becomes_an_item_that_says_who_wrote_its_caption(tmp_path):
    image = picture(tmp_path / "a.png", "red")
    record = with_caption(Record(id="a", image=image), "a red card", "blip")
    item = Item.of(record, {"year": 2024})
    assert item == Item(
        text="a red card",
        id="a",
        metadata={"year": 2024},
        generated=True,
        size=(40, 30),
        image=image,
    )
    assert Item.of(Record(id="t", text="a text"), {}) == Item(text="a text", id="t")
