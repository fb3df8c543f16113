"""`TrainingReport`: what a training run did, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unisem.evaluation import Ranking
from unisem.evaluation.ranking import bootstrap_interval
from unisem.training.evaluator import Rankings


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and after, and the 95 % interval of the difference (paired bootstrap)."""

    before: float
    after: float
    low: float
    high: float

    @classmethod
    def of(cls, before: Ranking, after: Ranking, k: int) -> Change:
        """The change of hit@k, over the same queries."""
        one, other = before.hit(k), after.hit(k)
        low, high = bootstrap_interval(other - one, rounds=2000)
        return cls(float(np.mean(one)), float(np.mean(other)), low, high)


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

    def change(self, k: int) -> tuple[Change, Change] | None:
        """The change of hit@k, caption to picture and picture to caption."""
        if self.before is None or self.after is None:
            return None
        return (
            Change.of(self.before.text_to_image, self.after.text_to_image, k),
            Change.of(self.before.image_to_text, self.after.image_to_text, k),
        )
