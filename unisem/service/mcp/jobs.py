"""`Jobs`: what calls make a space do, in a few threads; what waits is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from unisem.errors import UniSemError

_Result = TypeVar("_Result")


class BusyError(UniSemError):
    """A call that was not begun, or not waited for to its end.

    Attributes:
        has_begun: It goes on, unheard.
    """

    def __init__(self, message: str, *, has_begun: bool = False) -> None:
        super().__init__(message)
        self.has_begun = has_begun


class Jobs:
    """Runs calls in threads.

    A call that is cancelled while it waits never begins; one that has begun goes on to its end,
    unheard, and keeps its thread until then, so that no number of calls makes more threads.

    Args:
        threads: Calls that run at one time.
        queue: Calls that may wait.
        seconds: How long each may take, waiting included.
    """

    def __init__(self, threads: int, queue: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, "unisem-mcp")
        self._room = threads + queue
        self._seconds = seconds
        self._held = 0
        self._counting = threading.Lock()

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Run a call; what it raises is raised.

        Raises:
            BusyError: Too many wait already, or it took too long.
        """
        with self._counting:
            if self._held >= self._room:
                raise BusyError("The server is busy. Try again in a few seconds.")
            self._held += 1
        job = self._pool.submit(call)
        job.add_done_callback(self._let_go)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if _raised_by(job):
                raise
            raise BusyError(
                f"This took longer than {self._seconds:g} seconds and was given up. Ask for less, "
                "or try again later.",
                has_begun=not job.cancel(),
            ) from None

    def close(self) -> None:
        """Give up what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _let_go(self, job: Future[_Result]) -> None:
        with self._counting:
            self._held -= 1


def _raised_by(job: Future[_Result]) -> bool:
    """Whether a call ended by a `TimeoutError` of its own."""
    return job.done() and not job.cancelled() and job.exception() is not None
