"""What re-mining, a guide and separate rates gain, on the held-out part of Open Clip Art.

    python -m benchmarks.training_options [--library DIR] [--seeds 3] [--work DIR] [--towers]
        [--captions N] [--held-out N]

Every run begins with the networks of `mini` and new projections (``two_towers``), trains on the
training part and ranks the held-out captions against their pictures, as `benchmarks.methods` does
(see there for what is in the set). What is frozen is computed once. The guide is `mini`, which has
learned from the training part itself; it has not seen the held-out one. Intervals are a paired
bootstrap over captions of the change from the first row, seeds averaged per caption. With
``--towers`` the text network is trained, too, in 4 passes: the second table. A run that was done
before is read from the folder ``--work``, which is for one size.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.open_clip_art import Pairs, load_split
from tools.open_clip_art import fetched_library
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.evaluation.bootstrap import bootstrap_interval
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder, two_towers
from unisem.training.model.saving import save_model

PLAIN = Recipe(epochs=20, interpolation=1)
MINED = replace(PLAIN, hard_negatives=3)
HEADS = {
    "InfoNCE": PLAIN,
    "3 hard negatives, mined once": MINED,
    "3 hard negatives, re-mined": replace(MINED, remine=True),
    "3 re-mined, up to 100 % of the positive": replace(MINED, remine=True, negative_share=1.0),
    "3 re-mined, up to 80 % of the positive": replace(MINED, remine=True, negative_share=0.8),
    "guide (GIST)": replace(PLAIN, guide="mini"),
    "guide, 3 hard negatives, re-mined": replace(MINED, remine=True, guide="mini"),
    "learned temperature": replace(PLAIN, learned_temperature=True),
    "learned temperature, --loss-rate 0.001": replace(
        PLAIN, learned_temperature=True, loss_rate=1e-3
    ),
}
_TOWER = Recipe(epochs=4, batch_size=32, freeze=("image-backbone",), interpolation=1)
TOWERS = {
    "text network and heads at 1e-5": replace(_TOWER, learning_rate=1e-5),
    "text network and heads at 1e-4": replace(_TOWER, learning_rate=1e-4),
    "text network at 1e-5, heads at 1e-3": replace(_TOWER, head_rate=1e-3, learning_rate=1e-5),
    "text network at 1e-4, heads at 1e-3": replace(_TOWER, head_rate=1e-3, learning_rate=1e-4),
    "heads at 1e-3, text network frozen": replace(_TOWER, freeze=None, learning_rate=1e-3),
}
MEASURES = ("hit@1", "hit@10", "MRR")
Values = dict[str, list[float]]


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--work", type=Path, default=Path("build/training_options"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--captions", type=int, help="of the training part; all if left out")
    parser.add_argument("--held-out", type=int, default=1000, help="captions that are held out")
    parser.add_argument("--rows", default="", help="only rows whose names hold this")
    parser.add_argument("--towers", action="store_true", help="the second table")
    options = parser.parse_args()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        learned, asked = load_split(library)
        train = as_dataset(first(learned, options.captions), library, options.work)
        held_out = as_dataset(first(asked, options.held_out), library, options.work)
        recipes = TOWERS if options.towers else HEADS
        found = {
            name: [
                done_or_run(name, replace(recipe, seed=seed), train, held_out, options.work)
                for seed in range(options.seeds)
            ]
            for name, recipe in recipes.items()
            if options.rows in name
        }
    print(f"{len(train):,} pairs, {len(next(iter(found.values()))[0]['MRR']):,} held-out captions")
    print(table(found))


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
    name: str, recipe: Recipe, train: PairDataset, held_out: PairDataset, work: Path
) -> Values:
    """What a recipe finds for each held-out caption."""
    kept = work / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}-{recipe.seed}.json"
    if not kept.exists():
        start = work / f"start-{recipe.seed}"
        if not start.exists():
            text, image = (MODEL_DIRECTORY / f"{side}_0_Transformer" for side in ("text", "image"))
            save_model(two_towers(text, image, dimension=384, seed=recipe.seed), start)
        with tempfile.TemporaryDirectory() as folder:
            report = train_encoder(
                str(start),
                train,
                f"{folder}/out",
                held_out=held_out,
                recipe=recipe,
                features=work / "features",
            )
        assert report.after is not None
        ranked = report.after.text_to_image
        values = {
            "hit@1": ranked.hit(1).tolist(),
            "hit@10": ranked.hit(10).tolist(),
            "MRR": ranked.reciprocal_rank().tolist(),
            "seconds": [report.seconds],
        }
        kept.write_text(json.dumps(values), encoding="utf-8")
        print(f"{name}, seed {recipe.seed}: {report.seconds:.0f} s", flush=True)
    found: Values = json.loads(kept.read_text(encoding="utf-8"))
    return found


def table(found: dict[str, list[Values]]) -> str:
    """Means over seeds, and changes from the first row with their intervals."""
    lines = [
        "| | hit@1 | hit@10 | MRR | change of hit@10 | change of MRR | MRR by seed | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first: dict[str, NDArray[np.float64]] = {}
    for name, runs in found.items():
        means = {m: np.mean([run[m] for run in runs], axis=0) for m in MEASURES}
        first = first or means
        changes = [
            "" if means is first else _change(means[m] - first[m]) for m in ("hit@10", "MRR")
        ]
        by_seed = ", ".join(f"{np.mean(run['MRR']):.3f}" for run in runs)
        seconds = np.median([run["seconds"][0] for run in runs])
        cells = [name, *(f"{means[m].mean():.3f}" for m in MEASURES), *changes, by_seed]
        lines.append(f"| {' | '.join(cells)} | {seconds:.0f} s |")
    return "\n".join(lines)


def _change(difference: NDArray[np.float64]) -> str:
    low, high = bootstrap_interval(difference, rounds=2000)
    return f"{difference.mean():+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
