"""Which pictures are worth a caption: hit@10 against labels spent, on Open Clip Art.

    python -m benchmarks.active_learning [--base build/mini-base] [--library DIR] [--work DIR]
        [--pool 2500] [--asked 1000] [--strategies random,coverage …] [--seeds 5] [--epochs 40]

A person with a budget is played by the true captions. Round by round a strategy chooses among the
pictures of `--pool` captions of the training part, by vectors of the head that the round before has
trained; then the head is trained anew, from `mini-base`'s, on all captions so far, and `--asked` of
the held-out captions look for their pictures (`benchmarks.open_clip_art`; without pictures that
nearly repeat one that may be asked about, or another of their own). Tags, where a strategy looks at
them, are the shipped ones. What the frozen networks give is computed once; a run that was done is
read. Whoever runs it anew empties ``--work``.

Intervals are 95 % by a paired bootstrap over captions, seeds averaged per caption. A seed decides
what is left to chance in choosing and in training.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.active_learning_data import parts
from benchmarks.active_learning_runs import BUDGETS, K, Run, write
from tools.open_clip_art import fetched_library
from unisem.captioners.tags import VOCABULARY, read_vocabulary
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.pairs import PairDataset
from unisem.pairs.labelling.strategies import STRATEGIES, Head, Pool, load_strategy
from unisem.pairs.pair import CAPTIONED
from unisem.records import Vector
from unisem.training import Recipe
from unisem.training.inputs.prepared import PreparedPairs
from unisem.training.inputs.preparing import prepare_pairs, stored_depths
from unisem.training.loop.evaluator import embed, rank_pairs
from unisem.training.loop.fitting import fit_pairs
from unisem.training.model.interpolation import interpolate_weights, trainable_state
from unisem.training.model.modality_parts import default_parts, freeze, training_view
from unisem.training.model.scale import Scale
from unisem.training.run import trainable_encoder

EPOCHS, RATE, SHARE = 40, 1e-3, 0.7


class Course:
    """The pictures, their true captions, and the head that is trained on some of them.

    Args:
        encoder: `mini-base`.
        train: The training part.
        held_out: What is asked.
        features: Where the frozen networks' outputs are kept.
        epochs: Passes of each training.
    """

    def __init__(
        self,
        encoder: SentenceTransformerEncoder,
        train: PairDataset,
        held_out: PairDataset,
        features: Path,
        epochs: int = EPOCHS,
    ) -> None:
        freeze(encoder.model, default_parts(encoder.model))
        depths = stored_depths(encoder, augmented=False)
        self._encoder = encoder
        self._train = train
        self._start = trainable_state(encoder.model)
        self._view = training_view(encoder.model, depths)
        self._depths, self._features, self._epochs = depths, features, epochs
        self._pool = prepare_pairs(encoder, train, depths, features)
        self._held_out = prepare_pairs(encoder, held_out, depths, features)
        names = [f"a picture of a {tag}" for tag in read_vocabulary(VOCABULARY)]
        self._tags = encoder.encode_texts(names, role="query")
        self._before = self._images()

    def start_hits(self) -> list[float]:
        """Of the start model, for each caption."""
        interpolate_weights(self._encoder.model, self._start, 0.0)
        return self._hits()

    def run(self, name: str, seed: int) -> Run:
        """One strategy with one seed, budget by budget."""
        interpolate_weights(self._encoder.model, self._start, 0.0)
        chosen: list[int] = []
        hits: list[list[float]] = []
        seconds: list[float] = []
        strategy = load_strategy(name)
        for budget in (it for it in BUDGETS if it <= len(self._train)):
            began = time.perf_counter()
            images = self._images()
            left = np.setdiff1d(np.arange(len(self._train)), chosen)
            pool = Pool(
                Head(images[left], self._tags),
                images[np.array(chosen, np.int64)],
                (Head(self._before[left], self._tags),),
            )
            found = strategy.choose(pool, budget - len(chosen), seed * 1000 + budget)
            chosen += left[found].tolist()
            seconds.append(time.perf_counter() - began)
            self._fit(self._train.select(chosen), seed)
            hits.append(self._hits())
        return Run(name, seed, hits, seconds)

    def _fit(self, part: PairDataset, seed: int) -> None:
        """Train the head anew on some pairs, as `train_encoder` does."""
        model = self._encoder.model
        interpolate_weights(model, self._start, 0.0)
        pairs = prepare_pairs(self._encoder, part, self._depths, self._features)
        recipe = Recipe(
            epochs=self._epochs,
            learning_rate=RATE,
            batch_size=min(128, len(part)),
            checkpoint_steps=1_000_000,  # none: nobody resumes a run of seconds
            seed=seed,
        )
        loss = recipe.make_loss(self._encoder.dimension, Scale.of(model))
        with TemporaryDirectory() as work:
            fit_pairs(self._view, pairs, loss, recipe, {}, Path(work))
        interpolate_weights(model, self._start, SHARE)

    def _hits(self) -> list[float]:
        ranked = rank_pairs(self._view, self._held_out)[CAPTIONED]
        hits: list[float] = ranked.query_to_document.hit(K).tolist()
        return hits

    def _images(self) -> Vector:
        """``(pairs, d)`` of the training part's pictures, pair by pair."""
        return _picture_rows(self._view, self._pool)


def _picture_rows(view: Any, pairs: PreparedPairs) -> Vector:
    return embed(view, pairs.inputs, pairs.documents)


def main() -> None:
    """Run every strategy with every seed and write table, plot and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=Path("build/mini-base"))
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--work", type=Path, default=Path("build/active-learning"))
    parser.add_argument("--strategies", default=",".join(STRATEGIES), metavar="NAME,NAME …")
    parser.add_argument("--pool", type=int, default=2500, help="captions of the training part")
    parser.add_argument("--asked", type=int, default=1000, help="captions of the held-out part")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--docs", type=Path, default=Path("build/active-learning"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.strategies.split(",")
    with nullcontext(options.library) if options.library else fetched_library() as library:
        pool, asked = parts(library, options.pool, options.asked, options.work)
        base = trainable_encoder(str(options.base))
        course = Course(base, pool, asked, options.work, options.epochs)
        start = course.start_hits()
        runs = [
            done_or_run(course, name, seed, options.work / f"runs-{options.epochs}")
            for seed in range(options.seeds)
            for name in names
        ]
    write(start, runs, options.docs)


def done_or_run(course: Course, name: str, seed: int, runs: Path) -> Run:
    """A run, or what it gave before."""
    kept = runs / f"{name}-{seed}.json"
    if not kept.exists():
        began = time.perf_counter()
        run = course.run(name, seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([run.hits, run.seconds]), encoding="utf-8")
        means = ", ".join(f"{np.mean(hits):.3f}" for hits in run.hits)
        Console().print(f"{name}, seed {seed}: {means} ({time.perf_counter() - began:.0f} s)")
    return Run(name, seed, *json.loads(kept.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
