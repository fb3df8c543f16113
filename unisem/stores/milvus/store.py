"""`MilvusStore`: a space in Milvus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from unisem.calibration import Calibration, QueryKind
from unisem.errors import CorruptStoreError, StoreError
from unisem.images.library import ImageLibrary
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.base import Store
from unisem.stores.hits import Hit
from unisem.stores.maintenance import Statistics
from unisem.stores.milvus.batches import WHOLE, Batches
from unisem.stores.milvus.facts import is_of_modality
from unisem.stores.milvus.finding import Finding
from unisem.stores.milvus.rows import counts_of, key_of, record_of, rows_of, vectors_of
from unisem.stores.milvus.selecting import Chosen, chosen
from unisem.stores.milvus.server import Row
from unisem.stores.milvus.space import INDEXES, Space
from unisem.stores.milvus.words import asked_words
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit, check_dimension, query_rows

if TYPE_CHECKING:
    from unisem.stores.milvus.maintenance import MilvusMaintenance

_IMAGES = f'(role == "record") and {is_of_modality("image")}'
_VECTORS = 2_048  # that are read at once; 16 MiB of 2,048 dimensions
_CURSOR = re.compile(r"([0-9a-f]{28})\.([0-9a-f]{22})")


class MilvusStore(Store):
    """Records and vectors in Milvus; see ``docs/guides/milvus.md``.

    Any number of processes may read and write. Threads share a store; a process that was forked
    must open its own.

    Args:
        space: A connection, and where the space's collections are.
        image_library: Where the records' pictures lie.
        dimension: Says how long vectors must be while the store is empty; any length, if ``None``.
        index: Kind of index of collections that are made.
        effort: See `MilvusKind`.

    Raises:
        StoreError: There is no such index.
    """

    def __init__(
        self,
        space: Space,
        image_library: ImageLibrary,
        *,
        dimension: Callable[[], int] | None = None,
        index: str = "flat",
        effort: int = 128,
    ) -> None:
        if index not in INDEXES:
            space.close()
            raise StoreError(f"Milvus has no index {index!r}, but {', '.join(INDEXES)}")
        self._space = space
        self._images = image_library
        self._first_dimension = dimension
        self._index = index
        self._batches = Batches(space.server, space.records)
        self._finding = Finding(space, self._batches, index, effort, self._records)
        self._writing = RLock()

    # -- writing -------------------------------------------------------------------------------

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        if not items:
            self._space.server.check_open()
            return
        with self._writing, self._space.server.strongly():
            self._prepare()
            is_empty = self._space.dimension is None or not len(self)
            if not is_empty:
                expected = self._space.dimension
            else:
                expected = self._first_dimension and self._first_dimension()
            items = _newest(admit(items, expected))
            dimension = int(next(iter(items[0].vectors.values())).shape[-1])
            if is_empty and self._space.dimension != dimension:
                self._space.start(dimension, self._index)
            old = self._batches.of_keys([key_of(item.record.id) for item in items])
            batch = self._batches.now(after=max((row["pk"] for row in old.values()), default=""))
            rows: list[Row] = []
            vectors: list[Row] = []
            for place, item in enumerate(items):
                of_record, of_vectors = rows_of(batch, place, item, self._images)
                rows += of_record
                vectors += of_vectors
            self._batches.write(batch, rows, self._space.versions(vectors))
            if any("both" in item.vectors for item in items):
                self._space.note_fused()
            self._images.settle(item.record.image for item in items)

    def delete(self, selection: Selection) -> int:
        with self._writing, self._space.server.strongly():
            self._prepare()
            count = 0
            for page in self._heads(chosen(selection, self._narrow)):
                self._batches.delete(page, self._space.searched)
                count += len(page)
            return count

    def _prepare(self) -> None:
        self._space.server.check_open()
        self._space.forget()
        self._space.make()
        self._batches.finish(self._space.searched)

    # -- reading -------------------------------------------------------------------------------

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        for page in self._pages(chosen(selection, self._narrow)):
            yield from (record for _, record in page)

    def page(
        self, selection: Selection, after: str | None, most: int
    ) -> tuple[list[Record], str | None]:
        """As `Store.page`, oldest first; what is written after the first page is left out."""
        last, until = ("", self._batches.now()) if after is None else _cursor(after)
        picked = chosen(selection, self._narrow).also(f'pk > "{last}" and pk < "{until}"')
        found: list[tuple[Row, Record]] = []
        for page in self._pages(picked):
            found += page
            if len(found) > most:
                break
        following = f"{found[most - 1][0]['pk']}.{until}" if len(found) > most else None
        return [record for _, record in found[:most]], following

    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        self._space.server.check_open()
        if self._space.dimension is None:
            return [None for _ in ids]
        keys = [key_of(record_id) for record_id in ids]
        heads = self._batches.of_keys(list(dict.fromkeys(keys)))
        found = self._vectors_of(list(heads.values()))
        return [found.get(heads[key]["pk"]) if key in heads else None for key in keys]

    def embedded(self) -> Iterator[EmbeddedRecord]:
        for page in self._pages(chosen(EVERYTHING, self._narrow)):
            found = self._vectors_of([row for row, _ in page])
            for row, record in page:
                if row["pk"] in found:  # else it was removed meanwhile
                    yield EmbeddedRecord(record, found[row["pk"]])

    def _vectors_of(self, heads: Sequence[Row]) -> dict[str, dict[VectorKind, Vector]]:
        fields = ("pk", "record", "kind", "vector")
        space = self._space
        found: list[Row] = []
        for part in _parts(heads):
            found += space.server.among(space.vectors, "record", part, fields)
        return vectors_of(found)

    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> list[list[Hit]]:
        self._space.server.check_open()
        queries = query_rows(vectors)
        if queries.shape[1] != self._space.dimension:
            self._space.forget()  # somebody may have begun it anew
        dimension = self._space.dimension
        if dimension is None or k <= 0 or not len(queries):
            return [[] for _ in queries]
        check_dimension(queries, "query vectors", dimension)
        picked = chosen(selection, self._narrow)
        if picked.is_nothing:
            return [[] for _ in queries]
        return self._finding.by_vector(queries, k, picked, match, asked)

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        self._space.server.check_open()
        picked = chosen(selection, self._narrow)
        words = asked_words(text)
        if not words or not self._space.exists or k <= 0 or picked.is_nothing:
            return []
        return self._finding.by_words(words, k, picked)

    def __len__(self) -> int:
        return self._batches.count() if self._space.exists else 0

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        return self._space.dimension if len(self) else None

    def count(self, selection: Selection) -> int:
        if selection.is_everything:
            return len(self)
        return sum(map(len, self._heads(chosen(selection, self._narrow))))

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        self._space.server.check_open()
        if not self._space.exists:
            return [None for _ in ids]
        keys = [key_of(record_id) for record_id in ids]
        rows = self._batches.of_keys(list(dict.fromkeys(keys)), WHOLE)
        records = dict(zip(rows, self._records(list(rows.values())), strict=True))
        return [records.get(key) for key in keys]

    # -- calibration ---------------------------------------------------------------------------

    @property
    def calibration(self) -> Calibration | None:
        found = self._space.calibrated(fresh=True)
        return None if found is None else found.calibration

    def expect(self, fingerprint: str) -> None:
        self._space.calibration.expect(fingerprint)

    def calibrate(self, calibration: Calibration | None) -> None:
        with self._writing, self._space.server.strongly():
            self._prepare()
            self._space.calibrate(calibration, self._index, self._batches.now())

    # -- the rest ------------------------------------------------------------------------------

    def maintenance(self) -> MilvusMaintenance:
        from contextlib import nullcontext

        from unisem.stores.milvus.maintenance import MilvusMaintenance

        return MilvusMaintenance(self._space.address.uri, lambda: nullcontext(self))

    @property
    def exists(self) -> bool:
        """Whether there is such a space."""
        return self._space.exists

    def statistics(self) -> Statistics:
        """Counts, for `MilvusMaintenance`."""
        pages = list(self._batches.pages(""))
        images = sum(self._space.server.count(self._space.records, _IMAGES) for _ in pages[:1])
        rows = [row for page in pages for row in page]
        counted = [counts_of(row) for row in rows]
        vectors: dict[str, int] = {
            kind: count
            for kind in VECTOR_KINDS
            if (count := sum(one[kind] for one in counted)) or kind != "both"
        }
        records = {"text": len(rows) - images, "image": images}
        return Statistics(records, vectors, self.dimension, None)

    def salvaged(self) -> Iterator[EmbeddedRecord | CorruptStoreError]:
        """Every record, or why it cannot be read; without vectors if it lacks one of them."""
        for page in self._batches.pages("", WHOLE):
            found = self._vectors_of(page)
            for row in page:
                given = found.get(row["pk"], {})
                counts = {kind: len(np.atleast_2d(rows)) for kind, rows in given.items()}
                is_whole = all(counts.get(it, 0) == count for it, count in counts_of(row).items())
                try:
                    record = self._records([row])[0]
                except CorruptStoreError as error:
                    yield error
                    continue
                yield EmbeddedRecord(record, given if is_whole else {})

    def unfinished(self) -> int:
        """How many writes have not come to their end."""
        return self._batches.unfinished()

    def tidy(self) -> int:
        """Take back what dead writers have left; how many writes, and vectors without a record."""
        with self._writing, self._space.server.strongly():
            searched = self._space.searched
            count = self._batches.finish(searched)
            for name in searched:
                for page in self._batches.without_record(name):
                    self._space.server.remove(name, page)
                    count += len(page)
            return count

    def close(self) -> None:
        self._space.close()

    def _pages(self, picked: Chosen) -> Iterator[list[tuple[Row, Record]]]:
        """The chosen records with their first rows, oldest first."""
        self._space.server.check_open()
        if not self._space.exists or picked.is_nothing:
            return
        for page in self._batches.pages(picked.expression, WHOLE):
            pairs = zip(page, self._records(page), strict=True)
            if kept := [(row, record) for row, record in pairs if picked.holds(record)]:
                yield kept

    def _heads(self, picked: Chosen) -> Iterator[list[Row]]:
        """The first rows of the chosen records; without what they say, if it is not looked at."""
        if picked.filter is not None:
            yield from ([row for row, _ in page] for page in self._pages(picked))
        elif self._space.exists and not picked.is_nothing:
            yield from self._batches.pages(picked.expression)

    def _records(self, rows: Sequence[Row]) -> list[Record]:
        """The records that begin with these rows."""
        wanted = [f"{row['pk']}+{n:05x}" for row in rows for n in range(1, row["pieces"])]
        space = self._space
        pieces = {
            row["pk"]: row["body"]
            for row in space.server.among(space.records, "pk", wanted, ("pk", "body"))
        }
        found = []
        for row in rows:
            rest = (pieces.get(f"{row['pk']}+{n:05x}", "") for n in range(1, row["pieces"]))
            body = row["body"] + "".join(rest)
            found.append(record_of(body, self._images, space.address.uri))
        return found

    def _narrow(self, expression: str, holds: Callable[[Record], bool]) -> list[str]:
        """Keys of records, of those that an expression holds for, that a condition holds for."""
        if not self._space.exists:
            return []
        return [
            row["key"]
            for page in self._batches.pages(expression, WHOLE)
            for row, record in zip(page, self._records(page), strict=True)
            if holds(record)
        ]


def _newest(items: Sequence[EmbeddedRecord]) -> list[EmbeddedRecord]:
    """Of each id the last one, where that stands."""
    newest: dict[str, EmbeddedRecord] = {}
    for item in items:
        newest.pop(item.record.id, None)
        newest[item.record.id] = item
    return list(newest.values())


def _parts(heads: Sequence[Row]) -> Iterator[list[str]]:
    """The primary keys of records, in parts whose vectors fit into one answer of a server."""
    part: list[str] = []
    count = 0
    for row in heads:
        vectors = sum(counts_of(row).values())
        if part and count + vectors > _VECTORS:
            yield part
            part, count = [], 0
        part.append(row["pk"])
        count += vectors
    if part:
        yield part


def _cursor(text: str) -> tuple[str, str]:
    """The last record of the page before, and the batch before which the first page was read."""
    if (parts := _CURSOR.fullmatch(text)) is None or parts[1] >= parts[2]:
        raise ValueError(f"{text!r} is no cursor; begin without one")
    return parts[1], parts[2]
