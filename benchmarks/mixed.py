"""One list of texts and pictures, by raw cosine and calibrated: who is found, and who wins.

    python -m benchmarks.mixed [--library DIR] [--packages DIR] [--work DIR]

As MixBench (https://arxiv.org/abs/2507.19054) builds it: a third of the things is there as a text
(its keywords), a third as a picture, a third as both, in one list. Titles ask for all of them,
pictures for those that are there as texts. Five seeds decide which is which; intervals are a
paired bootstrap over things, seeds averaged. Calibrations are fitted to a third of the training
part, on which the heads of `benchmarks.mixed_heads` are not trained. The sets are those of
`benchmarks.mixed_data`.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_data import MixedData, Things
from benchmarks.mixed_heads import Heads
from benchmarks.mixed_index import index_table
from benchmarks.mixed_relevance import relevance_tables
from benchmarks.mixed_sinkhorn import SinkhornCalibration
from tools.open_clip_art import fetched_library
from unisem.calibration import (
    Calibration,
    Choices,
    DocumentKind,
    PairChoice,
    Sample,
    fit_calibration,
)
from unisem.calibration.calibration import Pairs
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval

SEEDS = range(5)
SPLITS = range(20)
FUSIONS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "max": np.maximum,
    "mean": lambda text, image: (text + image) / 2,
    "two thirds the text": lambda text, image: (2 * text + image) / 3,
    "two thirds the picture": lambda text, image: (text + 2 * image) / 3,
}
RAW = Choices(centred=False, scaled=())
CENTRED = Choices(scaled=())
Way = Callable[[Calibration], Calibration]
WAYS: dict[str, Way] = {
    "raw": lambda one: replace(one, choices=RAW, pairs=_none(one)),
    "centred": lambda one: replace(one, choices=CENTRED, pairs=_none(one)),
    "centred, hub bias": lambda one: replace(one, choices=CENTRED, pairs=_alike(one)),
    "centred, scale": lambda one: replace(one, choices=Choices(), pairs=_none(one)),
    "centred, hub bias, scale": lambda one: replace(one, choices=Choices(), pairs=_alike(one)),
    "centred, Sinkhorn, scale": SinkhornCalibration.of,
    "scale": lambda one: replace(one, choices=Choices(centred=False), pairs=_none(one)),
    "as chosen": lambda one: one,
}


def _none(calibration: Calibration) -> Pairs:
    return dict.fromkeys(calibration.pairs, PairChoice())


def _alike(calibration: Calibration) -> Pairs:
    return dict.fromkeys(calibration.pairs, PairChoice(alpha=0.75, k=32))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--packages", type=Path, help="a folder with the photographs' .deb files")
    parser.add_argument("--work", type=Path, default=Path("build/mixed"))
    options = parser.parse_args()
    known = options.library or (options.work / "mixed.npz").exists()
    with nullcontext(options.library) if known else fetched_library() as library:
        data = MixedData.of(library, options.packages, options.work)
    order = np.random.default_rng(0).permutation(len(data.training))
    kept, learnt = np.split(order, [len(order) // 3])
    spaces: dict[str, Callable[[Things], Things]] = {"mini": lambda things: things}
    for temperature in (0.01, 0.07):
        heads = Heads.trained(data.training[learnt], temperature, seed=0)
        spaces[f"two heads, τ = {temperature}"] = heads.embed
    spaces["random heads"] = Heads.random(data.training, seed=0).embed
    for name, embed in spaces.items():
        fitting, held_out = embed(data.training[kept]), embed(data.held_out)
        calibration = fit_calibration(
            sample_of(fitting, same_words=False), fingerprint=name, seed=0
        )
        clip_art_table(name, calibration, held_out)
        alone_table(calibration, held_out)
        gallery_table(name, embed(data.gallery), data.alike)
        if name == "mini":
            foreign_table(calibration, data)
            cost_table(calibration, data.training)
        index_table(calibration, embed(data.training), held_out)
    relevance_tables(data)


def cost_table(calibration: Calibration, things: Things) -> None:
    """Seconds of each step, the least of five."""
    rows, is_image = things.texts, np.zeros(len(things), bool)
    queries = calibration.queries(things.questions, "image")
    steps: dict[str, Callable[[], object]] = {
        "calibrate stored vectors, each": lambda: calibration.documents(rows, is_image),
        "calibrate a query": lambda: calibration.queries(things.questions, "image"),
        "its scale for one kind": lambda: [query.scale("image") for query in queries],
    }
    print("\n### cost\n\n| step | microseconds |\n|---|---|")
    for name, step in steps.items():
        seconds = min(timeit.repeat(step, number=1, repeat=5))
        print(f"| {name} | {1e6 * seconds / len(things):.0f} |", flush=True)


def sample_of(things: Things, *, same_words: bool) -> Sample:
    """What a calibration is fitted to."""
    numbers = np.arange(len(things))
    return Sample(
        things.texts, things.questions, things.images, numbers, numbers, same_words=same_words
    )


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one way found, per query; ``nan`` where a thing was not asked for."""

    ndcg: Floats
    form: NDArray[np.int64]
    shares: Floats
    largest: float


def ask(
    calibration: Calibration, things: Things, asked: DocumentKind, seed: int, fuse: str
) -> Found:
    """Ask for every thing in one list."""
    form = np.random.default_rng(seed).permutation(np.arange(len(things)) % 3)
    queries = things.questions if asked == "text" else things.images
    scores = {}
    for kind, rows in (("text", things.texts), ("image", things.images)):
        is_image = np.full(len(rows), kind == "image")
        scores[kind] = calibration.scores(queries, asked, rows, is_image)
    best = FUSIONS[fuse](scores["text"], scores["image"])
    best[:, form == 0] = scores["text"][:, form == 0]
    best[:, form == 1] = scores["image"][:, form == 1]
    who = np.flatnonzero(form == 0) if asked == "image" else np.arange(len(things))
    ndcg = np.full(len(things), np.nan)
    ndcg[who] = Ranking.of(best[who], [[thing] for thing in who.tolist()]).ndcg(10)
    top = np.argsort(-best[who], axis=1, kind="stable")[:, :10]
    shares = np.array([(form[top] == one).mean() for one in range(3)])
    return Found(ndcg, form, shares, np.bincount(top.ravel()).max() / len(who))


def clip_art_table(name: str, calibration: Calibration, things: Things) -> None:
    """All ways, for both kinds of queries."""
    gap = np.linalg.norm(things.texts.mean(axis=0) - things.images.mean(axis=0))
    seen = calibration.documents(things.texts, np.zeros(len(things), bool))
    shown = calibration.documents(things.images, np.ones(len(things), bool))
    d = calibration.dimension
    left = np.linalg.norm(seen[:, :d].mean(axis=0) - shown[:, :d].mean(axis=0))
    print(f"\n### {name}: gap {gap:.2f}, calibrated {left:.2f}\n")
    chosen = calibration.choices
    print(f"centred: {chosen.centred}; on one scale: {', '.join(chosen.scaled) or 'none'}")
    for (asked, kind), pair in calibration.pairs.items():
        if pair.alpha:
            print(f"{asked} → {kind}: α {pair.alpha}, k {pair.k}")
    head = "| way | nDCG@10 | change | texts | pictures | both | pictures' places | top hub |"
    for asks in DOCUMENT_KINDS:
        print(f"\n{asks} → mixed\n\n{head}\n|---|---|---|---|---|---|---|---|")
        runs = [(way, "max") for way in WAYS]
        if asks == "text":  # a picture is right for texts only, and fusion changes none of them
            runs += [("as chosen", fuse) for fuse in FUSIONS if fuse != "max"]
        raw: Floats | None = None
        for way, fuse in runs:
            found = [ask(WAYS[way](calibration), things, asks, seed, fuse) for seed in SEEDS]
            means = np.nanmean([one.ndcg for one in found], axis=0)
            raw = means if raw is None else raw
            known = ~np.isnan(means)
            parts = [
                np.nanmean(np.concatenate([one.ndcg[one.form == form] for one in found]))
                if asks == "text" or form == 0
                else np.nan
                for form in range(3)
            ]
            low, high = bootstrap_interval((means - raw)[known], rounds=2000)
            pictures = np.mean([one.shares[1] for one in found])
            print(
                f"| {way}{'' if fuse == 'max' else ', ' + fuse} | {means[known].mean():.3f} "
                f"| {(means - raw)[known].mean():+.3f} ({low:+.3f} to {high:+.3f}) | "
                + " | ".join("" if np.isnan(part) else f"{part:.3f}" for part in parts)
                + f" | {pictures:.2f} | {np.mean([one.largest for one in found]):.2f} |",
                flush=True,
            )


def alone_table(calibration: Calibration, things: Things) -> None:
    """Titles and pictures ask in lists of one kind, in which there is no gap."""
    print("\n| asked | list | nDCG@10 raw | as chosen | change |\n|---|---|---|---|---|")
    own = [[thing] for thing in range(len(things))]
    pairs: list[tuple[DocumentKind, DocumentKind]] = [
        ("text", "text"),
        ("text", "image"),
        ("image", "text"),
    ]
    for asked, kind in pairs:
        queries = things.questions if asked == "text" else things.images
        rows = things.texts if kind == "text" else things.images
        is_image = np.full(len(rows), kind == "image")
        raw, after = (
            Ranking.of(one.scores(queries, asked, rows, is_image), own).ndcg(10)
            for one in (WAYS["raw"](calibration), calibration)
        )
        low, high = bootstrap_interval(after - raw, rounds=2000)
        print(
            f"| {asked} | {kind} | {raw.mean():.3f} | {after.mean():.3f} "
            f"| {(after - raw).mean():+.3f} ({low:+.3f} to {high:+.3f}) |",
            flush=True,
        )


def foreign_table(calibration: Calibration, data: MixedData) -> None:
    """A calibration of clip art on sets of another kind: captions ask for pictures alone."""
    print("\n### fitted to clip art, used elsewhere: text → pictures alone\n")
    print("| set | nDCG@10 raw | as chosen | change |\n|---|---|---|---|")
    for name, things in {"gallery": data.gallery, **data.photographs}.items():
        own = [[thing] for thing in range(len(things))]
        is_image = np.ones(len(things), bool)
        raw, after = (
            Ranking.of(one.scores(things.questions, "text", things.images, is_image), own).ndcg(10)
            for one in (WAYS["raw"](calibration), calibration)
        )
        low, high = bootstrap_interval(after - raw, rounds=2000)
        print(
            f"| {name} | {raw.mean():.3f} | {after.mean():.3f} "
            f"| {(after - raw).mean():+.3f} ({low:+.3f} to {high:+.3f}) |",
            flush=True,
        )


def gallery_table(name: str, things: Things, alike: NDArray[np.bool_]) -> None:
    """Pictures ask for their captions among all captions and all other pictures of a half.

    The other half is what the calibration is fitted to, as a space's own content. Right are, for
    nDCG, the caption and the pictures that share a title or a keyword.
    """
    print(f"\n### gallery, {name}\n")
    print(
        "| way | hit@1 | hit@10 | texts' places | top hub | nDCG@10 | change | texts alone "
        "| pictures alone |\n|---|---|---|---|---|---|---|---|---|"
    )
    rows: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    ndcg = {way: np.full((len(SPLITS), len(things)), np.nan) for way in WAYS}
    for split in SPLITS:
        one, other = np.array_split(np.random.default_rng(split).permutation(len(things)), 2)
        fitted = fit_calibration(
            sample_of(things[one], same_words=True), fingerprint=name, seed=split
        )
        ndcg_rows = np.sort(other)
        asked, near = things[ndcg_rows], alike[np.ix_(ndcg_rows, ndcg_rows)].copy()
        np.fill_diagonal(near, False)
        count = len(asked)
        right = [[n, *(count + np.flatnonzero(row))] for n, row in enumerate(near)]
        stored = np.vstack([asked.texts, asked.images])
        is_image = np.arange(2 * count) >= count
        for way, change in WAYS.items():
            scores = change(fitted).scores(asked.images, "image", stored, is_image)
            scores[np.arange(count), count + np.arange(count)] = -np.inf
            captions = Ranking.of(scores, [[n] for n in range(count)])
            top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
            values = Ranking.of(scores, right).ndcg(10)
            ndcg[way][split, ndcg_rows] = values
            alone = Ranking.of(scores[:, :count], [[n] for n in range(count)]).ndcg(10)
            some = [n for n in range(count) if near[n].any()]
            pictures = Ranking.of(
                scores[some, count:], [np.flatnonzero(near[n]).tolist() for n in some]
            ).ndcg(10)
            rows[way].append(
                [
                    captions.hit(1).mean(),
                    captions.hit(10).mean(),
                    (top < count).mean(),
                    np.bincount(top.ravel()).max() / count,
                    values.mean(),
                    alone.mean(),
                    pictures.mean(),
                ]
            )
    for way, figures in rows.items():
        mean = np.mean(figures, axis=0)
        change = np.nanmean(ndcg[way] - ndcg["raw"], axis=0)
        low, high = bootstrap_interval(change, rounds=2000)
        print(
            f"| {way} | {mean[0]:.3f} | {mean[1]:.3f} | {mean[2]:.2f} | {mean[3]:.2f} "
            f"| {mean[4]:.3f} | {change.mean():+.3f} ({low:+.3f} to {high:+.3f}) | {mean[5]:.3f} "
            f"| {mean[6]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
