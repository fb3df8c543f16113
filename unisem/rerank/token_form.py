"""`TokenForm`: how tokens of one thing are written to a space, and read from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from unisem.errors import RerankerError

Kept = TypeVar("Kept")

LARGEST = 2 * 1024 * 1024
"""Bytes that the tokens of one picture or text may have, in whatever form."""


class TokenForm(ABC, Generic[Kept]):
    """Tokens as bytes, and back; the bytes may come from a stranger."""

    @property
    def number(self) -> int:
        """What differs between forms of one model that must not be mixed in one file."""
        return 0

    @abstractmethod
    def packed(self, tokens: NDArray[Any]) -> bytes:
        """What is stored of tokens as a model makes them.

        Raises:
            RerankerError: They are larger than `LARGEST`, or not finite.
            ValueError: They are not of the model's shape.
        """

    @abstractmethod
    def unpacked(self, content: bytes) -> Kept | None:
        """What such bytes say; ``None`` if nothing writes such bytes."""


@dataclass(frozen=True, slots=True)
class FixedHalves(TokenForm[NDArray[np.float16]]):
    """The same number of tokens of everything, ``(t, w)`` float16, as they are.

    Attributes:
        shape: ``(t, w)``.
    """

    shape: tuple[int, int]
    most = 16_384
    """Bytes that such tokens may have."""

    def __post_init__(self) -> None:
        if not self.fits(self.shape):
            tokens, width = self.shape
            raise RerankerError(
                f"{tokens} tokens of {width} numbers are {2 * tokens * width:,} bytes a picture, "
                f"more than the {self.most:,} that a space keeps"
            )

    @classmethod
    def fits(cls, shape: tuple[int, int]) -> bool:
        """Whether a space keeps tokens of ``(t, w)`` float16: those of at most 16 kB."""
        return 2 * shape[0] * shape[1] <= cls.most

    def packed(self, tokens: NDArray[Any]) -> bytes:
        """See `TokenForm.packed`."""
        if tokens.shape != self.shape or tokens.dtype != np.float16:
            raise ValueError(f"tokens must be {self.shape} float16, not {tokens.shape}")
        return np.ascontiguousarray(tokens).tobytes()

    def unpacked(self, content: bytes) -> NDArray[np.float16] | None:
        """See `TokenForm.unpacked`."""
        if len(content) != 2 * self.shape[0] * self.shape[1]:
            return None
        return np.frombuffer(content, np.float16).reshape(self.shape)
