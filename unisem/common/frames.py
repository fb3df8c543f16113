"""`send`, `receive`: messages through a pipe, each of plain JSON and of bytes."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTHS = struct.Struct(">QQ")


def send(pipe: IO[bytes], message: dict[str, Any], data: bytes = b"") -> None:
    """Write a message.

    Raises:
        OSError: Nobody reads.
    """
    text = json.dumps(message).encode()
    for part in (_LENGTHS.pack(len(text), len(data)) + text, data):
        left = memoryview(part)
        while left:  # a raw pipe takes what it has room for
            left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read a message.

    Raises:
        EOFError: Nobody writes any more.
    """
    text, data = _LENGTHS.unpack(_read(pipe, _LENGTHS.size))
    message = json.loads(_read(pipe, text))
    assert isinstance(message, dict)
    return message, _read(pipe, data)


def _read(pipe: IO[bytes], count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = pipe.read(min(count, 1 << 24))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
