"""`MetadataBlocks`: where in a picture's file EXIF, XMP and IPTC stand; nothing is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from unisem.errors import ImageError
from unisem.images.boxes import JPEG_XL_BOX, boxes_at, boxes_of, brands_of
from unisem.images.codecs.jpeg_xl import unpacked
from unisem.images.codecs.svg import words_in
from unisem.images.formats import open_header
from unisem.images.raw import preview_of
from unisem.images.tiff import Ifd, byte_order, tables_of, text_of

_EXIF_HEAD, _XMP_HEAD, _PHOTOSHOP_HEAD = (
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"Photoshop 3.0\0",
)
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 700, 33723, 34377
_IPTC, _IPTC_DIGEST = 0x0404, 0x0425  # of Photoshop's resources
_CANON = b"uuid" + bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_CR3_XMP = b"uuid" + bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_PNG_XMP = b"XML:com.adobe.xmp"
_PNG_KEYWORDS = (b"title", b"description", b"author", b"copyright")
_MOST_SEGMENTS = 1000
_LARGEST = 4 << 20  # bytes of a block, whatever the file says
_LONGEST = 1 << 16  # bytes of a PNG's text


@dataclass(frozen=True, slots=True)
class MetadataBlocks:
    """What there is, as it stands in the file.

    Attributes:
        main: EXIF's first table: the camera, and how it was held.
        exif: EXIF's own table: when and how.
        gps: EXIF's table of the place.
        xmp: XMP as XML, in UTF-8.
        iptc: IPTC's data sets.
        iptc_digest: MD5 of the IPTC that the XMP agrees with, if the file says so.
        texts: A PNG's own texts by keyword, in small letters, or what an SVG says of itself: of
            what `FileFacts` knows, the first of each.
    """

    main: Ifd | None = None
    exif: Ifd | None = None
    gps: Ifd | None = None
    xmp: bytes = b""
    iptc: bytes = b""
    iptc_digest: bytes = b""
    texts: tuple[tuple[str, str], ...] = ()


def blocks_of(data: bytes, page: int = 1) -> MetadataBlocks:
    """Find what a picture's file says of it; what is damaged is not there.

    Args:
        data: The file's bytes, of any format of `unisem.images.formats`.
        page: Of a TIFF, which page, from 1.
    """
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _of_png(data)
    if data.startswith(b"RIFF"):
        chunks = dict(_riff_chunks(data))
        return _blocks(chunks.get(b"EXIF", b""), chunks.get(b"XMP ", b""))
    if byte_order(data):
        return _of_tables(tables_of(data)[page - 1 :])
    if data.startswith(b"FUJIFILM"):
        preview = preview_of(data)
        return MetadataBlocks() if preview is None else _of_jpeg(preview.jpeg)
    if brands_of(data)[:1] == (b"crx ",):
        return _of_cr3(data)
    if data.startswith(JPEG_XL_BOX):
        return _of_jpeg_xl(data)
    if said := words_in(data):
        return MetadataBlocks(texts=tuple(said.items()))
    return _of_pillow(data)


def _of_jpeg(data: bytes) -> MetadataBlocks:
    exif = xmp = b""
    photoshop = bytearray()
    for marker, content in _segments(data):
        if marker == 0xE1 and content.startswith(_EXIF_HEAD) and not exif:
            exif = content
        elif marker == 0xE1 and content.startswith(_XMP_HEAD) and not xmp:
            xmp = content[len(_XMP_HEAD) :]
        elif marker == 0xED and content.startswith(_PHOTOSHOP_HEAD):
            photoshop += content[len(_PHOTOSHOP_HEAD) :]
            if len(photoshop) > _LARGEST:
                break
    return _blocks(exif, xmp, bytes(photoshop))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's segments before its samples."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        length = int.from_bytes(data[at + 2 : at + 4])
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _of_png(data: bytes) -> MetadataBlocks:
    exif = b""
    texts: dict[bytes, bytes] = {}  # so at most one of each keyword is unpacked, and kept
    at = 8
    for _ in range(_MOST_SEGMENTS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length] if kind in _PNG_KINDS else b""
        at += 12 + length
        if kind == b"eXIf":
            exif = content[:_LARGEST]
        elif kind in _PNG_TEXTS:
            keyword, _, rest = content.partition(b"\0")
            name = keyword if keyword == _PNG_XMP else keyword.lower()
            if name not in texts and (name == _PNG_XMP or name in _PNG_KEYWORDS):
                texts[name] = _png_text(kind, rest, _LARGEST if name == _PNG_XMP else _LONGEST)
    found = _blocks(exif, texts.pop(_PNG_XMP, b""))
    said = tuple((name.decode(), text_of(text)) for name, text in texts.items())
    return MetadataBlocks(found.main, found.exif, found.gps, found.xmp, texts=said)


_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_KINDS = (b"eXIf", *_PNG_TEXTS)


def _png_text(kind: bytes, rest: bytes, longest: int) -> bytes:
    """What a text says behind its keyword; the PNG specification, section 11.3.3."""
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        is_packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif is_packed:
        rest = rest[1:]
    if is_packed:
        try:
            rest = zlib.decompressobj().decompress(rest, longest)
        except zlib.error:
            rest = b""
    return rest[:longest]


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    for _ in range(_MOST_SEGMENTS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"EXIF", b"XMP ") and length <= _LARGEST:
            yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _of_cr3(data: bytes) -> MetadataBlocks:
    main, exif, gps = (
        next(iter(tables_of(_first_box(data, (b"moov", _CANON, kind)))), None)
        for kind in (b"CMT1", b"CMT2", b"CMT4")
    )
    return MetadataBlocks(main, exif, gps, _first_box(data, (_CR3_XMP,)))


def _of_jpeg_xl(data: bytes) -> MetadataBlocks:
    """ISO/IEC 18181-2, sections 9.4 to 9.8: boxes, packed or not."""
    found: dict[bytes, bytes] = {}
    for box in boxes_of(data):
        kind, content = box.kind, data[box.start : min(box.end, box.start + _LARGEST)]
        is_packed = kind == b"brob"
        if is_packed:
            kind, content = content[:4], content[4:]
        if kind in (b"Exif", b"xml ") and kind not in found:
            found[kind] = unpacked(content, _LARGEST) if is_packed else content
    exif = found.get(b"Exif", b"")
    start = 4 + int.from_bytes(exif[:4])  # behind which it begins is said first
    return _blocks(exif[start:], found.get(b"xml ", b""))


def _first_box(data: bytes, path: tuple[bytes, ...]) -> bytes:
    box = next(boxes_at(data, path), None)
    return b"" if box is None else data[box.start : min(box.end, box.start + _LARGEST)]


def _of_pillow(data: bytes) -> MetadataBlocks:
    """Of what Pillow, or an extra of it, takes apart when it reads the header."""
    try:
        opened = open_header(data, "picture")
    except ImageError:
        return MetadataBlocks()
    with opened.image as image:
        exif, xmp = image.info.get("exif", b""), image.info.get("xmp", b"")
    return _blocks(*(part if isinstance(part, bytes) else b"" for part in (exif, xmp)))


def _blocks(exif: bytes, xmp: bytes = b"", photoshop: bytes = b"") -> MetadataBlocks:
    tables = _of_tables(tables_of(exif.removeprefix(_EXIF_HEAD)))
    resources = dict(_resources(photoshop))
    return MetadataBlocks(
        tables.main,
        tables.exif,
        tables.gps,
        xmp or tables.xmp,
        resources.get(_IPTC, tables.iptc),
        resources.get(_IPTC_DIGEST, tables.iptc_digest),
    )


def _of_tables(tables: list[Ifd]) -> MetadataBlocks:
    if not tables:
        return MetadataBlocks()
    main = tables[0]
    resources = dict(_resources(main.raw(_PHOTOSHOP_TAG)))
    return MetadataBlocks(
        main,
        next(main.inner(_EXIF_IFD), None),
        next(main.inner(_GPS_IFD), None),
        main.raw(_XMP_TAG),
        main.raw(_IPTC_TAG) or resources.get(_IPTC, b""),
        resources.get(_IPTC_DIGEST, b""),
    )


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Photoshop's resources; its file format's specification, "Image resource blocks"."""
    at = 0
    for _ in range(_MOST_SEGMENTS):
        if data[at : at + 4] not in (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa"):
            return
        if at + 7 > len(data):
            return
        name = 1 + data[at + 6]
        start = at + 6 + name + name % 2
        if start + 4 > len(data):
            return
        number = int.from_bytes(data[at + 4 : at + 6])
        size = int.from_bytes(data[start : start + 4])
        yield number, data[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2
