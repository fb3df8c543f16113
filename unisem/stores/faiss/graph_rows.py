"""`GraphRows`: a graph as rows of the catalogue's database."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.errors import CorruptStoreError, GraphError
from unisem.records import Vector, to_json
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.sql import compile_selection
from unisem.stores.faiss.unerased import LIVING
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

_ENTITY = "number, id, name, aliases, kind, properties"
_ALL = ("entities", "entity_names", "entity_vectors", "relation_types", "relations", "mentions")
_MOST_TYPES = 10_000
_OUTWARD, _INWARD = (
    f"""SELECT {there}, kinds.type, weight FROM relations INDEXED BY {index}
    CROSS JOIN relation_types AS kinds ON kinds.number = relations.type
    WHERE {here} = ? {{wanted}} {{once}} ORDER BY weight DESC LIMIT ?"""  # noqa: S608 - constants
    for here, there, index in (
        ("subject", "object", "relations_outward"),
        ("object", "subject", "relations_inward"),
    )
)

_WHOLE = tuple(
    f"""SELECT s.id, kinds.type, o.id, weight, record, relations.properties
    FROM relations INDEXED BY {index}
    CROSS JOIN relation_types AS kinds ON kinds.number = relations.type
    CROSS JOIN entities AS s ON s.number = subject CROSS JOIN entities AS o ON o.number = object
    WHERE {here} {{wanted}} ORDER BY weight DESC LIMIT ?"""  # noqa: S608 - constants
    for here, index in (
        ("subject = ?", "relations_outward"),
        ("object = ? AND subject != object", "relations_inward"),
    )
)


def _by_weight(edge: Edge | Relation) -> float:
    return -edge.weight


class GraphRows(GraphReader):
    """Entities, their names, relations and mentions; writes belong to the caller's transaction.

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
                f"the graph of this space is damaged ({error}); restore the space from a copy"
            ) from error

    @property
    def version(self) -> int:
        """See `GraphReader`: the write that changed it last."""
        found = self._db.execute("SELECT value FROM facts WHERE name = 'graph'").fetchone()
        return 0 if found is None else int(found[0])

    def add_entities(self, entities: Sequence[Entity]) -> None:
        """Insert entities, or replace them; what else is about them stays."""
        once = {it.id: it for it in entities}.values()  # of an id that comes again, the last
        lines = [
            (it.id, it.name, json.dumps(it.aliases), it.kind, to_json(it.properties)) for it in once
        ]
        known = list(self.numbers([line[0] for line in lines]).values())
        self._drop_names(known)
        self._db.executemany(
            "INSERT INTO entities (id, name, aliases, kind, properties) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, aliases = excluded.aliases,"
            " kind = excluded.kind, properties = excluded.properties",
            lines,
        )
        numbers = self.numbers([line[0] for line in lines])
        self._add_names((numbers[it.id], name) for it in once for name in (it.name, *it.aliases))

    def add_relations(self, relations: Sequence[Relation]) -> None:
        """Insert relations, or replace them; their records must be there."""
        ends = (end for it in relations for end in (it.subject, it.object))
        numbers = self._numbers_of_all(ends)
        types = self._types_of_all({it.type for it in relations})
        self._db.executemany(
            "INSERT OR REPLACE INTO relations VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    numbers[it.subject],
                    types[it.type],
                    numbers[it.object],
                    it.record_id or "",
                    float(it.weight),
                    to_json(it.properties) if it.properties else None,
                )
                for it in relations
            ),
        )

    def add_mentions(self, mentions: Sequence[Mention]) -> None:
        """Insert mentions, or replace them; their records must be there."""
        numbers = self._numbers_of_all(it.entity_id for it in mentions)
        self._db.executemany(
            "INSERT OR REPLACE INTO mentions VALUES (?, ?, ?)",
            ((it.record_id, numbers[it.entity_id], float(it.weight)) for it in mentions),
        )

    def known_records(self, ids: set[str]) -> set[str]:
        """Those of these ids that are of records."""
        found = self._db.execute(
            f"SELECT id FROM records WHERE id IN (SELECT value FROM json_each(?)) AND {LIVING}",  # noqa: S608
            (json.dumps(list(ids)),),
        )
        return {name for (name,) in found}

    def _numbers_of_all(self, ids: Iterable[str]) -> dict[str, int]:
        """The numbers of ids, of which those of no entity become one of that name."""
        wanted = list(dict.fromkeys(ids))
        numbers = self.numbers(wanted)
        missing = [name for name in wanted if name not in numbers]
        if missing:
            self.add_entities([Entity(name, name) for name in missing])
            numbers |= self.numbers(missing)
        return numbers

    def _types_of_all(self, types: set[str]) -> dict[str, int]:
        known = {name: number for number, name in self._types().items()}
        missing = sorted(types - known.keys())
        if len(known) + len(missing) > _MOST_TYPES:
            raise GraphError(
                f"a graph has at most {_MOST_TYPES:,} types of relations; {missing[0]!r} is one "
                "too many. Put what differs from relation to relation into properties"
            )
        for number, name in enumerate(missing, max(known.values(), default=0) + 1):
            self._db.execute("INSERT INTO relation_types VALUES (?, ?)", (number, name))
            known[name] = number
        return known

    def _types(self) -> dict[int, str]:
        return dict(self._db.execute("SELECT number, type FROM relation_types"))

    def _add_names(self, names: Iterable[tuple[int, str]]) -> None:
        lines = ((spoken(name), number) for number, name in names)
        self._db.executemany(
            "INSERT OR IGNORE INTO entity_names VALUES (?, ?)", (line for line in lines if line[0])
        )

    def _drop_names(self, numbers: Sequence[int]) -> None:
        """Take names, and their vectors, out."""
        for table in ("entity_names", "entity_vectors"):
            self._db.executemany(
                f"DELETE FROM {table} WHERE entity = ?",  # noqa: S608 - constants
                ((number,) for number in numbers),
            )

    def remove_entities(self, ids: Sequence[str]) -> int:
        """Remove entities with all that is about them; how much that was."""
        numbers = list(self.numbers(ids).values())
        before = self._db.total_changes
        for number in numbers:
            self._db.execute("DELETE FROM relations WHERE subject = ?", (number,))
            self._db.execute("DELETE FROM relations WHERE object = ?", (number,))
            self._db.execute("DELETE FROM mentions WHERE entity = ?", (number,))
            self._db.execute("DELETE FROM entities WHERE number = ?", (number,))
        removed = self._db.total_changes - before
        self._drop_names(numbers)
        return removed

    def remove_relations(self, relations: Sequence[Relation]) -> int:
        """Remove relations by subject, type, object and record; how many there were."""
        numbers = self.numbers([end for it in relations for end in (it.subject, it.object)])
        types = {name: number for number, name in self._types().items()}
        before = self._db.total_changes
        self._db.executemany(
            "DELETE FROM relations WHERE subject = ? AND type = ? AND object = ? AND record = ?",
            (
                (numbers[it.subject], types[it.type], numbers[it.object], it.record_id or "")
                for it in relations
                if it.subject in numbers and it.object in numbers and it.type in types
            ),
        )
        return self._db.total_changes - before

    def forget(self, record_ids: Sequence[str]) -> int:
        """Remove what records say: their mentions, and relations found in them; how many."""
        before = self._db.total_changes
        for table in ("mentions", "relations"):
            self._db.executemany(
                f"DELETE FROM {table} WHERE record = ?",  # noqa: S608 - constants
                ((name,) for name in record_ids if name),
            )
        return self._db.total_changes - before

    def forget_rows(self, rows: Sequence[int]) -> int:
        """As `forget`, of records that are still there, by row."""
        return self.forget(
            [
                name
                for (name,) in self._db.execute(
                    "SELECT id FROM records WHERE row IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(rows)),),
                )
            ]
        )

    def clear(self) -> None:
        """Remove everything."""
        for table in _ALL:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - constants

    def set_vectors(self, vectors: Mapping[int, Vector]) -> None:
        """Keep vectors of names, by entity."""
        self._db.executemany(
            "INSERT OR REPLACE INTO entity_vectors VALUES (?, ?)",
            ((number, vector.astype("<f4").tobytes()) for number, vector in vectors.items()),
        )

    def drop_vectors(self) -> None:
        """Let go of all vectors of names."""
        self._db.execute("DELETE FROM entity_vectors")

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
            return dict(map(_entity, found))

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
        wanted, bound = _of_types(types)
        found: list[Edge] = []
        for is_outward, statement in ((True, _OUTWARD), (False, _INWARD)):
            if way not in ("both", "outward" if is_outward else "inward"):
                continue
            once = "AND subject != object" if way == "both" and not is_outward else ""
            lines = self._db.execute(
                statement.format(wanted=wanted, once=once), (number, *bound, most)
            )
            with self._decoding():
                found += [
                    Edge(other, kind, _weight(weight), is_outward) for other, kind, weight in lines
                ]
        if way == "both":
            found.sort(key=_by_weight)
        return found[:most]

    def relations_of(
        self, number: int, most: int | None = None, types: Sequence[str] | None = None
    ) -> list[Relation]:
        """See `GraphReader`."""
        wanted, bound = _of_types(types)
        found: list[Relation] = []
        for statement in _WHOLE:
            lines = self._db.execute(
                statement.format(wanted=wanted), (number, *bound, -1 if most is None else most)
            )
            with self._decoding():
                found += map(_relation, lines)
        return sorted(found, key=_by_weight)[:most]

    def mentions_of(self, record_ids: Sequence[str]) -> list[tuple[str, int, float]]:
        """See `GraphReader`."""
        found = self._db.execute(
            "SELECT record, entity, weight FROM mentions WHERE record IN"
            " (SELECT value FROM json_each(?)) ORDER BY record, weight DESC, entity",
            (json.dumps(list(record_ids)),),
        )
        with self._decoding():
            return [(record, int(entity), _weight(weight)) for record, entity, weight in found]

    def mentioning(self, number: int, most: int, selection: Selection) -> list[tuple[str, float]]:
        """See `GraphReader`."""
        condition, parameters = compile_selection(selection)
        joined = "CROSS JOIN records ON records.id = record"
        if selection.is_everything:  # mentions are of records that are there
            joined, condition, parameters = "", "TRUE", []
        found = self._db.execute(
            f"""SELECT record, weight FROM mentions {joined}
            WHERE entity = ? AND {condition} ORDER BY weight DESC LIMIT ?""",  # noqa: S608 - bound
            (number, *parameters, most),
        )
        with self._decoding():
            return [(record, _weight(weight)) for record, weight in found]

    def vectors(self) -> tuple[NDArray[np.int64], Vector]:
        """See `GraphReader`."""
        lines = self._db.execute(
            "SELECT entity, vector FROM entity_vectors ORDER BY entity"
        ).fetchall()
        with self._decoding():
            numbers = np.fromiter((line[0] for line in lines), np.int64, len(lines))
            data = b"".join(line[1] for line in lines)
            matrix: Vector = np.frombuffer(data, "<f4").reshape(len(lines), -1 if lines else 0)
            if not np.isfinite(matrix).all():
                raise ValueError("a vector of a name is not finite")
            return numbers, matrix

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
            return list(map(_entity, found))

    def every_relation(self) -> Iterator[Relation]:
        """See `GraphReader`."""
        names = self._types()
        found = self._db.execute(
            "SELECT s.id, type, o.id, weight, record, relations.properties FROM relations"
            " JOIN entities AS s ON s.number = subject JOIN entities AS o ON o.number = object"
            " ORDER BY subject, type, object, record"
        )
        for subject, kind, *rest in found:
            with self._decoding():
                relation = _relation((subject, names[kind], *rest))
            yield relation

    def every_mention(self) -> Iterator[Mention]:
        """See `GraphReader`."""
        found = self._db.execute(
            "SELECT record, id, weight FROM mentions JOIN entities ON number = entity"
            " ORDER BY record, weight DESC, entity"
        )
        for record, entity, weight in found:
            with self._decoding():
                mention = Mention(record, entity, weight)
            yield mention


def _entity(line: tuple[Any, ...]) -> tuple[int, Entity]:
    number, name_id, name, aliases, kind, properties = line
    return int(number), Entity(
        name_id, name, tuple(json.loads(aliases)), kind, _mapping(properties)
    )


def _relation(line: tuple[Any, ...]) -> Relation:
    subject, kind, other, weight, record, properties = line
    parts = {} if properties is None else _mapping(properties)
    return Relation(subject, kind, other, weight, record or None, parts)


def _of_types(types: Sequence[str] | None) -> tuple[str, list[str]]:
    """The condition that relations are of these types, and what is bound in it."""
    if types is None:
        return "", []
    return f"AND kinds.type IN ({', '.join('?' * len(types))})", list(types)


def _mapping(text: str) -> dict[str, Any]:
    parsed = json.loads(text) if text != "{}" else {}
    if not isinstance(parsed, dict):
        raise ValueError("what should be a JSON object is none")
    return parsed


def _weight(value: Any) -> float:
    weight = float(value)
    if not math.isfinite(weight) or weight <= 0:
        raise ValueError(f"a weight is {weight}")
    return weight
