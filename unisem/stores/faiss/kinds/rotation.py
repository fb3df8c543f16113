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
        matrix: ``(d, d)`` float32, orthogonal.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._matrix = np.ascontiguousarray(matrix, np.float32)

    @classmethod
    def random(cls, dimension: int, seed: int = 0) -> Self:
        """Spreads what vectors have in common evenly over all components."""
        drawn = np.random.default_rng(seed).standard_normal((dimension, dimension))
        turned, signs = np.linalg.qr(drawn)
        return cls(turned * np.sign(np.diag(signs)))

    def of(self, vectors: Vector) -> Vector:
        """``(n, d)`` float32 vectors, turned."""
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
