"""Bulk loading: from a reader into a space, surviving bad inputs and interruptions.

While the encoder works on one batch, threads read and decode the next. Every batch is one
transaction of the store; it grows from one record as far as the encoder keeps up, so that the
first records are stored within seconds whatever the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.common.threads import awaited, workers
from unisem.encoders import Encoder
from unisem.errors import CorruptStoreError, ImageError
from unisem.images import ImageRef
from unisem.images.library import Pictures
from unisem.ingest.embedder import embed_prepared
from unisem.readers import Reader
from unisem.records import Record
from unisem.stores import Store
from unisem.stores.selection import Selection

_BATCH = 32
_QUICK, _SLOW = 1.0, 4.0  # seconds of a batch after which the next one is larger, or smaller
_FEW_BYTES = 16 << 20  # larger files are read again, not held by the dozen until they are decoded


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
    """

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()
    renamed: int = 0
    gone: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    """A record on its way: its picture's bytes are being decoded in a thread."""

    record: Record
    decoded: Future[Image.Image] | None


class Ingestion:
    """One run of a reader into a store.

    Args:
        encoder: Embeds the records.
        store: Keeps them.
        pictures: Says where pictures may lie.
        progress: Called with (inputs done, inputs in all).
        prune: Remove the reader's records whose files are there no more; not if there is none
            at all, as where a drive is not mounted.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        pictures: Pictures,
        progress: Callable[[int, int], None] | None = None,
        *,
        prune: bool = False,
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._pictures = pictures
        self._progress = progress
        self._prune = prune
        self._done = self._total = 0
        self._size = 1
        self._added = 0
        self._unchanged = 0
        self._skipped: list[Skipped] = []
        self._ids: set[str] = set()
        self._contents: set[str] = set()
        self._text_sources: set[str] = set()

    def run(self, reader: Reader) -> IngestReport:
        """Read everything; see `SemanticSpace.ingest`."""
        self._total = len(reader)
        with workers("unisem-ingest") as pool:
            ahead: list[_Pending] = []
            for batch in _batches(reader, _BATCH):
                following = self._prepare(batch, pool)
                self._finish(ahead)  # while the pool decodes `following`
                self._advance(len(batch) - len(following))
                ahead = following
            self._finish(ahead)
            self._advance(max(0, self._total - self._done))
        removed = self._remove_stale_chunks()
        gone, renamed = self._look_for_gone(reader)
        if self._prune and gone and self._done:  # a folder without any file is a lost drive
            removed += self._store.delete(Selection(ids=gone))
        return IngestReport(
            added=self._added,
            unchanged=self._unchanged,
            removed=removed,
            skipped=tuple(self._skipped),
            renamed=renamed,
            gone=gone,
            ignored=reader.ignored,
        )

    def _advance(self, inputs: int) -> None:
        self._done += inputs
        # A file may give several records, so that more is done than was announced.
        if self._progress is not None:
            done, total = self._done, self._total
            self._progress(min(done, total) if total else done, total)

    def _prepare(self, batch: list[Record | Skipped], pool: ThreadPoolExecutor) -> list[_Pending]:
        reading: list[tuple[Record, Future[tuple[Record, bytes | None]] | None]] = []
        for item in batch:
            if isinstance(item, Skipped):
                self._skipped.append(item)
            elif item.id in self._ids:
                self._skip(item, f"another input of this run has the id {item.id!r}")
            else:
                self._ids.add(item.id)
                job = None if item.image is None else pool.submit(self._read, item)
                reading.append((item, job))
        stored = self._stored([record.id for record, _ in reading])
        pending: list[_Pending] = []
        for (record, job), old in zip(reading, stored, strict=True):
            data = None
            if record.image is None and record.source_id is not None:
                self._text_sources.add(record.source_id)
            try:
                if job is not None:
                    record, data = awaited(job)
            except ImageError as error:
                self._skip(record, error.reason)
                continue
            self._contents.add(_content(record))
            if old is not None and self._is_taken(record, old):
                self._skip(record, f"the id {record.id!r} belongs to {old.source_id}")
            elif old is not None and _same(record, old):
                self._unchanged += 1
            else:
                image = record.image
                decoded = None if image is None else pool.submit(self._decode, image, data)
                pending.append(_Pending(record, decoded))
        return pending

    def _stored(self, ids: list[str]) -> list[Record | None]:
        """As `Store.get`; a damaged record counts as none, and so is replaced."""
        try:
            return self._store.get(ids)
        except CorruptStoreError:
            return [self._intact(record_id) for record_id in ids]

    def _intact(self, record_id: str) -> Record | None:
        try:
            return self._store.get([record_id])[0]
        except CorruptStoreError:
            return None

    def _read(self, record: Record) -> tuple[Record, bytes | None]:
        """The record with its picture inspected, and the file's bytes if they are few."""
        assert record.image is not None
        image = self._pictures.admit(record.image)
        data = image.read_bytes()
        kept = record.with_image(self._pictures.keep(image, data))
        return kept, data if len(data) <= _FEW_BYTES else None

    def _decode(self, image: ImageRef, data: bytes | None) -> Image.Image:
        return self._encoder.prepare_image(image if data is None else data)

    def _finish(self, pending: list[_Pending]) -> None:
        """Embed and store, in batches that take about as long as one would like to wait."""
        while pending:  # an unchanged folder needs no encoder, whose weights take seconds to load
            batch, pending = pending[: self._size], pending[self._size :]
            started = time.monotonic()
            self._store_batch(batch)
            self._advance(len(batch))
            seconds = time.monotonic() - started
            if seconds < _QUICK:
                self._size = min(2 * self._size, _BATCH)
            elif seconds > _SLOW:
                self._size = max(self._size // 2, 1)

    def _store_batch(self, batch: list[_Pending]) -> None:
        raise_if_interrupted()
        records: list[Record] = []
        images: list[Image.Image] = []
        for item in batch:
            try:
                if item.decoded is not None:
                    images.append(awaited(item.decoded))
                records.append(item.record)
            except ImageError as error:
                self._skip(item.record, error.reason)
        self._store.add(list(embed_prepared(self._encoder, records, images)))
        self._added += len(records)

    def _is_taken(self, record: Record, old: Record) -> bool:
        """Whether the stored record comes from another file that still exists."""
        return (
            old.source_id is not None
            and old.source_id != record.source_id
            and self._pictures.exists(old.source_id)
        )

    def _remove_stale_chunks(self) -> int:
        stale: list[str] = []
        for source in sorted(self._text_sources):
            stored = self._store.select(Selection(source_ids=(source,)))
            stale += [record.id for record in stored if record.id not in self._ids]
        return self._store.delete(Selection(ids=tuple(stale))) if stale else 0

    def _look_for_gone(self, reader: Reader) -> tuple[tuple[str, ...], int]:
        """The ids of records without a file; and how many of them are here by another name.

        The latter are removed: a picture that was renamed is one record, under its new name.
        """
        gone: list[str] = []
        renamed: list[str] = []
        for record in list(reader.gone(self._store.select())):
            if record.id not in self._ids:
                (renamed if _content(record) in self._contents else gone).append(record.id)
        if renamed:
            self._store.delete(Selection(ids=tuple(renamed)))
        return tuple(gone), len(renamed)

    def _skip(self, record: Record, reason: str) -> None:
        name = record.image.name if record.image is not None else record.id
        self._skipped.append(Skipped(name, reason))


def _content(record: Record) -> str:
    """What a record is recognised by when its file has another name."""
    if record.image is None:
        return f"text {record.text}"
    return f"image {record.image.sha256}"


def _same(new: Record, old: Record) -> bool:
    return _essence(new) == _essence(old)


def _essence(record: Record) -> tuple[object, ...]:
    """A record's parts in a form that storing it does not change."""
    image = record.image
    return (
        record.id,
        record.text,
        None if image is None else (image.sha256, image.path),
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


def _batches(items: Iterable[Record | Skipped], size: int) -> Iterator[list[Record | Skipped]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
