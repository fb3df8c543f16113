"""`Elsewhere`: a picture that is no file on this machine, whoever brings it here."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Elsewhere(ABC):
    """Brings the bytes of one picture, at the moment that they are asked for.

    Two that are equal bring the same picture.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call the picture in a message."""

    @abstractmethod
    def read(self) -> bytes:
        """The picture's bytes, at most ``MAX_BYTES``; of a part of a page as it is rendered there.

        Raises:
            ImageError: It cannot be had, or is not the picture that was found any more.
        """

    @abstractmethod
    def read_page(self) -> bytes:
        """The page that the picture is a part of, with a frame around it, as a picture.

        Raises:
            ImageError: As `read`, or it is no part of a page.
        """
