"""`Registry`: one open thing for each directory, shared by all who ask for it in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from unisem.common.forks import Mutex

T = TypeVar("T")


class Lease(Generic[T]):
    """One user's part in an open thing.

    Attributes:
        thing: What is open.
    """

    def __init__(self, thing: T, release: Callable[[Lease[T]], None]) -> None:
        self.thing = thing
        self._release = release

    def release(self) -> None:
        """Close the thing if nobody else uses it; safe to call twice."""
        self._release(self)


class Registry(Generic[T]):
    """Opens a directory once, however many ask for it, and closes it with the last of them.

    Two processes cannot write to one directory, and neither can two handles of one process: a
    notebook's cell that is run again would be refused by what its first run has left open. A
    lease that is forgotten counts no longer. A forked process opens its own.

    Args:
        close: Closes a thing.
        witness: A file of the directory that is open as long as the thing is, so that a new
            directory in the place of a deleted one is not taken for it.
    """

    def __init__(self, close: Callable[[T], None], witness: str) -> None:
        self._close = close
        self._witness = witness
        self._mutex = Mutex()
        self._places: WeakKeyDictionary[Lease[T], object] = WeakKeyDictionary()

    def lease(
        self,
        directory: Path | None,
        open: Callable[[], T],
        check: Callable[[T], None] | None = None,
    ) -> Lease[T]:
        """Take part in what is open at a directory, or open it.

        Args:
            directory: By whatever path; ``None`` for a thing that lies in none.
            open: Opens it.
            check: Raises if what is open already is not what is asked for.
        """
        with self._mutex:
            place = self._place(directory)
            known = [lease.thing for lease, taken in self._places.items() if taken == place]
            if known and check is not None:
                check(known[0])
            lease = Lease(known[0] if known else open(), self._release)
            self._places[lease] = self._place(directory)
            return lease

    def shared(self, lease: Lease[T]) -> Lease[T]:
        """Another user's part in a thing; as little as the first one's if that is released."""
        with self._mutex:
            another = Lease(lease.thing, self._release)
            if lease in self._places:
                self._places[another] = self._places[lease]
            return another

    def _release(self, lease: Lease[T]) -> None:
        with self._mutex:
            if lease not in self._places:
                return
            place = self._places.pop(lease)
            if place not in self._places.values():
                self._close(lease.thing)

    def _place(self, directory: Path | None) -> object:
        try:
            status = None if directory is None else (directory / self._witness).stat()
        except OSError:
            status = None
        if status is None:
            return object()  # equal to nothing
        return os.getpid(), status.st_dev, status.st_ino
