"""`GrowingRows`: append vectors without moving those that are there, however many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.growing_array import GrowingArray

_BLOCK = 8192  # rows; a block of fewer is moved while it grows


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """``(n, d)`` float32 rows in blocks, which later appends leave alone.

    Attributes:
        blocks: All but the last of `_BLOCK` rows.
    """

    blocks: tuple[Vector, ...]

    def __len__(self) -> int:
        return _BLOCK * (len(self.blocks) - 1) + len(self.blocks[-1])

    @property
    def width(self) -> int:
        """Length of a row."""
        return int(self.blocks[0].shape[1])

    def at(self, positions: NDArray[np.int64]) -> Vector:
        """``(m, d)``: the rows at these positions, in this order."""
        if len(self.blocks) == 1:
            return self.blocks[0][positions]
        numbers, within = np.divmod(positions, _BLOCK)
        rows = np.empty((len(positions), self.width), np.float32)
        for number in np.unique(numbers):
            inside = numbers == number
            rows[inside] = self.blocks[number][within[inside]]
        return rows

    def products(self, query: Vector, positions: NDArray[np.int64] | None = None) -> Vector:
        """A query's inner products with the rows at ascending positions, or with all."""
        if positions is None:
            return np.concatenate([block @ query for block in self.blocks])
        ends = np.searchsorted(positions, _BLOCK * np.arange(1, len(self.blocks)))
        parts = zip(self.blocks, np.split(positions, ends), strict=True)
        return np.concatenate(
            [block[some - number * _BLOCK] @ query for number, (block, some) in enumerate(parts)]
        )


class GrowingRows:
    """Rows in blocks: a full one never moves, and what was handed out never changes.

    Args:
        width: Length of a row.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._blocks = [self._block()]

    def _block(self) -> GrowingArray:
        return GrowingArray(np.empty((0, self._width), np.float32))

    @property
    def view(self) -> Rows:
        """All rows; later appends leave it alone."""
        return Rows(tuple(block.view for block in self._blocks))

    def append(self, rows: Vector) -> None:
        """Add rows at the end."""
        while len(rows):
            room = _BLOCK - len(self._blocks[-1].view)
            if not room:
                self._blocks.append(self._block())
                continue
            self._blocks[-1].append(rows[:room])
            rows = rows[room:]
