"""`Carried`: what a forked process gets a copy of, and how it starts anew there; and `Mutex`.

A fork copies memory and one thread. Locks that other threads held stay locked for ever, those of
C libraries too, their pools have no threads, and a SQLite connection must be neither used nor
closed beside its parent's (https://www.sqlite.org/howtocorrupt.html, section 2.6). So a fork waits
until no thread is inside `undisturbed`, and the child is told before anything runs there.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

_log = logging.getLogger(__name__)
_PATIENCE = 30  # seconds that a fork waits for what other threads are in the middle of


class Carried(ABC):
    """Something that is told of forks as long as it lives, from `follow_forks` on."""

    def follow_forks(self) -> None:
        """To be called at the end of the constructor."""
        _carried.add(self)

    @abstractmethod
    def begin_anew(self) -> None:
        """After a fork, in the child: nothing of the parent's may be used or closed."""


class Mutex(Carried):
    """A reentrant lock that is never left locked by a fork, for what must not be forked within."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.follow_forks()

    def __enter__(self) -> None:
        _gate.enter()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        _gate.leave()

    def begin_anew(self) -> None:
        """See `Carried`."""
        if self._lock.acquire(blocking=False):  # free, or held by the thread that forked
            self._lock.release()
        else:
            self._lock = threading.RLock()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Not to be forked within by another thread; may be nested."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def is_undisturbed() -> bool:
    """Whether this thread is inside `undisturbed`, or holds a `Mutex`."""
    return _gate.is_inside


def start_undisturbed(action: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread, from inside `undisturbed`, that is inside from its start to its end.

    It never waits for a fork, so that one who waits for it does not either.
    """
    _gate.admit()
    thread = threading.Thread(target=_gate.run_admitted, args=(action,), name=name, daemon=True)
    thread.start()
    return thread


def keep_for_ever(thing: object) -> None:
    """Never free something, not even at the end of the process: its freeing would do harm."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def one_thread(library: str) -> None:
    """Have a library that was imported compute in one thread in this child.

    The forking thread's pool of OpenMP has lost its threads, and would wait for them for ever.
    """
    module = sys.modules.get(library)
    name = {"torch": "set_num_threads", "faiss": "omp_set_num_threads"}[library]
    if hasattr(module, name):
        getattr(module, name)(1)


class _Gate:
    """Lets threads in, and is shut while one forks."""

    def __init__(self) -> None:
        self._depth = threading.local()
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False
        self._forker: int | None = None

    def enter(self) -> None:
        depth = getattr(self._depth, "value", 0)
        if not depth:
            with self._changed:
                # Something that is freed while this thread is about to fork must not wait for it.
                while self._is_shut and self._forker != threading.get_ident():
                    self._changed.wait()
                self._inside += 1
        self._depth.value = depth + 1

    def admit(self) -> None:
        with self._changed:
            self._inside += 1

    def run_admitted(self, action: Callable[[], None]) -> None:
        self._depth.value = 1
        try:
            action()
        finally:
            self.leave()

    def leave(self) -> None:
        self._depth.value -= 1
        if not self._depth.value:
            with self._changed:
                self._inside -= 1
                if self._is_shut:
                    self._changed.notify_all()

    def shut(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_shut)  # two threads may fork
            self._is_shut, self._forker = True, threading.get_ident()
            if not self._changed.wait_for(lambda: self._inside == self.is_inside, _PATIENCE):
                others = self._inside - self.is_inside
                _log.warning("a fork waits no longer for %d threads; its child may hang", others)

    def open(self) -> None:
        with self._changed:
            self._is_shut, self._forker = False, None
            self._changed.notify_all()

    def begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._is_shut, self._forker = int(self.is_inside), False, None
        for carried in list(_carried):
            carried.begin_anew()

    @property
    def is_inside(self) -> bool:
        return bool(getattr(self._depth, "value", 0))


_carried: WeakSet[Carried] = WeakSet()
_gate = _Gate()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.shut, after_in_parent=_gate.open, after_in_child=_gate.begin_anew
    )
