"""`EqualBatches`: every epoch's pairs in another order, in batches of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
from torch.utils.data import BatchSampler

from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids


class EqualBatches(BatchSampler):
    """Shuffled batches that depend on the seed and the epoch alone, so that training can resume.

    A batch is of one kind of pairs; each kind has its share of the batches, in any order.

    Several processes share each step's batch, the joint one: it is what one process with batches
    that many times as large would have, and what follows in this sampler is its parts, one for each
    process, as equal as they can be, larger ones last.

    The joint batches that a kind has in an epoch have one size, at most the one wanted: their
    number is rounded up, but not so far that a pair is alone in one, or a process without any. Up
    to that many left-over pairs wait for another epoch. So no batch is too small to have negatives,
    and processes never wait for each other.

    Args:
        data: What has pairs.
        batch_size: The most pairs a process's part may have.
        seed: Decides the order, together with the epoch.
        processes: How many processes share the batches.
        even: Leave pairs over rather than give one process more than another.
        kinds: ``(n,)`` pairs' numbers by kind; all are of one if ``None``.

    Raises:
        TrainingError: There are not two pairs of a kind, or not one for every process.
    """

    def __init__(
        self,
        data: Sized,
        *,
        batch_size: int,
        seed: int,
        processes: int = 1,
        even: bool = False,
        kinds: Mapping[str, Ids] | None = None,
    ) -> None:
        kinds = kinds or {"training": np.arange(len(data))}
        self._kinds = [
            _Kind.of(name, rows, batch_size, processes, even) for name, rows in kinds.items()
        ]
        # accelerate takes a round of parts as whole by its last, or always if sizes differ.
        self.batch_size: Any = self._kinds[0].sizes[-1] if len(self._kinds) == 1 else None
        self.drop_last = False
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return sum(kind.steps * len(kind.sizes) for kind in self._kinds)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator()
        generator.manual_seed(self._seed * 1_000_003 + self.epoch)
        steps: list[list[list[int]]] = []  # the parts of each joint batch
        for kind in self._kinds:
            order = iter(torch.randperm(len(kind.rows), generator=generator).tolist())
            steps += [
                [kind.rows[list(islice(order, size))].tolist() for size in kind.sizes]
                for _ in range(kind.steps)
            ]
        turns: Sequence[int] = range(len(steps))
        if len(self._kinds) > 1:
            turns = torch.randperm(len(steps), generator=generator).tolist()
        for turn in turns:
            yield from steps[turn]

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """How many joint batches the pairs of a kind make, and how large the parts of each are."""

    rows: Ids
    steps: int
    sizes: list[int]

    @classmethod
    def of(cls, name: str, rows: Ids, batch_size: int, processes: int, even: bool) -> Self:
        count, fewest = len(rows), max(2, processes)
        if count == 1:
            raise TrainingError(
                f"there is one pair of the kind {name}, which has nothing to be told from; add one "
                "or leave it out"
            )
        if count < fewest:
            raise TrainingError(
                f"{count:,} {name} pairs are too few for {processes} processes; train in "
                "fewer, or with more pairs"
            )
        most = batch_size * processes
        steps = min(math.ceil(count / most), count // fewest)
        least, more = divmod(min(most, count // steps), processes)
        if even:
            more = 0
        return cls(rows, steps, [least] * (processes - more) + [least + 1] * more)
