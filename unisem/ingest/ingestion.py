"""Bulk loading: from a reader into a space, surviving bad inputs and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from unisem.captions import keeping_caption
from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder
from unisem.errors import CorruptStoreError, DocumentError
from unisem.images.library import ImageLibrary
from unisem.ingest.document_counts import DocumentCounts
from unisem.ingest.intake import Intake, Offer, Prepared
from unisem.ingest.word_reading import read_words, remove_orphans, retell_words
from unisem.readers.base import Reader
from unisem.readers.documents.document import Document, without_end
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.recognition.words import image_of, keeping_words, words_of
from unisem.records import EmbeddedRecord, Modality, Record, Vector
from unisem.stores import Store
from unisem.stores.selection import Selection

_LOOKED_UP = 32  # records that are looked for in the store at once
_KEPT = 20_000  # vectors of documents that are read again


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a reader's records.

    Attributes:
        added: Records embedded and stored, new or replaced.
        unchanged: Records that were stored already, content and all.
        removed: Chunks that a changed source no longer has, and with ``prune`` the records in
            ``gone``.
        skipped: Inputs that gave no record, or only a part of it, with reasons.
        renamed: Records that were removed because what they hold is there under another name.
        gone: Ids of the records whose files are there no more.
        ignored: How many files there are of each kind that nothing reads, by suffix.
        left_out: How many files and folders were passed over unseen, by the pattern of their names:
            what is hidden or kept by systems and tools (``@eaDir``), and what you have excluded.
        words_read: Pictures in which words were read.
        documents: What the reader's documents have given, in this run and before.
        long_captions: Ids of what was added with a caption longer than the encoder reads: what
            stands further back is found by keyword alone.
    """

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()
    renamed: int = 0
    gone: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    words_read: int = 0
    documents: DocumentCounts = field(default_factory=DocumentCounts)
    long_captions: tuple[str, ...] = ()


class Ingestion:
    """One run of a reader into a store.

    Args:
        intake: Takes the records in.
        encoder: Makes the vectors of words that are read.
        store: Keeps them.
        image_library: Says which sources exist.
        progress: Called with (inputs done, inputs in all). A document's pages count as they are
            read, and then its records, so that the sum grows while its length is not known.
        prune: Remove the reader's records whose files are there no more; not if there is none
            at all, as where a drive is not mounted.
        recognizer: Reads the words in the reader's pictures, once they are stored.
    """

    def __init__(
        self,
        intake: Intake,
        encoder: Encoder,
        store: Store,
        image_library: ImageLibrary,
        progress: Callable[[int, int], None] | None = None,
        *,
        prune: bool = False,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        self._intake = intake
        self._encoder = encoder
        self._store = store
        self._image_library = image_library
        self._progress = progress
        self._prune = prune
        self._recognizer = None if recognizer is None else load_recognizer(recognizer)
        self._told_anew: list[Record] = []  # pictures whose words are stored
        self._done = self._total = 0
        self._added = self._removed = 0
        self._unchanged = 0
        self._skipped: list[Skipped] = []
        self._documents = DocumentCounts()
        self._long_captions: list[str] = []
        self._ids: set[str] = set()
        self._contents: set[str] = set()
        self._text_sources: set[str] = set()
        self._unread_sources: set[str] = set()  # of documents that could not be read to their end
        self._unseen_sources: set[str] = set()  # of documents with pictures to be tried again
        self._digests: dict[str, str] = {}  # of documents, by what their sources are called
        self._marked: dict[str, Record] = {}  # as they were stored before their documents are read
        self._vectors_by_content: dict[tuple[str | None, str | None], dict[Modality, Vector]] = {}

    def run(self, reader: Reader) -> IngestReport:
        """Read everything; see `SemanticSpace.ingest`."""
        self._total = len(reader)
        offers = self._offers(reader)
        taken_in = self._intake.committed(offers, self._store, settled=self._settled)
        with closing(taken_in) as batches:
            for batch in batches:
                for item in batch:
                    self._note(item)
                self._advance(len(batch))
        self._advance(max(0, self._total - self._done))
        removed = self._removed + self._remove_stale_chunks()
        gone, renamed = self._look_for_gone(reader)
        if self._prune and gone and self._done:  # a folder without any file is a lost drive
            removed += self._store.delete(Selection(ids=gone))
        words_read = self._read_words()
        removed += remove_orphans(self._store)
        return IngestReport(
            added=self._added,
            unchanged=self._unchanged,
            removed=removed,
            skipped=tuple(self._skipped),
            renamed=renamed,
            gone=gone,
            ignored=reader.ignored,
            left_out=reader.left_out,
            words_read=words_read,
            documents=self._documents,
            long_captions=tuple(self._long_captions),
        )

    def _read_words(self) -> int:
        """Read the words in this run's pictures; in how many there are some."""
        retell_words(self._store, self._told_anew)
        if self._recognizer is None:
            return 0
        report = read_words(
            self._store, self._encoder, self._recognizer, among=self._ids, progress=self._progress
        )
        self._skipped += report.skipped
        return report.read

    def _advance(self, inputs: int) -> None:
        self._done += inputs
        # A file may give several records, so that more is done than was announced.
        if self._progress is not None:
            done, total = self._done, self._total
            self._progress(min(done, total) if total else done, total)

    def _find_more(self, inputs: int) -> None:
        """Reckon with more inputs than the reader has announced, if it has announced any."""
        if self._total:
            self._total += inputs

    def _advance_by_page(self) -> None:
        self._find_more(1)
        self._advance(1)

    def _offers(self, reader: Reader) -> Iterator[Offer]:
        """What the reader yields, with what the store has already."""
        items = self._read(reader)
        while batch := list(islice(items, _LOOKED_UP)):
            records: list[Record] = []
            for item in batch:
                if isinstance(item, Skipped):
                    self._skipped.append(item)
                    self._done += 1
                elif item.id in self._ids:
                    self._skip(item, f"another input of this run has the id {item.id!r}")
                else:
                    self._ids.add(item.id)
                    records.append(item)
            for record, old in zip(records, self._stored(records), strict=True):
                if record.image is None and record.source_id is not None:
                    self._text_sources.add(record.source_id)
                if old is None:
                    yield Offer(record, described=reader.described, recall=self._recall)
                elif self._is_taken(record, old):
                    self._skip(record, f"the id {record.id!r} belongs to {old.source_id}")
                else:
                    yield Offer(
                        record,
                        is_wanted=partial(_differs, old),
                        described=reader.described,
                        completed=partial(_completed, old),
                        recall=partial(self._recall, old=old),
                        fills=True,  # of a picture with other words, that of the words
                    )

    def _read(self, reader: Reader) -> Iterator[Record | Skipped]:
        """What the reader yields, documents as their records."""
        for item in reader:
            if isinstance(item, Document):
                yield from self._document(item)
            else:
                yield item

    def _document(self, document: Document) -> Iterator[Record | Skipped]:
        """A document's records; none if all are stored, and those that are stay if it fails."""
        items: list[Record | Skipped] = []
        try:
            data = document.read()
            mark = document.mark(data)
            stored = list(self._store.select(Selection(source_ids=(document.source_id,))))
            self._digests[document.source_id] = mark["sha256"]
            if any(document.is_read(mark, _mark(record)) for record in stored):
                self._ids.update(record.id for record in stored)
                self._contents.update(map(_content, stored))
                self._unchanged += len(stored)
                self._documents += DocumentCounts.of_one(record.metadata for record in stored)
                self._done += 1
                return
            for item in document.records(data, on_page=self._advance_by_page):
                items.append(item)  # to know how many there are, before the first is embedded
            records = [item for item in items if isinstance(item, Record)]
            self._documents += DocumentCounts.of_one(record.metadata for record in records)
            self._find_more(len(items) - 1)
            ids = {record.id for record in records}
            kept: set[str] = set()
            if any(isinstance(item, Skipped) and item.again for item in items):
                kept = _of_the_same(stored, mark["sha256"]) - ids  # what an earlier try has read
            self._make_way(stored, ids | kept)
            items.sort(key=lambda item: isinstance(item, Record) and _mark(item) is not None)
            yield from items  # what says that it is all there comes last
            self._ids |= kept
            self._text_sources.add(document.source_id)
        except DocumentError as error:
            self._unread_sources.add(document.source_id)
            yield from items
            yield Skipped(str(document.source.path), str(error))

    def _make_way(self, stored: list[Record], ids: set[str]) -> None:
        """Prepare for a document's records, so that an interruption leaves none that pass for all.

        Those that are not among its ids go; that the others are all there is said of them no more.
        Their vectors are kept here, as others will be stored under their ids by the time that the
        same passage or figure is met again.
        """
        vectors = self._store.vectors([record.id for record in stored])
        if len(self._vectors_by_content) > _KEPT:
            self._vectors_by_content.clear()
        known = zip(stored, vectors, strict=True)
        self._vectors_by_content.update((_whole_content(it), rows) for it, rows in known if rows)
        marked = [
            EmbeddedRecord(replace(it, payload=_without_mark(it)), rows)
            for it, rows in zip(stored, vectors, strict=True)
            if _mark(it) is not None and rows is not None
        ]
        if marked:
            self._marked |= {it.id: it for it in stored if _mark(it) is not None}
            self._store.add(marked)
        stale = tuple(it.id for it in stored if it.id not in ids and image_of(it) is None)
        self._removed += self._store.delete(Selection(ids=stale)) if stale else 0

    def _settled(self, item: Prepared) -> Prepared:
        """Have a document not pass for read if one of its pictures is to be tried again."""
        source = item.offer.record.source_id
        if item.error is not None and item.error.again and source is not None:
            self._unseen_sources.add(source)
        if item.error is not None or source not in self._unseen_sources:
            return item
        mark = _mark(item.record)
        if not isinstance(mark, Mapping):
            return item
        payload = {**item.record.payload, "document": without_end(mark)}
        return replace(item, record=replace(item.record, payload=payload))

    def _note(self, item: Prepared) -> None:
        if item.error is not None:
            image = item.offer.record.image
            inside = image is not None and image.path is None  # which has no name of its own
            self._skipped.append(
                Skipped(item.record.id, item.error.reason, item.error.again)
                if inside
                else Skipped.of(item.error)
            )
            return
        self._contents.add(_content(item.record))
        old = self._marked.get(item.record.id)
        if item.is_wanted and not (old is not None and _differs_by_mark_only(old, item.record)):
            self._added += 1
            if _is_captioned(item.record) and not self._encoder.reads_whole(item.record.text or ""):
                self._long_captions.append(item.record.id)
            if words_of(item.record):
                self._told_anew.append(item.record)
        else:
            self._unchanged += 1

    def _recall(self, record: Record, old: Record | None = None) -> dict[Modality, Vector] | None:
        """The vectors that are stored for the same text and picture, under this id or another.

        Of a picture whose words are others now, that of the picture.
        """
        content = _whole_content(record)
        if old is not None and _whole_content(old) == content:
            return self._store.vectors([old.id])[0] or None
        if (known := self._vectors_by_content.get(content)) is not None:
            return known
        if old is None or old.image is None or content[1] is None or content[1] != old.image.sha256:
            return None
        stored = self._store.vectors([old.id])[0] or {}
        return {"image": stored["image"]} if "image" in stored else None

    def _stored(self, records: list[Record]) -> list[Record | None]:
        """What is stored under their ids; a damaged record counts as none, and so is replaced."""
        ids = [record.id for record in records]
        try:
            return self._store.get(ids)
        except CorruptStoreError:
            return [self._intact(record_id) for record_id in ids]

    def _intact(self, record_id: str) -> Record | None:
        try:
            return self._store.get([record_id])[0]
        except CorruptStoreError:
            return None

    def _is_taken(self, record: Record, old: Record) -> bool:
        """Whether the stored record comes from another file that still exists."""
        return (
            old.source_id is not None
            and old.source_id != record.source_id
            and self._image_library.exists(old.source_id)
        )

    def _remove_stale_chunks(self) -> int:
        stale: list[str] = []
        for source in sorted(self._text_sources - self._unread_sources):
            stored = self._store.select(Selection(source_ids=(source,)))
            stale += [it.id for it in stored if it.id not in self._ids and image_of(it) is None]
        return self._store.delete(Selection(ids=tuple(stale))) if stale else 0

    def _look_for_gone(self, reader: Reader) -> tuple[tuple[str, ...], int]:
        """The ids of records without a file; and how many of them are here by another name.

        The latter are removed: a picture that was renamed is one record, under its new name.
        """
        gone: list[str] = []
        renamed: list[str] = []
        records = list(reader.gone(self._store.select()))
        marks = {record.source_id: _mark(record) for record in records if _mark(record)}
        digests = set(self._digests.values())
        for record in records:
            if record.id not in self._ids and image_of(record) is None:  # words go with pictures
                mark = marks.get(record.source_id)
                if isinstance(mark, Mapping):  # a passage may stand in several documents
                    is_here = mark.get("sha256") in digests
                else:
                    is_here = _content(record) in self._contents
                (renamed if is_here else gone).append(record.id)
        if renamed:
            self._store.delete(Selection(ids=tuple(renamed)))
        return tuple(gone), len(renamed)

    def _skip(self, record: Record, reason: str) -> None:
        name = record.image.name if record.image is not None else record.id
        self._skipped.append(Skipped(name, reason))
        self._done += 1


def _is_captioned(record: Record) -> bool:
    """Whether its words are not cut to what an encoder reads, as a passage's are."""
    return record.image is not None or "caption" in record.metadata


def _content(record: Record) -> str:
    """What a record is recognised by when its file has another name."""
    if record.image is None:
        return f"text {record.text}"
    return f"image {record.image.sha256}"


def _whole_content(record: Record) -> tuple[str | None, str | None]:
    """What a record's vectors are made of."""
    return record.text, None if record.image is None else record.image.sha256


def _mark(record: Record) -> object:
    """What one record of a document says of it."""
    return record.payload.get("document")


def _of_the_same(records: list[Record], digest: str) -> set[str]:
    """The ids of a document's records, if they are of the bytes with this digest."""
    marks = (_mark(record) for record in records)
    if any(isinstance(mark, Mapping) and mark.get("sha256") == digest for mark in marks):
        return {record.id for record in records}
    return set()


def _without_mark(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.payload.items() if key != "document"}


def _differs_by_mark_only(old: Record, new: Record) -> bool:
    bare = (replace(record, payload=_without_mark(record)) for record in (old, new))
    return not _differs(*bare)


def _completed(old: Record, new: Record) -> Record:
    """What a file says now, with what is known of the same picture."""
    return keeping_words(old, keeping_caption(old, new))


def _differs(old: Record, new: Record) -> bool:
    is_near = old.image is None or old.image.elsewhere is None
    return _essence(new, is_near) != _essence(old, is_near)


def _essence(record: Record, is_near: bool) -> tuple[object, ...]:
    """A record's parts in a form that storing it does not change.

    Args:
        record: The record.
        is_near: Whether the store keeps where its picture lies; one elsewhere keeps the picture.
    """
    image = record.image
    return (
        record.id,
        record.text,
        None if image is None else (image.sha256, image.path if is_near else None),
        record.source_id,
        _plain(record.metadata),
        _plain(record.links),
        _plain(record.payload),
    )


def _plain(value: object) -> object:
    """JSON turns tuples into lists on the way in."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
