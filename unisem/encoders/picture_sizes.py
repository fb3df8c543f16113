"""`limit_pixels`: how much of a picture a model looks at, where that is not fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unisem.errors import EncoderError

_TIMES = 16  # the model's own figure: the number may be from a stranger's file
_SOFT_TOKENS = (70, 140, 280, 560, 1120)
"""The numbers of a picture's tokens that Gemma's processors take."""


def limit_pixels(processors: Sequence[Any], most: int, what: str) -> None:
    """Have a model look at so many pixels of a picture at most.

    NaFlex models count patches (``max_num_patches``), Gemma's a picture's tokens
    (``max_soft_tokens``), Qwen-VL's and their kin pixels (``size["longest_edge"]``, which is an
    area there): all are given as pixels here.

    Args:
        processors: What transformers prepares the model's pictures with; changed in place.
        most: Pixels.
        what: What to call the model in an error, for example ``the encoder 'mini'``.

    Raises:
        EncoderError: Its pictures have a fixed size, or so few pixels are less than it can look at,
            or they are more than 16 times what it looks at by itself.
    """
    if not processors:
        raise fixed_size(what)
    for processor in processors:
        if hasattr(processor, "max_num_patches"):
            side = processor.patch_size
            own = processor.max_num_patches * side * side
            processor.max_num_patches = _counted(most, side * side, own, what)
        elif hasattr(processor, "max_soft_tokens"):
            side = processor.patch_size * processor.pooling_kernel_size
            own = processor.max_soft_tokens * side * side
            count = _counted(most, side * side * _SOFT_TOKENS[0], own, what) * _SOFT_TOKENS[0]
            processor.max_soft_tokens = max(number for number in _SOFT_TOKENS if number <= count)
        elif hasattr(processor, "merge_size") and "longest_edge" in dict(processor.size or {}):
            side = processor.patch_size * processor.merge_size
            own = dict(processor.size)["longest_edge"]
            area = _counted(most, side * side, own, what) * side * side
            least = min(dict(processor.size)["shortest_edge"], area)
            processor.size = type(processor.size)(shortest_edge=least, longest_edge=area)
        else:
            raise fixed_size(what)


def fixed_size(what: str) -> EncoderError:
    """What is said of a model that looks at pictures of one size."""
    return EncoderError(f"{what} looks at pictures of one fixed size; leave max_pixels out")


def _counted(most: int, part: int, own: int, what: str) -> int:
    """How many parts of so many pixels there may be; ``own`` is how many pixels there were."""
    if most < part:
        raise EncoderError(
            f"{what} looks at {part:,} pixels of a picture at least; pass max_pixels={part} or more"
        )
    if most > own * _TIMES:
        raise EncoderError(
            f"{what} looks at {own:,} pixels of a picture by itself, and at no more than {_TIMES} "
            f"times as many; pass max_pixels={own * _TIMES} or fewer"
        )
    return most // part
