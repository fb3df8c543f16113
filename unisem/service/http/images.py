"""Routes that give pictures."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import replace
from io import BytesIO
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from PIL import Image
from starlette.responses import Response

from unisem.errors import ImageError
from unisem.images.decoding import inspect_image
from unisem.images.formats import SUFFIXES
from unisem.images.reference import CHANGED, ImageRef
from unisem.service.http.access import RecordId, View
from unisem.service.refusal import RefusedError

router = APIRouter(tags=["records"])
Size = Literal["original", "thumbnail", "page"]
_SIDE = 384  # pixels of a thumbnail's longer side
_KEPT = 32 << 20  # bytes of thumbnails and pages that are remembered
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


class _Made:
    """Pictures that were made lately, by what they were made of and where that lies.

    The same drawing may stand on several pages.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[ImageRef, Size], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, image: ImageRef, size: Size) -> tuple[bytes, str]:
        """A picture's bytes and their type.

        Raises:
            ImageError: It cannot be read, or is not the one that it was.
            RefusedError: There is no page.
        """
        if image.sha256 is None:
            raise ImageError("picture", "has no digest to know it by")
        if size == "original":
            data = image.read_verified()
            return data, inspect_image(data, "picture").mime_type  # a catalogue may say anything
        key = replace(image, data=None), size
        with self._lock:
            made = self._made.get(key)
        if made is None:
            made = _thumbnail(image) if size == "thumbnail" else _page(image)
            self._keep(key, made)
        return made, "image/webp" if size == "thumbnail" else "image/png"

    def _keep(self, key: tuple[ImageRef, Size], data: bytes) -> None:
        with self._lock:
            if key not in self._made:
                self._size += len(data)
            self._made[key] = data
            while self._size > _KEPT:
                _, gone = self._made.popitem(last=False)
                self._size -= len(gone)


_made = _Made()


@router.get(
    "/v1/spaces/{space}/records/{record_id}/image",
    summary="Give a record's picture",
    response_class=Response,
    responses={200: {"content": {"image/*": {}}, "description": "The picture."}},
)
def get_image(
    record_id: RecordId,
    request: Request,
    view: View,
    size: Annotated[
        Size,
        Query(description="As it is, small, or the page of a document that it is a part of."),
    ] = "original",
    sha256: Annotated[
        str | None,
        Query(
            description="The picture's digest, as the record said it; no other one is given.",
            pattern="^[0-9a-f]{64}$",
        ),
    ] = None,
) -> Response:
    """The picture that the record was found by, byte for byte, or a copy made of it."""
    image = view.record(record_id).image
    if image is None:
        raise RefusedError(404, "the record has no picture")
    if sha256 not in (None, image.sha256):
        raise RefusedError(
            410, f"the picture {CHANGED}", field="sha256", remedy="search again for what is there"
        )
    try:
        data, kind = _made.of(image, size)
    except ImageError as error:
        raise RefusedError(
            410, f"the picture {error.summary}", remedy="add its record again"
        ) from None
    tag = hashlib.sha256(data).hexdigest()
    headers = {
        "ETag": f'"{tag}"',
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{tag[:16]}{SUFFIXES.get(kind, "")}"',
    }
    if _is_known(request.headers.get("if-none-match"), tag):
        return Response(None, 304, headers)
    return _ranged(request, data, headers, kind)


def _thumbnail(image: ImageRef) -> bytes:
    pixels = image.open(min_side=_SIDE)
    pixels.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return _encoded(pixels, "WEBP")


def _page(image: ImageRef) -> bytes:
    page = image.open_page()
    if page is None:
        raise RefusedError(404, "the picture is no part of a page", field="size")
    return _encoded(page, "PNG")


def _encoded(pixels: Image.Image, format: str) -> bytes:
    buffer = BytesIO()
    pixels.save(buffer, format=format, quality=80)
    return buffer.getvalue()


def _is_known(header: str | None, tag: str) -> bool:
    listed = [part.strip().removeprefix("W/") for part in (header or "").split(",")]
    return "*" in listed or f'"{tag}"' in listed


def _ranged(request: Request, data: bytes, headers: dict[str, str], kind: str) -> Response:
    """The bytes that a request wants: one range, or, whatever else it says, all of them."""
    wanted = _RANGE.fullmatch(request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if wanted is None or not any(wanted.groups()) or condition not in (None, headers["ETag"]):
        return Response(data, 200, headers, kind)
    first, last = (int(part[:18]) if part else None for part in wanted.groups())
    size = len(data)
    if first is None:  # the last so many
        first, last = max(0, size - (last or 0)), size - 1
    last = size - 1 if last is None else min(last, size - 1)
    if first >= size or first > last:
        return Response(None, 416, headers | {"Content-Range": f"bytes */{size}"})
    return Response(
        data[first : last + 1],
        206,
        headers | {"Content-Range": f"bytes {first}-{last}/{size}"},
        kind,
    )
