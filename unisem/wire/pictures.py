"""`data_uri` and `picture_of`: a picture inside JSON. Never a URL that somebody fetches."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import Field

from unisem.errors import ImageError
from unisem.images.decoding import inspect_image

_HEAD = re.compile(r"data:(image/[\w.+-]+|application/octet-stream)?;base64,", re.ASCII)
_LONGEST_HEAD = 100


def data_uri(data: bytes, name: str = "picture") -> str:
    """Write a picture as a data URI.

    Raises:
        ImageError: The bytes are no picture.
    """
    kind = inspect_image(data, name).mime_type
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def picture_of(uri: str, name: str = "image") -> bytes:
    """Read a data URI; what it says of its type is not believed.

    Raises:
        ImageError: It is anything else: a URL, a path, or not base64.
    """
    head = _HEAD.match(uri[:_LONGEST_HEAD])
    if head is None:
        raise ImageError(
            name,
            "is no data URI",
            "; send data:image/png;base64,…, or the file as multipart/form-data. No URL is "
            "fetched, and no path is opened",
        )
    try:
        return base64.b64decode(uri[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(name, "is not base64", " after the comma of its data URI") from None


WirePicture = Annotated[
    str,
    Field(
        description="A picture as a data URI: `data:image/png;base64,…`. No URL is fetched and no "
        "path is opened; a file can be sent as multipart/form-data instead.",
        examples=[
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nG"
            "NoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
        ],
    ),
]
"""A picture as it travels in a request."""
