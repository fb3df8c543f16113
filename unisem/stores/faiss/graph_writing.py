"""`GraphWriter`: writes a graph's rows in the catalogue's database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unisem.common.json_text import to_json
from unisem.errors import GraphError
from unisem.records import Vector
from unisem.stores.faiss.checksums import MENTION_PARTS, RELATION_PARTS, of_parts, of_vector
from unisem.stores.faiss.graph_rows import GraphRows
from unisem.stores.faiss.unerased import LIVING
from unisem.stores.graph import Entity, Mention, Relation
from unisem.stores.spoken import spoken

_ALL = ("entities", "entity_names", "entity_vectors", "relation_types", "relations", "mentions")
_MOST_TYPES = 10_000


class GraphWriter(GraphRows):
    """Writes what `GraphRows` reads, inside the caller's transaction."""

    def add_entities(self, entities: Sequence[Entity]) -> int:
        """Insert entities, or replace them; what else is about them stays. Returns how many."""
        once = {it.id: it for it in entities}.values()  # of an id that comes again, the last
        parts = [
            (it.id, it.name, json.dumps(it.aliases), it.kind, to_json(it.properties)) for it in once
        ]
        lines = [(*line, of_parts(*line)) for line in parts]
        known = list(self.numbers([line[0] for line in lines]).values())
        self._drop_names(known)
        self._db.executemany(
            "INSERT INTO entities (id, name, aliases, kind, properties, checksum)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET name = excluded.name, aliases = excluded.aliases, kind = excluded.kind,"
            " properties = excluded.properties, checksum = excluded.checksum",
            lines,
        )
        numbers = self.numbers([line[0] for line in lines])
        self._add_names((numbers[it.id], name) for it in once for name in (it.name, *it.aliases))
        return len(entities)

    def add_relations(self, relations: Sequence[Relation]) -> int:
        """Insert relations, or replace them; their records must be there. Returns how many."""
        ends = (end for it in relations for end in (it.subject, it.object))
        numbers = self._numbers_of_all(ends)
        types = self._types_of_all({it.type for it in relations})
        parts = (
            (
                *(it.subject, it.type, it.object, float(it.weight), it.record_id or ""),
                to_json(it.properties) if it.properties else None,
            )
            for it in relations
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO relations"
            " (subject, type, object, weight, record, properties, checksum)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (numbers[one[0]], types[one[1]], numbers[one[2]], *one[3:], of_parts(*one))
                for one in parts
            ),
        )
        return len(relations)

    def add_mentions(self, mentions: Sequence[Mention]) -> int:
        """Insert mentions, or replace them; their records must be there. Returns how many.

        One that linking found leaves one alone that it did not find.
        """
        numbers = self._numbers_of_all(it.entity_id for it in mentions)
        parts = ((it.record_id, it.entity_id, float(it.weight), int(it.linked)) for it in mentions)
        before = self._db.total_changes
        self._db.executemany(
            "INSERT INTO mentions (record, entity, weight, linked, checksum)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (record, entity) DO UPDATE"
            " SET weight = excluded.weight, linked = excluded.linked, checksum = excluded.checksum"
            " WHERE linked OR NOT excluded.linked",
            ((one[0], numbers[one[1]], *one[2:], of_parts(*one)) for one in parts),
        )
        return self._db.total_changes - before

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

    def unlink(self, record_ids: Sequence[str] | None = None) -> int:
        """Remove mentions that linking found, of some records or of all; how many."""
        before = self._db.total_changes
        if record_ids is None:
            self._db.execute("DELETE FROM mentions WHERE linked")
        else:
            self._db.executemany(
                "DELETE FROM mentions WHERE record = ? AND linked",
                ((name,) for name in record_ids),
            )
        return self._db.total_changes - before

    def rename(self, records: Mapping[str, str]) -> None:
        """Let what records say be said by others; two may change places.

        What is damaged goes along and stays so, also where an entity is lost that it is about.

        Args:
            records: Old ids, each with its new one.
        """
        old = (json.dumps(list(records)),)
        mentions = self._db.execute(
            f"""SELECT entity, mentions.checksum, {MENTION_PARTS} FROM mentions
            LEFT JOIN entities ON number = entity
            WHERE record IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
            old,
        ).fetchall()
        relations = self._db.execute(
            f"""SELECT subject, relations.type, object, relations.checksum, {RELATION_PARTS}
            FROM relations LEFT JOIN relation_types AS kinds ON kinds.number = relations.type
            LEFT JOIN entities AS s ON s.number = subject
            LEFT JOIN entities AS o ON o.number = object
            WHERE record > '' AND record IN (SELECT value FROM json_each(?))""",  # noqa: S608
            old,
        ).fetchall()
        self.forget(list(records))
        lines: list[tuple[Any, ...]] = []
        for entity, checksum, *parts in mentions:
            new = [records[parts[0]], *parts[1:]]
            sound = checksum == of_parts(*parts)
            lines.append((new[0], entity, *new[2:], of_parts(*new) if sound else checksum))
        self._db.executemany(
            "INSERT OR REPLACE INTO mentions (record, entity, weight, linked, checksum)"
            " VALUES (?, ?, ?, ?, ?)",
            lines,
        )
        lines = []
        for subject, kind, other, checksum, *parts in relations:
            new = [*parts[:4], records[parts[4]], parts[5]]
            sound = checksum == of_parts(*parts)
            own = new[4], new[3], new[5], of_parts(*new) if sound else checksum
            lines.append((subject, kind, other, *own))
        self._db.executemany(
            "INSERT OR REPLACE INTO relations"
            " (subject, type, object, record, weight, properties, checksum)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            lines,
        )

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
            "INSERT OR REPLACE INTO entity_vectors VALUES (?, ?, ?)",
            (
                (number, data, of_vector(number, data))
                for number, data in ((n, one.astype("<f4").tobytes()) for n, one in vectors.items())
            ),
        )

    def drop_vectors(self) -> None:
        """Let go of all vectors of names."""
        self._db.execute("DELETE FROM entity_vectors")
