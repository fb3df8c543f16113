"""`step_by_step`: reading one state of a catalogue while writes go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing

from unisem.common.forks import undisturbed
from unisem.stores.faiss.catalog import Catalog, Item, Items


def step_by_step(
    reader: Callable[[], AbstractContextManager[Catalog]],
    read: Callable[[Catalog], Items[Item]],
    check_open: Callable[[], None],
) -> Iterator[Item]:
    """Read one state; no fork comes within a step, or the end anywhere.

    Args:
        reader: Opens the catalogue for reading only.
        read: Begins to read it.
        check_open: Raises where the store has been closed meanwhile.
    """
    stack = ExitStack()
    try:
        with undisturbed():
            catalog = stack.enter_context(reader())
            left = stack.enter_context(closing(read(catalog)))
        while True:
            with undisturbed():
                item = next(left, None)
            if item is None:
                return
            check_open()
            yield item
    finally:
        with undisturbed():
            stack.close()
