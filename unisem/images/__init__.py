"""Pictures: where their pixels are, how they are decoded, where they may lie."""

from unisem.images.reference import ImageRef, ImageSource, open_image

__all__ = ["ImageRef", "ImageSource", "open_image"]
