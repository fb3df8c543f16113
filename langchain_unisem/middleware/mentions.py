"""Where in a conversation pictures were found: `Mention`, `Results` and `mentioned`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from langchain_unisem.tools.user_images import is_users


@dataclass(frozen=True, slots=True)
class Mention:
    """One picture that a tool found.

    Attributes:
        tool: The tool's name.
        id: The record's id.
        sha256: Digest of the picture's bytes when it was found.
    """

    tool: str
    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Results:
    """The answers to one message's tool calls, which must stay together.

    Attributes:
        end: Position in the conversation right after them.
        turn: How many of the user's turns came after them.
        mentions: The pictures found, in order, each once.
    """

    end: int
    turn: int
    mentions: tuple[Mention, ...]


def mentioned(messages: Sequence[BaseMessage], tools: Collection[str]) -> list[Results]:
    """Find the results with pictures of these tools in a conversation, oldest first."""
    found: list[tuple[int, int, tuple[Mention, ...]]] = []
    turns, run, answered = 0, dict[Mention, None](), True
    for position, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            run |= dict.fromkeys(_mentions(message, tools))
        following = messages[position + 1] if position + 1 < len(messages) else None
        if run and not isinstance(following, ToolMessage):
            found.append((position + 1, turns, tuple(run)))
            run = {}
        if is_users(message):
            turns += answered  # several messages of the user in a row are one turn
            answered = False
        elif not isinstance(message, HumanMessage):
            answered = True
    return [Results(end, turns - turn, mentions) for end, turn, mentions in found]


def _mentions(message: ToolMessage, tools: Collection[str]) -> Iterator[Mention]:
    """What one message's artifact refers to; a state may come from anywhere, so all is checked."""
    items: Any = message.artifact
    tool = message.name
    if tool is None or tool not in tools or not isinstance(items, list):
        return
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("image"), dict):
            continue
        name, digest = item.get("id"), item["image"].get("sha256")
        if isinstance(name, str) and isinstance(digest, str):
            yield Mention(tool, name, digest)
