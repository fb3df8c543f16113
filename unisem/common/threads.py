"""`workers`: threads that make pictures ready for a model, and that Ctrl-C does not wait for.

This is the one rule for threads: whoever reads or decodes pictures takes a pool from `workers`, and
`in_order` for what is to be ready before it is asked for. Methods that an event loop must not wait
for get an asynchronous twin by `InThread`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from unisem.common.interrupts import raise_if_interrupted

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")
_TURN = 0.5  # seconds
_LEAST = 4  # a slow disk is waited for by several at once


def decoding_threads() -> int:
    """One per core that this process may use, and 4 at least.

    Pillow and NumPy let go of the interpreter while they work. Processes that ``torchrun`` starts
    on one machine share its cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(_LEAST, (cores or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def computing_threads() -> int:
    """How many onnxruntime is to use: as many as may run at once here, or ``OMP_NUM_THREADS``."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


@contextmanager
def workers(name: str) -> Iterator[ThreadPoolExecutor]:
    """A pool of `decoding_threads`; what waits in it is given up if the block ends by an error."""
    pool = ThreadPoolExecutor(decoding_threads(), name)
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        # Whoever interrupts does not wait for a thread that is loading a model.
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def awaited(future: Future[_Result]) -> _Result:
    """A job's result. In turns, as a thread that only waits may sleep through Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C was seen by a program that notices it.
    """
    return settled(future).result()


def settled(job: Future[_Result]) -> Future[_Result]:
    """A job that has come to its end, by a result or an exception; waited for as by `awaited`."""
    while not job.done():
        raise_if_interrupted()
        wait([job], timeout=_TURN)
    return job


def finished(result: _Result) -> Future[_Result]:
    """A job that needed no thread."""
    job: Future[_Result] = Future()
    job.set_result(result)
    return job


def in_order(jobs: Iterable[Future[_Result]], ahead: int) -> Iterator[_Result]:
    """Yield jobs' results in order, while later jobs run.

    Args:
        jobs: Each is submitted as it is taken from here.
        ahead: How many more have been submitted when a result is yielded.

    Raises:
        KeyboardInterrupt: As `awaited`.
    """
    waiting: deque[Future[_Result]] = deque()
    for job in jobs:
        waiting.append(job)
        if len(waiting) > ahead:
            yield awaited(waiting.popleft())
    while waiting:
        yield awaited(waiting.popleft())


async def in_thread(
    function: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Result:
    """Call a function in a thread, so that an event loop does not wait for it."""
    import asyncio  # who asks for it has it already; others need not load it

    return await asyncio.to_thread(function, *args, **kwargs)


class InThread(Generic[_Given, _Result]):
    """A method as it stands in its class's body, which is to have an asynchronous twin.

    >>> class Shelf:
    ...     def count(self, least: int = 0) -> int:
    ...         return max(3, least)
    ...
    ...     acount = InThread(count).twin
    >>> import asyncio
    >>> asyncio.run(Shelf().acount(least=4))
    4
    """

    def __init__(self, method: Callable[_Given, _Result]) -> None:
        self._method = method

    @property
    def twin(self) -> Callable[_Given, Coroutine[Any, Any, _Result]]:
        """What does the same in a thread; where a subclass has another method, that one's."""
        name = self._method.__name__

        @wraps(self._method)
        async def twin(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
            owner, *others = args
            found: _Result = await in_thread(getattr(owner, name), *others, **kwargs)
            return found

        plain = name.lstrip("_")
        twin.__name__ = f"{name[: -len(plain)]}a{plain}"
        return twin
