"""`Box`es: what HEIC, AVIF, JPEG XL and Canon's CR3 are made of (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

JPEG_XL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n"
"""The first box of a JPEG XL that has boxes (ISO/IEC 18181-2)."""

_MOST = 1000  # boxes beside each other


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a file that says how long it is.

    Attributes:
        kind: Four letters; of a ``uuid`` the sixteen bytes behind them, too.
        start: Where in the file its content begins.
        end: Where it ends.
    """

    kind: bytes
    start: int
    end: int


def boxes_of(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes beside each other in a part of a file, as far as they make sense."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(_MOST):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        after = start + size if size else end
        if kind == b"uuid":
            kind += data[content : content + 16]
            content += 16
        if after < content or after > end:
            return
        yield Box(kind, content, after)
        start = after


def boxes_at(data: bytes, path: tuple[bytes, ...], within: Box | None = None) -> Iterator[Box]:
    """The boxes at the end of a path of kinds: ``(b"moov", b"trak")``."""
    start, end = (0, len(data)) if within is None else (within.start, within.end)
    for box in boxes_of(data, start, end):
        if box.kind == path[0]:
            if path[1:]:
                yield from boxes_at(data, path[1:], box)
            else:
                yield box


def brands_of(data: bytes) -> tuple[bytes, ...]:
    """The kinds that a file says it is of, the first one first; none if it is of no boxes."""
    if data[4:8] != b"ftyp":
        return ()
    end = min(int.from_bytes(data[:4]), 256, len(data))
    return data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))


def codestream_of(data: bytes) -> bytes:
    """Where a JPEG XL's picture begins: its first part, if it has boxes; else all of it."""
    if not data.startswith(JPEG_XL_BOX):
        return data
    for box in boxes_of(data):
        if box.kind in (b"jxlc", b"jxlp"):  # a part has a number before it
            return data[box.start + 4 * (box.kind == b"jxlp") : box.end]
    return b""
