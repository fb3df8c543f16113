"""`fields_in`: which metadata records have, to filter by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from unisem.records import Record
from unisem.wire.answers import Fields, FieldValue, MetadataField

_MOST_FIELDS, _MOST_VALUES, _MOST_DIFFERENT = 50, 20, 1000
_BOX = "box"  # where on its page a passage stands: numbers that nobody filters by
_LONGEST = 200  # characters of a value that is shown


@dataclass
class _Seen:
    """What was seen of one field."""

    records: int = 0
    kinds: set[str] = field(default_factory=set)
    values: Counter[tuple[str, Any]] = field(default_factory=Counter)
    numbers: list[float] = field(default_factory=list)

    def take(self, value: Any) -> None:
        self.records += 1
        self.kinds.add(_kind(value))
        for item in value if isinstance(value, list) else [value]:
            kind = _kind(item)
            if kind == "number" and abs(item) < 1e300:
                least, most = (*self.numbers, item, item)[:2]
                self.numbers = [min(least, item), max(most, item)]
            short = kind != "string" or len(item) <= _LONGEST
            key = (kind, item)
            is_shown = kind in ("string", "number", "boolean") and short
            if is_shown and (key in self.values or len(self.values) < _MOST_DIFFERENT):
                self.values[key] += 1


def fields_in(records: Iterable[Record]) -> Fields:
    """The commonest fields of some records, their kinds, and their commonest values."""
    seen: dict[str, _Seen] = {}
    count = 0
    for record in records:
        count += 1
        for name, value in record.metadata.items():
            is_plain = value is not None and not isinstance(value, dict)
            is_place = name == _BOX and isinstance(value, list)
            if is_plain and not is_place and (name in seen or len(seen) < _MOST_DIFFERENT):
                seen.setdefault(name, _Seen()).take(value)
    common = sorted(seen.items(), key=lambda entry: (-entry[1].records, entry[0]))
    return Fields(fields=[_field(*entry) for entry in common[:_MOST_FIELDS]], looked_at=count)


def _field(name: str, seen: _Seen) -> MetadataField:
    commonest = sorted(seen.values.items(), key=lambda item: (-item[1], str(item[0])))
    kind: Any = next(iter(seen.kinds)) if len(seen.kinds) == 1 else "mixed"
    least, most = seen.numbers or (None, None)
    return MetadataField(
        name=name,
        kind=kind,
        records=seen.records,
        values=[
            FieldValue(value=value, records=times) for (_, value), times in commonest[:_MOST_VALUES]
        ],
        least=None if least is None else float(least),
        most=None if most is None else float(most),
    )


def _kind(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "list"
    return "mixed"
