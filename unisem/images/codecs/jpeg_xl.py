"""`JpegXl`: a JPEG XL picture of somebody else's: its header read here, its pixels by libjxl.

The header's beginning, which says how large it is, is that of ISO/IEC 18181-1, annex D. What
decodes is imagecodecs, in a process that can be ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from unisem.common.process_apart import ProcessApart
from unisem.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

NEEDS = "imagecodecs"
"""The library that must be there."""
START = b"\xff\x0a"
"""What a picture without a container begins with."""

_LIBJXL = ProcessApart("unisem.images.codecs.jpeg_xl_worker", "libjxl", "UNISEM_IMAGE_SECONDS")
_LENGTHS = (9, 13, 18, 30)  # bits of a side's length, by the two bits before it
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of the sides, from 1
_HEADER = 16  # bytes, more than what is read here can take
_SIDEWAYS = 5  # orientations from here on swap the sides


@dataclass(frozen=True, slots=True)
class JpegXl:
    """A picture whose header has been read.

    Attributes:
        data: The file.
        name: What to call it in an error.
        width: Pixels, of the picture when it is upright.
        height: Pixels, of the picture when it is upright.
    """

    data: bytes
    name: str
    width: int
    height: int

    @classmethod
    def of(cls, data: bytes, codestream: bytes, name: str) -> JpegXl:
        """Read a header.

        Args:
            data: The file.
            codestream: Where in it the picture begins: all of it, or what its container holds.
            name: What to call it in an error.

        Raises:
            ImageError: It is damaged.
        """
        if not codestream.startswith(START) or len(codestream) < len(START) + 1:
            raise ImageError(name, "has a damaged header")
        return cls(data, name, *_size(_Bits(codestream[2:_HEADER])))

    def draw(self) -> Image.Image:
        """Decode the picture, of several frames the first one, upright, in 8 bits.

        Raises:
            ImageError: It is damaged, is not as large as its header says, or takes too long or too
                much memory.
        """
        from PIL import Image

        digest = sha256(self.data).hexdigest()
        answer, pixels = _LIBJXL.ask(self.data, digest, self.name, "decode")
        if "error" in answer:
            raise ImageError(self.name, "is damaged or truncated", f" ({answer['error']})")
        mode, *size = answer["value"]
        if size != [self.width, self.height]:
            raise ImageError(self.name, "is damaged", ": its header tells of another size")
        return Image.frombytes(mode, (self.width, self.height), pixels)


def unpacked(data: bytes, most: int) -> bytes:
    """What a box of a container holds that is packed; nothing if that is damaged or too large.

    Args:
        data: The box's content.
        most: Bytes that it may be.
    """
    try:
        answer, found = _LIBJXL.ask(data, sha256(data).hexdigest(), "picture", "unpack", most)
    except ImageError:
        return b""
    return b"" if "error" in answer else found


class _Bits:
    """Reads bits, the least of each byte first; behind the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.take(1)

    def side() -> int:
        return 8 * (1 + bits.take(5)) if is_small else 1 + bits.take(_LENGTHS[bits.take(2)])

    height = side()
    if ratio := bits.take(3):
        wide, high = _RATIOS[ratio - 1]
        width = height * wide // high
    else:
        width = side()
    is_plain = bits.take(1)
    orientation = 1 + bits.take(3) if not is_plain and bits.take(1) else 1
    return (height, width) if orientation >= _SIDEWAYS else (width, height)
