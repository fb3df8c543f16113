"""`Entry`: one record of an export with its vectors, whatever the files' layout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unisem.errors import ExchangeError
from unisem.records import Vector, VectorKind
from unisem.stores.vectors import MOST_VECTORS

FIELDS = ("id", "text", "image", "metadata", "links", "source_id", "payload")
"""What a record has in an export, in this order."""

VectorRow = tuple[str, Any, Any, Vector]
"""Where it stands, its record's id, its modality, and its ``(d,)`` float32 values."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A record as it stands in an export; not yet checked.

    Attributes:
        where: File and line, for messages.
        fields: Its parts by name.
        vectors: Its vectors by modality, ``(d,)`` or ``(n, d)`` float32.
    """

    where: str
    fields: dict[str, Any]
    vectors: dict[VectorKind, Vector]


class EntryWriter(AbstractContextManager["EntryWriter"]):
    """Writes records and vectors in one layout; a context manager, at whose end files are whole.

    Attributes:
        vectors: How many vectors were written.
    """

    vectors = 0

    @abstractmethod
    def add(self, fields: dict[str, Any], vectors: dict[VectorKind, Vector]) -> None:
        """Write one record with its vectors."""


class EntryReader(Protocol):
    """Reads one layout."""

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Where each record stands, and its parts by name."""

    def vectors(self, count: int, dimension: int) -> Iterator[VectorRow]:
        """The vectors, in the order of their records."""


def entries(reader: EntryReader, count: int, dimension: int, where: Path) -> Iterator[Entry]:
    """Join records with their vectors, which stand in the same order.

    Args:
        reader: Reads the files.
        count: How many vectors there should be.
        dimension: How long each should be; 0 if there are none.
        where: The export, for messages.

    Raises:
        ExchangeError: The files do not fit together, or hold what they must not.
    """
    rows = reader.vectors(count, dimension)
    following = next(rows, None)
    for place, fields in reader.records():
        record_id = fields.get("id")
        groups: dict[VectorKind, list[Vector]] = {}
        while following is not None and following[1] == record_id:
            vector_place, _, modality, vector = following
            if not isinstance(modality, str) or modality not in MOST_VECTORS:
                raise ExchangeError(f"{vector_place}: modality must be text, image or both")
            group = groups.setdefault(modality, [])
            group.append(vector)
            if len(group) > MOST_VECTORS[modality]:
                raise ExchangeError(f"{vector_place}: record {record_id!r} has too many vectors")
            following = next(rows, None)
        yield Entry(place, fields, {name: _stacked(group) for name, group in groups.items()})
    if following is not None:
        raise ExchangeError(
            f"{following[0]}: the vector of record {str(following[1])[:80]!r} does not come in the "
            f"order of the records of {where}"
        )


def flattened(vectors: dict[VectorKind, Vector]) -> Iterable[tuple[VectorKind, Vector]]:
    """A record's vectors one by one, in the order in which `entries` reads them."""
    for modality, rows in vectors.items():
        for row in np.atleast_2d(rows):
            yield modality, row


def _stacked(group: list[Vector]) -> Vector:
    return group[0] if len(group) == 1 else np.stack(group)
