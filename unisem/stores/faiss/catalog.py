"""`Catalog`: the SQLite file that holds the truth about a space.

One write is one transaction, in this order:

1. ``BEGIN IMMEDIATE``.
2. Rows of replaced records go. Those of deleted ones are noted in ``unerased`` until they do. The
   numbers of both are noted in ``removals``, and in ``dropped`` until their vectors go as well.
3. New rows get numbers that were never used before (``AUTOINCREMENT``).
4. ``COMMIT``: the point at which the write exists. Before it a crash leaves nothing of the write,
   after it everything.

``removals`` lets a process that holds a derived vector index catch up without reading the truth
again: what appeared has a larger number than anything it knows, what vanished is listed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unisem.errors import CorruptStoreError, VectorError
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.faiss import words
from unisem.stores.faiss.column_file import ColumnMaker
from unisem.stores.faiss.database import DAMAGED, Database
from unisem.stores.faiss.graph_writing import GraphWriter
from unisem.stores.faiss.moments import Changes, Moment, Moments, can_follow
from unisem.stores.faiss.rawvectors import RawVectors, VectorId
from unisem.stores.faiss.recordrows import RecordRows
from unisem.stores.faiss.schema import TABLES, check_schema
from unisem.stores.faiss.unerased import LIVING, Unerased
from unisem.stores.faiss.upgrades import FORMAT, bring_up_to_date
from unisem.stores.selection import EVERYTHING, Selection

Item = TypeVar("Item")
Items = Generator[Item, None, None]
"""Items that are read as they are asked for, until their reading is closed."""

_LARGEST = 1 << 16  # numbers in a vector; a damaged figure must not cost all memory
_PAGE = 256


class Catalog(Database):
    """Records, raw vectors and words of one file, in step, with numbered transactions.

    Not thread-safe by itself; the store holds a lock around it.

    Args:
        path: The SQLite file, or ``None`` for one in memory.
        image_library: Where the pictures of the records lie.
        durability: ``"full"`` fsyncs every commit, ``"relaxed"`` leaves that to the system.

    Raises:
        CorruptStoreError: The file is no catalogue, or of a newer format.
    """

    def __init__(
        self, path: Path | None, image_library: ImageLibrary, *, durability: str = "full"
    ) -> None:
        self._image_library = image_library
        # Looked at before SQLite makes a file in its place.
        if path is not None and (other := _made_later(path)) and not _has_contents(path):
            raise _lost(path, other)
        super().__init__(path, durability=durability)

    def _prepare(self) -> None:
        self._records = RecordRows(self._db, self._image_library)
        self._unerased = Unerased(self._db)
        self._words = words.WordIndex(self._db)
        self._raw = RawVectors(self._db)
        self._moments = Moments(self._db)
        self.graph = GraphWriter(self._db)
        if self._is_blank():
            self._create()
        check_schema(self._db, self._name, word_for_word=False)
        bring_up_to_date(self._db, self._path)
        check_schema(self._db, self._name, word_for_word=True)

    def _create(self) -> None:
        with self.transaction():
            if self._is_blank():  # else another process was first, and may have written already
                if self._path is not None and (other := _made_later(self._path)):
                    raise _lost(self._path, other)
                for statement in TABLES:
                    self._db.execute(statement)
                self.set_fact("format", FORMAT)
                self.set_fact("transaction", 0)
                self._moments.begin(0)
                self._settle_words()

    def _is_blank(self) -> bool:
        return not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        value = self.fact("dimension")
        with self._decoding("the dimension"):
            if value is not None and not 0 < int(value) <= _LARGEST:
                raise ValueError(f"it cannot be {value!r}")
            return None if value is None else int(value)

    @property
    def is_empty(self) -> bool:
        """Whether there is no record."""
        with self.reading():
            found = self._db.execute(f"SELECT 1 FROM records WHERE {LIVING} LIMIT 1")  # noqa: S608
            return found.fetchone() is None

    def settle_dimension(self, dimension: int) -> None:
        """Fix the length of the vectors, inside the caller's transaction.

        Raises:
            VectorError: There are records with vectors of another length.
        """
        stored = self.dimension
        if stored == dimension:
            return
        if not self.is_empty:
            raise VectorError(
                f"{self._name} holds vectors of dimension {stored}, not {dimension}; "
                "they come from another encoder"
            )
        self._raw.clear()  # those of removed records, which are of the length before
        self.set_fact("dimension", dimension)

    @property
    def transaction_number(self) -> int:
        """How many writes have been committed."""
        with self._decoding("the number of writes"):
            return int(self.fact("transaction"))

    @property
    def moment(self) -> Moment:
        """The state that is committed."""
        return self._moments.at(self.transaction_number)

    def can_follow(self, moment: Moment, dimension: int) -> bool:
        """Whether vectors of a moment, of this length, can be brought up to the present.

        See `unisem.stores.faiss.moments.can_follow`.
        """
        return dimension == self.dimension and can_follow(
            self._db, moment, self.forgotten, self.transaction_number
        )

    def knows(self, moment: Moment) -> bool:
        """Whether a moment is of this catalogue's past, as far as that is remembered."""
        return moment.transaction <= self.transaction_number and self._moments.knows(moment)

    def add(self, items: Iterable[EmbeddedRecord]) -> Changes:
        """Insert or replace records by id, inside the caller's transaction."""
        kept: dict[str, EmbeddedRecord] = {}
        for item in items:  # of one id given twice the last counts, and its place
            kept.pop(item.record.id, None)
            kept[item.record.id] = item
        number = self.transaction_number + 1
        self._unlink([item.record for item in kept.values()], number)
        removed = self._make_way(list(kept), number)
        first = self._records.first_free()
        records = [item.record for item in kept.values()]
        self._records.add(records, first)
        self._words.add((row, it.text, it.metadata) for row, it in enumerate(records, first))
        vector_ids: list[int] = []
        parts: list[Vector] = []
        for row, item in enumerate(kept.values(), first):
            for kind, given in item.vectors.items():
                if given.ndim == 1:
                    vector_ids.append(VectorId.make(row, 0, kind))
                    parts.append(given)
                else:
                    slots = range(len(given))
                    vector_ids += [VectorId.make(row, slot, kind) for slot in slots]
                    parts.append(given.ravel())
        numbers = np.array(vector_ids, np.int64)
        vectors = np.concatenate(parts, dtype=np.float32).reshape(len(numbers), -1)
        if (np.diff(numbers) < 0).any():
            order = np.argsort(numbers)
            numbers, vectors = numbers[order], vectors[order]
        self._raw.add(numbers, vectors)
        return Changes(self._advance(number), removed, numbers, vectors)

    def remove(self, selection: Selection) -> Changes:
        """Delete the selected records, inside the caller's transaction.

        Damaged ones too, at the cost of indexing all others' words anew.
        """
        number = self.transaction_number + 1
        self._settle_words()
        rows = self.rows(selection)
        if self.graph.version and self.graph.forget_rows(rows.tolist()):
            self.set_fact("graph", number)
        self._note_removed(rows.tolist(), number)
        self._unerased.add(rows.tolist())
        self._erase(self._unerased.due(2 * len(rows)).tolist())
        moment = self._advance(number) if len(rows) else self.moment
        return Changes(moment, rows, np.empty(0, np.int64), np.empty((0, 0), np.float32))

    def graph_changed(self) -> Changes:
        """Count a change of the graph as a write, inside the caller's transaction."""
        number = self.transaction_number + 1
        self.set_fact("graph", number)
        none = np.empty(0, np.int64)
        return Changes(self._advance(number), none, none, np.empty((0, 0), np.float32))

    def _unlink(self, records: Sequence[Record], number: int) -> None:
        """Let go of what linking found in records that say or show something else now."""
        if self.graph.version and self.graph.unlink(self._records.changed(records)):
            self.set_fact("graph", number)

    def _make_way(self, ids: Sequence[str], at: int) -> NDArray[np.int64]:
        """Remove and erase what has these ids; the rows that were not removed before."""
        self._settle_words()
        rows = self._records.named(ids)
        if not len(rows):
            return rows
        removed = rows[~np.isin(rows, self._unerased.among(rows.tolist()))]
        self._note_removed(removed.tolist(), at)
        self._erase(rows.tolist())
        return removed

    def _note_removed(self, rows: Sequence[int], at: int) -> None:
        self._raw.drop(rows)
        self._db.executemany("INSERT INTO removals VALUES (?, ?)", ((row, at) for row in rows))

    def _erase(self, rows: Sequence[int]) -> None:
        """Take removed records off their table and out of the word index."""
        if not rows:
            return
        try:
            self._words.remove(self._records.entries(rows))
            is_damaged = False
        except DAMAGED:  # what was entered of it cannot be told
            is_damaged = True
            self._records.index_anew()  # which may list it by what it was
        self._records.erase(rows)
        self._unerased.forget(rows)
        if is_damaged:
            self._rebuild_words()

    def erase(self, most: int) -> bool:
        """Erase so many removed records, and the vectors of so many; whether some are left."""
        with self.transaction():
            self._settle_words()
            self._erase(self._unerased.rows(most).tolist())
            return self._raw.sweep(most) == most or len(self._unerased) > 0

    def _settle_words(self) -> None:
        """Fill the word index by the present rules, if it was filled by others or never."""
        if self.fact("words") != words.VERSION:
            self._rebuild_words()

    def _rebuild_words(self) -> None:
        self._words.rebuild()
        self.set_fact("words", words.VERSION)

    def _advance(self, number: int) -> Moment:
        self.set_fact("transaction", number)
        return self._moments.begin(number)

    def rows(self, selection: Selection) -> NDArray[np.int64]:
        """Row numbers of the selected records, ascending."""
        return self._records.chosen(selection)

    def records(self, rows: NDArray[np.int64]) -> dict[int, Record]:
        """The records of these rows, by row; without those that are no longer there."""
        with self._decoding("a record"):
            return self._records.of(rows)

    def in_order_of_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """As `RecordRows.in_order_of_ids`."""
        with self.reading():
            return self._records.in_order_of_ids(rows)

    def selected(self, selection: Selection, page: int) -> Items[Record]:
        """The selected records of one committed state, oldest first, by way of a copy.

        Between two of them no transaction is open, which would keep the log from being moved.
        """
        with self.reading():
            self._records.hold(selection)
        done = 0
        while True:
            with self.reading(), self._decoding("a record"):
                records = self._records.held(done, page)
            yield from records
            done += len(records)
            if len(records) < page:
                return

    def all_records(self, rows: NDArray[np.int64]) -> dict[int, Record]:
        """The records of rows that this state has, by row.

        Raises:
            CorruptStoreError: One is missing, though an index lists it.
        """
        records = self.records(rows)
        with self._decoding("an index of the records"):
            if len(records) < len(rows):
                raise ValueError("it lists a record that is not there")
        return records

    def search_words(
        self, text: str, k: int, selection: Selection, asked: words.Words = "whole"
    ) -> list[tuple[int, float]]:
        """Rows and BM25 scores of the best selected records that have any of the text's words.

        Best first, ties by id; see `unisem.stores.faiss.words`.
        """
        return self._words.search(text, k, selection, asked)

    def vectors(self, rows: Sequence[int]) -> dict[int, dict[VectorKind, Vector]]:
        """The raw vectors of records, by row, as they were added.

        Returns:
            For each row, by kind, ``(d,)`` float32, or ``(n, d)`` of several.
        """
        with self._decoding("a vector"):
            found = {int(row): self._raw.of_row(int(row)) for row in rows}
            if not all(found.values()):
                raise ValueError("a record has none")
            return found

    def values(
        self, field: str | None, after: int, last: int
    ) -> tuple[NDArray[np.int64], list[Any]]:
        """As `RecordRows.values`."""
        with self._decoding(f"the field {field!r}"):
            return self._records.values(field, after, last)

    def columns(self) -> tuple[Moment, ColumnMaker]:
        """The latest moment, and what filters look at of every record of it, as columns."""
        with self.snapshot(), self._decoding("a record's metadata"):
            return self.moment, ColumnMaker(self._records.lines())

    def blobs(self) -> set[str]:
        """The places inside ``blobs/`` that any record refers to."""
        return self._records.blobs()

    def __len__(self) -> int:
        return len(self._records)

    def changes_since(self, transaction: int, last_vector_id: int) -> Changes:
        """What a derived index that reflects ``transaction`` has missed."""
        removed = self._db.execute("SELECT row FROM removals WHERE at > ?", (transaction,))
        removed_rows = np.fromiter((row for (row,) in removed), np.int64)
        with self._decoding("a vector"):
            vector_ids, vectors = self._raw.after(last_vector_id, self.dimension or 0)
        return Changes(self.moment, removed_rows, vector_ids, vectors)

    def all_vectors(self) -> tuple[Moment, NDArray[np.int64], Vector]:
        """The latest moment, and every vector of it, by ascending number."""
        with self.snapshot(), self._decoding("a vector"):
            return self.moment, *self._raw.after(-1, self.dimension or 0)

    def embedded(self) -> Items[EmbeddedRecord]:
        """Every record with its vectors, oldest first, of one committed state."""
        try:
            with self.snapshot():
                rows = self.rows(EVERYTHING)
                for start in range(0, len(rows), _PAGE):
                    page = rows[start : start + _PAGE]
                    records, vectors = self.all_records(page), self.vectors(page.tolist())
                    for row in page.tolist():
                        yield EmbeddedRecord(records[row], vectors[row])
        except sqlite3.DatabaseError as error:
            raise CorruptStoreError(f"{self._name}: {error}") from error

    def shrink(self) -> str:
        """Build the word index anew and give empty pages back; say what was done."""
        with self.transaction():
            self._erase(self._unerased.rows().tolist())
            self._rebuild_words()
        done = "the word index was built anew"
        if self._path is None:
            return done
        self._db.execute("PRAGMA busy_timeout = 1000")  # for readers that are about to finish
        try:
            if not self._checkpoint():
                return f"{done}; empty pages stay, because another process is reading"
            self._db.execute("VACUUM")
            if not self._checkpoint():
                return f"{done}; empty pages go when the last reader has finished"
        except sqlite3.OperationalError as error:
            return f"{done}; empty pages stay ({error})"
        finally:
            self._db.execute("PRAGMA busy_timeout = 30000")
        return f"{done}, empty pages were given back"

    @contextmanager
    def reader(self) -> Iterator[Catalog]:
        """The same file through a connection of its own, for a long read beside writes."""
        if self._path is None:
            yield self  # memory has one connection; the caller holds the store's lock
            return
        other = Catalog(self._path, self._image_library)
        try:
            yield other
        finally:
            other.close()

    @property
    def forgotten(self) -> int:
        """Up to which transaction removals are no longer listed."""
        with self._decoding("the number of a write"):
            return int(self.fact("forgotten") or 0)

    def forget_removals(self, transaction: int) -> None:
        """Let go of the list of removals that a segment reflects, and erase what was removed."""
        with self.transaction():
            self._settle_words()
            self._erase(self._unerased.rows().tolist())
            self._raw.sweep()
            self._db.execute("DELETE FROM removals WHERE at <= ?", (transaction,))
            self._moments.forget(transaction)
            self.set_fact("forgotten", transaction)


def _made_later(path: Path) -> str | None:
    """The name of a file of a space that is made after its catalogue, ``None`` without any."""
    names = ("manifest.json", "vectors.json", "vectors-*", "blobs")
    return next((found.name for name in names for found in path.parent.glob(name)), None)


def _lost(path: Path, other: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"{path} is missing or empty, though {other} is there: this space has lost its catalogue, "
        "which nothing can replace; restore it from a copy of the space"
    )


def _has_contents(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
