"""`EqualBatches`: every epoch's pairs in another order, in batches of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from itertools import islice

import torch
from torch.utils.data import BatchSampler

from unisem.errors import TrainingError


class EqualBatches(BatchSampler):
    """Shuffled batches that depend on the seed and the epoch alone, so that training can resume.

    Several processes share each step's batch, the joint one: it is what one process with batches
    that many times as large would have, and what follows in this sampler is its parts, one for each
    process, as equal as they can be, larger ones last.

    The joint batches of an epoch have one size, at most the one wanted: their number is rounded up,
    but not so far that a pair is alone in one, or a process without any. Up to that many left-over
    pairs wait for another epoch. So no batch is too small to have negatives, and processes never
    wait for each other.

    Args:
        data: What has pairs.
        batch_size: The most pairs a process's part may have.
        seed: Decides the order, together with the epoch.
        processes: How many processes share the batches.
        even: Leave pairs over rather than give one process more than another.

    Raises:
        TrainingError: There are not two pairs, or not one for every process.
    """

    def __init__(
        self,
        data: Sized,
        *,
        batch_size: int,
        seed: int,
        processes: int = 1,
        even: bool = False,
    ) -> None:
        self._count = len(data)
        fewest = max(2, processes)
        if self._count < fewest:
            raise TrainingError(
                f"{self._count:,} training pairs are too few for {processes} processes; train in "
                "fewer, or with more pairs"
            )
        most = batch_size * processes
        self._steps = min(math.ceil(self._count / most), self._count // fewest)
        joint = min(most, self._count // self._steps)
        least, more = divmod(joint, processes)
        if even:
            more = 0
        self._sizes = [least] * (processes - more) + [least + 1] * more
        self.batch_size = self._sizes[-1]  # accelerate takes a round of parts as whole by its last
        self.drop_last = False
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._steps * len(self._sizes)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator()
        generator.manual_seed(self._seed * 1_000_003 + self.epoch)
        order = iter(torch.randperm(self._count, generator=generator).tolist())
        for _ in range(self._steps):
            for size in self._sizes:
                yield list(islice(order, size))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch
