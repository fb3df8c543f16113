"""`EqualBatches`: every epoch's pairs in another order, in batches of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

import torch
from torch.utils.data import BatchSampler

from unisem.errors import TrainingError


class EqualBatches(BatchSampler):
    """Shuffled batches that depend on the seed and the epoch alone, so that training can resume.

    The batches of an epoch have one size, at most the one wanted: the number of batches is rounded
    up, and to a multiple of the processes, but not so far that batches of one pair are left. Up to
    that many left-over pairs wait for another epoch. So no batch is too small to have negatives,
    and processes never wait for each other.

    Args:
        data: What has pairs.
        batch_size: The most pairs a batch may have.
        seed: Decides the order, together with the epoch.
        processes: How many processes share the batches.

    Raises:
        TrainingError: There are not two pairs for every process.
    """

    def __init__(self, data: Sized, *, batch_size: int, seed: int, processes: int = 1) -> None:
        self._count = len(data)
        if self._count < 2 * processes:
            raise TrainingError(
                f"{self._count:,} training pairs are too few for {processes} processes; every "
                "process needs two, since one pair has no negatives"
            )
        wanted = math.ceil(self._count / (batch_size * processes))
        most = self._count // (2 * processes)  # else batches of an odd pair alone
        self._batches = min(wanted, most) * processes
        self.batch_size = min(batch_size, self._count // self._batches)
        self.drop_last = False
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator()
        generator.manual_seed(self._seed * 1_000_003 + self.epoch)
        order = torch.randperm(self._count, generator=generator).tolist()
        for number in range(self._batches):
            yield order[number * self.batch_size : (number + 1) * self.batch_size]

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch
