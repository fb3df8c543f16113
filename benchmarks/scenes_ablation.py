"""What a reranker learns scenes by: groups, swaps and the loss, each by itself.

    python -m benchmarks.scenes_ablation

The Transformer of `benchmarks.scenes`, without the writing stack, is trained on that benchmark's
scenes, in as many steps. It judges 400 scenes that neither training nor `benchmarks.scenes` uses,
so that choices can be made by them, and reorders the first 50 hits of that benchmark's joint
encoder, which must have been run before. All rows have the same network, seed and number of pairs;
one line differs. Processor's seconds are of training; a row takes about ten minutes of them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.scenes import CROSS_RECIPE, Part, Runs, share
from benchmarks.scenes_data import as_dataset, held_out_combinations, scenes, with_swaps
from unisem.evaluation.ranking import bootstrap_interval
from unisem.training.cross_modal import CrossModalRecipe

ALONE = replace(CROSS_RECIPE, captioning=0)
_OTHER = replace(ALONE, loss="contrastive", hard_negatives=3, random_negatives=4)
SCENES, JUDGED = 4864, 400


@dataclass(frozen=True, slots=True)
class Row:
    """A way to train.

    Attributes:
        name: What differs from the first row.
        recipe: How.
        swaps: Whether pictures of the swapped captions are among the scenes.
        told: Whether each scene's wrong captions are given.
    """

    name: str
    recipe: CrossModalRecipe = ALONE
    swaps: bool = True
    told: bool = True


ROWS = (
    Row("InfoNCE in groups of 8"),
    Row("contrastive, texts", replace(_OTHER, compared="texts")),
    Row("contrastive, both", _OTHER),
    Row("matching, yes or no, both", replace(_OTHER, loss="itm")),
    Row("InfoNCE in groups of 2", replace(ALONE, group=2)),
    Row("InfoNCE in groups of 32", replace(ALONE, group=32)),
    Row(
        "InfoNCE in groups of 8, 3 hard negatives by mini in place of told ones",
        replace(ALONE, hard_negatives=3),
        told=False,
    ),
    Row("InfoNCE in groups of 8, no wrong captions told", told=False),
    Row("InfoNCE in groups of 8, no pictures of swaps", swaps=False),
)


def main() -> None:
    """Train and judge every row, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/scenes"))
    options = parser.parse_args()
    work, held = options.work, held_out_combinations()
    judged = tuple(islice(with_swaps(scenes(3, held), 3, held), JUDGED))
    every = {"all": np.ones(JUDGED, bool)}
    part = Part("choices", judged, as_dataset(judged, work / "choices"), every)
    console = Console(width=160)
    lines = [
        "| learned by | binding | hit@1 | change by reranking | processor |",
        "|---|---|---|---|---|",
    ]
    console.print("\n".join(lines), markup=False)
    for row in ROWS:
        console.print(line(row, part, work), markup=False)


def line(row: Row, part: Part, work: Path) -> str:
    """A row of the table."""
    held = held_out_combinations()
    made = scenes(0, held)
    runs = Runs(
        tuple(islice(with_swaps(made, 0, held) if row.swaps else made, SCENES)),
        [part],
        work,
        0,
        "train" if row.swaps else "train-no-swaps",
    )
    if not row.told:
        runs.wrong = None
    base = runs.judged_jointly(str(work / "joint-0"), part)
    name = f"ablation-{ROWS.index(row)}"
    (found,) = runs.reranked(name, "mini", row.recipe, [base])
    cost = json.loads((work / f"{name}-0.json").read_text(encoding="utf-8"))["processor"]
    low, high = bootstrap_interval(found.hit - base.hit, rounds=2000)
    change = f"{(found.hit - base.hit).mean():+.3f} ({low:+.3f} to {high:+.3f})"
    cells = [share(found.bound), share(found.hit), change, f"{cost:.0f} s"]
    return f"| {row.name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
