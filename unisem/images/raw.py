"""`Preview`: the JPEG that a camera puts into its raw files, found by the files' own tables.

A raw file's samples are not developed here: what a camera shows of a picture is in the file
already, nearly always at full size. LibRaw would do more, with a decoder in native code for each of
a thousand cameras, none of which is needed for this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from unisem.images.boxes import boxes_at, brands_of
from unisem.images.tiff import Ifd, byte_order, tables_of

CR3 = "image/x-canon-cr3"
RAF = "image/x-fuji-raf"
_CR2, _DNG, _ORF, _RW2 = (
    "image/x-canon-cr2",
    "image/x-adobe-dng",
    "image/x-olympus-orf",
    "image/x-panasonic-rw2",
)
_BY_MAKER = {"NIKON": "image/x-nikon-nef", "SONY": "image/x-sony-arw"}
_OTHER = "image/x-raw"
RAW_TYPES = {
    _CR2: ".cr2",
    CR3: ".cr3",
    _BY_MAKER["NIKON"]: ".nef",
    _BY_MAKER["SONY"]: ".arw",
    _DNG: ".dng",
    _ORF: ".orf",
    _RW2: ".rw2",
    RAF: ".raf",
    _OTHER: ".raw",
}
"""The suffix of each type of raw files."""

_CFA, _LINEAR_RAW = 32803, 34892  # how samples are meant that are a sensor's
_OF_CAMERAS = {34713, 32767, 32770, 34892}  # how Nikon, Sony, Samsung and DNG compress them
_SUB_IFDS, _MAKE, _ORIENTATION, _DNG_VERSION = 330, 271, 274, 50706
_EXIF, _MAKER_NOTE = 0x8769, 0x927C
_JPEG_FROM_RAW = 0x2E  # Panasonic
_PREVIEWS = b"uuid" + bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")  # of CR3
_START = b"\xff\xd8\xff"
_DECODABLE = {0xC0, 0xC1, 0xC2}  # frames of a JPEG that are no sensor's samples
_MOST = 64  # places where a preview may be
_MOST_MARKERS = 200

Place = tuple[int, int]
"""Offset and length in a file."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a camera shows of a raw file.

    Attributes:
        mime_type: The raw file's, one of `RAW_TYPES`.
        jpeg: The largest JPEG in it; empty if there is none.
        orientation: EXIF's number for how the camera was held, if the file says so itself.
    """

    mime_type: str
    jpeg: bytes
    orientation: int | None


def preview_of(data: bytes) -> Preview | None:
    """Find the preview of a raw file; ``None`` for files of other kinds, plain TIFF among them."""
    if data.startswith(b"FUJIFILMCCD-RAW"):
        return Preview(RAF, _largest(data, _of_raf(data)), None)
    if brands_of(data)[:1] == (b"crx ",):
        return Preview(CR3, _largest(data, _of_cr3(data)), _orientation_of_cr3(data))
    tables = list(islice(_all_tables(data), _MOST)) if byte_order(data) else []
    mime_type = _type_of(data, tables)
    if mime_type is None:
        return None
    places = [place for table in tables for place in _of_table(table)]
    places += [place for table in tables for place in _of_olympus(table)]
    return Preview(mime_type, _largest(data, places), tables[0].whole(_ORIENTATION))


def _all_tables(data: bytes) -> Iterator[Ifd]:
    for table in tables_of(data):
        yield table
        yield from table.inner(_SUB_IFDS)


def _type_of(data: bytes, tables: list[Ifd]) -> str | None:
    if not tables:
        return None
    if data[:4] in (b"IIRO", b"IIRS", b"MMOR"):
        return _ORF
    if data[:4] == b"IIU\0":
        return _RW2
    if data[8:10] == b"CR":
        return _CR2
    if any(_DNG_VERSION in table.entries for table in tables):
        return _DNG
    if any(
        table.whole(262) in (_CFA, _LINEAR_RAW) or table.whole(259) in _OF_CAMERAS
        for table in tables
    ):
        maker = tables[0].text(_MAKE).upper()
        return next((kind for name, kind in _BY_MAKER.items() if maker.startswith(name)), _OTHER)
    return None


def _of_table(table: Ifd) -> Iterator[Place]:
    for start, length in ((513, 514), (273, 279)):  # a JPEG; one strip, which may be a JPEG
        offset, size = table.numbers(start), table.numbers(length)
        if len(offset) == len(size) == 1:
            at, long = offset[0], size[0]
            if isinstance(at, int) and isinstance(long, int):  # an infinity is no length
                yield table.base + at, long
    _, count, at = table.entries.get(_JPEG_FROM_RAW, (0, 0, 0))
    if count:
        yield at, count


def _of_olympus(table: Ifd) -> Iterator[Place]:
    """The preview is named in the camera's own notes, whose offsets count from their beginning."""
    for exif in islice(table.inner(_EXIF), 1):  # or tables in tables in tables are read
        _, _, at = exif.entries.get(_MAKER_NOTE, (0, 0, 0))
        start = exif.data[at : at + 16]
        head = 12 if start.startswith(b"OLYMPUS\0") else 16 if start[:9] == b"OM SYSTEM" else 0
        notes = Ifd.at(exif.data, exif.order, head, at) if head else None
        for settings in islice(notes.inner(0x2020), 1) if notes is not None else ():
            offset, size = settings.whole(0x101), settings.whole(0x102)
            if offset is not None and size is not None:
                yield at + offset, size


def _of_raf(data: bytes) -> Iterator[Place]:
    if len(data) >= 92:
        yield struct.unpack_from(">II", data, 84)


def _of_cr3(data: bytes) -> Iterator[Place]:
    for table in boxes_at(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl")):
        sizes = next(boxes_at(data, (b"stsz",), table), None)
        places = next(boxes_at(data, (b"co64",), table), None)
        if sizes and places and sizes.end - sizes.start >= 12 and places.end - places.start >= 16:
            size, count = struct.unpack_from(">II", data, sizes.start + 4)
            if not size and count and sizes.end - sizes.start >= 16:
                (size,) = struct.unpack_from(">I", data, sizes.start + 12)
            yield struct.unpack_from(">Q", data, places.start + 8)[0], size
    for box in boxes_at(data, (_PREVIEWS,)):
        at = data.find(_START, box.start, min(box.end, box.start + 256))
        if at >= 0:
            yield at, box.end - at


def _orientation_of_cr3(data: bytes) -> int | None:
    canon = b"uuid" + bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    for box in boxes_at(data, (b"moov", canon, b"CMT1")):
        for table in tables_of(data[box.start : box.end])[:1]:
            return table.whole(_ORIENTATION)
    return None


def _largest(data: bytes, places: Iterator[Place] | list[Place]) -> bytes:
    """The JPEG with the most pixels at one of these places."""
    found = {
        place: pixels
        for place in islice(places, _MOST)
        if place[1] > 0 and (pixels := _pixels(data, *place))
    }
    if not found:
        return b""
    at, size = max(found, key=lambda place: (found[place], place[1]))
    return data[at : at + size]


def _pixels(data: bytes, at: int, size: int) -> int:
    """How many pixels a JPEG says it has; 0 if it is none, or none that shows something."""
    end = min(at + size, len(data))
    if at < 0 or not data.startswith(_START, at):
        return 0
    at += 2
    for _ in range(_MOST_MARKERS):
        if at + 9 > end or data[at] != 0xFF:
            return 0
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return int(height * width) if marker in _DECODABLE else 0
        at += 2 + length
    return 0
