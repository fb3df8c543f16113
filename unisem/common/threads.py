"""`decoding_threads`: how many threads make pictures ready for a model."""

from __future__ import annotations

import os

_LEAST = 4  # a slow disk is waited for by several at once


def decoding_threads() -> int:
    """One per core that this process may use, and 4 at least.

    Pillow and NumPy let go of the interpreter while they work. Processes that ``torchrun`` starts
    on one machine share its cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(_LEAST, (cores or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
