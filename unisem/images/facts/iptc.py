"""IPTC's data sets as facts (IPTC-NAA Information Interchange Model 4.2, records 1 and 2)."""

from __future__ import annotations

from unisem.images.facts.parts import Facts, moment
from unisem.images.tiff import text_of

_CHARSET = (1, 90)
_TITLE, _KEYWORD, _CREATOR, _COPYRIGHT, _DESCRIPTION = 5, 25, 80, 116, 120
_DATE, _TIME = 55, 60
_UTF_8 = b"\x1b%G"
_MOST = 5000  # data sets


def iptc_facts(data: bytes) -> Facts:
    """What IPTC says; of its records those of an application."""
    found: dict[int, list[str]] = {}
    is_utf_8 = False
    at = 0
    for _ in range(_MOST):
        if at + 5 > len(data) or data[at] != 0x1C:
            break
        record, number = data[at + 1], data[at + 2]
        length = int.from_bytes(data[at + 3 : at + 5])
        if length & 0x8000:  # an extended one: so many bytes say how long it is
            break
        value = data[at + 5 : at + 5 + length]
        at += 5 + length
        if (record, number) == _CHARSET:
            is_utf_8 = value == _UTF_8
        elif record == 2:
            text = value.decode("utf-8", "replace") if is_utf_8 else text_of(value)
            found.setdefault(number, []).append(text)
    return Facts(
        taken=_taken(found),
        title=_one(found, _TITLE),
        keywords=tuple(found.get(_KEYWORD, ())),
        creator="; ".join(found.get(_CREATOR, ())),
        copyright=_one(found, _COPYRIGHT),
        description=_one(found, _DESCRIPTION),
    ).cleaned()


def _one(found: dict[int, list[str]], number: int) -> str:
    return found.get(number, [""])[0]


def _taken(found: dict[int, list[str]]) -> str | None:
    day, time = _one(found, _DATE), _one(found, _TIME)
    if len(day) != 8:
        return None
    text = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if len(time) >= 6:
        text += f"T{time[:2]}:{time[2:4]}:{time[4:6]}{time[6:]}"
    return moment(text)
