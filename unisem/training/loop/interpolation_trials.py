"""`Trials`: how far to go from the start model, judged by pairs that are held back."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids, PairDataset
from unisem.pairs.splits import Split, split_pairs
from unisem.records import Modality
from unisem.training.inputs.guide import Guide
from unisem.training.inputs.mining import negatives_of
from unisem.training.inputs.preparing import prepare_pairs
from unisem.training.loop.environment import from_first_process, process_count
from unisem.training.loop.evaluator import Rankings, rank_pairs
from unisem.training.model.interpolation import interpolate_weights, trainable_state
from unisem.training.model.scale import Scale
from unisem.training.recipe import Recipe

SHARES = tuple(number / 10 for number in range(1, 11))
_HELD_BACK = 0.2
_FEWEST = 100  # pairs; fewer say nothing about a tenth more or less
_MANY = 20_000  # pairs; more are not known by heart (2,000 were not), and trials would take long
_ENOUGH = 1000  # pairs held back in all trials together
_MOST = 5


class Found(NamedTuple):
    """What trials found.

    Attributes:
        share: How far to go from the start model (0) to the trained one (1).
        trials: How many there were.
        dropped: Splits that were not tried, since a kind of pairs would have had nothing to tell
            apart.
    """

    share: float
    trials: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Trials:
    """Short runs on a part of the training pairs, of which the others tell what they gained.

    A head that was trained on few pairs knows them by heart, and a step back towards the start
    model (`interpolate_weights`) is better on others; after many pairs it is not. Which it is shows
    on pairs that a run was not shown.

    Attributes:
        encoder: What is trained.
        view: Its trained part.
        depths: From `stored_depths`.
        cache: Where features are stored.
        recipe: With everything filled in that depends on model and pairs.
        work: For the runs' checkpoints; goes when they are done.
        guide: Says which negatives are none, if that is wanted.
    """

    encoder: SentenceTransformerEncoder
    view: Any
    depths: dict[Modality, int]
    cache: Path
    recipe: Recipe
    work: Path
    guide: Guide | None = None

    def best_share(
        self,
        train: PairDataset,
        start: Mapping[str, Tensor],
        progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    ) -> Found:
        """The share of the way at which held-back pairs are ranked best, by MRR in both directions.

        One trial for many pairs, up to five for few, each with another fifth held back. The model
        is left as it came.

        Args:
            train: The pairs that may be used.
            start: The start model's weights, from `trainable_state`.
            progress: Called after every trial.

        Returns:
            One of `SHARES`; 1 where pairs are too few to tell, too many to be known by heart, or
            hang together by shared pictures or captions, so that none can be held back.
        """
        if not _FEWEST <= len(train) <= _MANY:
            return Found(1.0)
        model = self.encoder.model
        came = trainable_state(model)
        count = min(_MOST, math.ceil(_ENOUGH / (_HELD_BACK * len(train))))
        try:
            seeds = range(self.recipe.seed, self.recipe.seed + count)
            splits = [split_pairs(train, held_out=_HELD_BACK, seed=seed) for seed in seeds]
        except TrainingError:
            return Found(1.0)
        splits = [split for split in splits if _is_trainable(split.train)]
        dropped = count - len(splits)
        if not splits:
            return Found(1.0, dropped=dropped)
        ranks = np.zeros(len(SHARES))
        for number, split in enumerate(splits):
            ranks += self._trial(split, start)
            progress("finding how far to go", number + 1, len(splits))
        interpolate_weights(model, came, 0.0)
        shutil.rmtree(self.work, ignore_errors=True)
        return Found(SHARES[int(ranks.argmax())], len(splits), dropped)

    def _trial(self, split: Split, start: Mapping[str, Tensor]) -> list[float]:
        from unisem.training.loop.fitting import fit_pairs

        model, part = self.encoder.model, split.train
        interpolate_weights(model, start, 0.0)
        pairs = prepare_pairs(self.encoder, part, self.depths, self.cache)
        size = min(self.recipe.batch_size or len(part), len(part))
        recipe = replace(self.recipe, batch_size=size, patience=None, checkpoint_steps=None)
        width = recipe.late_interaction or self.encoder.dimension
        loss = recipe.make_loss(width, Scale.of(model))
        if self.guide is not None:
            loss = self.guide.around(loss, part)

        def mine(view: Any, epoch: int) -> Ids | None:
            return negatives_of(view, pairs, part, recipe, epoch)

        fit_pairs(self.view, pairs, loss, recipe, {}, self.work, mine=mine)
        learned = trainable_state(model)
        return from_first_process(lambda: self._ranks(split.held_out, start, learned), model.device)

    def _ranks(
        self, held_out: PairDataset, start: Mapping[str, Tensor], learned: Mapping[str, Tensor]
    ) -> list[float]:
        model = self.encoder.model
        judged = prepare_pairs(self.encoder, held_out, self.depths, self.cache)
        ranks = []
        for share in SHARES:
            interpolate_weights(model, learned, 0.0)
            interpolate_weights(model, start, share)
            ranks.append(_mean_reciprocal_rank(rank_pairs(self.view, judged)))
        return ranks


def _is_trainable(part: PairDataset) -> bool:
    """Whether every kind has pairs for each process, and several queries and documents."""
    kinds, contents = np.array([pair.kind for pair in part]), part.contents
    return all(
        count >= max(2, process_count())
        and all(len(np.unique(side)) > 1 for side in contents[kinds == kind].T)
        for kind, count in part.kinds.items()
    )


def _mean_reciprocal_rank(by_kind: dict[str, Rankings]) -> float:
    rankings = Rankings.joined(by_kind.values())
    both = rankings.query_to_document, rankings.document_to_query
    return float(np.mean([ranking.reciprocal_rank().mean() for ranking in both]))
