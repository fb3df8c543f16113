"""`InThread`: an asynchronous twin does what its method does, in a thread, and subclasses count."""

from __future__ import annotations

import inspect
import threading

import pytest

from unisem.common.threads import InThread


class Shelf:
    """Three things."""

    def count(self, least: int = 0, **unknown: object) -> tuple[int, threading.Thread]:
        """How many."""
        if unknown:
            raise ValueError(f"nothing is known of {', '.join(unknown)}")
        return max(3, least), threading.current_thread()

    acount = InThread(count).twin


class LongShelf(Shelf):
    def count(self, least: int = 0, **unknown: object) -> tuple[int, threading.Thread]:
        number, thread = super().count(least, **unknown)
        return 2 * number, thread


async def test_a_twin_does_the_same_in_another_thread() -> None:
    number, thread = await Shelf().acount(least=4)
    assert (number, thread is threading.current_thread()) == (4, False)
    with pytest.raises(ValueError, match="nothing is known of most"):
        await Shelf().acount(most=1)


async def test_whoever_changes_the_method_has_changed_its_twin() -> None:
    assert (await LongShelf().acount(2))[0] == 6


def test_a_twin_is_named_and_described_as_what_it_is() -> None:
    assert inspect.iscoroutinefunction(Shelf.acount)
    assert Shelf.acount.__name__ == "acount"
    assert Shelf.acount.__doc__ == "How many."
    assert inspect.signature(Shelf.acount) == inspect.signature(Shelf.count)
