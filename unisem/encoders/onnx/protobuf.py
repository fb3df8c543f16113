"""`fields`: protobuf's own encoding, read and written without a dependency.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MESSAGE = 2  # wire type of what has a length


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: Which.
        value: A whole number, or the bytes of what has a length; ``None`` for 4 or 8 bytes, which
            no field has that is looked for here.
        raw: The field as it stands in the message.
    """

    number: int
    value: memoryview | int | None
    raw: memoryview


def fields(data: memoryview) -> Iterator[Field]:
    """Each field of a message, in order.

    Raises:
        IndexError: It ends in the middle of a number.
        ValueError: It is damaged in another way.
    """
    position = 0
    while position < len(data):
        start = position
        key, position = _varint(data, position)
        if key >> 32 or not key >> 3:  # which other readers may take for another field
            raise ValueError(f"a field of number {key >> 3}")
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield Field(key >> 3, value, data[start:position])
            continue
        if kind == _MESSAGE:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if position + length > len(data):
            raise ValueError("a field is cut off")
        end = position + length
        held = data[position:end] if kind == _MESSAGE else None
        yield Field(key >> 3, held, data[start:end])
        position = end


def messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields that are messages, texts or bytes."""
    return ((one.number, one.value) for one in fields(data) if isinstance(one.value, memoryview))


def numbers(value: memoryview | int | None) -> list[int]:
    """A repeated field's whole numbers: one, or several packed together."""
    if value is None:
        return []
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        found.append(number)
    return found


def written(number: int, value: bytes | int) -> bytes:
    """A field: a whole number that is not negative, or what has a length."""
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    return _as_varint(number << 3 | _MESSAGE) + _as_varint(len(value)) + value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is too long")


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
