"""What is written to the terminal, and how text from anybody is made harmless there."""

from __future__ import annotations

import re

from rich.console import Console
from rich.text import Text

_PIPE_WIDTH = 120  # columns of a table that goes to a file or another program

# Escape sequences begin with one of these; bidirectional overrides reorder the rest of a line.
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_HALF_SURROGATE = re.compile(r"[\ud800-\udfff]")  # from file names that are not Unicode


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


def plain(text: str, *, lines: bool = False) -> str:
    r"""Make a text of unknown origin printable.

    Control characters (with them every terminal escape) and bidirectional overrides go, white
    space becomes single spaces, half surrogates become ``U+FFFD``.

    Args:
        text: The text.
        lines: Keep the line breaks.

    >>> plain("red\x1b[31m  tiger\r\n")
    'red[31m tiger'
    >>> plain("one\n\ntwo \t three", lines=True)
    'one\n\ntwo three'
    """
    if lines:
        return "\n".join(plain(line) for line in text.splitlines()).strip()
    return _HALF_SURROGATE.sub("\ufffd", _HARMFUL.sub("", " ".join(text.split())))


def shortened(text: str, length: int) -> str:
    """Cut a text after a word, at ``length`` characters at most, and say so with ``…``."""
    if len(text) <= length:
        return text
    head, space, _ = text[:length].rpartition(" ")
    return (head if space else text[: length - 1]).rstrip(" ,;:.") + "…"


def amount(number: int, noun: str) -> str:
    """Say how many: ``1 record``, ``1,204 records``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
