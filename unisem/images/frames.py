"""`decode_middle`: the frame that shows what an animation is about, if its first one does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from unisem.errors import ImageError
from unisem.images.boxes import brands_of
from unisem.images.decoding import decode_image
from unisem.images.formats import open_header

_FARTHEST = 400_000_000  # pixels of all frames that are decoded on the way, one after the other
_MOST = 100_000  # frames
_STARTS = (b"GIF8", b"\x89PNG", b"RIFF")


def decode_middle(data: bytes, name: str) -> Image.Image | None:
    """Decode an animation's middle frame; ``None`` if there is none, or none that can be decoded.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.
    """
    try:
        middle = middle_frame(data, name)
        return None if middle == 1 else decode_image(data, name, page=middle)
    except ImageError:  # of half a download; what there is of it is found
        return None


def side_by_side(frames: Sequence[Image.Image]) -> Image.Image:
    """Frames as one picture, by which animations that only begin alike can be told apart."""
    if len(frames) == 1:
        return frames[0]
    width, height = frames[0].size
    whole = Image.new("RGB", (width * len(frames), height))
    for place, frame in enumerate(frames):
        whole.paste(frame.resize((width, height)), (place * width, 0))
    return whole


def middle_frame(data: bytes, name: str) -> int:
    """The number, from 1, of the frame in the middle; 1 of a picture that does not move.

    Of a very long animation it is the last one that is reached in reasonable time.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.

    Raises:
        ImageError: As `open_header`.
    """
    if not data.startswith(_STARTS) and b"avis" not in brands_of(data):
        return 1
    with open_header(data, name).image as image:
        animated: Any = image
        try:
            frames = int(getattr(animated, "n_frames", 1))
        except Exception:  # noqa: BLE001 - as in `decode_image`; the first frame may be whole
            return 1
        farthest = _FARTHEST // (image.width * image.height)
        return 1 + max(0, min(frames // 2, farthest, _MOST))
