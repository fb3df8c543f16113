"""`lazy_property`: computed at the first use, then kept; nobody waits for anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy_property(Generic[T]):  # noqa: N801, as `property`
    """As ``functools.cached_property``, without its lock, which Python 3.11 still has.

    That lock is one for all instances of a class, a fork leaves it locked, and it is held while the
    value is computed. Here two threads that are first at once compute the value twice.

    >>> class Circle:
    ...     @lazy_property
    ...     def area(self) -> float:
    ...         print("computed")
    ...         return 3.14
    >>> circle = Circle()
    >>> circle.area, circle.area
    computed
    (3.14, 3.14)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type[Any]) -> T:
        if instance is None:  # asked of the class, as `abc` does
            return self  # type: ignore[return-value]
        value = self._compute(instance)
        vars(instance)[self._compute.__name__] = value  # found before this one from now on
        return value
