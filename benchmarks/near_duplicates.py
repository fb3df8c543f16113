"""`Looks`: which pictures repeat another, to the byte or nearly.

Nearly: both are cut to their content and shrunk to 24 pixels a side, and one is closer to the
other, or to its mirror image, than `LIMIT` (root mean square, of a range of 1). What a model is
trained on and what it is measured on are held against each other by this one measure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What tells that one picture repeats another.

    Attributes:
        digests: ``(n,)``, the sha256 of each file in hex; empty for a picture that is no file.
        thumbnails: ``(n, 1728)`` float32 in 0 to 1; not-a-number for a picture that is refused,
            which only its bytes can tell.
    """

    digests: NDArray[np.str_]
    thumbnails: NDArray[np.float32]

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Looks:
        """Of picture files."""
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        rows = np.full((len(paths), SIDE * SIDE * 3), np.nan, np.float32)
        for row, path in zip(rows, paths, strict=True):
            try:
                row[:] = thumbnail(open_image(path, min_side=2 * 224))
            except ImageError:
                continue
        return cls(np.array(digests, "U64"), rows)

    @classmethod
    def of_images(cls, images: Sequence[Image.Image]) -> Looks:
        """Of decoded pictures, RGB."""
        rows = np.array([thumbnail(image) for image in images], np.float32)
        return cls(np.zeros(len(images), "U64"), rows)

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_] | list[int]) -> Looks:
        return Looks(self.digests[rows], self.thumbnails[rows])

    def matches(self, others: Looks) -> NDArray[np.bool_]:
        """Where one of these and one of the others are the same or nearly, ``(n, m)``."""
        same = (self.digests[:, None] == others.digests) & (self.digests != "")[:, None]
        return np.asarray(same | (distances(self.thumbnails, others.thumbnails) < LIMIT))

    def repeat(self, others: Looks) -> NDArray[np.bool_]:
        """Which of these repeat one of the others, ``(n,)``."""
        return np.asarray(self.matches(others).any(1))

    def distinct(self) -> NDArray[np.bool_]:
        """Which of these repeat none before them that is distinct itself, ``(n,)``."""
        near, kept = self.matches(self), np.zeros(len(self.digests), bool)
        for row in range(len(kept)):
            kept[row] = not near[row, kept].any()
        return kept


def thumbnail(image: Image.Image) -> NDArray[np.float32]:
    """What is left of an RGB picture at 24 pixels a side, ``(1728,)`` in 0 to 1."""
    small = cut_to_content(image).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255


def distances(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square distance of each row to each other one, as it is or mirrored, ``(n, m)``.

    1 where there is no thumbnail.
    """
    mirrored = theirs.reshape(-1, SIDE, SIDE, 3)[:, :, ::-1].reshape(theirs.shape)
    alike = np.maximum(ours @ theirs.T, ours @ mirrored.T)
    squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * alike
    return np.nan_to_num(np.sqrt(np.maximum(squares, 0) / ours.shape[1]), nan=1.0)


def without_near_duplicates(pairs: Pairs, training: Pairs) -> tuple[Pairs, list[int], list[int]]:
    """The strict set, and where its captions and pictures were in ``pairs``.

    No picture of it repeats one of ``training`` or another of its own, of which the first is kept.
    Captions that lose all their pictures are left out.
    """
    ours = Looks.of_files(pairs.pictures)
    new = np.flatnonzero(~ours.repeat(Looks.of_files(training.pictures)))
    kept = new[ours[new].distinct()].tolist()
    place = {old: position for position, old in enumerate(kept)}
    relevant = [[place[p] for p in owned if p in place] for owned in pairs.relevant]
    captions = [position for position, owned in enumerate(relevant) if owned]
    strict = Pairs(
        [pairs.captions[position] for position in captions],
        [pairs.pictures[position] for position in kept],
        [relevant[position] for position in captions],
    )
    return strict, captions, kept
