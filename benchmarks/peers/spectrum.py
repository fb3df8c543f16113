"""`Spectrum`: vectors that vary as real ones of `mini` do, from a small file.

`benchmarks.spectrum_statistics` makes the file from real pictures and texts, and says which. Of
each modality it holds clusters (centres and shares) and how the vectors of a cluster vary, one
covariance for all. The queries in it are no draws: they are real captions of pictures that none of
the statistics come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.base import Vector

FILE = Path(__file__).with_name("spectrum.npz")
MODALITIES = ("pictures", "texts")


@dataclass(frozen=True, eq=False)
class Mixture:
    """One modality: unit vectors around some centres.

    Attributes:
        centres: ``(c, d)`` float32.
        shares: ``(c,)`` how much of the whole belongs to each centre; they add up to 1.
        spread: ``(d, d)`` float32; normal numbers times this vary as the vectors of a cluster do.
    """

    centres: Vector
    shares: NDArray[np.float64]
    spread: Vector

    @classmethod
    def of(cls, vectors: Vector, clusters: int, seed: int = 0) -> Self:
        """Fit ``(n, d)`` unit rows: k-means, and the covariance of what it leaves."""
        import faiss

        means = faiss.Kmeans(vectors.shape[1], clusters, niter=25, seed=seed + 1)
        means.train(vectors)
        owner = means.index.search(vectors, 1)[1][:, 0]
        shares = np.bincount(owner, minlength=clusters) / len(vectors)
        left = (vectors - means.centroids[owner]).astype(np.float64)
        # Each centre took one freedom of its members.
        values, axes = np.linalg.eigh(left.T @ left / (len(vectors) - clusters))
        spread = (np.sqrt(np.maximum(values, 0)) * axes).T
        return cls(means.centroids.copy(), shares, spread.astype(np.float32))

    def draw(self, rng: np.random.Generator, count: int) -> Vector:
        """``(count, d)`` float32 unit rows."""
        vectors = rng.standard_normal((count, self.spread.shape[0]), np.float32) @ self.spread
        vectors += self.centres[rng.choice(len(self.shares), count, p=self.shares)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What the file holds.

    Attributes:
        pictures: How vectors of pictures vary.
        texts: How vectors of captions vary.
        queries: ``(q, d)`` float32 unit rows: held-out captions, embedded as queries.
    """

    pictures: Mixture
    texts: Mixture
    queries: Vector

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.queries.shape[1])

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file."""
        with np.load(file, allow_pickle=False) as held:
            parts = [
                Mixture(
                    held[f"{name}_centres"].astype(np.float32),
                    held[f"{name}_shares"] / held[f"{name}_shares"].sum(),
                    held[f"{name}_spread"].astype(np.float32),
                )
                for name in MODALITIES
            ]
            queries = held["queries"].astype(np.float32)
        return cls(*parts, queries / np.linalg.norm(queries, axis=1, keepdims=True))

    def save(self, file: Path = FILE) -> None:
        """Write the file; numbers are float16, whose error is far below what the vectors vary."""
        held: dict[str, NDArray[np.floating]] = {"queries": self.queries.astype(np.float16)}
        for name, part in zip(MODALITIES, (self.pictures, self.texts), strict=True):
            held[f"{name}_centres"] = part.centres.astype(np.float16)
            held[f"{name}_shares"] = part.shares
            held[f"{name}_spread"] = part.spread.astype(np.float16)
        np.savez(file, **held)  # type: ignore[arg-type]
