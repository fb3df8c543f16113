"""`check_counts`: settings that count something, checked before anything is done with them."""

from __future__ import annotations


def check_counts(**counts: int) -> None:
    """Whether settings are whole numbers of at least 1.

    Raises:
        ValueError: Names the one that is not.
    """
    for label, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{label} must be a whole number of at least 1, not {value!r}")
