"""What might tell better than a score whether a question has an answer.

    python -m benchmarks.mixed_judges [--work build/mixed]

As in `benchmarks.mixed_relevance`, a title asks with its own picture among the others, and without.
A logistic regression learns from several features of a list whether its first hit is right: on
halves of the half that the calibration is fitted to. Twenty splits; changes are against the cosine
of the first hit, with intervals by a paired bootstrap.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.mixed import sample_of
from benchmarks.mixed_data import MixedData, Things
from benchmarks.mixed_relevance import _placements
from unisem.calibration import Calibration, fit_calibration
from unisem.evaluation.ranking import Floats, bootstrap_interval

SPLITS = range(20)
FEATURES = {
    "standard score": [0],
    "and cosine": [0, 1],
    "and margins to the second and to the ten": [0, 2, 3],
    "and the question's neighbourhood": [0, 4, 5],
    "and agreement with raw ranks, likeness of the hits": [0, 6, 7],
    "all": list(range(8)),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/mixed"))
    data = MixedData.of(Path(), None, parser.parse_args().work)
    print("| set | features | area | against cosine |\n|---|---|---|---|")
    for name, things in {"clip art": data.held_out, **data.photographs}.items():
        areas = {key: np.full((len(SPLITS), len(things)), np.nan) for key in ("", *FEATURES)}
        for split in SPLITS:
            rng = np.random.default_rng(split)
            one, other = (np.sort(half) for half in np.array_split(rng.permutation(len(things)), 2))
            same = bool(np.array_equal(things.questions, things.texts))
            sample = sample_of(things[one], same_words=same)
            fitted = fit_calibration(sample, fingerprint=name, seed=split)
            rows, right = [], []
            parts = np.array_split(np.random.default_rng(split).permutation(one), 2)
            for learnt, tried in (parts, parts[::-1]):
                part = fit_calibration(
                    sample_of(things[learnt], same_words=same), fingerprint=name, seed=split
                )
                part = replace(part, choices=fitted.choices, pairs=fitted.pairs)
                there, gone, first = features(part, things[tried])
                rows += [there, gone]
                right += [first, np.zeros(len(first), bool)]
            told, labels = np.concatenate(rows), np.concatenate(right)
            middle, spread = told.mean(axis=0), told.std(axis=0) + 1e-9
            there, gone, _ = features(fitted, things[other])
            areas[""][split, other] = _placements(there[:, 1], gone[:, 1])
            for key, columns in FEATURES.items():
                judge = LogisticRegression().fit(((told - middle) / spread)[:, columns], labels)
                says = [
                    judge.decision_function(((given - middle) / spread)[:, columns])
                    for given in (there, gone)
                ]
                areas[key][split, other] = _placements(*says)
        raw = np.nanmean(areas[""], axis=0)
        print(f"| {name} | cosine | {raw.mean():.3f} | |")
        for key in FEATURES:
            change = np.nanmean(areas[key], axis=0) - raw
            low, high = bootstrap_interval(change, rounds=2000)
            print(
                f"| | {key} | {(raw + change).mean():.3f} "
                f"| {change.mean():+.3f} ({low:+.3f} to {high:+.3f}) |",
                flush=True,
            )


def features(calibration: Calibration, things: Things) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """``(n, 8)`` of each list with the answer and without, and whether its first hit is right."""
    count = len(things)
    here = np.arange(count)
    scores = calibration.scores(things.questions, "text", things.images, np.ones(count, bool))
    cosines = (things.questions @ things.images.T).astype(np.float64)
    bank = things.questions @ calibration.documents_of["image"].bank.T
    near = np.sort(bank, axis=1)[:, -max(2, bank.shape[1] // 10) :]
    alike = things.images @ things.images.T
    found = []
    for gone in (False, True):
        ranked, raw = scores.copy(), cosines.copy()
        if gone:
            np.fill_diagonal(ranked, -np.inf)
            np.fill_diagonal(raw, -np.inf)
        order = np.argsort(-ranked, axis=1)[:, :10]
        top = np.take_along_axis(ranked, order, axis=1)
        first = order[:, 0]
        found.append(
            np.column_stack(
                [
                    top[:, 0],
                    raw.max(axis=1),
                    top[:, 0] - top[:, 1],
                    top[:, 0] - top[:, 1:].mean(axis=1),
                    near.mean(axis=1),
                    near.std(axis=1),
                    np.minimum((raw > raw[here, first][:, None]).sum(axis=1), 5),
                    alike[first[:, None], order[:, 1:6]].mean(axis=1),
                ]
            )
        )
    return found[0], found[1], scores.argmax(axis=1) == here


if __name__ == "__main__":
    main()
