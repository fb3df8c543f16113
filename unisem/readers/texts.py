"""Text files that a folder really holds, in an encoding that is known and not guessed."""

from __future__ import annotations

import codecs
from pathlib import Path

from unisem.errors import ImageError
from unisem.images.reference import ImageRef


def read_text(path: Path, folder: Path) -> str:
    """Read a text as safely as a picture: a regular file, of bounded size, inside its folder.

    Raises:
        ValueError: Says what is wrong with the file.
    """
    try:
        return decode_text(ImageRef(path=path, root=folder).read_bytes())
    except ImageError as error:
        raise ValueError(error.reason) from error


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with its byte order mark, as Windows writes it.

    Any other encoding could only be guessed, and a wrong guess is a wrong caption.

    Raises:
        ValueError: It is neither.
    """
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"cannot be read as UTF-8 text (byte {error.start + 1:,}); save it as UTF-8"
        ) from None


def encoding_of(start: bytes) -> str:
    """The codec of a text that begins so, without or with its byte order mark."""
    is_utf_16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if is_utf_16 else "utf-8-sig"
