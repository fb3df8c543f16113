"""Ctrl-C that is not lost: an exception in a callback of a library may be swallowed there.

Python raises `KeyboardInterrupt` wherever the main thread happens to be. Inside a finalizer, or a
function that SQLite or a progress bar calls, nobody passes it on. So the program remembers it, and
long work asks at each step.
"""

from __future__ import annotations

import signal
from types import FrameType

_seen = False


def notice_interrupts() -> None:
    """Remember Ctrl-C from now on; for a program's main thread."""
    signal.signal(signal.SIGINT, _interrupt)


def raise_if_interrupted() -> None:
    """Raise the interrupt that was seen, wherever it went.

    Raises:
        KeyboardInterrupt: Ctrl-C was seen.
    """
    if _seen:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    signal.default_int_handler(number, frame)
