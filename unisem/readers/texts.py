"""Text files that a folder really holds, in an encoding that is told and not guessed."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from unisem.errors import ImageError
from unisem.images.reference import ImageRef

_WESTERN = re.compile(
    r"(?:[\t\n\r\f\x20-\x7e]|(?<![^\x00-\x7f][^\x00-\x7f])"
    r"[äöüÄÖÜßéèêëÉÈÊàâáãåæÀÂÁÃÅÆçÇîïíìÎÍôóòõøœÔÓÒÕØúùûÚÙÛñÑ¿¡«»‘’“”„–—…€£§©®°½·\xa0])*"
)
"""What western Europe writes, hardly ever three such letters behind each other."""


def read_text(path: Path, folder: Path) -> str:
    """Read a person's text as safely as a picture: a regular file, bounded, inside its folder.

    Its encoding is one of `decode_text`, or what `is_western` tells.

    Raises:
        ValueError: Says what is wrong with the file.
    """
    try:
        data = ImageRef(path=path, root=folder).read_bytes()
    except ImageError as error:
        raise ValueError(error.reason) from error
    return data.decode("cp1252") if is_western(data) else decode_text(data)


def is_western(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 are a text of western Europe, as old Windows wrote it.

    Every letter must be one of French, German, Spanish, Portuguese, Italian or the Nordic
    languages, among ASCII ones: bytes of Cyrillic, Greek, Chinese or Japanese encodings come
    in rows, and most of Polish and Czech letters would be signs.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return False
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return _WESTERN.fullmatch(text) is not None


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
