"""How often zero-shot tags are right: the threshold is chosen on half of the pictures.

    python -m benchmarks.tags [--encoder mini] [--library DIR]

Pictures are those of the held-out part of the Open Clip Art Library (`benchmarks.open_clip_art`),
which `mini` was not trained on. A tag counts as right if all its words stand in the title or the
keywords that a person gave the picture, whichever of them is a plural. A tag that is true and was
not mentioned counts as wrong, so that precision is a lower bound. The threshold with the greatest
F1 on pictures at even places is chosen; the table is of those at odd places. Without ``--library``
the two Debian packages are fetched with ``apt-get download`` (156 MB).
"""

from __future__ import annotations

import argparse
import re
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.captioners import TagCaptioner
from unisem.errors import ImageError
from unisem.images.reference import open_image

THRESHOLDS = (2.0, 2.5, 3.0, 3.25, 3.5, 3.75, 4.0, 5.0)
_SIDE = 512  # pixels
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Figures:
    """What a threshold gives.

    Attributes:
        precision: Of the tags given, those that are right.
        recall: Of the right tags, those given.
        tags: Tags a picture.
        wordless: Share of pictures without a tag.
    """

    precision: float
    recall: float
    tags: float
    wordless: float

    @classmethod
    def of(
        cls, scores: NDArray[np.float64], right: NDArray[np.bool_], threshold: float, most: int = 5
    ) -> Figures:
        """Count; see `TagCaptioner` for what is given.

        Args:
            scores: ``(n, tags)``.
            right: ``(n, tags)``, which are right.
            threshold: The least score of a tag that is given.
            most: Tags of a picture at most.
        """
        best = np.argsort(-scores, axis=1, kind="stable")[:, :most]
        given = np.zeros_like(right)
        np.put_along_axis(given, best, True, axis=1)
        given &= scores >= threshold
        hits = int((given & right).sum())
        return cls(
            hits / max(1, int(given.sum())),
            hits / max(1, int(right.sum())),
            float(given.sum(axis=1).mean()),
            float((~given.any(axis=1)).mean()),
        )

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def right_tags(captions: list[str], tags: list[str]) -> NDArray[np.bool_]:
    """``(captions, tags)``: whether all words of a tag stand in a caption."""
    said = [set().union(*map(_forms, _words(caption))) for caption in captions]
    wanted = [[_forms(word) for word in _words(tag)] for tag in tags]
    return np.array([[all(it & found for it in words) for words in wanted] for found in said])


def _words(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


def _forms(word: str) -> set[str]:
    """A word, and what it is without the end of a plural, if it is one."""
    return {word, re.sub("(?<=[a-z]{2})s$", "", word), re.sub("(?<=[a-z]{2})es$", "", word)}


def main() -> None:
    """Encode, choose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    options = parser.parse_args()
    captioner = TagCaptioner(load_encoder(options.encoder))
    with nullcontext(options.library) if options.library else fetched_library() as library:
        _, pairs = load_split(library)
        owners = [found[0] for found in pairs.captions_of_pictures]
        scores, kept = [], []
        for start in track(range(0, len(pairs.pictures), _BATCH), "encoding pictures"):
            opened = []
            for place in range(start, min(start + _BATCH, len(pairs.pictures))):
                try:
                    opened.append(open_image(pairs.pictures[place], min_side=_SIDE))
                except ImageError:
                    continue
                kept.append(place)
            scores.append(captioner.scores(opened))
    rows = np.concatenate(scores)
    right = right_tags([pairs.captions[owners[place]] for place in kept], captioner.tags)
    even = np.arange(len(kept)) % 2 == 0
    chosen = max(THRESHOLDS, key=lambda it: Figures.of(rows[even], right[even], it).f1)
    table = Table("threshold", "precision", "recall", "F1", "tags a picture", "without a tag")
    for threshold in THRESHOLDS:
        found = Figures.of(rows[~even], right[~even], threshold)
        figures = (found.precision, found.recall, found.f1, found.tags)
        mark = " (chosen)" if threshold == chosen else ""
        table.add_row(
            f"{threshold}{mark}", *(f"{it:.3f}" for it in figures), f"{100 * found.wordless:.0f} %"
        )
    best = rows[~even].argmax(axis=1)
    tagged = right[~even].any(axis=1)
    first = right[~even][np.arange(len(best)), best][tagged].mean()
    console = Console()
    console.print(
        f"{options.encoder}, {len(captioner.tags)} tags, {int((~even).sum())} pictures; of the "
        f"{int(tagged.sum())} that have a right tag the best tag is one in {100 * first:.0f} %"
    )
    console.print(table)


if __name__ == "__main__":
    main()
