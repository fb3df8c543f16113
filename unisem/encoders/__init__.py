"""Encoders: texts and pictures to unit vectors of one space."""

from unisem.encoders.base import Encoder, Role
from unisem.encoders.loading import load_encoder

__all__ = ["Encoder", "Role", "load_encoder"]
