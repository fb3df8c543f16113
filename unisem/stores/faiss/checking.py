"""`check_store`: looks for what is wrong with a store's files.

Nothing is changed. What is derived (the segment, the word index) can be built anew; what is not
(the catalogue, the manifest, the pictures inside the space) comes back from a copy only, or in
part by salvage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import load_calibration
from unisem.errors import CalibrationError, CorruptStoreError
from unisem.images.library import ImageLibrary
from unisem.records import Vector
from unisem.stores.calibrated import digest_of
from unisem.stores.calibration_file import FILE as CALIBRATION
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.faiss import checksums, words
from unisem.stores.faiss.columncheck import damaged_columns
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.graphcheck import damaged_graph
from unisem.stores.faiss.moments import can_follow
from unisem.stores.faiss.rawvectors import (
    READ,
    READ_UNCHECKED,
    VectorId,
    dropped_rows,
)
from unisem.stores.faiss.readonly import read_only
from unisem.stores.faiss.salvage import Salvage
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.unerased import living, unerased_rows
from unisem.stores.faiss.upgrades import FORMAT
from unisem.stores.faiss.wordcheck import damaged_word_indexes
from unisem.stores.maintenance import Finding, named
from unisem.stores.vectors import UNIT_TOLERANCE

_PAGE = 4096

_FAULTS = {
    "NOT EXISTS (SELECT 1 FROM vectors"
    " WHERE vector_id BETWEEN row << 12 AND (row + 1 << 12) - 1)": "have no vector, so that "
    "nothing finds them by meaning",
    "image IS NULL AND EXISTS (SELECT 1 FROM vectors"
    " WHERE vector_id BETWEEN row << 12 AND (row + 1 << 12) - 1 AND vector_id & 1)": "have a "
    "picture's vector but no picture",
    "modality IS NOT iif(image IS NULL, 'text', 'image')": "are listed under the wrong modality",
}
"""Conditions that must hold for no record, and what it means where they do."""


def check_store(
    directory: Path, image_library: ImageLibrary, *, progress: Callable[[str], None] | None = None
) -> Iterator[Finding]:
    """Look through a store's catalogue, vectors, segment and word index.

    Args:
        directory: The store.
        image_library: Where its pictures lie.
        progress: Told what is being looked at.

    Raises:
        StoreError: There is no store here.
    """
    say = progress or (lambda _: None)
    try:
        with read_only(directory) as database:
            say("catalogue")
            findings = list(_catalogue(database))
            yield from findings
            if any(finding.is_problem for finding in findings):
                say("what can be saved")
                yield _salvageable(database, image_library)
                return  # what follows would only report the same damage again
            facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
            say("records")
            yield from _records(database, image_library)
            say("vectors")
            vector_ids, vector_findings = _vectors(database, facts.get("dimension"))
            yield from vector_findings
            say("segment")
            yield from _segment(database, directory, facts, vector_ids)
            say("columns")
            yield from _columns(database, directory, image_library, facts)
            say("words")
            yield from _words(database, facts)
            say("graph")
            yield from _graph(database, facts)
    except CorruptStoreError as error:
        yield Finding("catalogue", True, f"{error}; nothing can be saved from it")
    except (sqlite3.Error, *DAMAGED) as error:
        yield Finding("catalogue", True, f"cannot be understood ({error}); restore a copy")


def _catalogue(database: sqlite3.Connection) -> Iterator[Finding]:
    try:
        stored = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
        if stored is None or stored[0] != FORMAT:
            found = None if stored is None else stored[0]
            if isinstance(found, int) and found < FORMAT:
                yield Finding("catalogue", False, f"has format {found}; opening it upgrades it")
            else:
                text = f"has format {found}, this version reads {FORMAT}; upgrade unisem"
                yield Finding("catalogue", True, text)
        lines = [line for (line,) in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.Error as error:
        lines = [str(error)]
    if lines != ["ok"]:
        shown = "; ".join(" ".join(str(line).split()) for line in lines)
        yield Finding("catalogue", True, f"is damaged: {shown}")


def _salvageable(database: sqlite3.Connection, image_library: ImageLibrary) -> Finding:
    salvage = Salvage(database, image_library)
    for _ in salvage:
        pass
    if not salvage.read:
        return Finding("catalogue", True, "no record can be read; restore a copy of the space")
    things = 0
    if (graph := salvage.graph) is not None:
        things = sum(1 for _ in chain(graph.entities(), graph.relations(), graph.mentions()))
    also = f"; of its graph {things:,} entities, relations and mentions can" if things else ""
    text = (
        f"{salvage.read:,} records can be read, {salvage.without_vectors:,} of them without all "
        f"their vectors; {salvage.lost:,} cannot{also}. Restore a copy of the space, or save "
        "these: `unisem store export --salvage SPACE DIR`, then "
        "`unisem store import DIR --into NEW`"
    )
    if salvage.may_be_removed:
        text += (
            ". Which records were removed cannot be read: some of them may be among these; delete "
            "them again"
        )
    return Finding("catalogue", True, text)


def _records(database: sqlite3.Connection, image_library: ImageLibrary) -> Iterator[Finding]:
    salvage = Salvage(database, image_library)
    for _ in salvage:
        pass
    if salvage.lost:
        yield Finding("records", True, f"{salvage.lost:,} cannot be understood")
    there = living(database)
    for condition, fault in _FAULTS.items():
        query = f"SELECT id FROM records WHERE {there} AND {condition} ORDER BY row"  # noqa: S608
        if names := [repr(record_id) for (record_id,) in database.execute(query)]:
            yield Finding("records", True, f"{fault}: {named(names)}; add them again")


def _vectors(
    database: sqlite3.Connection, dimension: int | None
) -> tuple[NDArray[np.int64], list[Finding]]:
    there = living(database)
    rows = _numbers(database, f"SELECT row FROM records WHERE {there} ORDER BY row")  # noqa: S608
    numbers = _numbers(database, "SELECT vector_id FROM vectors ORDER BY vector_id")
    groups: dict[str, list[str]] = {}
    if len(hidden := unerased_rows(database, "EXCEPT SELECT row FROM removals")):
        groups["are hidden as removed, which their records never were"] = [
            _owner(database, row << 12) for row in hidden.tolist()
        ]
    dropped = dropped_rows(database)
    numbers = numbers[~np.isin(VectorId.rows(numbers), dropped)]
    orphans = numbers[~np.isin(VectorId.rows(numbers), rows)]
    if len(doomed := np.intersect1d(rows, dropped)):
        groups["are to be dropped, though their records are there"] = [
            _owner(database, row << 12) for row in doomed.tolist()
        ]
    if len(orphans):
        groups["belong to no record"] = [str(number) for number in orphans.tolist()]
    are_checked = checksums.are_kept(database)
    read = READ if are_checked else READ_UNCHECKED
    found = database.execute(f"{read} ORDER BY vector_id")
    waiting = set(dropped.tolist())  # to leave the disk, however damaged
    while page := found.fetchmany(_PAGE):
        for number, blob, checksum in page:
            if number >> 12 in waiting:
                continue
            fault = _fault(blob, dimension)
            if not fault and are_checked and checksum != checksums.of_vector(number, blob):
                fault = "do not agree with their checksums"
            if fault is not None:
                groups.setdefault(fault, []).append(_owner(database, number))
    findings = [
        Finding("vectors", True, f"{fault}: {named(names)}") for fault, names in groups.items()
    ]
    return numbers, findings


def _fault(blob: Any, dimension: int | None) -> str | None:
    if not isinstance(blob, bytes) or len(blob) != 4 * (dimension or 0):
        return f"are not {dimension} numbers of 4 bytes"
    vector: Vector = np.frombuffer(blob, "<f4")
    length = float(np.sqrt(np.einsum("i,i", vector, vector, dtype=np.float64)))
    if not np.isfinite(length):
        return "are not finite"
    return None if abs(length - 1) <= UNIT_TOLERANCE else "are not of unit length"


def _owner(database: sqlite3.Connection, number: int) -> str:
    found = database.execute("SELECT id FROM records WHERE row = ?", (number >> 12,)).fetchone()
    return (
        str(number) if found is None else f"{'picture' if number & 1 else 'text'} of {found[0]!r}"
    )


def _segment(
    database: sqlite3.Connection,
    directory: Path,
    facts: dict[str, Any],
    vector_ids: NDArray[np.int64],
) -> Iterator[Finding]:
    forgotten, current = int(facts.get("forgotten") or 0), int(facts.get("transaction") or 0)
    rebuilt = "it is built anew when the space is opened, and saved by `unisem store compact`"
    if facts.get("dimension") is None or facts.get("format") != FORMAT:
        return  # of an older format it is built anew
    yield from _calibration(directory)
    segment = Segment.load(directory, facts["dimension"])
    if segment is None:
        if (directory / "vectors.json").exists():
            yield Finding("segment", True, f"does not agree with its seal; {rebuilt}")
        elif forgotten:
            yield Finding("segment", False, f"is missing; {rebuilt}")
        return
    if not can_follow(database, segment.moment, forgotten, current):
        text = (
            f"is of write {segment.moment.transaction}, which is not one of the catalogue's "
            f"({forgotten} to {current}, in their epochs): one of the two was copied back"
        )
        yield Finding("segment", True, f"{text}; {rebuilt}")
        return
    if segment.calibration != digest_of(CalibrationFile(directory).newest(facts["dimension"])):
        yield Finding("segment", False, f"is not of the space's calibration; {rebuilt}")
        return
    if not segment.is_whole:
        yield Finding("segment", True, f"does not agree with its seal; {rebuilt}")
        return
    indexed = np.asarray(segment.vector_ids)
    removed = _numbers(database, "SELECT row FROM removals ORDER BY row")
    gone = np.setdiff1d(indexed, vector_ids, assume_unique=True)
    unknown = gone[~np.isin(VectorId.rows(gone), removed)]
    last = int(indexed[-1]) if len(indexed) else -1
    lacking = np.setdiff1d(vector_ids[vector_ids <= last], indexed, assume_unique=True)
    remedy = "run `unisem store compact`"
    if np.any(np.diff(indexed) <= 0):
        yield Finding("segment", True, f"its numbers do not ascend; {remedy}")
    if len(unknown):
        text = f"has {len(unknown):,} vectors that the catalogue never removed and does not have"
        yield Finding("segment", True, f"{text}; {remedy}")
    if len(lacking):
        yield Finding("segment", True, f"lacks {len(lacking):,} vectors; {remedy}")


def _columns(
    database: sqlite3.Connection,
    directory: Path,
    image_library: ImageLibrary,
    facts: dict[str, Any],
) -> Iterator[Finding]:
    if facts.get("format") != FORMAT:
        return  # of an older format they are not believed
    current = int(facts.get("transaction") or 0)
    for fault in damaged_columns(database, directory, image_library, current):
        remedy = "`unisem store compact` writes them anew"
        yield Finding("columns", True, f"{fault}; {remedy}")


def _calibration(directory: Path) -> Iterator[Finding]:
    if (directory / CALIBRATION).exists():
        try:
            load_calibration(directory / CALIBRATION)
        except CalibrationError as error:
            text = f"{error}; until then scores are raw cosines"
            yield Finding("calibration", True, text)


def _words(database: sqlite3.Connection, facts: dict[str, Any]) -> Iterator[Finding]:
    if facts.get("words") != words.VERSION:
        text = "were indexed by other rules; the next write indexes them anew"
        yield Finding("words", False, text)
        return
    for fault in damaged_word_indexes(database):
        yield Finding("words", True, f"{fault}; export the space and import it into a new one")


def _graph(database: sqlite3.Connection, facts: dict[str, Any]) -> Iterator[Finding]:
    if facts.get("format") == FORMAT:
        yield from damaged_graph(database)


def _numbers(database: sqlite3.Connection, query: str) -> NDArray[np.int64]:
    return np.fromiter((number for (number,) in database.execute(query)), np.int64)
