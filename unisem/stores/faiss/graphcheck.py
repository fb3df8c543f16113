"""`damaged_graph`: what is wrong with a graph's rows, and with what is derived from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain

from unisem.stores.faiss.graph_rows import is_vector
from unisem.stores.faiss.graph_salvage import GraphSalvage
from unisem.stores.faiss.unerased import LIVING
from unisem.stores.graph import Entity
from unisem.stores.maintenance import Finding, named
from unisem.stores.spoken import spoken

_ANEW = "export the space and import it into a new one"
_NUMBERS = "SELECT number FROM entities"
_RECORDS = f"SELECT id FROM records WHERE {LIVING}"  # noqa: S608 - a constant


def damaged_graph(database: sqlite3.Connection) -> Iterator[Finding]:
    """Yield what is wrong, and what to do.

    Args:
        database: The catalogue, of the present format.
    """
    salvage = GraphSalvage(database)
    misnamed = list(_misnamed(database, salvage.entities()))
    for _ in chain(salvage.relations(), salvage.mentions()):
        pass
    for what, lost in salvage.lost.items():
        if lost:
            text = f"{len(lost):,} {what} cannot be understood: {named(lost)}; add them again"
            yield Finding("graph", True, text)
    if misnamed:
        text = f"entities are found by other names than theirs: {named(misnamed)}; add them again"
        yield Finding("graph", True, text)
    if count := _count(database, f"entity_names WHERE entity NOT IN ({_NUMBERS})"):
        yield Finding("graph", True, f"{count:,} names are of no entity; {_ANEW}")
    vectors = database.execute("SELECT entity, vector, checksum FROM entity_vectors")
    if count := sum(not is_vector(*line) for line in vectors):
        remedy = "`unisem graph link --images` makes them anew"
        yield Finding("graph", True, f"{count:,} vectors of names are damaged; {remedy}")
    for table in ("relations", "mentions"):  # of a record whose id was damaged when it was deleted
        if count := _count(database, f"{table} WHERE record > '' AND record NOT IN ({_RECORDS})"):
            text = f"{count:,} {table} are of records that are not there; nothing shows them"
            yield Finding("graph", False, text)


def _misnamed(database: sqlite3.Connection, entities: Iterator[Entity]) -> Iterator[str]:
    """Ids of entities whose words in the table of names are others than those of their names."""
    for entity in entities:
        words = {spoken(name) for name in (entity.name, *entity.aliases)} - {""}
        found = database.execute(
            "SELECT words FROM entity_names JOIN entities ON number = entity WHERE id = ?",
            (entity.id,),
        )
        if {line[0] for line in found} != words:
            yield repr(entity.id)[:80]


def _count(database: sqlite3.Connection, rows: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])  # noqa: S608
