"""``KEY OP VALUE``: a condition on metadata as it is typed on the command line."""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import and_
from typing import Any

from unisem.errors import FilterError
from unisem.filters import Comparison, Field, Filter, Operator
from unisem.images.facts.file_facts import TAKEN

_CONDITION = re.compile(r"\s*([^=!<>~]*[^=!<>~\s])\s*(!=|>=|<=|==|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]+")
_OPERATORS = {
    "=": Operator.EQ,
    "==": Operator.EQ,
    "!=": Operator.NE,
    ">": Operator.GT,
    ">=": Operator.GE,
    "<": Operator.LT,
    "<=": Operator.LE,
}
_TURNED = {">": ">=", "<": "<=", "!": "!=", "~": "~"}  # what who writes =>, =<, =! or =~ means


def parse_filter(text: str) -> Filter:
    """Read one condition; ``~`` is "has": an item of a list, or a part of a string in any case.

    >>> parse_filter("year >= 2020")
    Comparison(field='year', operator=<Operator.GE: 'ge'>, value=2020)
    >>> parse_filter("taken >= 2020")
    Comparison(field='taken', operator=<Operator.GE: 'ge'>, value='2020')

    Raises:
        FilterError: No condition, an operator that is turned round, no value, or one that the
            operator cannot take.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise FilterError(
            f"{text!r} is no condition; write KEY OP VALUE, for example 'year >= 2020', "
            "with one of = != > >= < <= ~"
        )
    key, operator, words = found.groups()
    if not words:
        raise FilterError(
            f"{text!r} compares with nothing; write a value behind {operator}, "
            f"or '{key} {operator} \"\"' for the empty text"
        )
    turned = text[found.end(2) :][:1]
    if operator == "=" and turned in _TURNED:  # as a text it would be found nowhere
        raise FilterError(
            f"{text!r} has ={turned}, which is no operator; write {_TURNED[turned]}, "
            f"or '{key} = \"{words}\"' for the text {words!r}"
        )
    value = words if key == TAKEN and words.isdecimal() else _value(words)  # a year, as text
    if operator == "~":
        part = value if isinstance(value, str) else words
        items = [part] if value is None else [part, value]
        return Field(key).any_of(items) | Field(key).matches_text(part, ignore_case=True)
    return Comparison(key, _OPERATORS[operator], value)


def parse_filters(texts: list[str]) -> Filter | None:
    """Read conditions that must all hold; ``None`` if there are none.

    Raises:
        FilterError: As `parse_filter`.
    """
    return reduce(and_, map(parse_filter, texts)) if texts else None


def _value(words: str) -> Any:
    """What JSON makes of it, if that is a single value, else the words as they are.

    Raises:
        FilterError: An integer of more digits than Python reads.
    """
    if words.startswith(("[", "{")):
        return words
    try:
        return json.loads(words, parse_constant=_refuse)
    except json.JSONDecodeError:
        return words
    except ValueError as error:
        if _INTEGER.fullmatch(words):
            raise FilterError(f"{words[:20]}… has too many digits for a number") from error
        return words


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
