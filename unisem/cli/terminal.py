"""What is written to the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from unisem.common.printable import plain

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


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
