"""What may stand for a picture in LlamaIndex calls, and what to call it in an event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from io import BytesIO

from unisem.images.reference import ImageRef, ImageSource, sources_as_list

Picture = ImageSource | BytesIO
"""A path, bytes, a ``BytesIO`` (all of it, wherever it stands), a Pillow picture, an `ImageRef`."""


def image_ref(source: Picture) -> ImageRef:
    """Refer to a picture.

    Raises:
        ImageError: A URL, or no picture at all.
    """
    return ImageRef.of(source.getvalue() if isinstance(source, BytesIO) else source)


def image_refs(sources: Iterable[Picture]) -> list[ImageRef]:
    """Refer to several pictures.

    Raises:
        ImageError: A URL, or no picture at all.
        TypeError: One picture instead of a list.
    """
    if isinstance(sources, BytesIO):
        raise TypeError("pass a list of pictures, for example [picture]")
    return [image_ref(source) for source in sources_as_list(sources)]


def event_name(image: ImageRef) -> str:
    """A picture's path, or the digest of its bytes."""
    if image.path is not None:
        return str(image.path)
    return f"sha256:{hashlib.sha256(image.data or b'').hexdigest()}"
