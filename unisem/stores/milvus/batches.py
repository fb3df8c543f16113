"""`Batches`: many rows are written all or none, by a store that has no transactions.

Milvus promises that a row is written whole, and that what it has acknowledged stays. A batch of
records is written so:

1. a marker, ``writing``: rows of this batch are not to be seen,
2. the records' vectors, then the records; meanwhile the marker is renewed every minute,
3. the marker becomes ``done``, which is one row and the moment at which the batch counts,
4. of each of its records the older rows are deleted, then the marker. Those may be of this batch,
   where two writers replace one record at once and the other one's is newer.

A reader learns of all markers before the rows that it reads and once more after them. It sees the
batches that were ``done`` before, without what they have replaced, and no rows of others that are
in either reading. A vector is worth nothing
without its record. Whoever writes next finishes what is ``done``, and takes back what has been
``writing`` for so long that its writer must have died.

A writer that was taken for dead and is not must learn of it. So whoever takes a batch back writes
a warning first, a row of its own, and then looks whether the batch is ``done`` by now; the writer
writes ``done`` first, and then looks for a warning, and for its records. One of the two sees the
other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from unisem.errors import StoreError
from unisem.stores.milvus.facts import EVERY
from unisem.stores.milvus.rows import BATCH, own_row, pks_of
from unisem.stores.milvus.server import Row, Server, parts_of

RECORDS = '(role == "record")'
HEAD = ("pk", "key", "role", "pieces", "texts", "images")
WHOLE = (*HEAD, "body")
_MARKERS = '(role == "batch")'
_WRITING, _DONE = "writing", "done"
_DEAD = 15 * 60  # seconds; no request takes longer than one minute
_RENEWED = 60.0  # seconds after which a writer that is still there says so
_WARNING = "~dead"  # behind the batch; after all that is of its records
_TRIES = 3
_TOOK = "another writer took this one for dead"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a reader knows before it reads.

    Attributes:
        markers: The state of each unfinished batch.
        done: Those that count.
        old: Primary keys of what these have replaced.
    """

    markers: dict[str, str]
    done: frozenset[str]
    old: frozenset[str]


class Batches:
    """The rows of a space's records, as they count.

    Args:
        server: Where they are.
        collection: Of the records.
    """

    def __init__(self, server: Server, collection: str) -> None:
        self._server = server
        self._collection = collection
        self._writer = secrets.token_hex(4)
        self._last = 0

    def now(self, after: str = "") -> str:
        """A batch that is newer than all of this writer, and than the one of a primary key."""
        moment = time.time_ns() // 1000
        if after:
            moment = max(moment, int(after[:14], 16) + 1)
        self._last = max(moment, self._last + 1)
        return f"{self._last:014x}{self._writer}"

    # -- reading -------------------------------------------------------------------------------

    def of_keys(self, keys: Sequence[str], fields: Sequence[str] = HEAD) -> dict[str, Row]:
        """The first rows of records, by key."""
        if not keys:
            return {}
        newest: dict[str, Row] = {}
        for _ in range(_TRIES):
            seen = self._seen()
            found = list(self._server.among(self._collection, "key", keys, fields, RECORDS))
            after = self._markers()
            newest = {row["key"]: row for row in _counting(found, seen, after)}
            unsure = {row["pk"][:BATCH] for row in found if row["key"] not in newest}
            if all(
                _is_writing(seen.markers.get(it)) and _is_writing(after.get(it)) for it in unsure
            ):
                break  # else one has just been replaced
        return newest

    def pages(self, expression: str, fields: Sequence[str] = HEAD) -> Iterator[list[Row]]:
        """The first rows of the records that an expression holds for, oldest first."""
        chosen = f"{RECORDS} and {expression}" if expression else RECORDS
        seen = self._seen()
        for page in self._server.pages(self._collection, chosen, fields):
            if rows := _counting(page, seen, self._markers()):
                yield rows

    def count(self) -> int:
        """How many records there are."""
        if not self._markers():
            count = self._server.count(self._collection, RECORDS)
            if not self._markers():
                return count
        return sum(map(len, self.pages("")))

    def unfinished(self) -> int:
        """How many batches have markers."""
        return len(self._markers())

    def _seen(self) -> _Seen:
        markers = self._markers()
        done = [batch for batch, state in markers.items() if state == _DONE]
        old = {row["pk"] for batch in done for row in self._replaced_by(batch)}
        return _Seen(markers, frozenset(done), frozenset(old))

    def _markers(self) -> dict[str, str]:
        found = self._server.rows(self._collection, _MARKERS, ("pk", "body"))
        return {row["pk"]: row["body"] for row in found}

    # -- writing -------------------------------------------------------------------------------

    def write(
        self,
        batch: str,
        rows: Sequence[Row],
        vectors: dict[str, Sequence[Row]],
    ) -> None:
        """Write a batch, see above.

        Args:
            batch: From `now`.
            rows: Of the records.
            vectors: Of their vectors, by collection.

        Raises:
            StoreError: It is not written; or, as the error then says, it may have been.
        """
        server, collection = self._server, self._collection
        server.insert(collection, [own_row(batch, "batch", _WRITING)])
        try:
            renewed = time.monotonic()
            for name, given in (*vectors.items(), (collection, rows)):
                for part in parts_of(given):
                    server.insert(name, part)
                    renewed = self._renew(batch, renewed)
            self._check_alive(batch)
        except BaseException:
            with suppress(StoreError):  # whoever writes later does it
                self._take_back(batch, list(vectors))
            raise
        try:  # from here on it may count, whatever is said, and others may have built on it
            server.insert(collection, [own_row(batch, "batch", _DONE)], replace=True)
            self._check_there(batch, rows)
        except StoreError as error:
            raise StoreError(
                f"{error}; the records may have been stored: look before you add them again"
            ) from error
        with suppress(StoreError):  # whoever writes later does it
            self._clear(batch, list(vectors))

    def _renew(self, batch: str, since: float) -> float:
        """Say that the writer is still there, unless it has just done so; when it did."""
        if time.monotonic() - since < _RENEWED:
            return since
        self._check_alive(batch)
        state = f"{_WRITING} {time.time():.0f}"
        self._server.insert(self._collection, [own_row(batch, "batch", state)], replace=True)
        return time.monotonic()

    def _check_alive(self, batch: str) -> None:
        if not _is_writing(self._markers().get(batch)) or self._is_warned(batch):
            raise StoreError(f"{_TOOK}; add the records again")

    def _check_there(self, batch: str, rows: Sequence[Row]) -> None:
        """Make sure that nobody has taken back a batch that is done; first of all the warning."""
        own = f'pk > "{batch}" and pk < "{batch}~"'
        if self._is_warned(batch):
            raise StoreError(_TOOK)
        if self._server.count(self._collection, own) != len(rows):
            newest = self.of_keys([row["key"] for row in rows])  # or newer ones have replaced them
            if any(row["key"] not in newest or newest[row["key"]]["pk"] < batch for row in rows):
                raise StoreError(_TOOK)

    def _is_warned(self, batch: str) -> bool:
        return bool(self._server.rows(self._collection, f'pk == "{batch}{_WARNING}"', ("pk",)))

    def delete(self, heads: Sequence[Row], vectors: Sequence[str]) -> None:
        """Delete records, given by their first rows: those first, as a vector alone is nothing."""
        self._remove_records(heads)
        self._remove_vectors(heads, vectors)

    def _clear(self, batch: str, vectors: Sequence[str]) -> None:
        """Delete what a batch has replaced; vectors first, as they are known by the records."""
        old = self._replaced_by(batch)
        self._remove_vectors(old, vectors)
        self._remove_records(old)
        self._server.remove(self._collection, [batch])

    def _remove_records(self, heads: Sequence[Row]) -> None:
        self._server.remove(self._collection, pks_of(heads)[0])

    def _remove_vectors(self, heads: Sequence[Row], vectors: Sequence[str]) -> None:
        for name in vectors:
            self._server.remove(name, pks_of(heads)[1])

    def without_record(self, collection: str) -> Iterator[list[str]]:
        """Primary keys of vectors whose record is gone, as a deletion leaves them that dies."""
        for page in self._server.pages(collection, EVERY, ("pk", "key", "record")):
            heads = self.of_keys(list({row["key"] for row in page}))
            there, markers = {row["pk"] for row in heads.values()}, self._markers()
            yield [
                row["pk"]
                for row in page
                if row["record"] not in there and row["pk"][:BATCH] not in markers
            ]

    def finish(self, vectors: Sequence[str], dead: float = _DEAD) -> int:
        """Finish what other writers have begun, who must have died; how many batches."""
        finished = 0
        for batch, state in self._markers().items():
            if state == _DONE:
                self._clear(batch, vectors)
            elif _age(batch, state) < dead or not self._warned(batch, dead):
                continue
            else:
                self._take_back(batch, vectors)
            finished += 1
        return finished

    def _warned(self, batch: str, dead: float) -> bool:
        """Warn the writer of a batch; whether it may be taken back then."""
        warning = own_row(f"{batch}{_WARNING}", "warning")
        self._server.insert(self._collection, [warning], replace=True)
        state = self._markers().get(batch, _WRITING)
        return state != _DONE and _age(batch, state) >= dead

    def _replaced_by(self, batch: str) -> list[Row]:
        """The first rows that count no more since a batch does: of each key all but the newest."""
        own = f'{RECORDS} and pk >= "{batch}" and pk < "{batch}~"'
        with self._server.strongly():
            pages = self._server.pages(self._collection, own, ("pk", "key"))
            keys = [row["key"] for page in pages for row in page]
            rows = list(self._server.among(self._collection, "key", keys, HEAD, RECORDS))
            markers = self._markers()
        found = [
            row
            for row in sorted(rows, key=lambda row: row["pk"])
            if not _is_writing(markers.get(row["pk"][:BATCH]))
        ]
        newest = {row["key"]: row["pk"] for row in found}
        return [row for row in found if row["pk"] != newest[row["key"]]]

    def _take_back(self, batch: str, vectors: Sequence[str]) -> None:
        """Delete what there is of a batch, its marker and the warning last."""
        own = f'pk > "{batch}" and pk < "{batch}~"'
        for name in (self._collection, *vectors):
            for page in self._server.pages(name, own, ("pk",)):
                self._server.remove(name, [row["pk"] for row in page])
        self._server.remove(self._collection, [batch, f"{batch}{_WARNING}"])


def _counting(rows: Sequence[Row], seen: _Seen, after: dict[str, str]) -> list[Row]:
    """Of rows those that count, oldest first, and of each key the newest."""
    hidden = (seen.markers.keys() | after.keys()) - seen.done
    newest = {
        row["key"]: row
        for row in sorted(rows, key=lambda row: row["pk"])
        if row["pk"][:BATCH] not in hidden and row["pk"] not in seen.old
    }
    return sorted(newest.values(), key=lambda row: row["pk"])


def _is_writing(state: str | None) -> bool:
    return state is not None and state.startswith(_WRITING)


def _age(batch: str, state: str) -> float:
    """For how long nothing has been heard of who writes a batch, in seconds."""
    said = state.removeprefix(_WRITING)
    return time.time() - (float(said) if said else int(batch[:14], 16) / 1e6)
