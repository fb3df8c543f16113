"""`linked_picture`: what a document's link to a picture leads to; nothing is fetched."""

from __future__ import annotations

import base64
import binascii
from importlib.util import find_spec
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from unisem.common.skipped import Skipped
from unisem.images.codecs import svg
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Source

_LONGEST_NAME = 80  # characters of a link in a message


def linked_picture(link: str, source: Source) -> ImageRef | Skipped:
    """The picture that a link in a document leads to: a file beside it, or bytes in the link.

    Args:
        link: A relative path, or a ``data:`` URI.
        source: The document.

    Returns:
        A reference, or why there is none: a URL, a file outside the folder, one that does not
        exist, a drawing.
    """
    name = f"{source.path}: {link[:_LONGEST_NAME]}"
    head, _, rest = link.strip().partition(":")
    scheme = head.lower() if rest else ""
    if scheme == "data":
        return _from_data(rest, f"{source.path}: data:{rest[:24]}")
    if link.startswith("//") or (scheme.isalpha() and len(scheme) > 1):
        return Skipped(name, "is a URL; UniSem fetches nothing. Save the picture beside the page")
    if (fault := drawing_fault(link.partition("?")[0].partition("#")[0])) is not None:
        return Skipped(name, fault)
    image = source.image(link)
    if image is None:
        return Skipped(name, "leads outside the folder")
    assert image.path is not None
    try:
        is_there = image.path.is_file()
    except OSError:  # a name that no system can hold
        is_there = False
    return image if is_there else Skipped(name, "does not exist")


def drawing_fault(name: str) -> str | None:
    """Why a file of this name is no picture here, if it is a drawing.

    Its caption is a record all the same, which a picture that cannot be read would not be.
    """
    suffix = PurePosixPath(name).suffix.lower() or name
    if suffix == ".svgz":
        return "is a packed SVG drawing, which is not supported; unpack it"
    if suffix == ".svg" and find_spec(svg.NEEDS) is None:
        return "is an SVG drawing, which needs: pip install 'unisem[photos]'"
    return None


def _from_data(rest: str, name: str) -> ImageRef | Skipped:
    """The bytes of a ``data:`` URI (RFC 2397), which are no more than the document's own."""
    head, comma, body = rest.partition(",")
    kind, *parameters = (part.strip().lower() for part in head.split(";"))
    if kind.startswith("image/svg") and (fault := drawing_fault(".svg")) is not None:
        return Skipped(name, fault)
    if not kind.startswith("image/") or not comma:
        return Skipped(name, "is no picture")
    data = unquote_to_bytes(body)
    if "base64" in parameters:
        try:
            data = base64.b64decode(data)
        except binascii.Error as error:
            return Skipped(name, f"is damaged ({error})")
    return ImageRef(data=data) if data else Skipped(name, "is empty")
