"""`GraphRows`: a graph as rows of the catalogue's database."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.common.json_text import from_json
from unisem.errors import CorruptStoreError
from unisem.records import Vector
from unisem.stores.faiss import checksums
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.sql import compile_selection
from unisem.stores.graph import (
    Edge,
    Entity,
    GraphCounts,
    GraphReader,
    Mention,
    Relation,
    Way,
)
from unisem.stores.selection import Selection
from unisem.stores.spoken import spoken

_ENTITY = f"number, checksum, {checksums.ENTITY_PARTS}"
_RELATION = f"relations.checksum, {checksums.RELATION_PARTS}"
_MENTION = f"mentions.checksum, {checksums.MENTION_PARTS}"
_ONE_WAY: Mapping[str, str] = {
    way: f"""SELECT {there}, kinds.type, weight, {way == "outward":d}
    FROM relations INDEXED BY relations_{way}
    CROSS JOIN relation_types AS kinds ON kinds.number = relations.type
    WHERE {here} = ? {{wanted}} ORDER BY weight DESC LIMIT ?"""  # noqa: S608 - constants
    for way, here, there in (("outward", "subject", "object"), ("inward", "object", "subject"))
}
_WHOLE = tuple(
    f"""SELECT {_RELATION} FROM relations INDEXED BY {index}
    CROSS JOIN relation_types AS kinds ON kinds.number = relations.type
    CROSS JOIN entities AS s ON s.number = subject CROSS JOIN entities AS o ON o.number = object
    WHERE {here} {{wanted}} ORDER BY weight DESC LIMIT ?"""  # noqa: S608 - constants
    for here, index in (
        ("subject = ?", "relations_outward"),
        ("object = ? AND subject != object", "relations_inward"),
    )
)


@lru_cache(64)
def _edges_statement(way: Way, types: int | None) -> str:
    """How an entity's edges are asked for; of so many types, or of all if ``None``."""
    wanted = _wanted(types)
    if way != "both":
        return _ONE_WAY[way].format(wanted=wanted)
    outward = _ONE_WAY["outward"].format(wanted=wanted)
    inward = _ONE_WAY["inward"].format(wanted=f"{wanted} AND subject != object")
    return f"SELECT * FROM ({outward}) UNION ALL SELECT * FROM ({inward})"  # noqa: S608


class GraphRows(GraphReader):
    """Entities, their names, relations and mentions.

    Whatever is read as a row is held against its checksum. Walks read indexes, which are derived
    from the rows, and which a check holds against them.

    Args:
        database: The catalogue's connection.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """What is stored was checked before; if it cannot be read now, the file is damaged."""
        try:
            yield
        except DAMAGED as error:
            raise CorruptStoreError(
                f"the graph of this space is damaged ({error}); restore the space from a copy, or "
                "save the rest: `unisem store export --salvage`"
            ) from error

    @property
    def version(self) -> int:
        """See `GraphReader`: the write that changed it last."""
        found = self._db.execute("SELECT value FROM facts WHERE name = 'graph'").fetchone()
        return 0 if found is None else int(found[0])

    def _types(self) -> dict[int, str]:
        return dict(self._db.execute("SELECT number, type FROM relation_types"))

    def numbers(self, ids: Sequence[str]) -> dict[str, int]:
        """See `GraphReader`."""
        found = self._db.execute(
            "SELECT id, number FROM entities WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return dict(found.fetchall())

    def entities(self, numbers: Sequence[int]) -> dict[int, Entity]:
        """See `GraphReader`."""
        found = self._db.execute(
            f"SELECT {_ENTITY} FROM entities"  # noqa: S608 - a constant
            " WHERE number IN (SELECT value FROM json_each(?))",
            (json.dumps(list(numbers)),),
        )
        with self._decoding():
            return {int(number): entity_of(line) for number, *line in found}

    def named(self, names: Sequence[str]) -> dict[str, list[int]]:
        """See `GraphReader`."""
        found = self._db.execute(
            "SELECT words, entity FROM entity_names"
            " WHERE words IN (SELECT value FROM json_each(?)) ORDER BY words, entity",
            (json.dumps([spoken(name) for name in names]),),
        )
        groups = groupby(found, key=itemgetter(0))
        with self._decoding():
            return {words: [int(line[1]) for line in lines] for words, lines in groups}

    def edges(
        self,
        number: int,
        most: int,
        types: Sequence[str] | None = None,
        way: Way = "both",
    ) -> list[Edge]:
        """See `GraphReader`."""
        statement = _edges_statement(way, None if types is None else len(types))
        bound = (number, *(types or ()), most)
        lines = self._db.execute(statement, bound * (2 if way == "both" else 1)).fetchall()
        with self._decoding():
            lines.sort(key=itemgetter(2), reverse=True)  # equal ones stay as they are
            del lines[most:]
            for line in lines[:1] + lines[-1:]:  # what is between these is as well
                _weight(line[2])
            return list(map(Edge._make, lines))

    def relations_of(
        self, number: int, most: int | None = None, types: Sequence[str] | None = None
    ) -> list[Relation]:
        """See `GraphReader`."""
        wanted = _wanted(None if types is None else len(types))
        bound = (number, *(types or ()), -1 if most is None else most)
        found: list[Relation] = []
        for statement in _WHOLE:
            with self._decoding():
                found += map(relation_of, self._db.execute(statement.format(wanted=wanted), bound))
        return sorted(found, key=lambda it: -it.weight)[:most]

    def mentions_of(self, record_ids: Sequence[str]) -> list[tuple[str, int, float]]:
        """See `GraphReader`."""
        found = self._db.execute(
            f"SELECT entity, {_MENTION} FROM mentions JOIN entities ON number = entity"  # noqa: S608
            " WHERE record IN (SELECT value FROM json_each(?))"
            " ORDER BY record, weight DESC, entity",
            (json.dumps(list(record_ids)),),
        )
        with self._decoding():
            lines = [(int(entity), mention_of(line)) for entity, *line in found]
        return [(it.record_id, number, it.weight) for number, it in lines]

    def mentioning(
        self, numbers: Sequence[int], most: int, selection: Selection
    ) -> list[list[tuple[str, float]]]:
        """See `GraphReader`."""
        condition, parameters = compile_selection(selection)
        joined = "CROSS JOIN records ON records.id = record"
        if selection.is_everything:  # mentions are of records that are there
            joined, condition, parameters = "", "TRUE", []
        statement = f"""SELECT record, weight FROM mentions {joined}
            WHERE entity = ? AND {condition} ORDER BY weight DESC LIMIT ?"""  # noqa: S608 - bound
        found: list[list[tuple[str, float]]] = []
        for number in numbers:
            lines = self._db.execute(statement, (number, *parameters, most))
            with self._decoding():
                found.append([(record, _weight(weight)) for record, weight in lines])
        return found

    def vectors(self) -> tuple[NDArray[np.int64], Vector]:
        """See `GraphReader`."""
        lines = self._db.execute(
            "SELECT entity, vector, checksum FROM entity_vectors ORDER BY entity"
        ).fetchall()
        with self._decoding():  # what is damaged is left out, and made anew with what is missing
            whole = [line for line in lines if is_vector(*line)]
            numbers = np.fromiter((line[0] for line in whole), np.int64, len(whole))
            data = b"".join(line[1] for line in whole)
            return numbers, np.frombuffer(data, "<f4").reshape(len(whole), -1 if whole else 0)

    def counts(self) -> GraphCounts:
        """See `GraphReader`."""
        names = self._types()
        by_type = self._db.execute("SELECT type, count(*) FROM relations GROUP BY type")
        with self._decoding():
            types = {names[kind]: int(count) for kind, count in by_type}
        return GraphCounts(
            entities=self._count("entities"),
            relations=sum(types.values()),
            mentions=self._count("mentions"),
            types=dict(sorted(types.items())),
            embedded=self._count("entity_vectors"),
        )

    def _count(self, table: str) -> int:
        found = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(found[0])

    def every_entity(self, after: int, most: int) -> list[tuple[int, Entity]]:
        """See `GraphReader`."""
        found = self._db.execute(
            f"SELECT {_ENTITY} FROM entities WHERE number > ? ORDER BY number LIMIT ?",  # noqa: S608
            (after, most),
        )
        with self._decoding():
            return [(int(number), entity_of(line)) for number, *line in found]

    def every_relation(self) -> Iterator[Relation]:
        """See `GraphReader`."""
        found = self._db.execute(
            f"SELECT {_RELATION} FROM relations"  # noqa: S608 - a constant
            " CROSS JOIN relation_types AS kinds ON kinds.number = relations.type"
            " CROSS JOIN entities AS s ON s.number = subject"
            " CROSS JOIN entities AS o ON o.number = object"
            " ORDER BY subject, relations.type, object, record"
        )
        for line in found:
            with self._decoding():
                relation = relation_of(line)
            yield relation

    def every_mention(self) -> Iterator[Mention]:
        """See `GraphReader`."""
        found = self._db.execute(
            f"SELECT {_MENTION} FROM mentions JOIN entities ON number = entity"  # noqa: S608
            " ORDER BY record, weight DESC, entity"
        )
        for line in found:
            with self._decoding():
                mention = mention_of(line)
            yield mention


def entity_of(line: Sequence[Any]) -> Entity:
    """An entity from its checksum and `checksums.ENTITY_PARTS`.

    Raises:
        ValueError: It does not agree with its checksum; or one of `DAMAGED`.
    """
    name_id, name, aliases, kind, properties = _agreeing("entity", *line)
    return Entity(name_id, name, tuple(json.loads(aliases)), kind, from_json(properties))


def relation_of(line: Sequence[Any]) -> Relation:
    """A relation from its checksum and `checksums.RELATION_PARTS`; raises likewise."""
    subject, kind, other, weight, record, properties = _agreeing("relation of", *line)
    parts = {} if properties is None else from_json(properties)
    return Relation(subject, kind, other, weight, record or None, parts)


def mention_of(line: Sequence[Any]) -> Mention:
    """A mention from its checksum and `checksums.MENTION_PARTS`; raises likewise."""
    record, entity, weight, linked = _agreeing("mention in", *line)
    return Mention(record, entity, weight, bool(linked))


def is_vector(number: int, blob: object, checksum: int) -> bool:
    """Whether a name's vector agrees with its checksum."""
    return isinstance(blob, bytes) and checksum == checksums.of_vector(number, blob)


def _agreeing(what: str, checksum: int, *parts: Any) -> tuple[Any, ...]:
    if checksum != checksums.of_parts(*parts):
        raise ValueError(f"{what} {parts[0]!r:.80} does not agree with its checksum")
    return parts


def _wanted(types: int | None) -> str:
    """The condition that relations are of so many types; none if ``None``."""
    return "" if types is None else f"AND kinds.type IN ({', '.join('?' * types)})"


def _weight(value: Any) -> float:
    weight = float(value)
    if not math.isfinite(weight) or weight <= 0:
        raise ValueError(f"a weight is {weight}")
    return weight
