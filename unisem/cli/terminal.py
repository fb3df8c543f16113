"""What is written to the terminal: results, and on standard error remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.common.skipped import Skipped

_PIPE_WIDTH = 120  # columns of a table that goes to a file or another program


def results() -> Console:
    """Standard output: what was asked for."""
    console = _console(stderr=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def notices() -> Console:
    """Standard error: progress, notes, errors."""
    return _console(stderr=True)


def complain(message: str) -> None:
    """Print an error as one line."""
    line = Text("error: ", style="bold red")
    notices().print(line.append(plain(message), style="not bold default"), soft_wrap=True)


def note(message: str) -> None:
    """Print a remark as one line."""
    notices().print(Text(plain(message), style="dim"), soft_wrap=True)


def amount(number: int, noun: str) -> str:
    """Say how many: ``1 record``, ``1,204 records``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def skipped_lines(
    skipped: Sequence[Skipped], *, most: int = 5, fate: str = "", remedy: str = ""
) -> list[str]:
    """Name the first few with their reasons, then say how many more there are.

    Args:
        skipped: Inputs that could not be used.
        most: How many are named.
        fate: What has become of them, said before each name.
        remedy: Where to see them all, said at the end.
    """
    lines = [f"  {fate}{plain(item.name)}: {plain(item.reason)}" for item in skipped[:most]]
    if len(skipped) > most:
        lines.append(f"  and {len(skipped) - most:,} more{remedy}")
    return lines


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
