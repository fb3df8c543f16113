"""`load_recognizer`: a recogniser by its name."""

from __future__ import annotations

from unisem.errors import RecognizerError
from unisem.recognition.base import TextRecognizer
from unisem.recognition.ppocr import NAME, PaddleRecognizer


def load_recognizer(name: str | TextRecognizer) -> TextRecognizer:
    """Find a recogniser of text in pictures.

    Args:
        name: ``"ppocr-v5"``, see `PaddleRecognizer`. A `TextRecognizer` is returned as it is.

    Raises:
        RecognizerError: There is none of this name, or what it needs is not installed.
    """
    if isinstance(name, TextRecognizer):
        return name
    if name != NAME:
        raise RecognizerError(f"there is no recogniser {name!r}; name {NAME!r}, or pass an object")
    return PaddleRecognizer()
