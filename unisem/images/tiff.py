"""`Ifd`: a table of a TIFF, of EXIF or of a camera's raw file, of which only what is asked is read.

Pillow's reader decodes all of a table, and refuses the cameras' own beginnings; here a table is a
list of where things are, and anything that lies outside the file is simply not there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_HEADS = {
    b"II*\0": "<",
    b"MM\0*": ">",
    b"IIRO": "<",  # Olympus
    b"IIRS": "<",
    b"MMOR": ">",
    b"IIU\0": "<",  # Panasonic
}
"""The first bytes of such files, and their order of bytes."""

_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_RATIONALS = {5: "I", 10: "i"}
_MOST_ENTRIES = 1000  # of a table
_MOST_TABLES = 64  # of a file
_MOST_NUMBERS = 1000  # of a value
_LONGEST = 1 << 16  # bytes of a text
_LARGEST = 4 << 20  # bytes of any value

Number = int | float | Fraction


@dataclass(frozen=True, slots=True)
class Ifd:
    """One table.

    Attributes:
        data: The file's bytes.
        order: ``"<"`` or ``">"``.
        base: Where in the file offsets are counted from.
        entries: Type, count and place of each tag's value.
        following: Offset of the next table; 0 if there is none.
    """

    data: bytes
    order: str
    base: int
    entries: dict[int, tuple[int, int, int]]
    following: int

    @classmethod
    def at(cls, data: bytes, order: str, offset: int, base: int = 0) -> Ifd | None:
        """The table at an offset; ``None`` if there is none."""
        place = base + offset
        if offset <= 0 or place + 2 > len(data):
            return None
        (count,) = struct.unpack_from(f"{order}H", data, place)
        end = place + 2 + 12 * count
        if not 0 < count <= _MOST_ENTRIES or end > len(data):
            return None
        entries: dict[int, tuple[int, int, int]] = {}
        for at in range(place + 2, end, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", data, at)
            size = _SIZES.get(kind, 0) * number
            where = at + 8
            if size > 4:
                where = base + struct.unpack_from(f"{order}I", data, where)[0]
            if size and where + size <= len(data):
                entries.setdefault(tag, (kind, number, where))
        following = 0
        if end + 4 <= len(data):
            (following,) = struct.unpack_from(f"{order}I", data, end)
        return cls(data, order, base, entries, following)

    def numbers(self, tag: int) -> tuple[Number, ...]:
        """The numbers of a value; none if it has none, or some of them cannot be."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        if not count or count > _MOST_NUMBERS:
            return ()
        if (code := _CODES.get(kind)) is not None:
            return struct.unpack_from(f"{self.order}{count}{code}", self.data, at)
        if (code := _RATIONALS.get(kind)) is None:
            return ()
        parts = struct.unpack_from(f"{self.order}{2 * count}{code}", self.data, at)
        if not all(parts[1::2]):
            return ()
        return tuple(map(Fraction, parts[::2], parts[1::2]))

    def whole(self, tag: int) -> int | None:
        """The first number of a value, if it is a whole one."""
        found = self.numbers(tag)
        return found[0] if found and isinstance(found[0], int) else None

    def raw(self, tag: int) -> bytes:
        """The bytes of a value, the first 4 MiB; none if it is not there."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        return self.data[at : at + min(count * _SIZES.get(kind, 0), _LARGEST)]

    def text(self, tag: int) -> str:
        """A text, up to its first NUL; empty if it is none.

        EXIF's texts are ASCII; what is not is UTF-8, as most programs write it, or else Latin-1.
        """
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        if kind not in (2, 129, 7, 1):
            return ""
        return text_of(self.data[at : at + min(count, _LONGEST)].partition(b"\0")[0])

    def inner(self, tag: int) -> Iterator[Ifd]:
        """The tables that a value points to."""
        for offset in self.numbers(tag)[:_MOST_TABLES]:
            if isinstance(offset, int):
                table = Ifd.at(self.data, self.order, offset, self.base)
                if table is not None:
                    yield table


def byte_order(data: bytes) -> str | None:
    """The order of bytes of a file that begins so; ``None`` if it is of another kind."""
    return _HEADS.get(data[:4])


def tables_of(data: bytes, base: int = 0) -> list[Ifd]:
    """The tables of a file in their order, without those inside them."""
    order = byte_order(data[base : base + 4])
    if order is None or len(data) < base + 8:
        return []
    (offset,) = struct.unpack_from(f"{order}I", data, base + 4)
    found: list[Ifd] = []
    seen = {0}
    while offset not in seen and len(found) < _MOST_TABLES:
        seen.add(offset)
        table = Ifd.at(data, order, offset, base)
        if table is None:
            break
        found.append(table)
        offset = table.following
    return found


def text_of(data: bytes) -> str:
    """Bytes as text: UTF-8, or else as Windows writes western Europe's letters."""
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").strip()
