"""`unit_mean`: several queries' vectors as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llama_index.core.base.embeddings.base import Embedding


def unit_mean(embeddings: Sequence[Embedding]) -> Embedding:
    """Average vectors and scale the mean back to unit length, which LlamaIndex's does not.

    A single vector, which is of unit length already, is given back to the last bit.

    Raises:
        ValueError: There is nothing to average, or the vectors cancel each other out.
    """
    if not embeddings:
        raise ValueError("there is no query to embed")
    mean = np.mean(np.asarray(embeddings), axis=0)
    norm = float(np.linalg.norm(mean))
    if norm == 0:
        raise ValueError("the queries' vectors cancel each other out")
    if len(embeddings) == 1:
        return embeddings[0]
    vector: Embedding = (mean / norm).tolist()
    return vector
