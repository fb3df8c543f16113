"""`parsed_part`: what another tool has found in a document, by its text and its metadata."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Source
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.linked_picture import linked_picture

_PICTURES = ("image_base64", "image_path", "img_path", "page_image", "image")
_FROM_ONE = ("page_number", "page_num", "page_no")
_FROM_NOUGHT = ("page_idx",)
_WORDS = ("parsed_text_markdown", "parsed_text")
_FILES = ("file_name", "filename", "file_path", "source")
_KINDS = {
    "image": "figure",
    "figure": "figure",
    "picture": "figure",
    "chart": "figure",
    "table": "table",
    "code": "code",
    "codesnippet": "code",
}
_OURS = ("text", "code", "table", "figure", "page")
_SHORTEST_BASE64 = 64  # characters; what is shorter, or has a full stop, is a path
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedPart:
    """A page, a passage, a figure or a table as another tool gave it.

    Attributes:
        text: Its words.
        image: Its picture, not opened yet, or why there is none; ``None`` if none was spoken of.
        metadata: As given, those that say the same under a name of UniSem's renamed: ``file_name``,
            ``kind``, ``page`` (from 1), ``page_label``, ``section``, ``label``, ``caption``.
    """

    text: str
    image: ImageRef | Skipped | None
    metadata: dict[str, Any]


def parsed_part(
    text: str, metadata: Mapping[str, Any], *, root: str | os.PathLike[str], first_page: int
) -> ParsedPart:
    """Understand what Unstructured, LlamaParse, PyMuPDF4LLM, PDF loaders, Docling and MinerU say.

    A picture is in ``image_path``, ``img_path``, ``image`` or ``page_image``, a path inside the
    root, relative to it or to the working directory, or else in ``image_base64`` (or one of these)
    as base64 or a ``data:`` URI. Nothing is opened or fetched. What is in UniSem's terms already,
    which ``kind`` tells, keeps its page.

    Args:
        text: What the tool read; if empty, ``parsed_text_markdown`` of the metadata.
        metadata: The tool's.
        root: The folder that pictures must lie in, symbolic links resolved.
        first_page: What ``page`` counts from: 0 in LangChain's loaders, 1 in LlamaIndex's. Other
            names are the same everywhere.
    """
    own = dict(metadata)
    image = _image(own, root)
    if not text.strip():
        text = next((own.pop(name) for name in _WORDS if isinstance(own.get(name), str)), "")
    docling = own.get("dl_meta", own)
    docling = docling if isinstance(docling, Mapping) else {}
    kind = _kind(own, text, image)
    page = own.get("page") if own.get("kind") in _OURS else _page(own, docling, first_page)
    caption = own.get("caption")
    if kind in ("figure", "table") and not isinstance(caption, str):
        caption = text if label_of(text) else None
    label = label_of(caption) if isinstance(caption, str) else None
    label_here = own.get("page_label")
    known: dict[str, Any] = {
        "file_name": _file_name(own, docling),
        "kind": kind,
        "page": page,
        "page_label": str(label_here or ("" if page is None else page)) or None,
        "section": _section(docling),
        "label": None if label is None else label.text,
        "caption": caption,
    }
    for name in (*_FROM_ONE, *_FROM_NOUGHT):
        own.pop(name, None)
    own |= {name: value for name, value in known.items() if value is not None}
    return ParsedPart(text=text, image=image, metadata=own)


def _kind(own: Mapping[str, Any], text: str, image: ImageRef | Skipped | None) -> str:
    if (kind := own.get("kind")) in _OURS:
        return str(kind)
    for name in ("category", "type"):
        if kind := _KINDS.get(str(own.get(name)).casefold()):
            return kind
    if image is None:
        return "text"
    return "page" if text.strip() else "figure"


def _page(own: Mapping[str, Any], docling: Mapping[str, Any], first_page: int) -> int | None:
    for names, first in ((_FROM_ONE, 1), (_FROM_NOUGHT, 0), (("page",), first_page)):
        for name in names:
            number = own.get(name)
            if isinstance(number, str) and number.isascii() and number.isdigit():
                number = int(number[:9])
            if isinstance(number, int) and not isinstance(number, bool) and number >= first:
                return number + 1 - first
    for item in _list(docling.get("doc_items")):
        for place in _list(item.get("prov")):
            if isinstance(number := place.get("page_no"), int) and number >= 1:
                return number
    return None


def _file_name(own: Mapping[str, Any], docling: Mapping[str, Any]) -> str | None:
    origin = docling.get("origin")
    names = [own.get(name) for name in _FILES]
    names.append(origin.get("filename") if isinstance(origin, Mapping) else None)
    if isinstance(name := names[0], str):  # as the user's own, or UniSem's, with its folder
        return name
    found = (PurePath(name).name for name in names if isinstance(name, str | PurePath))
    return next(filter(None, found), None)


def _section(docling: Mapping[str, Any]) -> str | None:
    headings = docling.get("headings")
    if not isinstance(headings, list):
        return None
    return " > ".join(" ".join(one.split()) for one in headings if isinstance(one, str)) or None


def _list(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _image(own: dict[str, Any], root: str | os.PathLike[str]) -> ImageRef | Skipped | None:
    """The picture that is spoken of; what says so is taken out."""
    found: ImageRef | Skipped | None = None
    for name in _PICTURES:
        value = own.get(name)
        if isinstance(value, bytes | str | os.PathLike) and value:
            del own[name]
            if not isinstance(found, ImageRef):
                found = _picture(value, root, is_base64=name == "image_base64")
    own.pop("image_mime_type", None)  # by content
    return found


def _picture(
    value: bytes | str | os.PathLike[str], root: str | os.PathLike[str], *, is_base64: bool
) -> ImageRef | Skipped:
    if isinstance(value, bytes):
        return ImageRef(data=value)
    link = os.fspath(value)
    name = link[:80]
    if link[:5].lower() == "data:":
        return linked_picture(link, Source(Path("metadata"), Path(root)))
    if is_base64 or (len(link) > _SHORTEST_BASE64 and _BASE64.fullmatch("".join(link.split()))):
        try:
            return ImageRef(data=base64.b64decode("".join(link.split()), validate=True))
        except (binascii.Error, ValueError) as error:
            return Skipped(name, f"is no base64 ({error})")
    if link.lower().startswith("file://"):
        link = unquote("/" + link[7:].partition("/")[2])
    elif "://" in link:
        return Skipped(name, "is a URL; UniSem fetches nothing. Save the picture inside the root")
    return _file(link, root)


def _file(link: str, root: str | os.PathLike[str]) -> ImageRef | Skipped:
    if "\0" in link:
        return Skipped(link[:300], "cannot be read (no path holds a null character)")
    fault = Skipped(link[:300], f"lies outside {os.fspath(root)}; name its folder as root")
    for folder in (root, os.getcwd()):
        try:
            found = ImageRef(path=Path(folder, link)).confined([root])
            if found.path is not None and found.path.is_file():
                return found
            fault = Skipped(str(found.path), "does not exist")
        except ImageError:
            continue
        except (OSError, ValueError) as error:  # a name that no system can hold
            return Skipped(link[:300], f"cannot be read ({error})")
    return fault
