"""`TrainingReport`: what a training run did, in figures."""

from __future__ import annotations

from collections.abc import Collection
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
        size: Bytes of the files that are there.
        share: How far weights went from the start model (0) to the trained one (1).
        trials: Short runs that told how far.
        dropped_trials: Those that were left out, since the split would have left a kind of pairs
            with nothing to tell apart.
        scale: The inverse temperature, and the bias, that the loss began with; ``None`` for a loss
            without.
        own_scale: Whether they are the start model's own.
        learned_scale: Where they ended; ``None`` if they were not learned.
        before: Held-out pairs ranked by the start model, by their kind; ``None`` without any.
        after: The same by the trained model.
        leakage: What held-out pairs have in common with those trained on; a `Split` has nothing.
    """

    output: Path
    trained: int
    steps: int
    losses: tuple[float, ...]
    seconds: float
    size: int = 0
    share: float = 1.0
    trials: int = 0
    dropped_trials: int = 0
    scale: Scale | None = None
    own_scale: bool = False
    learned_scale: Scale | None = None
    before: dict[str, Rankings] | None = None
    after: dict[str, Rankings] | None = None
    leakage: Leakage | None = None

    def change(self, k: int, kind: str | None = None) -> tuple[Change, Change, Change] | None:
        """The change of hit@k: query to document, document to query, and over all queries.

        Args:
            k: How far down counts.
            kind: Of pairs of this kind alone, ``"text to image"`` …; of all if ``None``.
        """
        if self.before is None or self.after is None:
            return None
        before, after = (
            Rankings.joined(found.values()) if kind is None else found[kind]
            for found in (self.before, self.after)
        )
        groups = before.query_groups
        documents = np.arange(len(before.document_to_query.ranks))
        asked = before.query_to_document.hit(k), after.query_to_document.hit(k)
        shown = before.document_to_query.hit(k), after.document_to_query.hit(k)
        old, new = (np.concatenate(hits) for hits in zip(asked, shown, strict=True))
        return (
            Change.of(*asked, groups),
            Change.of(*shown, documents),
            Change.of(old, new, np.concatenate([groups, documents])),
        )

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values.

        Under ``before`` and ``after`` there are the means of ``hit@k``, ``recall@k``, ``mrr`` and
        ``ndcg@10`` for k of 1, 5 and 10, by kind of pairs and direction (``text to image``, ``image
        to text``; ``text to text`` and its reverse, ``text to text, backwards``); ``None`` without
        held-out pairs.
        """
        return {
            "output": str(self.output),
            "size": self.size,
            "trained": self.trained,
            "steps": self.steps,
            "losses": list(self.losses),
            "seconds": round(self.seconds, 3),
            "share": self.share,
            "trials": self.trials,
            "dropped_trials": self.dropped_trials,
            "scale": None if self.scale is None else asdict(self.scale),
            "own_scale": self.own_scale,
            "learned_scale": None if self.learned_scale is None else asdict(self.learned_scale),
            "before": None if self.before is None else _means(self.before),
            "after": None if self.after is None else _means(self.after),
            "leakage": None if self.leakage is None else asdict(self.leakage),
        }


def backwards(kind: str, kinds: Collection[str]) -> str:
    """What the direction from documents to queries is called, among pairs of some kinds.

    >>> backwards("text to image", {"text to image"})
    'image to text'
    >>> backwards("text to text", {"text to text"})
    'text to text, backwards'
    """
    query, document = kind.split(" to ")
    name = f"{document} to {query}"
    return f"{kind}, backwards" if name in kinds else name


def _means(by_kind: dict[str, Rankings]) -> dict[str, dict[str, float]]:
    rankings = {}
    for kind, found in by_kind.items():
        rankings[kind] = found.query_to_document
        rankings[backwards(kind, by_kind)] = found.document_to_query
    return {
        direction: {name: float(values.mean()) for name, values in ranking.measures().items()}
        for direction, ranking in rankings.items()
    }
