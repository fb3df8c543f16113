"""What re-mining, a guide and separate rates gain, on held-out drawings of Open Clip Art.

    python -m benchmarks.training_options [--library DIR] [--seeds 5] [--work DIR] [--towers]
        [--captions N] [--held-out N]

Every run begins with the networks of `mini` and new projections (``two_towers``), trains on the
training part and ranks the captions of the strict held-out part, none of whose pictures repeats one
of training or another held-out one, against its pictures. What is frozen is computed once, and so
are the guide's vectors. The guide is `mini`, which learned from the whole training part itself and
has not seen the held-out one. With ``--towers`` the text network is trained, too, in 4 passes: the
second table.

Figures are means over seeds, each of which begins with other projections and another order.
Intervals (95 %) are a paired bootstrap of the change in which both are drawn anew, captions and
seeds. Processor seconds are of the seed that took least, whose features were stored before:
loading, training, mining, ranking. A run that was done before is read from the folder ``--work``,
where there is one for each size.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from tools.open_clip_art import fetched_library
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.pairs import PairDataset
from unisem.pairs.pair import CAPTIONED
from unisem.training import Recipe, train_encoder, two_towers
from unisem.training.model.saving import save_model

PLAIN = Recipe(epochs=20, interpolation=1)
MINED = replace(PLAIN, hard_negatives=3)
HEADS = {
    "InfoNCE": PLAIN,
    "3 hard negatives, mined once": MINED,
    "3 hard negatives, re-mined": replace(MINED, remine=True),
    "guide (GIST)": replace(PLAIN, guide="mini"),
    "learned temperature": replace(PLAIN, learned_temperature=True),
    "learned temperature, --loss-rate 0.01": replace(
        PLAIN, learned_temperature=True, loss_rate=1e-2
    ),
    "sigmoid": replace(PLAIN, loss="sigmoid"),
    "sigmoid, --loss-rate 0.01": replace(PLAIN, loss="sigmoid", loss_rate=1e-2),
}
_TOWER = Recipe(epochs=4, batch_size=32, freeze=("image-backbone",), interpolation=1)
TOWERS = {
    "text network and heads at 1e-4": replace(_TOWER, learning_rate=1e-4),
    "text network and heads at 1e-3": replace(_TOWER, learning_rate=1e-3),
    "text network at 1e-4, heads at 1e-3": replace(_TOWER, head_rate=1e-3, learning_rate=1e-4),
    "heads at 1e-3, text network frozen": replace(_TOWER, freeze=None, learning_rate=1e-3),
}
BESIDE = (
    ("3 hard negatives, re-mined", "3 hard negatives, mined once"),
    ("learned temperature", "learned temperature, --loss-rate 0.01"),
    ("sigmoid", "sigmoid, --loss-rate 0.01"),
    ("text network at 1e-4, heads at 1e-3", "text network and heads at 1e-3"),
    ("text network at 1e-4, heads at 1e-3", "heads at 1e-3, text network frozen"),
)
"""Rows whose difference is told beside their change from the first one."""
MEASURES = ("hit@1", "hit@10", "MRR")
ROUNDS = 4000
Floats = NDArray[np.float64]
Runs = dict[str, Floats]
"""By measure ``(seeds, captions)``, and ``(seeds, 1)`` processor seconds."""


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--work", type=Path, default=Path("build/training_options"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--captions", type=int, help="of the training part; all if left out")
    parser.add_argument("--held-out", type=int, help="captions of the held-out part, likewise")
    parser.add_argument("--rows", default="", help="only rows whose names hold this")
    parser.add_argument("--towers", action="store_true", help="the second table")
    options = parser.parse_args()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        train, held_out = parts(library, options)
        recipes = {
            name: recipe
            for name, recipe in (TOWERS if options.towers else HEADS).items()
            if options.rows in name
        }
        done: dict[str, list[dict[str, list[float]]]] = {name: [] for name in recipes}
        for seed in range(options.seeds):
            for name, recipe in recipes.items():
                one = replace(recipe, seed=seed)
                done[name].append(done_or_run(name, one, train, held_out, options))
    found = {
        name: {measure: np.array([run[measure] for run in runs]) for measure in runs[0]}
        for name, runs in done.items()
    }
    captions = next(iter(found.values()))["MRR"].shape[1]
    print(f"{len(train):,} pairs, {captions:,} held-out captions, {options.seeds} seeds\n")
    print(table(found))
    print(f"\n{differences(found)}")


def parts(library: Path, options: argparse.Namespace) -> tuple[PairDataset, PairDataset]:
    """What is learned from, and what is asked."""
    learned, asked = load_split(library)
    learned, asked = first(learned, options.captions), first(asked, options.held_out)
    kept = work(options) / "strict.json"
    if not kept.exists():
        _, captions, pictures = without_near_duplicates(asked, learned)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([captions, pictures]), encoding="utf-8")
    captions, pictures = json.loads(kept.read_text(encoding="utf-8"))
    row = {number: place for place, number in enumerate(pictures)}
    relevant = [[row[n] for n in asked.relevant[caption] if n in row] for caption in captions]
    strict = Pairs(
        [asked.captions[caption] for caption in captions],
        [asked.pictures[number] for number in pictures],
        relevant,
    )
    return as_dataset(learned, library, options.work), as_dataset(strict, library, options.work)


def work(options: argparse.Namespace) -> Path:
    """The folder of one size."""
    folder: Path = options.work / f"{options.captions or 'all'}-{options.held_out or 'all'}"
    return folder


def first(part: Pairs, captions: int | None) -> Pairs:
    """The first captions of a part, which come in an order of chance, and their pictures."""
    relevant = part.relevant[:captions]
    pictures = list(dict.fromkeys(number for numbers in relevant for number in numbers))
    row = {number: place for place, number in enumerate(pictures)}
    return Pairs(
        part.captions[:captions],
        [part.pictures[number] for number in pictures],
        [[row[number] for number in numbers] for numbers in relevant],
    )


def done_or_run(
    name: str,
    recipe: Recipe,
    train: PairDataset,
    held_out: PairDataset,
    options: argparse.Namespace,
) -> dict[str, list[float]]:
    """What a recipe finds for each held-out caption."""
    file = f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}-{recipe.seed}.json"
    kept = work(options) / file
    if not kept.exists():
        start = options.work / f"start-{recipe.seed}"
        if not start.exists():
            text, image = (MODEL_DIRECTORY / f"{side}_0_Transformer" for side in ("text", "image"))
            save_model(two_towers(text, image, dimension=384, seed=recipe.seed), start)
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            report = train_encoder(
                str(start),
                train,
                f"{folder}/out",
                held_out=held_out,
                recipe=recipe,
                features=options.work / "features",
            )
        seconds = time.process_time() - began
        assert report.after is not None
        ranked = report.after[CAPTIONED].query_to_document
        values = {
            "hit@1": ranked.hit(1).tolist(),
            "hit@10": ranked.hit(10).tolist(),
            "MRR": ranked.reciprocal_rank().tolist(),
            "seconds": [seconds],
        }
        kept.write_text(json.dumps(values), encoding="utf-8")
        print(f"{name}, seed {recipe.seed}: {seconds:.0f} s of processor", flush=True)
    found: dict[str, list[float]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def table(found: dict[str, Runs]) -> str:
    """Means, and changes from the first row with their intervals."""
    lines = [
        "| | hit@1 | hit@10 | MRR | change of hit@10 | change of MRR | MRR by seed | processor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    plain = next(iter(found.values()))
    for name, runs in found.items():
        changes = ["", ""] if runs is plain else changed(runs, plain)
        by_seed = ", ".join(f"{mean:.3f}" for mean in runs["MRR"].mean(axis=1))
        cells = [name, *(f"{runs[m].mean():.3f}" for m in MEASURES), *changes, by_seed]
        lines.append(f"| {' | '.join(cells)} | {runs['seconds'].min():.0f} s |")
    return "\n".join(lines)


def differences(found: dict[str, Runs]) -> str:
    """What rows differ in beside each other."""
    lines = ["| | less | hit@10 | MRR |", "|---|---|---|---|"]
    for one, other in BESIDE:
        if one in found and other in found:
            lines.append(f"| {one} | {other} | {' | '.join(changed(found[one], found[other]))} |")
    return "\n".join(lines)


def changed(runs: Runs, others: Runs) -> list[str]:
    """The change of hit@10 and of MRR."""
    cells = []
    for measure in ("hit@10", "MRR"):
        difference = runs[measure] - others[measure]
        low, high = interval(difference)
        cells.append(f"{difference.mean():+.3f} ({low:+.3f} to {high:+.3f})")
    return cells


def interval(difference: Floats) -> tuple[float, float]:
    """Bounds of the mean of ``(seeds, captions)``, both of which are drawn anew."""
    rng = np.random.default_rng(0)
    seeds, captions = difference.shape
    weights = [rng.multinomial(n, np.full(n, 1 / n), ROUNDS) / n for n in (seeds, captions)]
    means = ((weights[0] @ difference) * weights[1]).sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
