"""`RerankerReport`: what the training of a reranker did, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unisem.evaluation.ranking import Ranking
from unisem.pairs.dataset import Ids
from unisem.pairs.splits import Leakage
from unisem.training.report import Change


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """Held-out captions that look for their pictures.

    Attributes:
        before: As the encoder ranks them.
        after: The encoder's first hits in the order of the reranker.
        groups: ``(queries,)`` the first picture of each: what succeeds and fails together.
    """

    before: Ranking
    after: Ranking
    groups: Ids

    def change(self, k: int) -> Change:
        """The change of hit@k."""
        return Change.of(self.before.hit(k), self.after.hit(k), self.groups)


@dataclass(frozen=True, slots=True, eq=False)
class RerankerReport:
    """What came of a run.

    Attributes:
        output: Where the reranker is.
        trained: Numbers that were trained.
        bytes_per_picture: Of a picture's stored tokens.
        steps: Steps that weights moved.
        losses: Mean loss per epoch.
        validation: Loss on pairs held back, per epoch; none without ``patience``.
        seconds: Spent training, towers and comparison left out.
        reranked: The comparison; ``None`` without held-out pairs.
        leakage: What held-out pairs have in common with those trained on.
    """

    output: Path
    trained: int
    bytes_per_picture: int
    steps: int
    losses: tuple[float, ...]
    validation: tuple[float, ...]
    seconds: float
    reranked: Reranked | None = None
    leakage: Leakage | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; under ``before`` and ``after`` means by measure."""
        found = self.reranked
        return {
            "output": str(self.output),
            "trained": self.trained,
            "bytes_per_picture": self.bytes_per_picture,
            "steps": self.steps,
            "losses": list(self.losses),
            "validation": list(self.validation),
            "seconds": round(self.seconds, 3),
            "before": None if found is None else _means(found.before),
            "after": None if found is None else _means(found.after),
            "leakage": None if self.leakage is None else asdict(self.leakage),
        }


def _means(ranking: Ranking) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in ranking.measures().items()}
