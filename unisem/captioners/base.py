"""`Captioner`: what writes down what a picture without words shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from unisem.common.printable import plain, shortened
from unisem.errors import CaptionerError, ImageError
from unisem.images.reference import ImageSource

Captioned = str | None | ImageError | CaptionerError
"""What became of a picture: its caption, ``None`` if there is nothing to say of it, or the reason
why it has none."""

LONGEST = 500
"""Characters of a caption; what a model writes beyond that is cut after a word."""


class Captioner(ABC):
    """Writes captions of pictures.

    Implementations may be called from several threads.
    """

    batch_size: int = 8
    """Pictures that it likes to be given at once; what an interruption may cost."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a person calls this model; captions are marked with it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest that differs between captioners that may write other words of a picture."""

    def at(self, directory: Path) -> Captioner:
        """The same captioner for the pictures of the space in a directory.

        One that finds something of pictures there, such as a reranker's tokens, uses that; any
        other is as it is.
        """
        del directory
        return self

    @abstractmethod
    def caption(self, images: Sequence[ImageSource]) -> list[Captioned]:
        """Write captions; one picture's fault costs no other picture its own.

        Args:
            images: Paths, bytes, Pillow pictures or `ImageRef`; one whose digest is known gets no
                caption of other bytes.

        Returns:
            For each picture, in order, its caption as `tidy` leaves it, ``None``, or the error
            that a caller may count and report.

        Raises:
            CaptionerError: The model cannot be loaded or reached at all.
        """


def tidy(text: str) -> str | None:
    r"""What a model wrote as a caption: one line without control characters, not endless.

    >>> tidy("  a\x1b[1m red\n tiger ")
    'a[1m red tiger'
    >>> tidy(" \n") is None
    True
    """
    return shortened(plain(text), LONGEST).strip() or None
