"""Cameras' raw files as far as their tables go, with JPEGs in the places that cameras use."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

Value = int | str | bytes | Sequence[int]
"""Of a tag: LONGs, an ASCII text, or bytes without a type."""


def table(entries: Mapping[int, Value], at: int, order: str = "<", following: int = 0) -> bytes:
    """An IFD that is to lie at an offset, with its values behind it."""
    end = at + 2 + 12 * len(entries) + 4
    rows, values = b"", b""
    for tag, value in sorted(entries.items()):
        if isinstance(value, str):
            kind, data = 2, value.encode() + b"\0"
            count = len(data)
        elif isinstance(value, bytes):
            kind, data, count = 7, value, len(value)
        else:
            numbers = [value] if isinstance(value, int) else list(value)
            kind, count = 4, len(numbers)
            data = struct.pack(f"{order}{count}I", *numbers)
        rows += struct.pack(f"{order}HHI", tag, kind, count)
        if len(data) <= 4:
            rows += data.ljust(4, b"\0")
        else:
            rows += struct.pack(f"{order}I", end + len(values))
            values += data + b"\0" * (len(data) % 2)
    return (
        struct.pack(f"{order}H", len(entries)) + rows + struct.pack(f"{order}I", following) + values
    )


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO/IEC 14496-12."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def tiff(head: bytes, first: Mapping[int, Value], blocks: Sequence[bytes]) -> bytes:
    """A file of one table, behind the blocks that its values may point to; see `places`."""
    order = "<" if head.startswith(b"II") else ">"
    start = 16 + sum(map(len, blocks))
    ifd = table(first, start, order)
    return head + struct.pack(f"{order}I", start) + b"\0" * 8 + b"".join(blocks) + ifd


def places(blocks: Sequence[bytes]) -> list[int]:
    """Where `tiff` puts the blocks."""
    return [16 + sum(map(len, blocks[:position])) for position in range(len(blocks))]


def sensor(jpeg: bytes) -> bytes:
    """A JPEG that says that it is lossless, as a sensor's samples are in CR2 and DNG."""
    return jpeg.replace(b"\xff\xc0", b"\xff\xc3", 1)


def raw_file(kind: str, large: bytes, small: bytes, orientation: int = 1) -> bytes:
    """A raw file whose larger preview is one JPEG, its smaller another."""
    big = sensor(large + b"\0" * 64)
    blocks = [small, large, big]
    at = places(blocks)
    first: dict[int, Value] = {271: "Maker", 274: orientation}
    thumb: dict[int, Value] = {513: at[0], 514: len(small)}
    match kind:
        case "cr2":
            head = b"II*\0\x10\0\0\0CR\2\0"
            first |= {259: 6, 273: at[1], 279: len(large)}
            start = 16 + sum(map(len, blocks))
            ifd = table(first | thumb, start)
            return (
                head[:4] + struct.pack("<I", start) + b"CR\2\0" + b"\0" * 4 + b"".join(blocks) + ifd
            )
        case "nef" | "arw" | "dng" | "other":
            start = 16 + sum(map(len, blocks))
            preview = table({513: at[1], 514: len(large)}, start)
            samples = table({262: 32803, 259: 7, 273: at[2], 279: len(big)}, start + len(preview))
            first |= thumb | {330: [start, start + len(preview)]}
            first[271] = {"nef": "NIKON CORPORATION", "arw": "SONY"}.get(kind, "Maker")
            if kind == "dng":
                first[50706] = 1
            return tiff(b"II*\0", first, [*blocks, preview, samples])
        case "orf":
            start = 16 + sum(map(len, blocks))
            notes = b"OLYMPUS\0II\3\0"
            settings = 12 + 2 + 12 + 4
            notes += table({0x2020: settings}, 12)
            notes += table({0x101: settings + 42, 0x102: len(large)}, settings).ljust(42, b"\0")
            exif_at = start
            exif = table({0x927C: notes + large}, exif_at)
            return tiff(b"IIRO", first | thumb | {0x8769: exif_at}, [*blocks, exif])
        case "rw2":
            return tiff(b"IIU\0", first | {0x2E: large}, [small])
        case "raf":
            head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0")
            return head + struct.pack(">II", 100, len(large)) + b"\0" * 8 + large
        case "cr3":
            canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
            ftyp = box(b"ftyp", b"crx \0\0\0\1crx isom")
            note = b"II*\0\x08\0\0\0" + table(first, 8)

            def moov(place: int) -> bytes:
                sizes = box(b"stsz", struct.pack(">III", 0, len(large), 1))
                offsets = box(b"co64", struct.pack(">IIQ", 0, 1, place))
                inner = box(b"stbl", sizes + offsets)
                for name in (b"minf", b"mdia", b"trak"):
                    inner = box(name, inner)
                return box(b"moov", box(b"uuid", canon + box(b"CMT1", note)) + inner)

            head = ftyp + moov(0)
            return ftyp + moov(len(head) + 8) + box(b"mdat", large)
    raise ValueError(kind)
