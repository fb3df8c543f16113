"""`extract_graph`: asking a model about every text of a space, once, and keeping what it says."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unisem.common.cache_file import opened_cache
from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.errors import GraphError
from unisem.graph.extraction.answer import Extracted
from unisem.graph.extraction.extractor import GraphExtractor
from unisem.graph.knowledge_graph import KnowledgeGraph
from unisem.records import Record
from unisem.stores import Store
from unisem.stores.graph import Relation
from unisem.stores.selection import EVERYTHING, Selection

EXTRACTIONS_FILE = "extractions.sqlite"
"""The cache's name inside a space; it can be deleted at any time, and models are asked again."""

_HOPELESS = 16  # texts that a model fails on one after the other before it is given up
_LARGEST = 1 << 20  # bytes of a row
_ANSWERS = """CREATE TABLE IF NOT EXISTS answers (
    extractor TEXT, text TEXT, answer TEXT, PRIMARY KEY (extractor, text)) WITHOUT ROWID"""
_RECORDS = """CREATE TABLE IF NOT EXISTS records (
    extractor TEXT, record TEXT, text TEXT, PRIMARY KEY (extractor, record)) WITHOUT ROWID"""

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""


@dataclass(frozen=True, slots=True)
class ExtractionReport:
    """What became of a space's texts.

    Attributes:
        records: Texts whose entities and relations are in the graph now.
        reused: Those among them that the model had been asked about before.
        entities: Entities that were not in the graph.
        relations: Relations written.
        silent: Texts in which the model found nothing.
        skipped: Texts that the model failed on, or answered as nobody can read, with reasons.
    """

    records: int = 0
    reused: int = 0
    entities: int = 0
    relations: int = 0
    silent: int = 0
    skipped: tuple[Skipped, ...] = ()


def extract_graph(
    graph: KnowledgeGraph,
    store: Store,
    extractor: GraphExtractor,
    *,
    directory: Path | None = None,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> ExtractionReport:
    """Add to a graph what a model finds in the texts of records, each relation with its record.

    A batch is stored by itself, so that an interruption costs the last one, and what was answered
    is kept by the text's digest: the same call goes on, and asks only about what is new. Of a
    text that has changed since, the relations that are no longer found go. Entities that the graph
    has already stay as they are.

    Args:
        graph: The space's: ``space.graph``.
        store: Its records: ``space.store``.
        extractor: Asks the model.
        directory: The space's: ``space.path``; without one a second run asks again.
        selection: Which records.
        progress: Called after each batch.

    Raises:
        GraphError: The model has failed on 16 texts running; what is done is kept.
        StoreError: The store refused; earlier batches are stored.
    """
    run = _Run(graph, extractor, _Answers(extractor.fingerprint, directory))
    waiting = [record.id for record in store.select(selection) if (record.text or "").strip()]
    for start in range(0, len(waiting), extractor.batch_size):
        raise_if_interrupted()
        ids = waiting[start : start + extractor.batch_size]
        run.batch([it for it in store.get(ids) if it is not None and (it.text or "").strip()])
        if progress is not None:
            progress(start + len(ids), len(waiting))
    return run.report()


class _Run:
    """Takes batches, and counts."""

    def __init__(self, graph: KnowledgeGraph, extractor: GraphExtractor, answers: _Answers) -> None:
        self._graph = graph
        self._extractor = extractor
        self._answers = answers
        self._skipped: list[Skipped] = []
        self._counts = dict.fromkeys(("records", "reused", "entities", "relations", "silent"), 0)
        self._failed = 0

    def report(self) -> ExtractionReport:
        return ExtractionReport(**self._counts, skipped=tuple(self._skipped))

    def batch(self, records: Sequence[Record]) -> None:
        digests = {record.id: _digest(record.text or "") for record in records}
        known = self._answers.known(sorted(set(digests.values())))
        new = {digests[it.id]: it.text or "" for it in records if digests[it.id] not in known}
        outcomes = dict(zip(new, self._extractor.extract(list(new.values())), strict=True))
        found = {key: one for key, one in outcomes.items() if isinstance(one, Extracted)}
        self._answers.keep(found)
        self._counts["reused"] += sum(digests[record.id] in known for record in records)
        known |= found
        self._store({it.id: known[digests[it.id]] for it in records if digests[it.id] in known})
        self._answers.note({name: key for name, key in digests.items() if key in known})
        for record in records:
            self._count(record.id, outcomes.get(digests[record.id]))

    def _store(self, found: dict[str, Extracted]) -> None:
        """Replace what the records said before by what they say."""
        relations = [one for name, said in found.items() for one in said.triples(name)]
        keys = set(map(_key, relations))
        gone = [
            one
            for name, said in self._answers.before(list(found)).items()
            for one in said.triples(name)
            if _key(one) not in keys
        ]
        if gone:
            self._graph.remove(relations=gone)
        things = {name: one for said in found.values() for name, one in said.things().items()}
        there = self._graph.get(list(things))
        new = [one for one, old in zip(things.values(), there, strict=True) if old is None]
        mentions = [one for name, said in found.items() for one in said.mentions(name)]
        report = self._graph.add(new, relations, mentions)
        self._counts["records"] += len(found)
        self._counts["entities"] += len(new)
        self._counts["relations"] += report.relations
        self._counts["silent"] += sum(not said.things() for said in found.values())

    def _count(self, record_id: str, outcome: Extracted | GraphError | None) -> None:
        if not isinstance(outcome, GraphError):
            self._failed = 0
            return
        self._skipped.append(Skipped(record_id, str(outcome), again=True))
        self._failed += 1
        if self._failed >= _HOPELESS:
            raise GraphError(
                f"the extractor {self._extractor.name!r} has failed on {self._failed} texts "
                f"running, and is given up; what is done is kept. The last reason: {outcome}"
            )


class _Answers:
    """What an extractor has found, by the digest of texts, in a file or in memory."""

    def __init__(self, extractor: str, directory: Path | None) -> None:
        self._extractor = extractor
        self._path = None if directory is None else directory / EXTRACTIONS_FILE
        self._memory: dict[str, Extracted] = {}

    def known(self, digests: Sequence[str]) -> dict[str, Extracted]:
        if self._path is None:
            return {key: self._memory[key] for key in digests if key in self._memory}
        marks = ",".join("?" * len(digests))
        asked = f"SELECT text, answer FROM answers WHERE extractor = ? AND text IN ({marks})"  # noqa: S608
        with self._opened() as connection:
            rows = connection.execute(asked, (self._extractor, *digests)).fetchall()
        return _readable(rows)

    def keep(self, found: dict[str, Extracted]) -> None:
        self._memory |= found if self._path is None else {}
        rows = [(self._extractor, key, one.to_json()) for key, one in found.items()]
        self._write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)

    def before(self, records: Sequence[str]) -> dict[str, Extracted]:
        """What was found in records when they were last stored."""
        if self._path is None:
            return {}
        marks = ",".join("?" * len(records))
        asked = (
            "SELECT record, answer FROM records JOIN answers USING (extractor, text)"  # noqa: S608
            f" WHERE extractor = ? AND record IN ({marks})"
        )
        with self._opened() as connection:
            rows = connection.execute(asked, (self._extractor, *records)).fetchall()
        return _readable(rows)

    def note(self, digests: dict[str, str]) -> None:
        """Remember of which texts the graph holds what was found."""
        rows = [(self._extractor, name, key) for name, key in digests.items()]
        self._write("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)

    def _write(self, statement: str, rows: Sequence[tuple[str, str, str]]) -> None:
        if self._path is not None and rows:
            with self._opened() as connection, connection:
                connection.executemany(statement, rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        assert self._path is not None
        try:
            with opened_cache(self._path, _ANSWERS, _RECORDS, largest=_LARGEST) as connection:
                yield connection
        except sqlite3.Error as error:
            raise GraphError(
                f"{self._path}: what was extracted cannot be used ({error}); if the file is "
                "damaged, delete it, and the model is asked anew"
            ) from error


def _readable(rows: Sequence[tuple[str, str]]) -> dict[str, Extracted]:
    """Answers by key; one that somebody has changed so that nobody can read it is none."""
    found: dict[str, Extracted] = {}
    for key, answer in rows:
        try:
            found[key] = Extracted.of(answer)
        except GraphError:
            continue
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(relation: Relation) -> tuple[str, str, str, str | None]:
    return relation.subject, relation.type, relation.object, relation.record_id
