"""`max_sim`: how well the tokens of a query are found among those of each record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unisem.rerank.int8_vectors import Int8Vectors

Vectors = NDArray[np.float32] | Int8Vectors

_AT_ONCE = 65_536  # vectors that are compared at once: 32 MB of 128 numbers


def max_sim(
    query: NDArray[np.float32], documents: Sequence[Sequence[Vectors]]
) -> NDArray[np.float32]:
    """MaxSim of one query and many documents (Khattab and Zaharia 2020, ColBERT, equation 3).

    ``sum over i of max over j of query[i] · document[j]``: exact, without padding, over as many
    documents at once as memory should hold.

    Args:
        query: ``(q, w)`` float32.
        documents: Each one's vectors, ``(t, w)`` each, in any number of parts, such as those of a
            picture and of its caption.

    Returns:
        ``(n,)`` float32; NaN for a document that has no vectors.
    """
    scores = np.full(len(documents), np.nan, np.float32)
    for places in _chunks([sum(map(len, parts)) for parts in documents]):
        parts = [part for place in places for part in documents[place]]
        lengths = [sum(map(len, documents[place])) for place in places]
        products = np.concatenate([_numbers(part) for part in parts]) @ query.T  # (m, q)
        if any(isinstance(part, Int8Vectors) for part in parts):
            products *= np.concatenate([_scales(part) for part in parts])[:, None]
        starts = np.cumsum([0, *lengths[:-1]])
        scores[places] = np.maximum.reduceat(products, starts, axis=0).sum(axis=1)
    return scores


def _chunks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of documents that have vectors, as many at once as are compared at once."""
    chunk: list[int] = []
    count = 0
    for place, length in enumerate(lengths):
        if chunk and count + length > _AT_ONCE:
            yield chunk
            chunk, count = [], 0
        if length:
            chunk.append(place)
            count += length
    if chunk:
        yield chunk


def _numbers(part: Vectors) -> NDArray[np.float32]:
    return part.codes.astype(np.float32) if isinstance(part, Int8Vectors) else part


def _scales(part: Vectors) -> NDArray[np.float32]:
    return part.scales if isinstance(part, Int8Vectors) else np.ones(len(part), np.float32)
