"""`TrainingReport`: what a training run did, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.bootstrap import bootstrap_interval
from unisem.training.evaluator import Rankings
from unisem.training.pairs import Ids

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and after, and the 95 % interval of the difference (paired bootstrap)."""

    before: float
    after: float
    low: float
    high: float

    @classmethod
    def of(cls, before: Floats, after: Floats, groups: Ids) -> Change:
        """The change of a measure over the same queries, of which groups are drawn together."""
        low, high = bootstrap_interval(after - before, groups=groups, rounds=2000)
        return cls(float(np.mean(before)), float(np.mean(after)), low, high)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingReport:
    """What came of a run.

    Attributes:
        output: Where the encoder is.
        trained: Numbers that were trained.
        steps: Steps that weights moved.
        losses: Mean loss per epoch.
        seconds: Spent training, features and evaluation left out.
        before: Held-out pairs ranked by the start model; ``None`` without held-out pairs.
        after: The same by the trained model.
    """

    output: Path
    trained: int
    steps: int
    losses: tuple[float, ...]
    seconds: float
    before: Rankings | None = None
    after: Rankings | None = None

    def change(self, k: int) -> tuple[Change, Change, Change] | None:
        """The change of hit@k: caption to picture, picture to caption, and over all queries."""
        if self.before is None or self.after is None:
            return None
        captions = self.before.caption_groups
        pictures = np.arange(len(self.before.image_to_text.hit(k)))
        texts = self.before.text_to_image.hit(k), self.after.text_to_image.hit(k)
        images = self.before.image_to_text.hit(k), self.after.image_to_text.hit(k)
        before, after = (np.concatenate(pair) for pair in zip(texts, images, strict=True))
        return (
            Change.of(*texts, captions),
            Change.of(*images, pictures),
            Change.of(before, after, np.concatenate([captions, pictures])),
        )
