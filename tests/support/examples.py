"""`examples`: with how many made-up inputs a property is tried."""

from __future__ import annotations

import os

VARIABLE = "UNISEM_EXAMPLES"
"""The environment variable that says how many times as many are tried."""


def examples(count: int) -> int:
    """So many in the fast tier."""
    return count * int(os.environ.get(VARIABLE, "1"))
