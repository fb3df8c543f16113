"""`RawFile`: a segment's vectors in order, mapped from their file and checked where they are read.

To check gigabytes at opening would take longer than the first answers. So each block of vectors has
a checksum, and is compared with it when something of it is read for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import xxhash
from numpy.typing import NDArray

from unisem.records import Vector

Precision = Literal["float32", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16")
SUFFIX: dict[Precision, str] = {"float32": ".f32", "float16": ".f16"}
"""How the name of a file of numbers of this precision ends."""

_CHUNK = 1 << 24  # bytes that are hashed at a time
_BLOCK = 16  # vectors that share a checksum
_TYPES: dict[Precision, Any] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


class DamagedVectorsError(Exception):
    """Vectors of a segment do not agree with their checksums; the catalogue has them still."""


class RawFile:
    """``(n, d)`` vectors, in memory or mapped.

    Threads may share one.

    Attributes:
        precision: Of the numbers as they are kept.

    Args:
        vectors: ``(n, d)`` float32 or float16, which nobody changes.
        checksums: ``(blocks,)`` uint64; ``None`` for vectors in memory, which are not checked.
    """

    def __init__(self, vectors: NDArray[np.floating], checksums: NDArray[np.uint64] | None) -> None:
        self.precision: Precision = "float16" if vectors.dtype.itemsize == 2 else "float32"
        self._vectors = vectors
        self._checksums = checksums
        self._unchecked = np.ones(0 if checksums is None else len(checksums), np.bool_)

    @classmethod
    def of(cls, vectors: Vector, precision: Precision = "float32") -> RawFile:
        """Keep vectors in memory, rounded if need be."""
        return cls(np.ascontiguousarray(vectors, _TYPES[precision]), None)

    @classmethod
    def mapped(cls, path: Path, count: int, dimension: int, checksums: Path) -> RawFile:
        """Map a file that `write` wrote.

        Raises:
            OSError: It is not there.
            ValueError: It is not of this size, or of no known precision.
        """
        precision = next((name for name in PRECISIONS if SUFFIX[name] == path.suffix), None)
        if precision is None:
            raise ValueError(f"{path.name} is of no known precision")
        kept, kind = np.load(checksums, allow_pickle=False), _TYPES[precision]
        if kept.dtype != np.uint64 or kept.shape != (-(-count // _BLOCK),):
            raise ValueError(f"{checksums.name} are not the checksums of {count} vectors")
        if path.stat().st_size != count * dimension * kind.itemsize:
            raise ValueError(f"{path.name} is of another size")
        if not count:
            return cls(np.empty((0, dimension), kind), kept)
        mapped = np.memmap(path, kind, "r", shape=(count, dimension))
        return cls(mapped.view(np.ndarray), kept)  # whose rows are taken in a third of the time

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    def at(self, positions: NDArray[np.int64]) -> Vector:
        """``(m, d)`` float32 copies of the vectors at these positions, in this order.

        Raises:
            DamagedVectorsError: Something near them does not agree with its checksum.
        """
        self.check(positions)
        return self._vectors[positions].astype(np.float32, copy=False)

    def check(self, positions: NDArray[np.int64]) -> None:
        """See that the vectors at these positions may be read.

        Raises:
            DamagedVectorsError: Something near them does not agree with its checksum, or there
                is none at one of them, which only a damaged index can say.
        """
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self):
            raise DamagedVectorsError(f"a position outside {len(self)} vectors")
        if self._checksums is not None:
            blocks = positions // _BLOCK
            self._check(set(blocks[self._unchecked[blocks]].tolist()), self._checksums)

    def all(self) -> NDArray[np.floating]:
        """``(n, d)`` as they are kept.

        Raises:
            DamagedVectorsError: Some do not agree with their checksums.
        """
        if self._checksums is not None:
            self._check(np.flatnonzero(self._unchecked).tolist(), self._checksums)
        return self._vectors

    @property
    def kept(self) -> NDArray[np.floating]:
        """``(n, d)`` as they are kept, for who has seen that they may be read."""
        return self._vectors

    def write(self, file: BinaryIO) -> None:
        """Write the numbers, and nothing else.

        Raises:
            OSError: The disk refused.
        """
        for block in self._blocks(1 << 12):
            file.write(block.view(np.uint8).data)

    def checksums(self) -> NDArray[np.uint64]:
        """``(blocks,)`` uint64 of the vectors as they are now."""
        found = map(_checksum, self._blocks(_BLOCK), range(-(-len(self) // _BLOCK)))
        return np.fromiter(found, np.uint64)

    def _blocks(self, rows: int) -> Iterator[NDArray[np.floating]]:
        for start in range(0, len(self), rows):
            yield self._vectors[start : start + rows]

    def _check(self, unchecked: Iterable[int], checksums: NDArray[np.uint64]) -> None:
        for number in unchecked:
            block = self._vectors[number * _BLOCK : (number + 1) * _BLOCK]
            if _checksum(block, number) != int(checksums[number]):
                raise DamagedVectorsError(f"block {number} of {len(self._unchecked)}")
            self._unchecked[number] = False


def checksum_of(data: memoryview) -> str:
    """XXH3 of many bytes: for damage, not for malice, at the speed of memory."""
    digest = xxhash.xxh3_128()
    for start in range(0, len(data), _CHUNK):  # of which no part is copied
        with data[start : start + _CHUNK] as part:
            digest.update(part)
    return digest.hexdigest()


def _checksum(block: NDArray[np.floating], number: int) -> int:
    """Over the bytes and the block's place, so that none passes for another's."""
    return xxhash.xxh3_64_intdigest(block.view(np.uint8).data, number)
