"""Whether the probability of relevance tells a question that has an answer from one that has none.

Each title asks twice: with its own picture among the others, and without. Half of the things are
what the calibration is fitted to, the other half is asked about; twenty splits.

A question whose first hit is wrong has the same first hit without its answer; so with a share r of
first hits right, the area under the curve is at most 1 − (1 − r)² / 2, whatever is made of the
first hit. With r the share that has its answer among the first ten, so it is for whatever is made
of the first ten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_data import MixedData, Things
from unisem.calibration import Calibration, Sample, fit_calibration
from unisem.evaluation.ranking import Floats, bootstrap_interval

SPLITS = range(20)
BINS = np.linspace(0, 1, 11)


def relevance_tables(data: MixedData) -> None:
    """Print the areas under the curve, the calibration error, and the reliability diagram."""
    print("\n### an answer, or none\n")
    print(
        "| set | first hit is right | area, cosine | area, relevance | gain | ECE | "
        "best possible area | of ten hits | area, answer first | area, among ten |"
        "\n|---|---|---|---|---|---|---|---|---|---|"
    )
    diagrams = {}
    for name, things in {"clip art": data.held_out, **data.photographs}.items():
        chances, right, areas = [], [], np.full((2, len(SPLITS), len(things)), np.nan)
        ranks = np.full((len(SPLITS), len(things)), np.nan)
        for split in SPLITS:
            halves = np.array_split(np.random.default_rng(split).permutation(len(things)), 2)
            one, other = (np.sort(half) for half in halves)
            fitted = fit_calibration(_sample(things[one]), fingerprint=name, seed=split)
            cosine, _ = _first_hits(None, things[other])
            chance, ranks[split, other] = _first_hits(fitted, things[other])
            for number, values in enumerate((cosine, chance)):
                areas[number, split, other] = _placements(*values)
            chances.append(np.concatenate(chance))
            found = ranks[split, other] == 0
            right.append(np.concatenate([found, np.zeros(len(other), bool)]))
        before, after = np.nanmean(areas, axis=1)
        low, high = bootstrap_interval(after - before, rounds=2000)
        said, so = np.concatenate(chances), np.concatenate(right)
        error, rows = reliability(said, so)
        diagrams[name] = rows
        print(
            f"| {name} | {2 * so.mean():.3f} | {before.mean():.3f} | {after.mean():.3f} "
            f"| {(after - before).mean():+.3f} ({low:+.3f} to {high:+.3f}) | {error:.3f} "
            + "".join(f"| {possible((ranks[~np.isnan(ranks)] < k).mean()):.3f} " for k in (1, 10))
            + "".join(f"| {areas[1][ranks < k].mean():.3f} " for k in (1, 10))
            + "|",
            flush=True,
        )
    for name, rows in diagrams.items():
        print(f"\n{name}\n\n| said | so | how many |\n|---|---|---|")
        for said_here, so_here, count in rows:
            print(f"| {said_here:.2f} | {so_here:.2f} | {count:,} |")


def _sample(things: Things) -> Sample:
    numbers = np.arange(len(things))
    same = bool(np.array_equal(things.questions, things.texts))
    return Sample(things.texts, things.questions, things.images, numbers, numbers, same_words=same)


def possible(share: float) -> float:
    """The largest area, if a question that is not found looks the same without its answer.

    Those that are found stand above all that have no answer; of the others half the pairs with
    others without their answer are in order, whatever is made of them.

    Args:
        share: Of questions whose answer is found.
    """
    return 1 - (1 - share) ** 2 / 2


def _first_hits(
    calibration: Calibration | None, things: Things
) -> tuple[tuple[Floats, Floats], NDArray[np.int64]]:
    """Values of the first hit, with the answer there and without; the answer's place, from 0."""
    count = len(things)
    if calibration is None:
        values = (things.questions @ things.images.T).astype(np.float64)
    else:
        searched = calibration.documents(things.images, np.ones(count, bool))
        values = np.empty((count, count))
        for row, asked in zip(values, calibration.queries(things.questions, "text"), strict=True):
            chances = asked.scale("image").relevance(searched @ asked.vector)
            assert chances is not None
            row[:] = chances
    places = (values > np.diagonal(values)[:, None]).sum(axis=1)
    there = values.max(axis=1)
    np.fill_diagonal(values, -np.inf)
    return (there, values.max(axis=1)), places


def _placements(there: Floats, gone: Floats) -> Floats:
    """For each question with an answer, the share of those without that have less; ties half."""
    ordered = np.sort(gone)
    less = np.searchsorted(ordered, there, "left") + np.searchsorted(ordered, there, "right")
    return less / (2 * len(gone))


def reliability(
    said: Floats, so: NDArray[np.bool_]
) -> tuple[float, list[tuple[float, float, int]]]:
    """The expected calibration error over ten bins (Guo et al. 2017), and the bins."""
    place = np.clip(np.digitize(said, BINS) - 1, 0, len(BINS) - 2)
    rows = []
    for one in range(len(BINS) - 1):
        here = place == one
        if here.any():
            rows.append((float(said[here].mean()), float(so[here].mean()), int(here.sum())))
    error = sum(abs(a - b) * count for a, b, count in rows) / len(said)
    return float(error), rows
