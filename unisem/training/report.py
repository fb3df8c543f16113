"""`TrainingReport`: what a training run did, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.bootstrap import bootstrap_interval
from unisem.pairs.dataset import Ids
from unisem.pairs.splits import Leakage
from unisem.training.loop.evaluator import Rankings
from unisem.training.model.scale import Scale

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
        share: How far weights went from the start model (0) to the trained one (1).
        scale: The inverse temperature, and the bias, that the loss began with; ``None`` for a loss
            without.
        own_scale: Whether they are the start model's own.
        learned_scale: Where they ended; ``None`` if they were not learned.
        before: Held-out pairs ranked by the start model; ``None`` without held-out pairs.
        after: The same by the trained model.
        leakage: What held-out pairs have in common with those trained on; a `Split` has nothing.
    """

    output: Path
    trained: int
    steps: int
    losses: tuple[float, ...]
    seconds: float
    share: float = 1.0
    scale: Scale | None = None
    own_scale: bool = False
    learned_scale: Scale | None = None
    before: Rankings | None = None
    after: Rankings | None = None
    leakage: Leakage | None = None

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

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values.

        Under ``before`` and ``after`` there are the means of ``hit@k``, ``recall@k``, ``mrr`` and
        ``ndcg@10`` by direction, for k of 1, 5 and 10; ``None`` without held-out pairs.
        """
        return {
            "output": str(self.output),
            "trained": self.trained,
            "steps": self.steps,
            "losses": list(self.losses),
            "seconds": round(self.seconds, 3),
            "share": self.share,
            "scale": None if self.scale is None else asdict(self.scale),
            "own_scale": self.own_scale,
            "learned_scale": None if self.learned_scale is None else asdict(self.learned_scale),
            "before": None if self.before is None else _means(self.before),
            "after": None if self.after is None else _means(self.after),
            "leakage": None if self.leakage is None else asdict(self.leakage),
        }


def _means(rankings: Rankings) -> dict[str, dict[str, float]]:
    return {
        direction: {name: float(values.mean()) for name, values in ranking.measures().items()}
        for direction, ranking in (
            ("text to image", rankings.text_to_image),
            ("image to text", rankings.image_to_text),
        )
    }
