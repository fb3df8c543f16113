"""open_clip's checkpoints as transformers' model directories; open_clip itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.encoders.open_clip.converting import Conversion as Conversion
    from unisem.encoders.open_clip.converting import convert_open_clip as convert_open_clip

__getattr__, __dir__, __all__ = lazy_names(__name__)
