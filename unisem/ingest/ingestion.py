"""Bulk loading: from a reader into a space, surviving bad inputs and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice

from unisem.captions import keeping_caption
from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder
from unisem.errors import CorruptStoreError
from unisem.images.library import ImageLibrary
from unisem.ingest.by_hand import is_newly_noted, keeping_added, noting_file
from unisem.ingest.document_reading import DocumentReading, Present
from unisem.ingest.ingest_report import IngestReport
from unisem.ingest.intake import Intake, Offer, Prepared
from unisem.ingest.likeness import (
    content_of,
    differ,
    digest_of_record,
    whole_content_of,
)
from unisem.ingest.moves import Moves
from unisem.ingest.predecessors import Predecessors, Vectors
from unisem.ingest.pruning import Pruning
from unisem.ingest.run_progress import RunProgress
from unisem.ingest.seen_files import Seen, SeenFiles
from unisem.ingest.unsettled import arrived, in_place_of, is_unsettled, keeping_waiting
from unisem.ingest.whereabouts import Whereabouts
from unisem.ingest.word_reading import read_words, remove_orphans, retell_words
from unisem.readers.base import Reader
from unisem.readers.documents.document import Document
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.recognition.words import image_of, keeping_words, words_of
from unisem.records import Record
from unisem.stores import Store
from unisem.stores.selection import Selection

_LOOKED_UP = 32  # records that are looked for in the store at once


class Ingestion:
    """One run of a reader into a store.

    Args:
        intake: Takes the records in.
        encoder: Makes the vectors of words that are read.
        store: Keeps them.
        image_library: Says which sources exist.
        progress: Called with (inputs done, inputs in all). A document's pages count as they are
            read, and then its records, so that the sum grows while its length is not known.
        pruning: Whether the reader's records go whose files are there no more.
        seen: Knows what files looked like that need not be read again; without it all are read.
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
        pruning: Pruning = Pruning.NEVER,
        seen: SeenFiles | None = None,
        recognizer: str | TextRecognizer | None = None,
    ) -> None:
        self._intake = intake
        self._encoder = encoder
        self._store = store
        self._image_library = image_library
        self._told = progress
        self._pruning = pruning
        self._recognizer = None if recognizer is None else load_recognizer(recognizer)
        self._seen = SeenFiles() if seen is None else seen
        self._looks: dict[str, bytes] = {}  # of files whose records are on their way
        self._told_anew: list[Record] = []  # pictures whose words are stored
        self._added: set[str] = set()
        self._unchanged = 0
        self._skipped: list[Skipped] = []
        self._long_captions: list[str] = []
        self._ids: set[str] = set()
        self._here = Whereabouts(store)
        self._unsettled: set[str] = set()  # ids in whose records something waits for the end
        self._text_sources: set[str] = set()
        self._noted: set[str] = set()  # ids of which no more is new than what their files say
        self._in_flight: dict[str, Record] = {}  # as they were stored when they were offered

    def run(self, reader: Reader) -> IngestReport:
        """Read everything; see `SemanticSpace.ingest`."""
        self._progress = RunProgress(len(reader), self._told)
        self._before = Predecessors(self._store, reader)
        self._documents = DocumentReading(self._store, self._before, self._progress, self._seen)
        offers = self._offers(reader)
        taken_in = self._intake.committed(offers, self._store, settled=self._settled)
        with closing(taken_in) as batches:
            try:
                for batch in batches:
                    for item in batch:
                        self._note(item)
                    self._progress.advance(len(batch))
            finally:
                self._seen.write()
        self._progress.end()
        removed = self._documents.removed + self._remove_stale_chunks()
        gone, moves = self._look_for_gone(reader)
        here, lost = len(self._added) + self._unchanged, [it.id for it in gone]
        is_empty = not self._progress.done
        pruned, withheld = self._pruning.pruned(lost, here, reader.is_deleted, is_empty=is_empty)
        going = set(pruned)
        removable = [it for it in gone if it.image is not None and it.id in going]
        moves.settle([(it, to) for it in removable if (to := self._here.copy_of(it))])
        if pruned:
            removed += self._store.delete(Selection(ids=pruned))
        words_read = self._read_words()
        removed += remove_orphans(self._store)
        return IngestReport(
            added=len(self._added - {*moves.ids.values()}),
            unchanged=self._unchanged,
            removed=removed,
            skipped=tuple(self._skipped),
            moved=moves.ids,
            gone=tuple(lost),
            pruned=pruned,
            withheld=withheld,
            ignored=reader.ignored,
            left_out=reader.left_out,
            words_read=words_read,
            documents=self._documents.counts,
            long_captions=tuple(self._long_captions),
        )

    def _read_words(self) -> int:
        """Read the words in this run's pictures; in how many there are some."""
        retell_words(self._store, self._told_anew)
        if self._recognizer is None:
            return 0
        report = read_words(
            self._store, self._encoder, self._recognizer, among=self._ids, progress=self._told
        )
        self._skipped += report.skipped
        return report.read

    def _offers(self, reader: Reader) -> Iterator[Offer]:
        """What the reader yields, with what the store has already."""
        items = self._read(reader)
        while batch := list(islice(items, _LOOKED_UP)):
            records: list[Record] = []
            for item in batch:
                if isinstance(item, Skipped):
                    self._skipped.append(item)
                    self._progress.done += 1
                elif item.id in self._ids:
                    self._skip(item, f"another input of this run has the id {item.id!r}")
                else:
                    self._ids.add(item.id)
                    records.append(item)
            looks = [reader.look(record) for record in records]
            seen = self._seen.of([it.id for it, look in zip(records, looks, strict=True) if look])
            for record, old, look in zip(records, self._stored(records), looks, strict=True):
                if look is not None:
                    if old is not None and self._is_seen(old, look, seen.get(record.id)):
                        self._leave(old)
                        continue
                    self._looks[record.id] = look
                is_part = record.source_id in self._documents.digests
                if record.image is None and record.source_id is not None:
                    self._text_sources.add(record.source_id)
                if old is None:
                    self._here.fresh.add(record.id)
                    yield Offer(
                        record,
                        described=reader.described,
                        completed=partial(self._completed_new, is_part=is_part),
                        recall=self._before.vectors,
                        fills=True,
                    )
                elif self._is_taken(record, old):
                    self._skip(record, f"the id {record.id!r} belongs to {old.source_id}")
                else:
                    self._in_flight[record.id] = old
                    yield Offer(
                        record,
                        is_wanted=partial(differ, old),
                        described=reader.described,
                        completed=partial(self._completed, old, is_part=is_part),
                        recall=partial(self._recall, old),
                        fills=True,  # of a picture with other words, that of the words
                    )

    def _is_seen(self, old: Record, look: bytes, seen: Seen | None) -> bool:
        """Whether a file looks as it did when its record was stored, which is as it was."""
        if seen != (look, digest_of_record(old)) or old.image is None:
            return False
        return self._image_library.is_placed(old.image)

    def _leave(self, record: Record) -> None:
        """A stored record stays, as its file looks as it did."""
        self._note_place(record)
        self._unchanged += 1
        self._progress.advance(1)

    def _read(self, reader: Reader) -> Iterator[Record | Skipped]:
        """What the reader yields, documents as their records."""
        for item in reader:
            if not isinstance(item, Document):
                yield item
                continue
            for part in self._documents.of(item, reader.look(item)):
                if not isinstance(part, Present):
                    yield part
                    continue
                self._ids.update(record.id for record in part.records)
                if part.are_all:
                    for record in part.records:
                        self._note_place(record)
                    self._unchanged += len(part.records)
                    self._progress.done += 1

    def _settled(self, item: Prepared) -> Prepared:
        """What is known of an item when all that were offered before it are stored."""
        old = self._in_flight.pop(item.offer.record.id, None)
        if item.error is None and item.is_wanted:
            if old is not None and content_of(old) != content_of(item.record):
                self._before.replace(old)
            elif old is not None and is_newly_noted(old, item.record):
                self._noted.add(old.id)
            item = self._with_look(item, old)
        return self._documents.settled(item)

    def _with_look(self, item: Prepared, old: Record | None) -> Prepared:
        """How its picture looks is known of one with the same bytes, if it was not decoded."""
        image = item.record.image
        if image is None or image.look is not None or image.sha256 is None:
            return item
        look = self._before.looks.get(image.sha256)
        if look is None and old is not None and old.image is not None:
            look = old.image.look if old.image.sha256 == image.sha256 else None
        if look is None:
            return item
        return replace(item, record=item.record.with_image(replace(image, look=look)))

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
        self._note_place(item.record)
        if (look := self._looks.pop(item.record.id, None)) is not None:
            self._seen.note(item.record.id, look, digest_of_record(item.record))
        is_as_before = item.record.id in self._noted or self._documents.is_as_before(item.record)
        if item.is_wanted and not is_as_before:
            self._added.add(item.record.id)
            if _is_captioned(item.record) and not self._encoder.reads_whole(item.record.text or ""):
                self._long_captions.append(item.record.id)
            if words_of(item.record):
                self._told_anew.append(item.record)
        else:
            self._unchanged += 1

    def _note_place(self, record: Record) -> None:
        """A record is stored, now or before."""
        self._here.note(record)
        if is_unsettled(record):
            self._unsettled.add(record.id)
            self._before.recover(record)
            self._here.fresh.add(record.id)

    def _completed_new(self, new: Record, *, is_part: bool) -> Record:
        """What a file says that had no record."""
        new = new if is_part else noting_file(new)
        return arrived(new) if self._before.knows(new) else new

    def _completed(self, old: Record, new: Record, *, is_part: bool) -> Record:
        """What a file says now, with what is known of the same picture.

        With what a person has added, too, if it is of the same content; else that is kept aside.
        """
        new = new if is_part else noting_file(new)
        if content_of(old) == content_of(new):
            new = keeping_waiting(old, new if is_part else keeping_added(old, new))
        elif is_part:
            new = arrived(new)
        else:
            new = in_place_of(old, new, self._before.caption(old))
        return keeping_words(old, keeping_caption(old, new))

    def _recall(self, old: Record, record: Record) -> Vectors | None:
        """The vectors that are stored for the same text and picture, under this id or another.

        Of a picture whose words are others now, that of the picture.
        """
        if content_of(old) != content_of(record):
            return self._before.vectors(record)
        stored = self._store.vectors([old.id])[0] or {}
        if whole_content_of(old) == whole_content_of(record):
            return stored or None
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
        sources = (self._text_sources | self._documents.read) - self._documents.unread
        for source in sorted(sources):
            stored = self._store.select(Selection(source_ids=(source,)))
            stale += [it.id for it in stored if it.id not in self._ids and image_of(it) is None]
        return self._store.delete(Selection(ids=tuple(stale))) if stale else 0

    def _look_for_gone(self, reader: Reader) -> tuple[list[Record], Moves]:
        """The records without a file, and which of all have their content elsewhere now.

        A record that was removed from its place is one record, under its new id.
        """
        lost = [
            record
            for record in reader.gone(self._store.select())
            if record.id not in self._ids and image_of(record) is None  # words go with pictures
        ]
        replaced = self._before.replaced
        self._here.fresh.update(replaced)
        names = self._here.of_lost(lost, set(self._documents.digests.values()))
        gone, moved = _of_moved_folders(
            reader,
            [it for it in lost if it.id not in names],
            [(it, names[it.id]) for it in lost if it.id in names],
        )
        elsewhere = {name: to for name, old in replaced.items() if (to := self._here.of(old))}
        captions = self._before.captions
        return gone, Moves(self._store, moved, replaced, elsewhere, captions, self._unsettled)

    def _skip(self, record: Record, reason: str) -> None:
        name = record.image.name if record.image is not None else record.id
        self._skipped.append(Skipped(name, reason))
        self._progress.done += 1


def _of_moved_folders(
    reader: Reader, gone: Iterable[Record], moved: Iterable[tuple[Record, str]]
) -> tuple[list[Record], list[tuple[Record, str]]]:
    """Leave out what is of another folder, unless all of that is here, so that it was this one.

    Else its drive may only be unplugged, and this be a folder with copies.
    """
    lost = [(reader.folder_before(record), record) for record in gone]
    others = {folder for folder, _ in lost} - {None}
    return (
        [record for folder, record in lost if folder is None],
        [(it, to) for it, to in moved if reader.folder_before(it) not in others],
    )


def _is_captioned(record: Record) -> bool:
    """Whether its words are not cut to what an encoder reads, as a passage's are."""
    return record.image is not None or "caption" in record.metadata
