"""The pictures that the user of an agent has sent, as its state has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import ToolException

from langchain_unisem.chat_images import images_in

SOURCE = "unisem_pictures"
"""How messages that show pictures are marked, in ``additional_kwargs["lc_source"]``."""

_NAME = re.compile(r"@user(?::([1-9][0-9]{0,2}))?")


def place_of(like: str) -> int | None:
    """Which of the user's pictures a model means: ``@user`` the latest, ``@user:2`` the one before.

    Returns:
        1 for the latest; ``None`` if it is the id of a record.
    """
    found = _NAME.fullmatch(like)
    return int(found[1] or 1) if found else None


def sent_image(state: object, place: int) -> Mapping[str, Any]:
    """Return the content block of a picture that the user sent.

    Args:
        state: The agent's: a dictionary or an object with ``messages``, or the messages.
        place: 1 for the latest.

    Raises:
        ToolException: There is no such picture; says so to the model.
    """
    sent = [
        block
        for message in _messages(state)
        if is_users(message)
        for block in images_in(message.content)
    ]
    if place > len(sent):
        raise ToolException(
            f"The user has sent {len(sent) or 'no'} pictures in this conversation. "
            'Leave "like" out, or give it the id of a result that has a picture.'
        )
    return sent[-place]


def is_users(message: object) -> bool:
    """Whether a message comes from the user, and not from what shows pictures to the model."""
    return (
        isinstance(message, HumanMessage) and message.additional_kwargs.get("lc_source") != SOURCE
    )


def _messages(state: object) -> Sequence[Any]:
    if isinstance(state, Mapping):
        state = state.get("messages")
    elif not isinstance(state, list):
        state = getattr(state, "messages", None)
    return state if isinstance(state, list) else []
