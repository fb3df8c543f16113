"""`EvaluationOptions`: how an evaluation is done."""

from __future__ import annotations

from dataclasses import dataclass

from unisem.pairs.splits import share_or_number

_LEAST = {"limit": 2, "seed": 0, "rounds": 1, "examples": 0, "splits": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """How an evaluation is done; the same options and data give the same figures.

    Attributes:
        ks: The cutoffs of hit@k and recall@k.
        held_out: Use only the part that training with the same share (or number of pairs) and
            seed kept aside; see `unisem.training.split_pairs`. All of the data if ``None``.
        limit: About how many pairs to draw, picture by picture; all if ``None``.
        seed: Decides split and draw, the mixed corpus, the resamples and the plot's sample.
        rounds: Resamples of the bootstrap.
        confidence: Coverage of the intervals, between 0 and 1.
        examples: How many queries a list of failures or of changes has.
        points: How many pictures, and as many captions, the plot shows.
        splits: Into halves, to one of which a calibration is fitted and tried on the other; 0 for
            none.
    """

    ks: tuple[int, ...] = (1, 5, 10)
    held_out: float | int | None = None
    limit: int | None = None
    seed: int = 0
    rounds: int = 10_000
    confidence: float = 0.95
    examples: int = 8
    points: int = 300
    splits: int = 20

    def __post_init__(self) -> None:
        if not self.ks or any(not isinstance(k, int) or k < 1 for k in self.ks):
            raise ValueError(f"ks must be whole numbers of at least 1, not {self.ks!r}")
        object.__setattr__(self, "ks", tuple(sorted(set(self.ks))))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value!r}")
        if self.held_out is not None:
            try:
                share_or_number(self.held_out)
            except ValueError as error:
                raise ValueError(f"held_out {error}") from None
        if self.points < 2:
            raise ValueError(f"points must be at least 2, not {self.points!r}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, not {self.confidence!r}")
