"""`read_resources`: the files inside a binary resource file of Qt (.rcc)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_COMPRESSED, _FOLDER, _ZSTD = 1, 2, 4


def read_resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield paths and contents, as ``rcc --reverse`` would write them.

    A header of big-endian numbers gives the places of a tree, of names and of contents. A node of
    the tree is a folder, with the number and place of its children, or a file, with the place of
    its content (https://doc.qt.io/qt-6/rcc.html; qtbase, ``qresource.cpp``).

    Raises:
        ValueError: It is no resource file, or compressed in another way than by zlib.
    """
    data = path.read_bytes()
    if data[:4] != b"qres":
        raise ValueError(f"{path} is no resource file of Qt")
    version, tree, contents, names = struct.unpack_from(">4I", data, 4)
    node_size = 14 if version == 1 else 22  # later ones have a date

    def walk(node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + node * node_size
        name_at, flags = struct.unpack_from(">IH", data, at)
        length = struct.unpack_from(">H", data, names + name_at)[0]
        start = names + name_at + 6  # behind the length and a hash
        name = folder + (data[start : start + 2 * length].decode("utf-16-be") if node else "")
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, f"{name}/" if node else "")
            return
        if flags & _ZSTD:
            raise ValueError(f"{path}: {name} is compressed with zstd, which is not read here")
        start = contents + struct.unpack_from(">I", data, at + 10)[0]
        size = struct.unpack_from(">I", data, start)[0]
        content = data[start + 4 : start + 4 + size]
        yield name, zlib.decompress(content[4:]) if flags & _COMPRESSED else content

    yield from walk(0, "")
