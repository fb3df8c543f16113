"""Encoders: texts and pictures to unit vectors of one space.

Names are imported when first used: the options of an encoder are known without NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.encoders.base import Encoder as Encoder
    from unisem.encoders.base import Role as Role
    from unisem.encoders.loading import load_encoder as load_encoder
    from unisem.encoders.options import EncoderOptions as EncoderOptions

__getattr__, __dir__, __all__ = lazy_names(__name__)
