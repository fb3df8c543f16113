"""`until`: what comes about sooner or later, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something, and fail if it has not come about after so many seconds and more."""
    for _ in range(round(100 * seconds)):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come about")
