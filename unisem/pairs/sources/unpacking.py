"""Pictures that come as bytes, put down as files so that they can be referred to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from unisem.errors import ImageError
from unisem.images.reference import MAX_BYTES, ImageRef


class Unpacked:
    """A folder of pictures named by their SHA-256, written once each.

    Args:
        folder: Created if absent.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()

    def add(self, data: bytes, name: str) -> ImageRef:
        """Put a picture down and refer to it.

        Args:
            data: A picture file's bytes.
            name: What to call it in an error.

        Raises:
            ImageError: No picture by its header, or larger than the limits.
        """
        if len(data) > MAX_BYTES:
            raise ImageError(name, f"is larger than the limit of {MAX_BYTES:,} bytes")
        digest = hashlib.sha256(data).hexdigest()
        mime_type = ImageRef(data=data).inspected(data).mime_type or "image/png"
        path = self._folder / digest[:2] / f"{digest}.{mime_type.partition('/')[2]}"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(data)
            os.replace(partial, path)  # a file of that name is always whole
        return ImageRef(path=path, root=self._folder)
