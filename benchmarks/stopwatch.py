"""Timing steps of work on a device, without standing in their way."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch


class Stopwatch:
    """Seconds between marks, as the device sees them.

    Args:
        device: Whose work is timed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Mark the end of all work given to the device so far."""
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._device))
            self._marks.append(event)
            return
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        self._marks.append(time.perf_counter())

    def seconds(self, count: int) -> tuple[float, ...]:
        """The last ``count`` intervals."""
        marks = self._marks[-count - 1 :]
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            return tuple(a.elapsed_time(b) / 1000 for a, b in pairwise(marks))
        return tuple(b - a for a, b in pairwise(marks))


def time_steps(
    step: Callable[[], object], device: torch.device, steps: int, warm_up: int
) -> tuple[float, ...]:
    """Seconds of each of some equal steps.

    Args:
        step: One of them.
        device: Where it works.
        steps: How many are timed.
        warm_up: How many come before; at least one, whose end is the first mark.
    """
    watch = Stopwatch(device)
    for _ in range(warm_up + steps):
        step()
        watch.mark()
    return watch.seconds(steps)
