"""`Store`: what keeps records and their vectors and searches them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any

from unisem.calibration import Calibration, QueryKind
from unisem.errors import RecordError, StoreError
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.graph import GraphStore
from unisem.stores.hits import Hit
from unisem.stores.maintenance import Maintenance
from unisem.stores.selection import EVERYTHING, Match, Selection


class Store(ABC):
    """Keeps records and their raw vectors, and searches them.

    What `add` and `delete` have acknowledged survives a crash of the process.
    """

    @abstractmethod
    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        """Insert, or replace by id, all of them or none; of one id given twice the last counts.

        Raises:
            VectorError: Another dimension, zero, not finite, misshapen; names the record.
            StoreError: The disk refused; nothing of this call is kept.
            StoreLockedError: Another process is writing.
        """

    @abstractmethod
    def delete(self, selection: Selection) -> int:
        """Remove the selected records; unknown ids are no error.

        Returns:
            How many records were removed.
        """

    @abstractmethod
    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        """Yield the selected records, oldest first; what is committed now, once."""

    @abstractmethod
    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> list[list[Hit]]:
        """Find the best records for each query vector.

        Args:
            vectors: ``(n, d)`` float32 unit rows.
            k: Hits per query; exactly ``min(k, selected records)`` come back.
            selection: Which records may be found, decided inside the search.
            match: Which of a record's vectors are compared.
            asked: What the queries are of, which tells a calibration how to compare them.

        Returns:
            For each query its hits, best first, ties by id.
        """

    def search_pages(
        self,
        vector: Vector,
        first: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> Iterator[list[Hit]]:
        """Yield all that may be found for one query vector, page by page, best first, ties by id.

        A store that can reads a page when it is asked for; here the first is all that `search`
        finds.

        Args:
            vector: ``(d,)`` float32 unit row.
            first: How many are likely to be wanted; these come as `search` gives them. Who asks
                for the page after them gets what further searches find, each four times as many.
            selection: As of `search`.
            match: Likewise.
            asked: Likewise.
        """
        count, last = first, (-float("inf"), "")
        while count:
            hits = self.search(vector[None], count, selection, match, asked)[0]
            page = [hit for hit in hits if (-hit.score, hit.record.id) > last]
            if page:
                yield page
                last = (-page[-1].score, page[-1].record.id)
            if len(hits) < count:
                return
            count *= 4

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        """Find the best records by the words of a text.

        Args:
            text: Words as a user writes them; they have no syntax.
            k: Hits at most; as many as share a word with the text, if fewer.
            selection: Which records may be found.

        Returns:
            Hits, best first, ties by id; their score is BM25, which has no upper bound.

        Raises:
            StoreError: The store cannot search by words.
        """
        raise StoreError(f"{type(self).__name__} cannot search by words; search by vector")

    @abstractmethod
    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        """The raw vectors of each id, in order, by modality; ``None`` where there is no record.

        Returns:
            ``(d,)`` float32 arrays, ``(n, d)`` where a record was given several.
        """

    @abstractmethod
    def __len__(self) -> int:
        """How many records are stored."""

    @abstractmethod
    def close(self) -> None:
        """Write derived files and let go of locks; safe to call twice."""

    @property
    def calibration(self) -> Calibration | None:
        """What makes scores of texts and pictures comparable; ``None``: they are raw cosines."""
        return None

    def calibrate(self, calibration: Calibration | None) -> None:
        """Search by a calibration from now on, or by raw cosines; searches go on meanwhile.

        Each search answers by the calibration before or by this one, never by both. Raw vectors
        stay as they are; those that are stored later are calibrated likewise.

        Raises:
            CalibrationError: It is of vectors of another dimension. The one before stays.
            EncoderMismatchError: It is of another encoder's vectors. The one before stays.
            StoreError: The store cannot calibrate, or the disk refused. The one before stays.
            StoreLockedError: Another process is writing.
        """
        raise StoreError(
            f"{type(self).__name__} cannot calibrate; keep the space in a store that can, which "
            "the embedded one is"
        )

    @property
    def graph(self) -> GraphStore:
        """What keeps entities and relations beside the records.

        Raises:
            StoreError: The store keeps none.
        """
        raise StoreError(
            f"{type(self).__name__} keeps no knowledge graph; keep the space in a store that does, "
            "which the embedded one is"
        )

    def expect(self, fingerprint: str) -> None:
        """Use a calibration of this encoder's vectors only; called once a space is open."""
        return

    def embedded(self) -> Iterator[EmbeddedRecord]:
        """Yield every record with its raw vectors, oldest first; one committed state if it can."""
        for record in self.select():
            vectors = self.vectors([record.id])[0]
            if vectors is not None:  # else it was removed meanwhile
                yield EmbeddedRecord(record, vectors)

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the metadata of records, all of them or none; vectors stay, bit for bit.

        Like any record that is replaced they are the newest then.

        Args:
            metadata: The new metadata, whole, by id.

        Raises:
            RecordError: There is no such record, or the metadata are not JSON; names it.
        """
        ids = list(metadata)
        items: list[EmbeddedRecord] = []
        for record_id, record, vectors in zip(ids, self.get(ids), self.vectors(ids), strict=True):
            if record is None or vectors is None:
                raise RecordError(f"there is no record {record_id!r}; nothing was updated")
            items.append(EmbeddedRecord(record.with_metadata(metadata[record_id]), vectors))
        self.add(items)

    def maintenance(self) -> Maintenance:
        """What looks after this store while it is open.

        Raises:
            StoreError: The store looks after itself.
        """
        raise StoreError(f"{type(self).__name__} looks after itself; there is nothing to do here")

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        for item in self.embedded():
            return int(next(iter(item.vectors.values())).shape[-1])
        return None

    def count(self, selection: Selection) -> int:
        """How many records are selected."""
        if selection.is_everything:
            return len(self)
        return sum(1 for _ in self.select(selection))

    def page(
        self, selection: Selection, after: str | None, most: int
    ) -> tuple[list[Record], str | None]:
        """The next of the selected records, in an order that does not change as others are written.

        From the first page to the last, every record that is left alone comes exactly once, and no
        id comes twice. What is added, replaced or updated meanwhile comes once or not at all, so
        that whoever updates each record of a page gets to the end.

        Args:
            selection: Which records.
            after: What the page before gave; ``None`` for the first page.
            most: How many records at most, at least 1.

        Returns:
            The records, here in the order of their ids, and where the next page begins; ``None``
            after the last.

        Raises:
            ValueError: ``after`` is nothing that a page gave.
        """
        left = (record for record in self.select(selection) if after is None or record.id > after)
        records = nsmallest(most + 1, left, key=lambda record: record.id)
        return records[:most], records[most - 1].id if len(records) > most else None

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        """Return the record of each id, in order; ``None`` where there is none."""
        found = {record.id: record for record in self.select(Selection(ids=tuple(ids)))}
        return [found.get(record_id) for record_id in ids]
