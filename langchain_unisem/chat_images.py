"""Pictures as chats have them: content blocks and ``data:`` URLs, whoever's format they are in.

What a chat holds is bytes. A URL or the id of a file at a provider is refused, not fetched.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard
from urllib.parse import unquote_to_bytes

from unisem.errors import ImageError
from unisem.images.reference import MAX_BYTES, ImageRef

_PICTURES = ("image", "image_url", "input_image")
_FILES = ("file", "media")  # pictures if their type says so
_TEXTS = ("text", "input_text")
_DEPTH = 4  # no format puts the bytes deeper


def is_data_url(value: object) -> bool:
    """Whether it is a string that holds its own bytes."""
    return isinstance(value, str) and value[:5].lower() == "data:"


def image_of_data_url(url: str) -> ImageRef:
    """Return the picture that a ``data:`` URL holds.

    Raises:
        ImageError: It is damaged or too large.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise ImageError("data URL", "has no comma, and so no content")
    if head.lower().endswith(";base64"):
        return _decoded(body)
    return ImageRef(data=_bounded(unquote_to_bytes(body)))


def image_of_block(block: Mapping[str, Any]) -> ImageRef:
    """Return the picture of a content block: LangChain's, or that of a provider's messages.

    Raises:
        ImageError: It is no picture, is damaged or too large, or is a URL or a provider's file.
    """
    if not is_image_block(block):
        raise ImageError("content block", f"of type {block.get('type')!r} is no picture")
    return _picture(block)


def is_image_block(block: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a content block is a picture, in any of the formats."""
    if not isinstance(block, Mapping):
        return False
    kind, mime_type = block.get("type"), block.get("mime_type")
    if kind in _FILES:
        return isinstance(mime_type, str) and mime_type.startswith("image/")
    return kind in _PICTURES or (kind is None and isinstance(block.get("image"), Mapping))


def images_in(content: object) -> list[Mapping[str, Any]]:
    """The content blocks of a message that are pictures, in order."""
    blocks = content if isinstance(content, list | tuple) else [content]
    return [block for block in blocks if is_image_block(block)]


def words_in(content: object) -> str:
    """The text of a message's content."""
    return "\n".join(word for word in _words(content) if word.strip())


def _words(content: object) -> Iterator[str]:
    for block in content if isinstance(content, list | tuple) else [content]:
        if isinstance(block, str):
            yield block
        elif isinstance(block, Mapping) and block.get("type") in _TEXTS:
            yield str(block.get("text") or "")


def _picture(source: object, depth: int = _DEPTH) -> ImageRef:
    """Find the bytes under whatever names a provider gives them."""
    match source:
        case bytes():
            return ImageRef(data=_bounded(source))
        case str() if is_data_url(source):
            return image_of_data_url(source)
        case str():
            raise ImageError(
                source[:80], "is a URL; UniSem fetches nothing. Pass base64 or a data URL"
            )
        case Mapping() if depth:
            for name in ("base64", "data"):
                if isinstance(text := source.get(name), str):
                    return _decoded(text)
            for name in ("bytes", "source", "image", "image_url", "url"):
                if source.get(name):
                    return _picture(source[name], depth - 1)
    raise ImageError(
        "content block", "has no bytes", "; UniSem fetches nothing. Pass base64 or a data URL"
    )


def _decoded(text: str) -> ImageRef:
    if len(text) > MAX_BYTES * 2:
        raise ImageError("base64", f"is larger than the limit of {MAX_BYTES:,} bytes")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("base64", "is damaged: it cannot be decoded") from None
    return ImageRef(data=_bounded(data))


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise ImageError("picture", f"is larger than the limit of {MAX_BYTES:,} bytes")
    return data
