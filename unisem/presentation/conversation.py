"""Pictures that tools have found, shown in a message of their own, as often as a model is called.

Chat completions take no pictures in the messages of tools, and what a conversation keeps are
references. Before each call the newest pictures are read, as many as the limits allow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from unisem.common.threads import workers
from unisem.errors import ImageError
from unisem.presentation.contents import left_out
from unisem.presentation.fence import RULES, quoted

_LOGGER = logging.getLogger(__name__)
_Reference = TypeVar("_Reference", bound=Hashable)
_Read = TypeVar("_Read")

ABOVE = "is shown above"
"""What is said of a picture that an earlier message shows; goes on from "this picture …"."""


def newest(
    results: Sequence[Iterable[_Reference]], count: int, read: Callable[[_Reference], _Read]
) -> dict[_Reference, _Read | str]:
    """Read the pictures that one call of the model is shown, each once.

    What cannot be read leaves its place to the next, and is logged.

    Args:
        results: What each result refers to, best first; oldest result first.
        count: Pictures at most: the newest results' first, and of one result the best.
        read: Reads a picture, in a thread of several; may raise `ImageError`.

    Returns:
        For each reference what was read, or why it is not shown, in words that go on from
        "this picture …".
    """

    def tried(reference: _Reference) -> tuple[_Reference, _Read | str]:
        try:
            return reference, read(reference)
        except ImageError as error:
            _LOGGER.warning("a picture is not shown: %s", error)
            return reference, error.summary

    waiting = list(dict.fromkeys(one for result in reversed(results) for one in result))
    found: dict[_Reference, _Read | str] = {}
    room = count
    with workers("unisem-show") as pool:
        while room > 0 and waiting:
            batch, waiting = waiting[:room], waiting[room:]
            found |= pool.map(tried, batch)
            room = count - sum(not isinstance(one, str) for one in found.values())
    return found | dict.fromkeys(waiting, left_out(count))


def header(where: str) -> str:
    """What a message of pictures begins with.

    Args:
        where: Where the results are: ``"above"`` or ``"below"``.
    """
    return f"The pictures of the results {where}, each after its id. {RULES}"


def label(id: str | None, number: int | None = None) -> str:
    """What stands before a picture.

    Args:
        id: By which the model is to cite it, if it has one.
        number: Its number, where texts refer to it by one.
    """
    if number is None:
        return f"{quoted(id)}:"
    return f"Picture {number}:" if id is None else f"Picture {number}, of {quoted(id)}:"


def forgotten(where: str) -> str:
    """What is said of results that are too old for their pictures to be shown."""
    return f"The pictures of the results {where} are not shown any more; search again to see them."
