"""Recognition: reading the words that are drawn in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.recognition.base import TextRecognizer as TextRecognizer
    from unisem.recognition.line import TextLine as TextLine
    from unisem.recognition.loading import load_recognizer as load_recognizer
    from unisem.recognition.ppocr import PaddleRecognizer as PaddleRecognizer

__getattr__, __dir__, __all__ = lazy_names(__name__)
