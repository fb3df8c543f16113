"""`seeded`: random starting weights that are the same in every process of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed on the CPU inside the block; outside, nothing has been drawn.

    >>> with seeded(3):
    ...     one = torch.rand(2)
    >>> with seeded(3):
    ...     other = torch.rand(2)
    >>> torch.equal(one, other)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
