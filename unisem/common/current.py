"""`Current`: a thing that is replaced while others use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from unisem.common.forks import Mutex

T = TypeVar("T")


@dataclass(eq=False)
class _Used(Generic[T]):
    thing: T
    users: int = 0


class Current(Generic[T]):
    """Who begins to use it gets the present one, and keeps that to the end; nobody waits.

    Args:
        thing: The first.
        close: Closes one that has been replaced and that nobody uses any more.
    """

    def __init__(self, thing: T, close: Callable[[T], None]) -> None:
        self._close = close
        self._mutex = Mutex()
        self._present = _Used(thing)
        self._replaced: list[_Used[T]] = []

    @property
    def present(self) -> T:
        """The present one, for who only looks at it: it may be closed at any time."""
        return self._present.thing

    @contextmanager
    def held(self) -> Iterator[T]:
        """The present one, which is not closed before the block ends."""
        with self._mutex:
            used = self._present
            used.users += 1
        try:
            yield used.thing
        finally:
            with self._mutex:
                used.users -= 1

    def replace(self, thing: T) -> None:
        """Give out another from now on; `close_unused` closes the one before when it can."""
        with self._mutex:
            self._replaced.append(self._present)
            self._present = _Used(thing)

    def close_unused(self) -> int:
        """Close what was replaced and is not used any more; how many others are left."""
        with self._mutex:
            unused = [used for used in self._replaced if not used.users]
            self._replaced = [used for used in self._replaced if used.users]
            left = len(self._replaced)
        for used in unused:
            self._close(used.thing)
        return left

    def close(self) -> None:
        """Close all, whoever uses them."""
        with self._mutex:
            things = [used.thing for used in (*self._replaced, self._present)]
            self._replaced = []
        for thing in things:
            self._close(thing)
