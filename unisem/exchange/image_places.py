"""How a record's picture is written in an export, and how much of that is believed on the way in.

A picture is written as ``{"file": "pictures/ab/ab12….png", …}``, a copy inside the export, or as
``{"path": "/home/ada/photos/a.png", "root": "/home/ada/photos", …}``, a reference to a file
outside it; either with ``sha256``, ``mime_type``, ``width`` and ``height``. A ``path`` may have a
``region``, a part of a page of a PDF.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from unisem.errors import ExchangeError, ImageError
from unisem.images.formats import SUFFIXES
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.images.region import Region

FOLDER = "pictures"
_DIGEST = re.compile("[0-9a-f]{64}")


def reference_of(image: ImageRef) -> dict[str, Any]:
    """Describe a picture by where it lies."""
    assert image.path is not None
    root = image.root
    return {
        "path": str(image.path),
        "root": str(root) if root is not None and image.path.is_relative_to(root) else None,
        **({} if image.region is None else {"region": image.region.to_json()}),
        **_facts(image),
    }


def copied(image: ImageRef, directory: Path) -> dict[str, Any]:
    """Copy a picture into an export, once however many records have it, and describe it.

    Raises:
        ImageError: It is missing, or not the one that was stored.
    """
    data = image.read_verified()
    found = hashlib.sha256(data).hexdigest()
    suffix = SUFFIXES.get(image.mime_type or "", "")
    name = PurePosixPath(FOLDER, found[:2], f"{found}{suffix}")
    path = directory / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return {"file": str(name), **_facts(image), "sha256": found}


def image_from(
    parts: Any, where: str, directory: Path, image_library: ImageLibrary
) -> tuple[ImageRef, str | None]:
    """The picture that an export describes, and the digest that its bytes must have.

    Nothing is opened.

    Args:
        parts: The description.
        where: Its place, for messages.
        directory: The export.
        image_library: Says from which folders outside the export pictures may come.

    Returns:
        A reference that is confined to the export, for a copy, or to one of the folders; and
        the SHA-256 in hex, ``None`` if the export does not say it.

    Raises:
        ExchangeError: The description is wrong, or leads outside the export or the folders.
    """
    if not isinstance(parts, dict) or ("file" in parts) == ("path" in parts):
        raise ExchangeError(f"{where}: image must be an object with either file or path")
    expected = parts.get("sha256")
    if expected is not None and not (isinstance(expected, str) and _DIGEST.fullmatch(expected)):
        raise ExchangeError(f"{where}: image: sha256 must be 64 hex digits")
    if "file" in parts:
        return _inside(parts["file"], where, directory), expected
    return _outside(parts, where, image_library), expected


def _inside(name: object, where: str, directory: Path) -> ImageRef:
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or parts[0] != FOLDER or ".." in parts or set(str(name)) & set("\\\0:"):
        raise ExchangeError(
            f"{where}: image file {str(name)[:200]!r} must be a relative path below {FOLDER}/"
        )
    root = directory.resolve()  # not its folder of pictures: that may be a link to any other
    return ImageRef(path=root.joinpath(*parts), root=root)


def _outside(parts: dict[str, Any], where: str, image_library: ImageLibrary) -> ImageRef:
    for name in ("path", "root"):
        value = parts.get(name)
        if value is None and name == "root":
            continue
        if not isinstance(value, str) or "\0" in value or not os.path.isabs(value):
            raise ExchangeError(f"{where}: image: {name} must be an absolute path")
    root = parts.get("root")
    try:
        image = ImageRef(
            path=Path(parts["path"]),
            root=None if root is None else Path(root),
            region=None if "region" not in parts else Region.from_json(parts["region"]),
        )
        return image_library.admit(image)
    except ImageError as error:
        raise ExchangeError(
            f"{where}: {error.name} {error.summary}; if it should be read, name its folder with "
            "image_roots=[…] (--image-root)"
        ) from error
    except (OSError, ValueError) as error:
        raise ExchangeError(f"{where}: image: {error}") from error


def _facts(image: ImageRef) -> dict[str, Any]:
    return {
        "sha256": image.sha256,
        "mime_type": image.mime_type,
        "width": image.width,
        "height": image.height,
    }
