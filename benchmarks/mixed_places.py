"""How many of the first ten places texts may have when pictures ask, and what that costs pictures.

    python -m benchmarks.mixed_places [--library DIR] [--packages DIR] [--work build/mixed]

The gallery with `mini`, halved twenty times, as in `benchmarks.mixed`. The scores of texts are
moved against those of pictures; places are dealt: so many texts, at these places, the rest
pictures, each kind in its own order; and both kinds are put on one scale in other ways, by how a
score stands in the bank of its kind: in deviations from the mean of the nearest share of it (a
tenth is what a calibration does), from its k-th best, or by the share of it that is below.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed import sample_of
from benchmarks.mixed_data import MixedData, Things
from tools.open_clip_art import fetched_library
from unisem.calibration import Calibration, fit_calibration
from unisem.calibration.kinds import DocumentKind
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats

SPLITS = range(20)
MOVED = (-4.0, -3.0, -2.0, -1.0, 0.0, 0.25, 0.5)
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
DEALT = ((0,), (0, 9), (0, 4, 9), (0, 2, 4, 7, 9), (0, 6, 7, 8, 9))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--packages", type=Path, help="Debian packages that are there already")
    parser.add_argument("--work", type=Path, default=Path("build/mixed"))
    options = parser.parse_args()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        data = MixedData.of(library, options.packages, options.work)
    figures: dict[str, list[list[float]]] = {}
    for split in SPLITS:
        halves = np.array_split(np.random.default_rng(split).permutation(len(data.gallery)), 2)
        one, other = halves[0], np.sort(halves[1])
        fitted = fit_calibration(
            sample_of(data.gallery[one], same_words=True), fingerprint="mini", seed=split
        )
        things, near = data.gallery[other], data.alike[np.ix_(other, other)].copy()
        np.fill_diagonal(near, False)
        count = len(things)
        stored = np.vstack([things.texts, things.images])
        scores = fitted.scores(things.images, "image", stored, np.arange(2 * count) >= count)
        scores[np.arange(count), count + np.arange(count)] = -np.inf
        ways = {f"texts {by:+g}": moved(scores, by) for by in MOVED}
        for places in DEALT:
            said = ", ".join(str(place + 1) for place in places)
            ways[f"texts at {said}"] = dealt(scores, places)
        ways |= on_other_scales(fitted, things)
        for name, tried in ways.items():
            figures.setdefault(name, []).append(measured(tried, near))
    print("| way | texts' places | hit@1 | hit@10 | nDCG@10 | of pictures |\n" + "|---" * 6 + "|")
    for name, rows in figures.items():
        print(f"| {name} | " + " | ".join(f"{it:.3f}" for it in np.mean(rows, axis=0)) + " |")


def moved(scores: Floats, by: float) -> Floats:
    """Scores with those of texts moved."""
    found = scores.copy()
    found[:, : scores.shape[1] // 2] += by
    return found


def dealt(scores: Floats, places: tuple[int, ...]) -> Floats:
    """Scores by which texts stand at some of the first ten places, and pictures at the others."""
    count = scores.shape[1] // 2
    texts = np.argsort(-scores[:, :count], axis=1)
    images = count + np.argsort(-scores[:, count:], axis=1)
    found = np.full_like(scores, -np.inf)
    for row, said, shown in zip(found, texts, images, strict=True):
        kinds = iter(said), iter(shown)
        for place in range(10):
            row[next(kinds[0] if place in places else kinds[1])] = -place
    return found


def on_other_scales(fitted: Calibration, things: Things) -> dict[str, Floats]:
    """Scores of captions and pictures, each kind by its own bank, in several ways."""
    asked = np.stack([query.vector for query in fitted.queries(things.images, "image")])
    products: dict[DocumentKind, tuple[Floats, Floats]] = {}
    for kind, stored in (("text", things.texts), ("image", things.images)):
        bank = fitted.documents_of[kind].bank
        own, others = (
            asked @ fitted.documents(rows, np.full(len(rows), kind == "image")).T
            for rows in (stored, bank)
        )
        products[kind] = own.astype(np.float64), -np.sort(-others.astype(np.float64), axis=1)
    scales: dict[str, Callable[[Floats, Floats], Floats]] = {
        f"nearest {share:.0%}": partial(standardised, share=share) for share in SHARES
    }
    scales |= {f"from the {k}. best": partial(standardised, share=0.1, place=k) for k in (1, 5)}
    scales["share below"] = share_below
    made = {}
    for name, scale in scales.items():
        found = np.hstack([scale(*products["text"]), scale(*products["image"])])
        rows = np.arange(len(things))
        found[rows, len(things) + rows] = -np.inf
        made[name] = found
    return made


def standardised(own: Floats, bank: Floats, share: float, place: int | None = None) -> Floats:
    """In deviations of the bank's nearest share, from its mean or from the bank's k-th best."""
    nearest = bank[:, : max(2, round(share * bank.shape[1]))]
    centre = nearest.mean(axis=1) if place is None else nearest[:, place - 1]
    return (own - centre[:, None]) / nearest.std(axis=1)[:, None]


def share_below(own: Floats, bank: Floats) -> Floats:
    """The share of the bank that is below; equals by deviations."""
    rising = bank[:, ::-1]
    below = [np.searchsorted(row, values) for row, values in zip(rising, own, strict=True)]
    return np.stack(below) / bank.shape[1] + 1e-4 * standardised(own, bank, 0.1)


def measured(scores: Floats, near: NDArray[np.bool_]) -> list[float]:
    """Texts' places, hit@1, hit@10 of the caption, nDCG@10 of all answers, and of pictures only."""
    count = len(scores)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    captions = Ranking.of(scores, [[row] for row in range(count)])
    pictures = [(count + np.flatnonzero(row)).tolist() for row in near]
    every = Ranking.of(scores, [[row, *some] for row, some in enumerate(pictures)])
    some = [row for row in range(count) if pictures[row]]
    alone = Ranking.of(scores[some], [pictures[row] for row in some])
    values = captions.hit(1), captions.hit(10), every.ndcg(10), alone.ndcg(10)
    return [float((top < count).mean()), *(float(it.mean()) for it in values)]


if __name__ == "__main__":
    main()
