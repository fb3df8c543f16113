"""Composed queries: one vector for a text and a picture, or for several such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unisem.encoders import Encoder
from unisem.images.reference import ImageSource
from unisem.records import Vector
from unisem.stores.vectors import unit

EQUAL = 0.5
"""The weight of a text that counts as much as the picture beside it."""
_WHAT = "the query's vector"


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a query is made of.

    Attributes:
        text: As written; ``None`` without.
        image: The picture; ``None`` without. One of the two is there.
        text_weight: The text's share where both are, from 0 to 1.
    """

    text: str | None = None
    image: ImageSource | None = None
    text_weight: float = EQUAL


def vectors_of(encoder: Encoder, asked: Sequence[Asked]) -> list[Vector]:
    """Each query's ``(d,)`` float32 unit vector, texts and pictures of all encoded together.

    A text and a picture that count alike are one fused vector where the encoder has such; where it
    has not, or one of them is to count more, their vectors are averaged by weight.

    Raises:
        ImageError: A query's picture cannot be used.
        VectorError: A vector is zero or not finite, or two cancel each other out.
    """
    pairs: list[tuple[str, ImageSource]] = []
    apart: list[Asked] = []
    for one in asked:
        if _is_fused(encoder, one) and one.text is not None and one.image is not None:
            pairs.append((one.text, one.image))
        else:
            apart.append(one)
    said, shown = [text for text, _ in pairs], [image for _, image in pairs]
    texts = [one.text for one in apart if one.text is not None]
    images = [one.image for one in apart if one.image is not None]
    fused = iter(encoder.encode_pairs(said, shown, role="query") if pairs else ())
    by_text = iter(encoder.encode_texts(texts, role="query") if texts else ())
    by_image = iter(encoder.encode_images(images) if images else ())
    return [
        unit(next(fused), _WHAT)
        if _is_fused(encoder, one)
        else composed(
            None if one.text is None else next(by_text),
            None if one.image is None else next(by_image),
            one.text_weight,
        )
        for one in asked
    ]


def _is_fused(encoder: Encoder, asked: Asked) -> bool:
    both = asked.text is not None and asked.image is not None and asked.text_weight == EQUAL
    return both and encoder.fuses  # which a model that is not loaded yet has to be for


def composed(text: Vector | None, image: Vector | None, text_weight: float) -> Vector:
    """Average a text's and a picture's vector by weight, each of them at length 1.

    Args:
        text: ``(d,)``, or ``None``.
        image: ``(d,)``, or ``None``; one of the two is there.
        text_weight: The text's share, from 0 to 1, if both are.

    Returns:
        ``(d,)`` float32, of length 1.

    Raises:
        VectorError: A vector is zero or not finite, or they cancel each other out.
    """
    parts = [unit(vector, _WHAT) for vector in (text, image) if vector is not None]
    if len(parts) == 1:
        return parts[0]
    return unit(text_weight * parts[0] + (1 - text_weight) * parts[1], _WHAT)


def mean_of(vectors: Sequence[Vector]) -> Vector:
    """Average the vectors of several queries that ask for one thing.

    Args:
        vectors: ``(d,)`` unit vectors.

    Returns:
        ``(d,)`` float32, of length 1.

    Raises:
        VectorError: They cancel each other out.
    """
    return unit(np.mean(vectors, axis=0), _WHAT)
