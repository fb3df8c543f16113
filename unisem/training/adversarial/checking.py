"""`check_dimension`: a clear error where vectors do not fit."""

from __future__ import annotations

from torch import Tensor


def check_dimension(vectors: Tensor, dimension: int) -> None:
    """Refuse ``(n, d)`` vectors of another dimension than a loss's networks were made for.

    Raises:
        ValueError: d is another.
    """
    if vectors.shape[1] != dimension:
        raise ValueError(
            f"the vectors have {vectors.shape[1]} numbers, the adversarial loss was made for "
            f"{dimension}; put Matryoshka inside an adversarial loss, not around it"
        )
