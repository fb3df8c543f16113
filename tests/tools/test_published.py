"""`mini` was trained on no picture that it is shown on or measured on."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from benchmarks.natural_pictures import unpacked
from benchmarks.near_duplicates import LIMIT, Looks, distances, thumbnail
from tools.build_gallery import read_selection
from tools.mini_training import pictures
from tools.mini_training.published import GALLERY, HELD_OUT, new_to, pinned, published
from tools.open_clip_art import fetched_library
from unisem import load_encoder


def test_what_was_trained_on_and_what_is_published_share_no_file() -> None:
    digests = pinned()
    assert set(digests) == {"trained", GALLERY, HELD_OUT}
    assert all(len(digest) == 64 for of_set in digests.values() for digest in of_set)
    assert len(digests["trained"]) > 1200
    assert not digests["trained"] & digests[GALLERY]
    assert not digests["trained"] & digests[HELD_OUT]
    # Of the files in the library that hold one picture the gallery may have chosen two.
    assert 0.95 * len(read_selection()) < len(digests[GALLERY]) <= len(read_selection())


def test_rows_that_repeat_a_published_picture_are_left_out() -> None:
    random = np.random.default_rng(0)
    looks = Looks(np.array(list("abcde")), random.random((5, 1728)).astype(np.float32))
    known = {
        "by its bytes": Looks(np.array(["b"]), np.full((1, 1728), np.nan, np.float32)),
        "by its look": Looks(np.array([""]), looks.thumbnails[3:4] + np.float32(0.05)),
    }
    assert new_to(known, looks).tolist() == [True, False, True, False, True]


@pytest.mark.slow
def test_the_pinned_pictures_are_those_of_the_recipe() -> None:
    """Takes the library from $UNISEM_CLIP_ART and packages from $UNISEM_PICTURES, or fetches."""
    library_at, packages_at = (
        Path(os.environ[name]) if name in os.environ else None
        for name in ("UNISEM_CLIP_ART", "UNISEM_PICTURES")
    )
    with (
        nullcontext(library_at) if library_at else fetched_library() as library,
        unpacked(packages_at) as packages,
    ):
        known = published(library, packages)
        drawn = [
            (drawing.digest, thumbnail(drawing.image))
            for drawing in pictures.clip_art(library, load_encoder("mini"))
        ]
    digests, thumbnails = map(np.array, zip(*drawn, strict=True))
    looks = Looks(digests, thumbnails)
    digests = pinned()
    moved = set(looks.digests[new_to(known, looks)]) ^ digests["trained"]
    # Decoders differ a little about WebP, so that what lies at the limit may fall to either side.
    webp = known["whole photographs"].thumbnails
    near = distances(looks.thumbnails[np.isin(looks.digests, list(moved))], webp).min(1)
    np.testing.assert_allclose(near, LIMIT, rtol=0.005)
    for name in (GALLERY, HELD_OUT):
        assert set(known[name].digests) == digests[name]
