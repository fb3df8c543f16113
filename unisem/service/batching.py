"""`Batcher`: what waits is done together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from unisem.service.refusal import RefusedError, busy

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class Batcher(Generic[_Job, _Result]):
    """A thread that does what has been submitted, all that waits in one call.

    Nothing is delayed in order to wait for more: while one call runs, the next one's jobs gather.

    Args:
        name: Of the thread, and of what is busy.
        run: Does jobs, and gives each one's result, in order.
        most: Jobs of a call.
        queue: Submissions that may wait.
    """

    def __init__(
        self, name: str, run: Callable[[list[_Job]], Sequence[_Result]], *, most: int, queue: int
    ) -> None:
        self._name = name
        self._run = run
        self._most = most
        self._queue = queue
        self._waiting: deque[tuple[list[_Job], Future[list[_Result]]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many submissions wait."""
        return len(self._waiting)

    def submit(self, jobs: Sequence[_Job]) -> Future[list[_Result]]:
        """Have jobs done; the future has each one's result, or the error of the first bad one.

        A bad job costs no other submission. A future that is cancelled before its turn is not
        computed.

        Raises:
            RefusedError: Too many wait (429), or this is closed (503).
        """
        future: Future[list[_Result]] = Future()
        with self._changed:
            if self._is_closed:
                raise RefusedError(
                    503, "the service is stopping", remedy="try again", retry_after=5
                )
            if len(self._waiting) >= self._queue:
                raise busy()
            self._waiting.append((list(jobs), future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return future

    def close(self) -> None:
        """Do what waits, and take no more; safe to call twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._do(batch)

    def _next(self) -> list[tuple[list[_Job], Future[list[_Result]]]]:
        """What is done together; nothing once this is closed and all is done."""
        batch: list[tuple[list[_Job], Future[list[_Result]]]] = []
        count = 0
        with self._changed:
            while not batch:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if not self._waiting:
                    return []
                while self._waiting and (
                    not batch or count + len(self._waiting[0][0]) <= self._most
                ):
                    jobs, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.append((jobs, future))
                        count += len(jobs)
        return batch

    def _do(self, batch: Sequence[tuple[list[_Job], Future[list[_Result]]]]) -> None:
        jobs = [job for listed, _ in batch for job in listed]
        try:
            results = iter(list(self._run(jobs)))
        except BaseException as error:  # noqa: BLE001 - whoever asked is told
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for one in batch:
                    self._do([one])
            return
        for listed, future in batch:
            future.set_result([next(results) for _ in listed])


def joined(parts: Sequence[Future[list[_Result]]]) -> Future[list[_Result]]:
    """One future for the results of several, in order, or for the error of the first bad one.

    If it is cancelled, those of them that have not begun are given up.
    """
    whole: Future[list[_Result]] = Future()
    left, counting = len(parts), threading.Lock()

    def note(part: Future[list[_Result]]) -> None:
        nonlocal left
        del part
        with counting:
            left -= 1
            is_last = left == 0
        if not is_last or not whole.set_running_or_notify_cancel():
            return
        try:
            whole.set_result([result for it in parts for result in it.result()])
        except BaseException as error:  # noqa: BLE001 - whoever asked is told
            whole.set_exception(error)

    def give_up(given: Future[list[_Result]]) -> None:
        if given.cancelled():
            for part in parts:
                part.cancel()

    whole.add_done_callback(give_up)
    for part in parts:
        part.add_done_callback(note)
    return whole
