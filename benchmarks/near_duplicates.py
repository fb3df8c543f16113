"""`without_near_duplicates`: the held-out pictures that no training picture nearly repeats.

The Open Clip Art Library holds many drawings more than once: in several folders, in other colours,
as a series. Their captions often differ, so that one ends up held out and its twin does not. Both
pictures are cut to what is not white and scaled to 24 pixels; closer than `LIMIT` (root mean
square, of a range of 1) they count as near duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.open_clip_art import Pairs
from tools.mini_training.views import cut_to_content
from unisem.errors import ImageError
from unisem.images.reference import open_image

LIMIT = 0.1
SIDE = 24


def without_near_duplicates(pairs: Pairs, training: Pairs) -> tuple[Pairs, list[int], list[int]]:
    """The stricter set, and where its captions and pictures were in ``pairs``.

    Captions that lose all their pictures are left out.
    """
    distance = nearest(thumbnails(pairs.pictures), thumbnails(training.pictures))
    kept = [position for position, value in enumerate(distance) if value >= LIMIT]
    place = {old: new for new, old in enumerate(kept)}
    relevant = [[place[p] for p in owned if p in place] for owned in pairs.relevant]
    captions = [position for position, owned in enumerate(relevant) if owned]
    strict = Pairs(
        [pairs.captions[position] for position in captions],
        [pairs.pictures[position] for position in kept],
        [relevant[position] for position in captions],
    )
    return strict, captions, kept


def thumbnails(paths: Sequence[Path]) -> NDArray[np.float32]:
    """``(n, 1728)`` in 0 to 1; not-a-number for a picture that is refused."""
    rows = np.full((len(paths), SIDE * SIDE * 3), np.nan, np.float32)
    for position, path in enumerate(paths):
        try:
            picture = cut_to_content(open_image(path, min_side=2 * 224))
        except ImageError:
            continue
        small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
        rows[position] = np.asarray(small, np.float32).ravel() / 255
    return rows


def nearest(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square distance of each row to the nearest other one; 1 where there is none."""
    theirs = theirs[~np.isnan(theirs).any(1)]
    squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * ours @ theirs.T
    distance = np.sqrt(np.maximum(squares, 0).min(1) / ours.shape[1])
    return np.nan_to_num(distance, nan=1.0)
