"""`for_long`: a test of many made-up inputs, as many as there is time for."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, seed, settings

VARIABLE = "UNISEM_FUZZ_SECONDS"
"""The environment variable that says for how long each such test goes on."""

_EXAMPLES, _A_ROUND = 20_000, 1_000
_ROUND = settings(
    max_examples=_A_ROUND,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def for_long(test: Callable[..., None]) -> Callable[..., None]:
    """Have a test, which is `given` its inputs, see 20,000 of them, or go on for a set time.

    It goes by rounds of a thousand, each of a seed of its own: a longer time sees what a shorter
    one has seen, and then others.
    """
    rounds = _ROUND(test)
    seconds = os.environ.get(VARIABLE)

    @functools.wraps(test)  # so that pytest sees which fixtures it needs
    def repeated(*arguments: Any, **fixtures: Any) -> None:
        end = None if seconds is None else time.monotonic() + float(seconds)
        for number in count():
            if number * _A_ROUND >= _EXAMPLES if end is None else time.monotonic() >= end:
                print(f"{number * _A_ROUND:,} inputs")
                return
            seed(number)(rounds)(*arguments, **fixtures)

    vars(repeated).clear()  # to pytest it is a test like any other
    repeated.__wrapped__ = test  # type: ignore[attr-defined]
    return repeated
