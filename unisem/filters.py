"""`Filter`: a small typed expression tree over a record's metadata.

Adapters translate their framework's filters into it; stores compile it and evaluate it inside
the search. `matches` is the meaning in plain Python, the oracle that every compiled form must
agree with.

>>> from unisem.filters import Field, matches
>>> recent_cat = (Field("year") >= 2020) & Field("tags").contains("cat")
>>> matches(recent_cat, {"year": 2024, "tags": ["cat", "red"]})
True

Meaning of the comparisons, ``v`` being the metadata value under the field:

* ``loc.page`` is the key of that name, or else the key ``page`` of the dictionary under ``loc``.
* A missing field matches nothing, except ``ne``, ``not_in`` and ``is_empty``.
* Numbers compare with numbers, strings with strings (so ISO dates in order), booleans with
  booleans; across types nothing is equal and nothing is less, and no error is raised.
* ``contains``: ``v`` is a list that has the value. ``any``/``all``: the list ``v`` has any/all.
* ``text``: ``v`` is a string that has the value as a substring; ``text_insensitive`` folds case.
* ``is_empty``: missing, ``None``, ``""`` or ``[]``. ``exists``: present, whatever the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any

from unisem.common.json_values import Values, keys_of, kind, same
from unisem.errors import FilterError
from unisem.records import MAX_INTEGER_BITS

Scalar = str | int | float | bool


class Operator(StrEnum):
    """How a metadata value is compared."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    IN = "in"
    NOT_IN = "not_in"
    ANY = "any"
    ALL = "all"
    CONTAINS = "contains"
    TEXT = "text"
    TEXT_INSENSITIVE = "text_insensitive"
    IS_EMPTY = "is_empty"
    EXISTS = "exists"


_LIST_VALUED = {Operator.IN, Operator.NOT_IN, Operator.ANY, Operator.ALL}
_TEXT_VALUED = {Operator.TEXT, Operator.TEXT_INSENSITIVE}
_EQUALITY = {Operator.EQ, Operator.NE}
_VALUELESS = {Operator.IS_EMPTY, Operator.EXISTS}
_ORDER = {Operator.GT: gt, Operator.GE: ge, Operator.LT: lt, Operator.LE: le}


SOURCE = "\0source"
"""The field that stands for ``Record.source_id``; no metadata can have a key with NUL."""

MAX_DEPTH = 32
"""How deep conditions may be nested; ``a | b | c`` is one level, however many are joined."""
MAX_CONDITIONS = 10_000
"""How many comparisons a filter may have; ``is_in`` is one, whatever its length."""


class Filter:
    """A condition on metadata; combine with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    @property
    def depth(self) -> int:
        """How deep this condition is nested; 1 for a comparison."""
        return 1

    @property
    def size(self) -> int:
        """How many comparisons it has."""
        return 1

    def __and__(self, other: Filter) -> Filter:
        return _joined(And, self, other)

    def __or__(self, other: Filter) -> Filter:
        return _joined(Or, self, other)

    def __invert__(self) -> Filter:
        return Not(self)


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """One field against one value.

    Raises:
        FilterError: The value does not suit the operator.
    """

    field: str
    operator: Operator
    value: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise FilterError(f"a field's name must be a string, not {self.field!r}")
        _check_unicode(self.field)
        value = self.value
        if self.operator in _LIST_VALUED:
            if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
                raise FilterError(f"{self._name} needs a list of values, not {value!r}")
            value = Values(self._scalar(item) for item in value)
        elif self.operator in _TEXT_VALUED:
            if not isinstance(value, str):
                raise FilterError(f"{self._name} needs a string, not {value!r}")
            _check_unicode(value)
        elif self.operator in _VALUELESS:
            value = None
        elif self.operator in _EQUALITY and isinstance(value, list | tuple):
            value = tuple(self._scalar(item) for item in value)
        else:
            value = self._scalar(value)
        object.__setattr__(self, "value", value)

    @property
    def _name(self) -> str:
        return f"filter on {self.field!r}: {self.operator.value!r}"

    def _scalar(self, value: object) -> Scalar | None:
        if isinstance(value, date):
            return value.isoformat()
        if value is None and self.operator in (
            Operator.EQ,
            Operator.NE,
            Operator.IN,
            Operator.NOT_IN,
        ):
            return None
        if isinstance(value, str):
            _check_unicode(value)
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise FilterError(f"{self._name}: an integer has more than {MAX_INTEGER_BITS} bits")
        if isinstance(value, Scalar) and value == value:  # not NaN, which equals nothing
            return value
        raise FilterError(
            f"{self._name} needs a string, number, boolean or date, not {type(value).__name__}"
        )


@dataclass(frozen=True, slots=True)
class And(Filter):
    """Every part holds; with no parts, everything matches."""

    parts: tuple[Filter, ...]
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, self.parts)


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one part holds; with no parts, nothing matches."""

    parts: tuple[Filter, ...]
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, self.parts)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not hold."""

    part: Filter
    depth: int = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, (self.part,))


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A metadata field, to write filters with: ``Field("year") >= 2020``."""

    name: str

    def __eq__(self, value: object) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, Operator.EQ, value)

    def __ne__(self, value: object) -> Comparison:  # type: ignore[override]
        return Comparison(self.name, Operator.NE, value)

    def __gt__(self, value: Any) -> Comparison:
        return Comparison(self.name, Operator.GT, value)

    def __ge__(self, value: Any) -> Comparison:
        return Comparison(self.name, Operator.GE, value)

    def __lt__(self, value: Any) -> Comparison:
        return Comparison(self.name, Operator.LT, value)

    def __le__(self, value: Any) -> Comparison:
        return Comparison(self.name, Operator.LE, value)

    __hash__ = None  # type: ignore[assignment]

    def is_in(self, values: Sequence[Any]) -> Comparison:
        """The value is one of ``values``."""
        return Comparison(self.name, Operator.IN, values)

    def not_in(self, values: Sequence[Any]) -> Comparison:
        """The value is missing or none of ``values``."""
        return Comparison(self.name, Operator.NOT_IN, values)

    def any_of(self, values: Sequence[Any]) -> Comparison:
        """The value is a list that shares an item with ``values``."""
        return Comparison(self.name, Operator.ANY, values)

    def all_of(self, values: Sequence[Any]) -> Comparison:
        """The value is a list that has every item of ``values``."""
        return Comparison(self.name, Operator.ALL, values)

    def contains(self, value: Any) -> Comparison:
        """The value is a list that has ``value``."""
        return Comparison(self.name, Operator.CONTAINS, value)

    def matches_text(self, value: str, *, ignore_case: bool = False) -> Comparison:
        """The value is a string with ``value`` in it."""
        operator = Operator.TEXT_INSENSITIVE if ignore_case else Operator.TEXT
        return Comparison(self.name, operator, value)

    def is_empty(self) -> Comparison:
        """The value is missing, ``None``, ``""`` or ``[]``."""
        return Comparison(self.name, Operator.IS_EMPTY)

    def exists(self) -> Comparison:
        """The field is present."""
        return Comparison(self.name, Operator.EXISTS)


def _measure(condition: Filter, parts: Sequence[Filter]) -> None:
    _check_parts(parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    _settle(condition, depth, sum(part.size for part in parts))


def _settle(condition: Filter, depth: int, size: int) -> None:
    if depth > MAX_DEPTH:
        raise FilterError(f"conditions are nested deeper than {MAX_DEPTH}; flatten the filter")
    if size > MAX_CONDITIONS:
        raise FilterError(f"a filter has more than {MAX_CONDITIONS:,} conditions; use is_in")
    object.__setattr__(condition, "depth", depth)
    object.__setattr__(condition, "size", size)


def _check_parts(parts: Sequence[Filter]) -> None:
    for part in parts:
        if not isinstance(part, Filter):
            raise FilterError(f"{part!r} is no filter")


def _joined(join: type[And] | type[Or], left: Filter, right: Filter) -> Filter:
    """Join two conditions; those joined so already take the other in, at no more depth.

    What was checked before is not looked at again, so that thousands can be joined one by one.
    """
    _check_parts((left, right))
    parts: tuple[Filter, ...] = ()
    depth = 0
    for side in (left, right):
        flat = isinstance(side, join)
        parts += side.parts if isinstance(side, And | Or) and flat else (side,)
        depth = max(depth, side.depth if flat else side.depth + 1)
    joined: And | Or = object.__new__(join)
    object.__setattr__(joined, "parts", parts)
    _settle(joined, depth, left.size + right.size)
    return joined


def gathered(condition: And | Or) -> tuple[Filter, ...]:
    """The parts of a condition, those that ask one field for one of several values put together.

    ``(x == 1) | (x == 2)`` is ``x.is_in([1, 2])``, and of ``!=`` joined by ``&`` likewise, which is
    one look at a record instead of many.
    """
    one, several = (
        (Operator.EQ, Operator.IN) if isinstance(condition, Or) else (Operator.NE, Operator.NOT_IN)
    )
    values: dict[str, list[Any]] = {}
    rest: list[Filter] = []
    for part in condition.parts:
        match part:
            case Comparison(name, operator, value) if operator is several or (
                operator is one and not isinstance(value, tuple)
            ):
                values.setdefault(name, []).extend(value if operator is several else (value,))
            case _:
                rest.append(part)
    return *(Comparison(name, several, listed) for name, listed in values.items()), *rest


def conditions_in(condition: Filter) -> int:
    """How many times a filter looks at a record, at most; those that are `gathered` count once.

    >>> conditions_in((Field("x") == 1) | (Field("x") == 2) | (Field("year") >= 2020))
    2
    """
    match condition:
        case And() | Or():
            return sum(map(conditions_in, gathered(condition)))
        case Not(part):
            return conditions_in(part)
    return condition.size


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError(f"{text!r} in a filter is not valid Unicode") from None


def matches(condition: Filter, metadata: Mapping[str, Any]) -> bool:
    """Evaluate a filter on one record's metadata; the meaning that stores must reproduce."""
    match condition:
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Comparison(field, operator, value):
            present, stored = look_up(metadata, field)
            return compare(operator, present, stored, value)
    raise FilterError(f"{condition!r} is no filter")


def look_up(metadata: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """Whether metadata have a field, and its value: a key, or else a path of keys with dots.

    >>> look_up({"loc": {"page": 3}}, "loc.page"), look_up({"loc.page": 4}, "loc.page")
    ((True, 3), (True, 4))
    """
    if field in metadata or "." not in field:
        return field in metadata, metadata.get(field)
    value: Any = metadata
    for key in field.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False, None
        value = value[key]
    return True, value


def fields_of(condition: Filter) -> set[str]:
    """The fields that a filter names; none for one that is empty."""
    match condition:
        case And(parts) | Or(parts):
            return {field for part in parts for field in fields_of(part)}
        case Not(part):
            return fields_of(part)
        case Comparison(field, _, _):
            return {field}
    raise FilterError(f"{condition!r} is no filter")


def narrows(condition: Filter) -> bool:
    """Whether a filter can leave anything out; an empty one, or one with an empty way out, cannot.

    >>> narrows(And(())), narrows(Or((Field("year") == 1, And(())))), narrows(Field("year") == 1)
    (False, False, True)
    """
    return _constant(condition) is not True


def _constant(condition: Filter) -> bool | None:
    """What a filter says of all metadata alike; ``None`` if it depends on them."""
    match condition:
        case And(parts):
            known = [_constant(part) for part in parts]
            return False if False in known else None if None in known else True
        case Or(parts):
            known = [_constant(part) for part in parts]
            return True if True in known else None if None in known else False
        case Not(part):
            inner = _constant(part)
            return None if inner is None else not inner
        case Comparison(_, Operator.NOT_IN, ()):
            return True
        case Comparison(_, Operator.IN, ()):
            return False
        case Comparison():
            return None
    raise FilterError(f"{condition!r} is no filter")


def compare(operator: Operator, present: bool, stored: Any, value: Any) -> bool:
    """Evaluate one comparison on one stored value; ``present`` says whether there is one."""
    match operator:
        case Operator.EXISTS:
            return present
        case Operator.IS_EMPTY:
            return stored is None or stored == "" or (isinstance(stored, list) and not stored)
        case Operator.NE:
            return not (present and same(stored, value))
        case Operator.NOT_IN:
            return not (present and not keys_of((stored,)).isdisjoint(keys_of(value)))
    if not present:
        return False
    match operator:
        case Operator.EQ:
            return same(stored, value)
        case Operator.IN:
            return not keys_of((stored,)).isdisjoint(keys_of(value))
        case Operator.CONTAINS:
            return isinstance(stored, list) and any(same(item, value) for item in stored)
        case Operator.ANY:
            return isinstance(stored, list) and not keys_of(stored).isdisjoint(keys_of(value))
        case Operator.ALL:
            return isinstance(stored, list) and keys_of(value) <= keys_of(stored)
        case Operator.TEXT:
            return isinstance(stored, str) and value in stored
        case Operator.TEXT_INSENSITIVE:
            return isinstance(stored, str) and value.casefold() in stored.casefold()
    if kind(stored) != kind(value) or kind(stored) not in ("number", "string", "boolean"):
        return False
    return bool(_ORDER[operator](stored, value))
