"""What is written to the terminal: results, and on standard error remarks."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.common.skipped import Skipped

_ALIKE = 3  # inputs that are named where many have the same fault
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


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a result for other programs; ASCII, so that no encoding is needed.

    Args:
        value: What is printed.
        indent: ``None`` for one line, which is out at once.
    """
    sys.stdout.write(json.dumps(value, indent=indent) + "\n")
    if indent is None:
        sys.stdout.flush()


def complain(message: str) -> None:
    """Print an error as one line."""
    line = Text("error: ", style="bold red")
    notices().print(line.append(plain(message), style="not bold default"), soft_wrap=True)


def told(error: Exception) -> str:
    """An error in words; a system's with the file that it is about."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


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

    Those that share a reason with more than a few others are told together, in one line.

    Args:
        skipped: Inputs that could not be used.
        most: How many are named.
        fate: What has become of them, said before each name.
        remedy: Where to see them all, said at the end.
    """
    alike = Counter(item.reason for item in skipped)
    if most >= len(skipped):  # all are asked for
        alike.clear()
    common = [reason for reason, count in alike.items() if count > _ALIKE]
    lines: list[str] = []
    for reason in common:
        names = [plain(item.name) for item in skipped if item.reason == reason][:_ALIKE]
        lines.append(f"  {fate}{alike[reason]:,} ({', '.join(names)} …): {plain(reason)}")
    rest = [item for item in skipped if item.reason not in common]
    lines += [f"  {fate}{plain(item.name)}: {plain(item.reason)}" for item in rest[:most]]
    if len(rest) > most:
        lines.append(f"  and {len(rest) - most:,} more{remedy}")
    elif common:
        lines[-1] += remedy
    return lines


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
