"""What adversarial alignment does to retrieval, to the modality gap and to a discriminator.

    python -m benchmarks.adversarial [--start NAME] [--library DIR] [--seeds 3]

Every method trains the start encoder's heads on the training part of Open Clip Art with the
recipe's defaults and is measured on the held-out part (see `benchmarks.open_clip_art`). The gap is
the distance of the centroids of the held-out captions and pictures. Separability is the accuracy,
on vectors it was not fitted to (5 folds, as many captions as pictures), of a logistic regression
that tells held-out captions from pictures: a judge that no method has trained against. The
discriminator's accuracy is what the method itself sees at the end of training. Means over seeds;
the interval is the paired bootstrap, over captions, of the change of hit@10 against InfoNCE.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.pairs import PairDataset
from unisem.pairs.pair import CAPTIONED
from unisem.records import Vector
from unisem.training import Recipe, train_encoder
from unisem.training.adversarial import AdversarialReversal, AdversarialTranslation
from unisem.training.adversarial.base import modality_gap
from unisem.training.inputs.preparing import prepare_pairs, stored_depths
from unisem.training.loop.evaluator import embed, rank_pairs
from unisem.training.losses import PairLoss
from unisem.training.model.modality_parts import default_parts, freeze, training_view

Make = Callable[[int, int], PairLoss]

METHODS: dict[str, Make] = {
    "InfoNCE": lambda dimension, seed: infonce(),
    "+ reversal, weight 0.3": lambda dimension, seed: AdversarialReversal(
        infonce(), dimension, weight=0.3, seed=seed
    ),
    "+ reversal": lambda dimension, seed: AdversarialReversal(infonce(), dimension, seed=seed),
    "+ reversal, no spectral norm": lambda dimension, seed: AdversarialReversal(
        infonce(), dimension, spectral_norm=False, seed=seed
    ),
    "+ translation": lambda dimension, seed: AdversarialTranslation(
        infonce(), dimension, seed=seed
    ),
    "+ translation, discriminators unheeded": lambda dimension, seed: AdversarialTranslation(
        infonce(), dimension, adversarial_weight=0, seed=seed
    ),
    "+ translation, pairs unknown": lambda dimension, seed: AdversarialTranslation(
        infonce(), dimension, pair_weight=0, seed=seed
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One encoder on the held-out part."""

    forward: Ranking
    backward: Ranking
    gap: float
    separability: float
    metrics: dict[str, float]
    seconds: float


def infonce() -> PairLoss:
    """The base loss of the recipe's defaults."""
    return Recipe().make_loss(0)


def main() -> None:
    """Train, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--start", default="mini")
    parser.add_argument("--features", type=Path, default=Path("build/methods"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    console = Console(width=160)
    with nullcontext(options.library) if options.library else fetched_library() as library:
        train, held_out = (
            as_dataset(part, library, options.features) for part in load_split(library)
        )
        found: dict[str, list[Measured]] = {}
        for seed in range(options.seeds):
            for method, make in METHODS.items():
                measured = run(make, seed, train, held_out, options.start, options.features)
                found.setdefault(method, []).append(measured)
                print_row(console, f"seed {seed} {method}", [measured], found["InfoNCE"][-1:])
        start = measure(options.start, held_out, options.features, {}, 0.0)
        console.print(
            "| method | hit@1 | hit@10 | change of hit@10 (95 % interval) "
            "| hit@10, picture to caption | gap | separability | discriminator | diversity "
            "| training |\n" + "|---" * 10 + "|"
        )
        print_row(console, "start model", [start], found["InfoNCE"])
        for method, runs in found.items():
            print_row(console, method, runs, found["InfoNCE"])


def run(
    make: Make, seed: int, train: PairDataset, held_out: PairDataset, start: str, features: Path
) -> Measured:
    """Train one encoder and measure it."""
    dimension = load_encoder(start).dimension
    loss = make(dimension, seed)
    with tempfile.TemporaryDirectory() as name:
        report = train_encoder(
            start,
            train,
            f"{name}/out",
            recipe=Recipe(epochs=20, interpolation=1, seed=seed),
            loss=loss,
            features=features,
        )
        return measure(f"{name}/out", held_out, features, loss.metrics(), report.seconds)


def measure(
    name: str, held_out: PairDataset, features: Path, metrics: dict[str, float], seconds: float
) -> Measured:
    """Measure an encoder, its frozen part from stored features."""
    encoder = load_encoder(name, runtime="torch")
    assert isinstance(encoder, SentenceTransformerEncoder)
    freeze(encoder.model, default_parts(encoder.model))
    depths = stored_depths(encoder, augmented=False)
    pairs = prepare_pairs(encoder, held_out, depths, features)
    view = training_view(encoder.model, depths)
    rankings = rank_pairs(view, pairs)[CAPTIONED]
    _, first = np.unique(pairs.query_ids, return_index=True)
    _, shown = np.unique(pairs.documents, return_index=True)
    texts = embed(view, pairs.inputs, pairs.queries[first])
    images = embed(view, pairs.inputs, pairs.documents[shown])
    return Measured(
        rankings.query_to_document,
        rankings.document_to_query,
        float(modality_gap(torch.from_numpy(texts), torch.from_numpy(images))),
        separability(texts, images),
        metrics,
        seconds,
    )


def separability(texts: Vector, images: Vector) -> float:
    """Accuracy of a fresh linear judge on vectors that it has not seen."""
    count = min(len(texts), len(images))
    rng = np.random.default_rng(0)
    sides = [side[rng.permutation(len(side))[:count]] for side in (texts, images)]
    judge = LogisticRegression(C=10.0, max_iter=200)
    vectors = np.concatenate(sides) * np.sqrt(texts.shape[1])
    return float(cross_val_score(judge, vectors, np.repeat([0, 1], count), cv=5).mean())


def print_row(console: Console, name: str, runs: list[Measured], base: list[Measured]) -> None:
    """Print one line of the table."""
    hits = mean_hits(runs)
    change = hits - mean_hits(base)
    low, high = bootstrap_interval(change, rounds=2000)
    backward = np.mean([run.backward.hit(10).mean() for run in runs])
    cells = [
        f"{np.mean([run.forward.hit(1).mean() for run in runs]):.3f}",
        f"{hits.mean():.3f}",
        f"{change.mean():+.3f} ({low:+.3f} to {high:+.3f})" if change.any() else "",
        f"{backward:.3f}",
        f"{np.mean([run.gap for run in runs]):.3f}",
        f"{np.mean([run.separability for run in runs]):.3f}",
        *(
            f"{np.mean([run.metrics[metric] for run in runs]):.3f}"
            if metric in runs[0].metrics
            else ""
            for metric in ("discriminator_accuracy", "image_diversity")
        ),
        f"{np.median([run.seconds for run in runs]):.0f} s",
    ]
    console.print(f"| {name} | " + " | ".join(cells) + " |", soft_wrap=True)


def mean_hits(runs: list[Measured]) -> Floats:
    """hit@10 per caption, caption to picture, averaged over runs."""
    return np.asarray(np.mean([run.forward.hit(10) for run in runs], axis=0))


if __name__ == "__main__":
    main()
