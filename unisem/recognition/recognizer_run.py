"""`RecognizerRun`: many pictures, one after the other, and when a recogniser is given up."""

from __future__ import annotations

from unisem.errors import RecognizerError
from unisem.images.reference import ImageSource
from unisem.recognition.base import TextRecognizer
from unisem.recognition.line import TextLine

_HOPELESS = 16  # pictures that a recogniser fails on one after the other before it is given up


class RecognizerRun:
    """Reads pictures with one recogniser.

    Args:
        recognizer: Reads.

    Attributes:
        recognizer: The recogniser.
    """

    def __init__(self, recognizer: TextRecognizer) -> None:
        self.recognizer = recognizer
        self._failed = 0

    def read(self, image: ImageSource) -> list[TextLine] | RecognizerError:
        """A picture's lines, or why the recogniser failed on it.

        Raises:
            ImageError: The picture cannot be used.
            RecognizerError: The recogniser has failed on 16 pictures running.
        """
        try:
            lines = self.recognizer.read(image)
        except RecognizerError as error:
            self._failed += 1
            if self._failed >= _HOPELESS:
                raise RecognizerError(
                    f"the recogniser {self.recognizer.name!r} has failed on {self._failed} "
                    f"pictures running, and is given up; what is done is kept. The last reason: "
                    f"{error}"
                ) from error
            return error
        self._failed = 0
        return lines
