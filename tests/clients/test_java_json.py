"""The Java client's JSON: what is JSON is read and written whole, what is none is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.clients.java_client import JavaClient

GOOD = [
    b'{"a":[1,-2.5,1e3,true,false,null,""],"b":{}}',
    b" [ ] ",
    '"有弦的乐器 🎻 é \\ud83c\\udfbb \\u00e9 \\" \\\\ \\/ \\b\\f\\n\\r\\t"'.encode(),
    b"-0",
    b"0.1",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    str(2**1000).encode(),
    b"5e-324",
    b"1.7976931348623157e308",
    b"[" * 128 + b"]" * 128,
    b'{"":{"a\\u0000b":1}}',
]
BAD = [
    b"",
    b"[1,]",
    b'{"a":1,}',
    b'{"a":1,"a":2}',
    b"{a:1}",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"1e",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"9" * 401,
    b"tru",
    b"'a'",
    b'"a',
    b'"\\x"',
    b'"\\u12g4"',
    b'"\\u-123"',
    b'"\\ud83c"',
    b'"\\udfbb\\ud83c"',
    b'"\n"',
    b'"\xff"',
    b'"\xed\xa0\xbc"',
    b"[1] [2]",
    b"1 1",
    b"\xef\xbb\xbf1",
    b"[" * 130 + b"]" * 130,
    b"[" * 1_000_000,
    b'{"a":' * 1_000_000,
]


@pytest.mark.parametrize("data", GOOD, ids=range(len(GOOD)))
def test_what_is_json_comes_back_the_same(java: JavaClient, data: bytes) -> None:
    written = java.json(data)
    assert isinstance(written, str), written
    assert json.loads(written) == json.loads(data)


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_none_is_refused(java: JavaClient, data: bytes) -> None:
    assert isinstance(java.json(data), list)


def test_numbers_are_equal_to_the_bit(java: JavaClient) -> None:
    chance = random.Random(0)
    numbers = [chance.uniform(-1, 1) * 10 ** chance.randint(-300, 300) for _ in range(5_000)]
    written = java.json(json.dumps(numbers).encode())
    assert isinstance(written, str)
    assert json.loads(written) == numbers


def test_made_up_values_come_back(java: JavaClient) -> None:
    chance = random.Random(1)

    def value(depth: int) -> Any:
        kind = chance.randrange(8 if depth else 6)
        if kind == 0:
            return chance.choice([None, True, False])
        if kind == 1:
            return chance.randint(-(2**70), 2**70)
        if kind == 2:
            return chance.gauss(0, 1e6)
        if kind < 6:
            points = [chance.choice([0x20, 0x22, 0x5C, 0x7, 0xE9, 0x4E00, 0x1F3BB]) for _ in "ab"]
            return "".join(map(chr, points))
        if kind == 6:
            return [value(depth - 1) for _ in range(chance.randrange(4))]
        return {f"k{number}": value(depth - 1) for number in range(chance.randrange(4))}

    values = [value(5) for _ in range(300)]
    for ascii_only in (True, False):
        written = java.json(json.dumps(values, ensure_ascii=ascii_only).encode())
        assert isinstance(written, str)
        assert json.loads(written) == values
