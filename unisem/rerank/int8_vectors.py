"""`Int8Vectors`: token vectors of one picture or text in a quarter of their size, or less."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unisem.errors import RerankerError
from unisem.rerank.token_form import LARGEST, TokenForm

_WIDTH = struct.Struct("<H")
_UNIT = 0.02  # that a vector's length may differ from 1; half precision is coarser than single


@dataclass(frozen=True, slots=True, eq=False)
class Int8Vectors:
    """Token vectors as whole numbers from -127 to 127, each vector with a scale of its own.

    A vector's largest number is 127 times its scale, so that each number is off by half a scale at
    most.

    Attributes:
        codes: ``(t, w)`` int8.
        scales: ``(t,)`` float32.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Self:
        """Quantise ``(t, w)`` vectors.

        Raises:
            RerankerError: They are not finite.
        """
        if not np.isfinite(vectors).all():
            raise RerankerError(
                "the model gave token vectors that are not finite; load it with dtype='float32'"
            )
        scales = np.abs(vectors).max(axis=1, initial=0).astype(np.float32) / np.float32(127)
        divisors = np.where(scales > 0, scales, np.float32(1))[:, None]
        codes = np.clip(np.rint(vectors / divisors), -127, 127).astype(np.int8)
        return cls(codes, scales)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self.codes.shape[1])

    def whole(self) -> NDArray[np.float32]:
        """``(t, w)`` float32: the vectors, but for what quantising took."""
        return self.codes * self.scales[:, None]


@dataclass(frozen=True, slots=True)
class Int8Form(TokenForm[Int8Vectors]):
    """Any number of token vectors of one thing, pooled and as `Int8Vectors`.

    The bytes are ``w`` as two bytes, ``t`` scales and ``t`` times ``w`` codes, little-endian.

    Attributes:
        pool_factor: How many vectors become one, about: Ward clustering by cosine distance, and
            each cluster's mean, at length 1 (Clavié, Chaffin and Adams 2024, "Reducing the
            Footprint of Multi-Vector Retrieval with Minimal Performance Impact via Token Pooling",
            https://arxiv.org/abs/2409.14683, section 2). 1 pools nothing.
    """

    pool_factor: int = 1

    def __post_init__(self) -> None:
        check_pool_factor(self.pool_factor)

    @property
    def number(self) -> int:
        """The factor; see `TokenForm.number`."""
        return self.pool_factor

    def formed(self, vectors: NDArray[Any]) -> Int8Vectors:
        """Pool and quantise ``(t, w)`` vectors.

        Raises:
            RerankerError: They are not finite, or are pooled and not of length 1.
        """
        return Int8Vectors.of(self._pooled(np.asarray(vectors, np.float32)))

    def packed(self, tokens: NDArray[Any]) -> bytes:
        """See `TokenForm.packed`."""
        made = self.formed(tokens)
        content = _WIDTH.pack(made.width) + made.scales.tobytes() + made.codes.tobytes()
        if len(content) > LARGEST:
            raise RerankerError(
                f"{len(made):,} token vectors are {len(content):,} bytes, more than the "
                f"{LARGEST:,} that a space keeps of one thing; pool them (pool_factor=…)"
            )
        return content

    def unpacked(self, content: bytes) -> Int8Vectors | None:
        """See `TokenForm.unpacked`."""
        if len(content) < _WIDTH.size:
            return None
        (width,) = _WIDTH.unpack_from(content)
        count, rest = divmod(len(content) - _WIDTH.size, width + 4)
        if rest or not width:
            return None
        scales = np.frombuffer(content, np.float32, count, _WIDTH.size)
        # A stranger's scales would make numbers that no score can hold.
        if not (np.isfinite(scales).all() and (np.abs(scales) < 1e6).all()):
            return None
        codes = np.frombuffer(content, np.int8, count * width, _WIDTH.size + 4 * count)
        return Int8Vectors(codes.reshape(count, width), scales)

    def _pooled(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.pool_factor == 1 or len(vectors) < 2 or not np.isfinite(vectors).all():
            return vectors
        import torch
        from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

        lengths = np.linalg.norm(vectors, axis=1)
        if np.abs(lengths - 1).max() > _UNIT:
            raise RerankerError(
                "the model's token vectors are not of length 1 and cannot be pooled; "
                "leave pool_factor out"
            )
        pooling = HierarchicalTokenPooling(self.pool_factor, num_protected_tokens=0)
        pooled: NDArray[np.float32] = pooling.pool_one(torch.from_numpy(vectors)).numpy()
        return pooled


def check_pool_factor(factor: object) -> None:
    """Whether it is a whole number from 1 to 1,000.

    Raises:
        ValueError: It is not.
    """
    if type(factor) is not int or not 1 <= factor <= 1000:
        raise ValueError(f"pool_factor must be a whole number from 1 to 1000, not {factor!r}")
