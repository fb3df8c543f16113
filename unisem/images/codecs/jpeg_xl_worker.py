"""What runs in libjxl's process: ``python -m unisem.images.codecs.jpeg_xl_worker``.

It opens no file and writes none: pictures come, and pixels go, through pipes. What else a picture's
container holds may be packed by Brotli.
"""

from __future__ import annotations

from unisem.common.answering import Answer, answer_requests

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def main() -> None:
    """Answer what is asked of pictures."""
    import numpy as np
    from imagecodecs import BrotliError, JpegxlError, brotli_decode, jpegxl_decode

    data = b""

    def take(given: bytes) -> None:
        nonlocal data
        data = given

    def decode() -> Answer:
        pixels = jpegxl_decode(data, index=0, numthreads=1)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        elif pixels.dtype != np.uint8:
            pixels = (np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8)
        height, width = pixels.shape[:2]
        planes = 1 if pixels.ndim == 2 else pixels.shape[2]
        if planes not in _MODES:
            raise ValueError(f"{planes} channels")
        return (_MODES[planes], width, height), pixels.tobytes()

    def unpack(most: int) -> Answer:
        return None, bytes(brotli_decode(data, out=most))

    faults = (BrotliError, JpegxlError, ValueError)
    answer_requests(take, {"decode": decode, "unpack": unpack}, faults)


if __name__ == "__main__":
    main()
