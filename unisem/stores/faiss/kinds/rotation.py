"""`Rotation`: an orthogonal matrix before an index, which changes no inner product."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.raw_file import RawFile

_ROWS = 1 << 15  # vectors that are rotated at a time
_LOOKED_AT = 20_000  # vectors from which directions are found


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

    @classmethod
    def principal(cls, vectors: RawFile, seed: int = 0) -> Self:
        """Brings what vectors have most of to the first components (PCA about the origin)."""
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:_LOOKED_AT]
        sample = vectors.at(np.sort(chosen)).astype(np.float64)
        _, directions = np.linalg.eigh(sample.T @ sample)  # ascending
        return cls(directions[:, ::-1].T)

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
        import faiss

        transform = faiss.LinearTransform(*self._matrix.shape, False)
        faiss.copy_array_to_vector(self._matrix.ravel(), transform.A)
        transform.is_orthonormal = True
        transform.is_trained = True
        return faiss.IndexPreTransform(transform, index)

    @classmethod
    def split(cls, written: Any) -> tuple[Self, Any]:
        """What `before` put together.

        Raises:
            ValueError: It is something else.
        """
        import faiss

        whole = faiss.downcast_index(written)
        if not isinstance(whole, faiss.IndexPreTransform) or whole.chain.size() != 1:
            raise ValueError("no index behind a rotation")
        transform = faiss.downcast_VectorTransform(whole.chain.at(0))
        matrix = faiss.vector_to_array(transform.A).reshape(whole.d, whole.d)
        return cls(matrix), faiss.downcast_index(whole.index)
