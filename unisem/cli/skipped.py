"""What could not be used, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.common.skipped import Skipped

_SHOWN = 5  # inputs that are named


def skipped_lines(skipped: Sequence[Skipped], *, fate: str = "", remedy: str = "") -> list[str]:
    """Name the first few with their reasons, then say how many more there are.

    Args:
        skipped: Inputs that gave nothing.
        fate: What has become of them, said before each name.
        remedy: Where to see them all, said at the end.
    """
    lines = [f"  {fate}{plain(item.name)}: {plain(item.reason)}" for item in skipped[:_SHOWN]]
    if len(skipped) > _SHOWN:
        lines.append(f"  and {len(skipped) - _SHOWN:,} more{remedy}")
    return lines
