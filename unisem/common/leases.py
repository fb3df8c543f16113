"""`Registry`: one open thing for each place, shared by all who ask for it in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, finalize

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
    """Opens a place once, however many ask for it, and closes it with the last of them.

    Two processes cannot write to one directory, and neither can two handles of one process: a
    notebook's cell that is run again would be refused by what its first run has left open. A
    lease that is forgotten counts no longer. A forked process opens its own.

    Args:
        close: Closes a thing.
    """

    def __init__(self, close: Callable[[T], None]) -> None:
        self._close = close
        self._mutex = Mutex()
        self._places: WeakKeyDictionary[Lease[T], object] = WeakKeyDictionary()

    def lease(
        self,
        where: Path | str | None,
        open: Callable[[], T],
        check: Callable[[T], None] | None = None,
    ) -> Lease[T]:
        """Take part in what is open at a place, or open it.

        Args:
            where: A directory, by whatever path; a URI; ``None`` for what nobody else can find.
            open: Opens it.
            check: Raises if what is open already is not what is asked for.
        """
        with self._mutex:
            place = self._place(where)
            known = [lease.thing for lease, taken in self._places.items() if taken == place]
            if known and check is not None:
                check(known[0])
            lease = Lease(known[0] if known else open(), self._release)
            self._places[lease] = self._place(where)
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

    def _place(self, where: Path | str | None) -> object:
        if isinstance(where, str):
            return os.getpid(), where
        try:
            return object() if where is None else _Directory(where)
        except OSError:
            return object()  # equal to nothing


class _Directory:
    """Equal to another of the same directory, by whatever path, in the same process.

    It is kept open, so that a new one in the place of a deleted one cannot get its number.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        finalize(self, os.close, descriptor)
        status = os.fstat(descriptor)
        self._key = os.getpid(), status.st_dev, status.st_ino

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Directory) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)
