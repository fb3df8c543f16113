"""Encoders: texts and pictures to unit vectors of one space."""

from unisem.encoders.base import Encoder, Role
from unisem.encoders.loading import load_encoder
from unisem.encoders.options import EncoderOptions

__all__ = ["Encoder", "EncoderOptions", "Role", "load_encoder"]
