"""Several processes of one run, as ``torchrun`` and ``accelerate launch`` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes this run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def first_process_first() -> Iterator[bool]:
    """Let the first process do the block alone, then the others, who find its results.

    Yields:
        Whether this is the first process.
    """
    if process_count() == 1:
        yield True
        return
    from accelerate import PartialState  # type: ignore[import-untyped]

    with PartialState().main_process_first():
        yield is_first_process()
