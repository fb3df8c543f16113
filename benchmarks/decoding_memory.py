"""What decoding takes: peak memory and time of pictures of every kind, large in pixels.

``python -m benchmarks.decoding_memory`` makes them, decodes each in a process of its own, as an
encoder wants it (sides of 448 pixels kept), then eight at once in eight threads, and prints a
Markdown table. Linux only: peaks are read from ``/proc``.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

SIDE = 8000  # pixels: 64 megapixels
MIN_SIDE = 448

_MEASURED = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unisem.errors import ImageError
from unisem.images.decoding import decode_image

def held(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if what in line).split()[1])

def decode(data):
    return decode_image(data, "measured", min_side=int(sys.argv[3]))

from PIL import Image
from io import BytesIO
for format in ("PNG", "JPEG", "TIFF", "WEBP"):  # what is loaded at the first use is no picture's
    buffer = BytesIO()
    Image.new("RGB", (600, 600)).save(buffer, format)
    decode(buffer.getvalue())
data = Path(sys.argv[1]).read_bytes()
before, began = held("VmRSS"), time.perf_counter()
try:
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        list(pool.map(decode, [data] * int(sys.argv[2])))
except ImageError as error:
    print(error.reason)
else:
    print((held("VmHWM") - before) >> 20, round(time.perf_counter() - began, 1))
"""


def many_bit_png(path: Path, colour: int, side: int = SIDE) -> None:
    """A PNG of 16 bits a sample, ``colour`` 0 grey, 2 RGB, 4 grey with alpha, 6 RGB with alpha."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    packer = zlib.compressobj(9)
    rows = (packer.compress(b"\0" + bytes(2 * samples * side)) for _ in range(side))
    body = b"".join(rows) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def plain(mode: str, format: str, side: int = SIDE, **options: object) -> Callable[[Path], None]:
    """A picture of one mode and format."""
    return lambda path: Image.new(mode, (side, side)).save(path, format, **options)


KINDS: dict[str, Callable[[Path], None]] = {
    "JPEG": plain("RGB", "JPEG"),
    "JPEG, 12,000 x 12,000": plain("RGB", "JPEG", 12_000),
    "JPEG, progressive": plain("RGB", "JPEG", progressive=True),
    "JPEG, CMYK": plain("CMYK", "JPEG"),
    "PNG, RGB": plain("RGB", "PNG"),
    "PNG, RGBA": plain("RGBA", "PNG"),
    "PNG, grey with alpha": plain("LA", "PNG"),
    "PNG, palette": plain("P", "PNG"),
    "PNG, 16-bit grey": lambda path: many_bit_png(path, 0),
    "PNG, 16-bit RGBA": lambda path: many_bit_png(path, 6),
    "TIFF, 32-bit integers": plain("I", "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, floats": plain("F", "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, CMYK": plain("CMYK", "TIFF", compression="tiff_lzw"),
    "WebP, 6,000 x 6,000": plain("RGBA", "WEBP", 6_000, lossless=True),
    "GIF": plain("P", "GIF"),
    "BMP": plain("RGB", "BMP"),
}


def measured(path: Path, threads: int, min_side: int = MIN_SIDE) -> list[str]:
    """Peak in MiB above what was held before, and seconds, of decoding in several threads."""
    command = [sys.executable, "-c", _MEASURED, str(path), str(threads), str(min_side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def main() -> None:
    """Print the table."""
    print("| picture | file, MB | peak, MiB | seconds | eight at once, MiB | seconds |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in KINDS.items():
            path = Path(folder, "picture")
            make(path)
            cells = [f"{path.stat().st_size / 1e6:.1f}", *measured(path, 1), *measured(path, 8)]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
