"""`unit` and `caption_vector`: the vectors that nodes bring."""

from __future__ import annotations

from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode, ImageNode, Node

from unisem.records import Vector

_ROUNDING = 1e-6  # how far float32 arithmetic takes a unit vector's length from 1


def unit(values: Any, what: str) -> Vector:
    """Scale a vector to length 1, as ``(d,)`` float32; one of an encoder is kept to the last bit.

    Raises:
        ValueError: Zero, not finite, or not one row of numbers.
    """
    row = np.asarray(values, np.float64)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"{what} must be one row of numbers, not of shape {row.shape}")
    largest = float(np.abs(row).max())
    if not np.isfinite(largest) or largest == 0:
        raise ValueError(f"{what} is {'zero' if largest == 0 else 'not finite'}")
    if abs(float(np.linalg.norm(row / largest)) * largest - 1) <= _ROUNDING:
        return row.astype(np.float32)  # so that scores are those of a space
    row = row / largest  # so that no square overflows
    return (row / np.linalg.norm(row)).astype(np.float32)


def caption_vector(node: BaseNode) -> list[float] | None:
    """The vector of a picture's caption, if the node has one."""
    if isinstance(node, ImageNode):
        return node.text_embedding
    if isinstance(node, Node) and node.image_resource and node.text_resource:
        return (node.text_resource.embeddings or {}).get("dense")
    return None


def put_caption_vector(node: BaseNode, vector: list[float]) -> None:
    """Give a picture its caption's vector, in place."""
    if isinstance(node, ImageNode):
        node.text_embedding = vector
    elif isinstance(node, Node) and node.text_resource is not None:
        others = node.text_resource.embeddings or {}
        node.text_resource.embeddings = {**others, "dense": vector}
