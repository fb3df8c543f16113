"""What counts as a repeated picture, on pictures drawn here and by the formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.near_duplicates import Looks, distances, thumbnail, without_near_duplicates
from benchmarks.open_clip_art import Pairs


def drawing(seed: int) -> Image.Image:
    """Five rectangles on white, no two seeds alike."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((30, 30, 270, 270), fill=tuple(random.integers(0, 200, 3)))
    for _ in range(5):
        (left, right), (top, bottom) = np.sort(random.integers(30, 270, (2, 2)))
        colour = tuple(random.integers(0, 255, 3))
        draw.rectangle((left, top, right + 9, bottom + 9), fill=colour)
    return image


def written(folder: Path, **images: Image.Image | bytes) -> list[Path]:
    paths = []
    for name, image in images.items():
        paths.append(folder / f"{name}.png")
        if isinstance(image, bytes):
            paths[-1].write_bytes(image)
        else:
            image.save(paths[-1])
    return paths


def test_distances_are_the_formula_for_the_nearer_of_a_row_and_its_mirror_image() -> None:
    random = np.random.default_rng(0)
    ours, theirs = (random.random((n, 24 * 24 * 3)).astype(np.float32) for n in (4, 6))
    theirs[2] = np.nan
    found = distances(ours, theirs)
    for i, j in np.ndindex(4, 6):
        turned = theirs[j].reshape(24, 24, 3)[:, ::-1].ravel()
        each = [np.sqrt(np.mean((ours[i] - other) ** 2)) for other in (theirs[j], turned)]
        assert found[i, j] == pytest.approx(1 if j == 2 else min(each), abs=1e-4)


def test_a_picture_is_known_again_smaller_mirrored_or_moved() -> None:
    image = drawing(1)
    moved = Image.new("RGB", (500, 400), "white")
    moved.paste(image, (150, 20))
    known = Looks.of_images([image])
    again = [
        image.resize((120, 120)),
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        moved,
        image.point(lambda value: min(255, value + 10)),
    ]
    assert Looks.of_images(again).repeat(known).all()
    assert not Looks.of_images([drawing(seed) for seed in range(2, 12)]).repeat(known).any()


def test_pictures_that_cannot_be_opened_are_known_by_their_bytes(tmp_path: Path) -> None:
    first, second, other = written(tmp_path, a=b"no picture", b=b"no picture", c=b"none either")
    assert Looks.of_files([first, other]).repeat(Looks.of_files([second])).tolist() == [True, False]
    no_files = Looks.of_images([drawing(1)])
    assert not no_files.repeat(Looks.of_images([drawing(2)])).any()  # "" is no digest


def test_of_repeats_the_first_is_distinct() -> None:
    looks = Looks.of_images([drawing(1), drawing(2), drawing(1), drawing(3), drawing(2)])
    assert looks.distinct().tolist() == [True, True, False, True, False]
    np.testing.assert_array_equal(looks.thumbnails[0], thumbnail(drawing(1)))


def test_the_strict_set_repeats_neither_training_nor_itself(tmp_path: Path) -> None:
    paths = written(
        tmp_path,
        old=drawing(1),
        again=drawing(1).resize((150, 150)),
        new=drawing(2),
        twice=drawing(2),
        more=drawing(3),
    )
    training = Pairs(["old"], paths[:1], [[0]])
    held_out = Pairs(["again", "new", "twice", "both"], paths[1:] + paths[1:2], [[0], [1], [2], []])
    held_out.relevant[3] += [3, 4]
    strict, captions, kept = without_near_duplicates(held_out, training)
    assert (captions, kept) == ([1, 3], [1, 3])
    assert strict.captions == ["new", "both"]
    assert strict.pictures == [paths[2], paths[4]]
    assert strict.relevant == [[0], [1]]
