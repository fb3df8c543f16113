"""`limit_memory`, `limited`: what a process may take, whatever the code in it is doing."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

COUNTS_WORK = hasattr(signal, "setitimer")
"""Whether the system can end a process by the time that it has worked, not by the clock's."""
OVERTIME = -signal.SIGPROF if hasattr(signal, "SIGPROF") else None
"""Status of a process that has worked too long."""


def limit_memory(most: int) -> None:
    """Have this process get no more bytes than this, where the system can say so."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # one that is refused costs no other
            resource.setrlimit(limit, (value, value))


@contextmanager
def limited(seconds: float, clock: float) -> Iterator[None]:
    """End this process if what is done within takes too long; also if nobody waits for it.

    Args:
        seconds: Of a processor's, which do not pass while others have it; see `COUNTS_WORK`.
        clock: Seconds of the clock.
    """
    # By the system, and in C: they fire whatever a library is doing.
    faulthandler.dump_traceback_later(clock, exit=True)
    if COUNTS_WORK:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    yield
    if COUNTS_WORK:
        signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()
