"""`ShownImages` keeps what was used last, and no more than it may."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from langchain_unisem.middleware.shown import ShownImages
from unisem.errors import ImageError
from unisem.images.for_models import ModelImage


def reader(name: str, size: int, read: list[str]) -> Callable[[], ModelImage]:
    def make() -> ModelImage:
        read.append(name)
        return ModelImage(name.encode() * size, "image/png")

    return make


def test_against_a_list_of_what_was_used_last() -> None:
    generator = np.random.default_rng(3)
    sizes = {name: int(generator.integers(1, 40)) for name in "abcdefgh"}
    shown, used = ShownImages(bytes=60), list[str]()
    for name in generator.choice(list(sizes), 500):
        read: list[str] = []
        image = shown.get(name, reader(name, sizes[name], read))
        assert image.data == name.encode() * sizes[name]
        assert bool(read) == (name not in used)
        used = [*(other for other in used if other != name), name]
        while sum(sizes[other] for other in used) > 60:
            used.pop(0)


def test_a_picture_that_cannot_be_read_is_tried_again() -> None:
    shown, read = ShownImages(bytes=60), list[str]()

    def fail() -> ModelImage:
        raise ImageError("a.png", "does not exist")

    with pytest.raises(ImageError):
        shown.get("a", fail)
    assert shown.get("a", reader("a", 1, read)).data == b"a"
    assert read == ["a"]


def test_threads_share_it() -> None:
    shown = ShownImages(bytes=200)

    def use(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 30, 400):
            name = chr(ord("a") + number)
            assert shown.get(name, reader(name, number + 1, [])).data == name.encode() * (
                number + 1
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    # What is kept now is no more than 200 bytes: reading all anew tells what was kept.
    read: list[str] = []
    kept = 0
    for number in range(30):
        name = chr(ord("a") + number)
        before = len(read)
        probe = ShownImages.get(shown, name, reader(name, number + 1, read))
        kept += len(probe.data) if len(read) == before else 0
    assert kept <= 200
