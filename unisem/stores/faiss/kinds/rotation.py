"""`Rotation`: an orthogonal matrix before an index, which changes no inner product."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.raw_file import RawFile

_ROWS = 1 << 15  # vectors that are rotated at a time


class Rotation:
    """Turns vectors of one length.

    Args:
        matrix: ``(d', d)`` float32, whose columns are orthonormal.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._matrix = np.ascontiguousarray(matrix, np.float32)

    @classmethod
    def in_pairs(cls, sample: Vector, seed: int = 0) -> Self:
        """Puts much and little of how vectors vary into the two components of every pair.

        The half of the principal axes along which they vary most is turned at random, and so is the
        other; the first component of each pair is of that half, the second of this. So four bits
        for a pair tell more of the first: by reverse water-filling (Cover and Thomas, 13.3) twice
        as much as if all components varied alike, and no pair varies more than another, which
        Faiss's lookups of one byte would pay for.

        Args:
            sample: ``(m, d)`` vectors that vary as all do.
            seed: Decides how both halves are turned.

        Returns:
            One to ``d`` components, or ``d + 1`` if that is odd.
        """
        rng, half = np.random.default_rng(seed), -(-sample.shape[1] // 2)
        _, axes = np.linalg.eigh(np.cov(sample, rowvar=False).reshape(2 * (sample.shape[1],)))
        axes = axes[:, ::-1].T
        matrix = np.zeros((2 * half, sample.shape[1]))
        matrix[0::2] = _turned(axes[:half], half, rng)
        matrix[1::2] = _turned(axes[half:], half, rng)
        return cls(matrix)

    def of(self, vectors: Vector) -> Vector:
        """``(n, d')`` float32: ``(n, d)`` vectors, turned."""
        turned: Vector = np.ascontiguousarray(vectors @ self._matrix.T)
        return turned

    def fill(self, index: Any, vectors: RawFile) -> None:
        """Add all vectors to an index, turned, a part at a time."""
        for start in range(0, len(vectors), _ROWS):
            index.add(self.of(vectors.at(np.arange(start, min(start + _ROWS, len(vectors))))))

    def before(self, index: Any) -> Any:
        """A Faiss index that turns first, which is what is written."""
        return behind(self._matrix, index)

    @classmethod
    def split(cls, written: Any) -> tuple[Self, Any]:
        """What `before` put together.

        Raises:
            ValueError: It is something else.
        """
        matrix, index, _ = apart(written)
        return cls(matrix), index


def _turned(
    axes: NDArray[np.floating], count: int, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Orthonormal axes, turned at random among so many dimensions or more."""
    turn, signs = np.linalg.qr(rng.standard_normal((count, count)))
    found: NDArray[np.floating] = (turn * np.sign(np.diag(signs)))[:, : len(axes)] @ axes
    return found


def behind(
    matrix: NDArray[np.float32], index: Any, shift: NDArray[np.float32] | None = None
) -> Any:
    """A Faiss index of what a ``(d', d)`` matrix, and a shift of ``(d',)``, make of vectors."""
    import faiss

    transform = faiss.LinearTransform(matrix.shape[1], matrix.shape[0], shift is not None)
    faiss.copy_array_to_vector(matrix.ravel(), transform.A)
    if shift is not None:
        faiss.copy_array_to_vector(shift, transform.b)
    transform.is_orthonormal = shift is None
    transform.is_trained = True
    return faiss.IndexPreTransform(transform, index)


def apart(written: Any) -> tuple[NDArray[np.float32], Any, NDArray[np.float32]]:
    """What `behind` put together: the matrix, the index, and the shift, empty if there was none.

    Raises:
        ValueError: It is something else.
    """
    import faiss

    whole = faiss.downcast_index(written)
    if not isinstance(whole, faiss.IndexPreTransform) or whole.chain.size() != 1:
        raise ValueError("no index behind a matrix")
    transform = faiss.downcast_VectorTransform(whole.chain.at(0))
    matrix = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
    return matrix, faiss.downcast_index(whole.index), faiss.vector_to_array(transform.b)
