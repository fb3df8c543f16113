"""`TextRecognizer`: what reads the words in a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod

from unisem.images.reference import ImageSource
from unisem.recognition.line import TextLine


class TextRecognizer(ABC):
    """Reads words from pixels (OCR).

    Implementations may be called from several threads.

    >>> class Stamp(TextRecognizer):
    ...     name = fingerprint = "stamp"
    ...
    ...     def read(self, image):
    ...         return [TextLine("PAID", (4, 4, 60, 20), confidence=0.98)]
    >>> Stamp().read(b"...")[0].text
    'PAID'
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What a person calls it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What differs between recognisers that may read other words in the same picture.

        A picture that was read is read again when this has changed.
        """

    @abstractmethod
    def read(self, image: ImageSource) -> list[TextLine]:
        """Read a picture.

        Args:
            image: A path, bytes, a Pillow picture or an `ImageRef`; one whose digest is known is
                not read if its file has other bytes by now. Of an animation the first frame.

        Returns:
            Its lines, top to bottom as far as it can tell; none if there are no words.

        Raises:
            ImageError: The picture cannot be used.
            RecognizerError: The recogniser cannot be loaded, or fails whatever the picture.
        """
