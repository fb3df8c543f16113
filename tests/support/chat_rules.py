"""What the chat-completions API demands of a request, beyond its being JSON."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

_DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,([A-Za-z0-9+/]+={0,2})")
_PARTS = {
    "system": {"text"},
    "user": {"text", "image_url"},
    "assistant": {"text"},
    "tool": {"text"},  # an image part is answered with status 400
}


def broken_rule(body: dict[str, Any]) -> str | None:
    """The first rule that a request breaks, in words; ``None`` if it breaks none."""
    return next(_broken(body), None)


def _broken(body: dict[str, Any]) -> Iterator[str]:
    if not body["messages"]:
        yield "messages must not be empty"
    open_calls: set[str] = set()
    for number, message in enumerate(body["messages"]):
        role = message["role"]
        where = f"messages[{number}], of role {role!r},"
        if role not in _PARTS:
            yield f"{where} is unknown"
            continue
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"{where} answers no tool call right before it"
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            yield f"{where} comes before the answers to {sorted(open_calls)}"
        open_calls |= {call["id"] for call in message.get("tool_calls") or []}
        yield from (f"{where} {wrong}" for wrong in _broken_content(role, message))
    if open_calls:
        yield f"the tool calls {sorted(open_calls)} have no answer"
    for tool in body.get("tools") or []:
        function = tool["function"]
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"]):
            yield f"no function may be named {function['name']!r}"
        if function["parameters"]["type"] != "object":
            yield "a function's parameters must be an object"


def _broken_content(role: str, message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if content is None:
        if not message.get("tool_calls"):
            yield "has no content"
        return
    if isinstance(content, str):
        return
    if not content:
        yield "has empty content"
    for part in content:
        if part["type"] not in _PARTS[role]:
            yield f"may not have a part of type {part['type']!r}"
        elif part["type"] == "text" and not part["text"]:
            yield "has an empty text part"
        elif part["type"] == "image_url":
            found = _DATA_URL.fullmatch(part["image_url"]["url"])
            if not found:
                yield f"has a picture that is no data URL: {part['image_url']['url'][:80]}"
            else:
                base64.b64decode(found[1], validate=True)
