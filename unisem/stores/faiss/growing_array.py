"""`GrowingArray`: append to a NumPy array without moving what others are reading."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class GrowingArray:
    """An array with spare capacity.

    `append` writes behind everything that was handed out before, or moves to a larger buffer, so
    a view that a reader holds never changes.

    Args:
        start: The first contents; copied only when the first item is appended.
    """

    def __init__(self, start: NDArray[Any]) -> None:
        self._buffer = start
        self._length = len(start)

    @property
    def view(self) -> NDArray[Any]:
        """The contents; a view that later appends leave alone."""
        return self._buffer[: self._length]

    def append(self, items: NDArray[Any]) -> None:
        """Add items along the first axis."""
        length = self._length + len(items)
        if length > len(self._buffer):
            # Twice: what is not written to is no memory yet, and moving costs more than adding.
            capacity = max(length, 2 * self._length, 64)
            larger = np.empty((capacity, *self._buffer.shape[1:]), self._buffer.dtype)
            larger[: self._length] = self._buffer[: self._length]
            self._buffer = larger
        self._buffer[self._length : length] = items
        self._length = length
