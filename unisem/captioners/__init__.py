"""Captioners: what writes down what a picture without words shows."""

from unisem.captioners.base import Captioned, Captioner
from unisem.captioners.batch import BatchCaptioner
from unisem.captioners.cached import CachedCaptioner
from unisem.captioners.chat_model import ChatCaptioner
from unisem.captioners.cross_modal import CrossModalCaptioner
from unisem.captioners.image_to_text import ImageToTextCaptioner
from unisem.captioners.loading import load_captioner
from unisem.captioners.tags import TagCaptioner

__all__ = [
    "BatchCaptioner",
    "CachedCaptioner",
    "Captioned",
    "Captioner",
    "ChatCaptioner",
    "CrossModalCaptioner",
    "ImageToTextCaptioner",
    "TagCaptioner",
    "load_captioner",
]
