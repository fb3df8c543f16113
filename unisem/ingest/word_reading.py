"""Reading the words in pictures: those of a space, and those that a loader is about to give away.

Every picture is read once by a recogniser, also if it has no words, and stored with its words in
one transaction, so that an interruption costs the picture that is being read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder, rows_of
from unisem.errors import CorruptStoreError, ImageError, RecognizerError
from unisem.filters import Field, Filter
from unisem.readers.chunks import PassageLimit, ReadsWhole, everything
from unisem.readers.documents.recognized_lines import reading_lines
from unisem.recognition import TextRecognizer, load_recognizer
from unisem.recognition.recognizer_run import RecognizerRun
from unisem.recognition.words import (
    RECOGNIZED,
    belong,
    image_of,
    is_read_by,
    metadata_of_words,
    with_words,
    words_of,
)
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.stores import Store
from unisem.stores.selection import Selection

_AT_ONCE = 500  # records that are looked up at once


@dataclass(frozen=True, slots=True)
class WordReport:
    """What became of the pictures whose words were to be read.

    Attributes:
        read: Pictures in which words were read.
        wordless: Pictures that were read and have none.
        skipped: Pictures that could not be read, with reasons.
    """

    read: int = 0
    wordless: int = 0
    skipped: tuple[Skipped, ...] = ()


class WordReading:
    """Reads pictures with one recogniser.

    Args:
        recognizer: Reads; a name as of `load_recognizer`, or your own.
        reads_whole: The `Encoder.reads_whole` of the encoder that is to read the words.

    Attributes:
        skipped: Pictures that could not be read so far, with reasons.
    """

    def __init__(
        self, recognizer: str | TextRecognizer, reads_whole: ReadsWhole = everything
    ) -> None:
        self._run = RecognizerRun(load_recognizer(recognizer))
        self._limit = PassageLimit(reads_whole=reads_whole)
        self.skipped: list[Skipped] = []

    def wants(self, record: Record) -> bool:
        """Whether a record's picture is to be read, and has not been.

        A page's is not: its words are read with the document.
        """
        return (
            record.image is not None
            and record.metadata.get("kind") not in ("page", "table")
            and not is_read_by(record, self._run.recognizer.fingerprint)
        )

    def of(self, record: Record) -> tuple[Record, list[Record]] | None:
        """A picture that has been read, and its words; ``None`` if it cannot be, which is noted.

        Raises:
            RecognizerError: The recogniser has failed on 16 pictures running.
        """
        assert record.image is not None
        try:
            lines = self._run.read(record.image)
        except ImageError as error:
            reason = f"has no words read: {error.reason}"
            self.skipped.append(Skipped(record.image.name, reason, error.again))
            return None
        if isinstance(lines, RecognizerError):
            reason = f"has no words read: {lines}"
            self.skipped.append(Skipped(record.image.name, reason, again=True))
            return None
        text = "\n".join(line.text for line in reading_lines(lines))
        return with_words(record, self._limit.cut_lines(text), self._run.recognizer.fingerprint)

    def among(self, items: Iterable[Record | Skipped]) -> Iterator[Record | Skipped]:
        """Yield what a loader gives, each picture followed by its words.

        Raises:
            RecognizerError: As `of`.
        """
        for item in items:
            if isinstance(item, Skipped) or not self.wants(item):
                yield item
                continue
            before = len(self.skipped)
            picture, words = self.of(item) or (item, [])
            yield picture
            yield from words
            yield from self.skipped[before:]


def read_words(
    store: Store,
    encoder: Encoder,
    recognizer: TextRecognizer,
    *,
    among: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WordReport:
    """Read the words in a space's pictures, as far as this recogniser has not yet.

    Args:
        store: Keeps the records.
        encoder: Makes the vectors of the words.
        recognizer: Reads.
        among: Ids of the records to look at; all if ``None``.
        progress: Called with (pictures done, pictures in all).

    Raises:
        RecognizerError: It has failed on 16 pictures running; what is done is kept.
        EncoderError: A vector is zero or not finite; likewise.
        StoreError: The store refused; likewise.
    """
    reading = WordReading(recognizer, encoder.reads_whole)
    waiting = [
        record.id
        for record in store.select(Selection(modality="image"))
        if (among is None or record.id in among) and reading.wants(record)
    ]
    read = wordless = 0
    for done, name in enumerate(waiting, 1):
        raise_if_interrupted()
        record = store.get([name])[0]
        found = None if record is None or not reading.wants(record) else reading.of(record)
        if record is not None and found is not None and _store(store, encoder, record, *found):
            read += bool(found[1])
            wordless += not found[1]
        if progress is not None:
            progress(done, len(waiting))
    return WordReport(read, wordless, tuple(reading.skipped))


def _store(
    store: Store, encoder: Encoder, before: Record, picture: Record, words: list[Record]
) -> bool:
    """Store a picture with its words, if it is still as it was when it was read."""
    texts = [it.text or "" for it in words]
    rows: Iterable[Vector] = rows_of(encoder, encoder.encode_texts(texts)) if texts else ()
    vectors = store.vectors([before.id])[0]
    if vectors is None or store.get([before.id])[0] != before:
        return False
    items = [EmbeddedRecord(it, {"text": row}) for it, row in zip(words, rows, strict=True)]
    store.add([*items, EmbeddedRecord(picture, vectors)])
    return True


def retell_words(store: Store, pictures: Iterable[Record]) -> None:
    """Give the words of pictures, whose metadata have changed, the same metadata.

    A picture's links are whatever somebody wrote; other records that they name stay as they are.
    """
    for picture in pictures:
        there = [it for it in store.get(words_of(picture)) if it is not None]
        own = [it.id for it in there if image_of(it) == picture.id and belong(it, picture)]
        store.update(dict.fromkeys(own, metadata_of_words(picture)))


def delete_with_words(store: Store, selection: Selection, within: Filter | None = None) -> int:
    """Remove records, and with the pictures among them the words that were read in these.

    A picture's links are whatever somebody wrote: only words that name it themselves are its own.
    What is changed meanwhile, so that it is not selected any more, stays, and so do its words.

    Args:
        store: Where they are.
        selection: The records.
        within: Holds for words that may be removed; for all, if ``None``.

    Returns:
        How many records were removed, words among them.
    """
    if selection.is_everything or selection.modality == "text":
        return store.delete(selection)
    try:
        pictures = store.select(replace(selection, modality="image"))
        linked = {picture.id: names for picture in pictures if (names := words_of(picture))}
        if not linked:
            return store.delete(selection)
        chosen = tuple(record.id for record in store.select(selection))
    except CorruptStoreError:  # what is damaged can be removed; words go with the next folder
        return store.delete(selection)
    named = {name for some in linked.values() for name in some}
    words = [
        (it.id, picture)
        for it in store.select(Selection(ids=tuple(named), filter=within))
        if (picture := image_of(it)) is not None and it.id in linked.get(picture, ())
    ]
    removed = store.delete(replace(selection, ids=chosen))
    kept = {it.id for it in store.select(Selection(ids=tuple(linked)))}
    own = tuple(name for name, picture in words if picture not in kept)
    return removed + (store.delete(Selection(ids=own, filter=within)) if own else 0)


def remove_orphans(store: Store) -> int:
    """Remove words whose picture is gone, is another one by now, or was read anew.

    Returns:
        How many records were removed.
    """
    words = [
        it for it in store.select(Selection(filter=Field(RECOGNIZED).is_in([True]))) if image_of(it)
    ]
    orphans: list[str] = []
    for start in range(0, len(words), _AT_ONCE):
        some = words[start : start + _AT_ONCE]
        names = {name for it in some if (name := image_of(it)) is not None}
        pictures = {it.id: it for it in store.get(sorted(names)) if it is not None}
        orphans += [it.id for it in some if not belong(it, pictures.get(image_of(it) or ""))]
    return store.delete(Selection(ids=tuple(orphans))) if orphans else 0
