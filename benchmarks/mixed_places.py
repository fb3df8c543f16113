"""How many of the first ten places texts may have when pictures ask, and what that costs pictures.

    python -m benchmarks.mixed_places [--work build/mixed]

The gallery with `mini`, halved twenty times, as in `benchmarks.mixed`. The scores of texts are
moved against those of pictures, and in a second part places are dealt: so many texts, at these
places, the rest pictures, each kind in its own order.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed import sample_of
from benchmarks.mixed_data import MixedData
from unisem.calibration import fit_calibration
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats

SPLITS = range(20)
MOVED = (-4.0, -3.0, -2.0, -1.0, 0.0, 0.25, 0.5)
DEALT = ((0,), (0, 9), (0, 4, 9), (0, 2, 4, 7, 9), (0, 6, 7, 8, 9))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/mixed"))
    data = MixedData.of(Path(), None, parser.parse_args().work)
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
