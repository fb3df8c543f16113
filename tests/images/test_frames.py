"""Animations: which frames are looked at, and what a space finds by them."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.frames import middle_frame
from unisem.ingest.frames import frames_for
from unisem.ingest.looking import looked_at
from unisem.ingest.ray.embedding import Parcel, ParcelEmbedder

COLOURS = ["red", "yellow", "green", "blue", "black"]
KINDS = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "AVIF": {"quality": 95}}


def moving(kind: str, colours: list[str] = COLOURS, size: tuple[int, int] = (60, 40)) -> bytes:
    frames = [Image.new("RGB", size, colour) for colour in colours]
    more = {"save_all": True, "append_images": frames[1:], "duration": 80}
    return encoded(frames[0], kind, **more, **KINDS[kind])


def colour(data: bytes, page: int) -> tuple[int, ...]:
    found = decode_image(data, "t", page=page)
    pixel = found.getpixel((found.width // 2, found.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize("kind", KINDS)
def test_the_middle_of_an_animation_is_found_and_drawn(kind: str) -> None:
    data = moving(kind)
    assert middle_frame(data, "t") == 3
    for page, expected in ((1, (255, 0, 0)), (3, (0, 128, 0))):
        assert np.abs(np.subtract(colour(data, page), expected)).max() < 12


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_move_has_one_frame(kind: str) -> None:
    assert middle_frame(encoded(Image.new("RGB", (9, 9)), kind), "t") == 1


def test_a_second_picture_behind_a_photograph_is_no_frame() -> None:
    pair = [Image.new("RGB", (60, 40), name) for name in ("red", "blue")]
    assert middle_frame(encoded(pair[0], "MPO", save_all=True, append_images=pair[1:]), "t") == 1


def test_of_a_long_one_what_is_reached_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data = moving("GIF")
    monkeypatch.setattr("unisem.images.frames._FARTHEST", 60 * 40)
    assert middle_frame(data, "t") == 2


def test_there_is_one_hit_by_either_frame(tmp_path: Path) -> None:
    encoder = ToyEncoder()
    space = SemanticSpace.open(tmp_path / "a.unisem", encoder=encoder)
    data = moving("GIF", ["red", "red", "blue", "blue"])
    space.add([Record(id="moving", image=data), Record(id="still", image=moving("GIF", ["red"]))])
    (found,) = space.store.vectors(["moving"])
    assert found is not None
    frames = [Image.new("RGB", (60, 40), name) for name in ("red", "blue")]
    assert np.allclose(found["image"], encoder.encode_images(frames), atol=1e-6)
    hits = space.search(image=frames[1], k=5)
    assert [hit.record.id for hit in hits] == ["moving", "still"]
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_another_machine_makes_the_same_vectors() -> None:
    encoder = ToyEncoder()
    images = [moving("GIF"), b"no picture", moving("GIF", ["red"])]
    parcel = Parcel([], images, [None] * len(images), [True] * len(images))
    made = ParcelEmbedder(lambda: encoder, encoder.fingerprint).embed(parcel)
    assert [rows.shape for rows in made.images] == [(2, encoder.dimension), (encoder.dimension,)]
    expected = encoder.encode_prepared(list(frames_for(encoder, images[0])))
    assert np.array_equal(made.images[0], expected)
    assert list(made.faults) == [1]


def test_animations_that_begin_alike_are_not_the_same(tmp_path: Path) -> None:
    space = SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder())
    kinds = {name: moving("GIF", ["white", "white", name, name]) for name in ("red", "blue")}
    space.add([Record(id=name, image=data) for name, data in kinds.items()])
    query = Image.new("RGB", (60, 40), "white")
    assert len(space.search(image=query, k=5, duplicates="near")) == 2
    records = list(space.store.select())
    assert [it.image.look for it in looked_at(records) if it.image] == [
        it.image.look for it in records if it.image
    ]


def test_a_download_cut_short_is_found_by_what_there_is(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    first, *others = map(Image.fromarray, noise)
    data = encoded(first, "PNG", save_all=True, append_images=others)
    half = data[: data.index(b"fdAT") + 3_000]  # within the second of three frames
    assert middle_frame(half, "t") > 1
    with pytest.raises(ImageError):
        decode_image(half, "t", page=middle_frame(half, "t"))
    space = SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder())
    space.add([Record(id="half", image=half)])
    (found,) = space.store.vectors(["half"])
    assert found is not None
    assert found["image"].ndim == 1


def test_frames_that_are_announced_and_not_there_cost_nothing() -> None:
    data = bytearray(moving("PNG"))
    at = data.index(b"acTL") + 4
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "big")
    data[at + 8 : at + 12] = crc32(data[at - 4 : at + 8]).to_bytes(4, "big")
    middle = middle_frame(bytes(data), "t")
    assert middle == 100_001
    with pytest.raises(ImageError, match="has no page 100001"):
        decode_image(bytes(data), "t", page=middle)
