"""`DocumentReading`: a run's documents as records, resumable within each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.ingest.document_counts import DocumentCounts
from unisem.ingest.intake import Prepared
from unisem.ingest.likeness import (
    differ_by_mark_only,
    digest_of_document,
    mark_of,
    without_mark,
)
from unisem.ingest.predecessors import Predecessors
from unisem.ingest.run_progress import RunProgress
from unisem.ingest.seen_files import SeenFiles
from unisem.readers.documents.document import Document, without_end
from unisem.recognition.words import image_of
from unisem.records import EmbeddedRecord, Record
from unisem.stores import Store
from unisem.stores.selection import Selection


@dataclass(frozen=True, slots=True)
class Present:
    """Records that are stored and stay.

    Attributes:
        records: They.
        are_all: Whether they are all of an unchanged document.
    """

    records: list[Record]
    are_all: bool


class DocumentReading:
    """Reads documents, and knows what of them is stored.

    Args:
        store: Keeps their records.
        before: Is given the vectors of what is about to be replaced.
        seen: Knows what documents looked like.
        progress: Is told of pages, and of records that nobody could announce.

    Attributes:
        counts: What the documents have given, in this run and before.
        digests: Of the documents, by what their sources are called.
        read: The sources that were read.
        unread: The sources that could not be read to their end.
        removed: Records that a changed document has no more.
    """

    def __init__(
        self, store: Store, before: Predecessors, progress: RunProgress, seen: SeenFiles
    ) -> None:
        self._seen = seen
        self._store = store
        self._before = before
        self._progress = progress
        self.counts = DocumentCounts()
        self.digests: dict[str, str] = {}
        self.read: set[str] = set()
        self.unread: set[str] = set()
        self.removed = 0
        self._unseen: set[str] = set()  # of documents with pictures to be tried again
        self._marked: dict[str, Record] = {}  # as they were stored before their documents are read

    def of(
        self, document: Document, look: bytes | None = None
    ) -> Iterator[Record | Skipped | Present]:
        """A document's records; none if all are stored, and those that are stay if it fails.

        Args:
            document: The document.
            look: What it looks like; if that is what it was, it is not read.
        """
        items: list[Record | Skipped] = []
        try:
            stored = list(self._store.select(Selection(source_ids=(document.source_id,))))
            if look is not None and (known := self._unread(document, look, stored)):
                yield Present(stored, are_all=True)
                self.digests[document.source_id] = known
                self.counts += DocumentCounts.of_one(record.metadata for record in stored)
                return
            data = document.read()
            mark = document.mark(data)
            self.digests[document.source_id] = mark["sha256"]
            if look is not None:
                self._seen.note(_key(document), look, bytes.fromhex(mark["sha256"])[:16])
            if any(document.is_read(mark, mark_of(record)) for record in stored):
                self.counts += DocumentCounts.of_one(record.metadata for record in stored)
                yield Present(stored, are_all=True)
                return
            for item in document.records(data, on_page=self._progress.advance_by_page):
                items.append(item)  # to know how many there are, before the first is embedded
            records = [item for item in items if isinstance(item, Record)]
            self.counts += DocumentCounts.of_one(record.metadata for record in records)
            self._progress.find_more(len(items) - 1)
            ids = {record.id for record in records}
            kept: list[Record] = []
            if any(isinstance(item, Skipped) and item.again for item in items):
                # What an earlier try has read.
                kept = [it for it in _of_the_same(stored, mark["sha256"]) if it.id not in ids]
            self._make_way(stored, ids | {it.id for it in kept})
            items.sort(key=lambda item: isinstance(item, Record) and mark_of(item) is not None)
            yield from items  # what says that it is all there comes last
            yield Present(kept, are_all=False)
            self.read.add(document.source_id)
        except DocumentError as error:
            self.unread.add(document.source_id)
            yield from items
            yield Skipped(str(document.source.path), str(error))

    def _unread(self, document: Document, look: bytes, stored: list[Record]) -> str | None:
        """The digest of a document that looks as it did when all that is stored was read."""
        known = self._seen.of([_key(document)]).get(_key(document))
        for record in stored if known is not None and known[0] == look else ():
            digest = digest_of_document(record)
            is_same = digest is not None and digest[:32] == known[1].hex() if known else False
            if digest and is_same and document.is_read(document.mark_of(digest), mark_of(record)):
                return digest
        return None

    def settled(self, item: Prepared) -> Prepared:
        """Have a document not pass for read if one of its pictures is to be tried again."""
        source = item.offer.record.source_id
        if item.error is not None and item.error.again and source is not None:
            self._unseen.add(source)
        if item.error is not None or source not in self._unseen:
            return item
        mark = mark_of(item.record)
        if not isinstance(mark, Mapping):
            return item
        payload = {**item.record.payload, "document": without_end(mark)}
        return replace(item, record=replace(item.record, payload=payload))

    def is_as_before(self, record: Record) -> bool:
        """Whether a record was stored before its document was read again, all but the mark."""
        old = self._marked.get(record.id)
        return old is not None and differ_by_mark_only(old, record)

    def _make_way(self, stored: list[Record], ids: set[str]) -> None:
        """Prepare for a document's records, so that an interruption leaves none that pass for all.

        Those that are not among its ids go; that the others are all there is said of them no more.
        Their vectors are kept here, as others will be stored under their ids by the time that the
        same passage or figure is met again.
        """
        vectors = self._store.vectors([record.id for record in stored])
        known = [(it, rows) for it, rows in zip(stored, vectors, strict=True) if rows]
        self._before.remember(known)
        marked = [
            EmbeddedRecord(replace(it, payload=without_mark(it)), rows)
            for it, rows in known
            if mark_of(it) is not None
        ]
        if marked:
            self._marked |= {it.id: it for it in stored if mark_of(it) is not None}
            self._store.add(marked)
        stale = tuple(it.id for it in stored if it.id not in ids and image_of(it) is None)
        self.removed += self._store.delete(Selection(ids=stale)) if stale else 0


def _key(document: Document) -> str:
    """What a document is called among files that were seen; no record is called so."""
    return f"{document.name}\0"


def _of_the_same(records: list[Record], digest: str) -> list[Record]:
    """A document's records, if they are of the bytes with this digest."""
    marks = (mark_of(record) for record in records)
    if any(isinstance(mark, Mapping) and mark.get("sha256") == digest for mark in marks):
        return records
    return []
