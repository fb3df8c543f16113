"""Captioners: what writes down what a picture without words shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.captioners.base import Captioned as Captioned
    from unisem.captioners.base import Captioner as Captioner
    from unisem.captioners.batch import BatchCaptioner as BatchCaptioner
    from unisem.captioners.cached import CachedCaptioner as CachedCaptioner
    from unisem.captioners.chat_model import ChatCaptioner as ChatCaptioner
    from unisem.captioners.cross_modal import CrossModalCaptioner as CrossModalCaptioner
    from unisem.captioners.image_to_text import ImageToTextCaptioner as ImageToTextCaptioner
    from unisem.captioners.loading import load_captioner as load_captioner
    from unisem.captioners.tags import TagCaptioner as TagCaptioner

__getattr__, __dir__, __all__ = lazy_names(__name__)
