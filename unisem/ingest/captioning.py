"""Filling in captions: what a captioner says of the pictures that have no words.

Every picture is asked about once, see `unisem.captioners.CachedCaptioner`, and every batch is
stored by itself, so that an interruption costs the last one. A picture's own vector stays as it is;
the caption becomes the record's second vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from unisem.captioners.base import Captioner
from unisem.captioners.cached import CAPTIONS_FILE, CachedCaptioner
from unisem.captioners.caption_run import CaptionRun
from unisem.captions import (
    GENERATED_BY,
    is_generated,
    lacks_caption,
    with_caption,
    without_caption,
)
from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder, rows_of
from unisem.ingest.fusing import captioned_vectors
from unisem.records import EmbeddedRecord, Record
from unisem.stores import Store
from unisem.stores.selection import Selection

_AT_ONCE = 256  # records that lose their captions by one transaction

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """What became of the pictures that had no words.

    Attributes:
        captioned: Pictures that have a generated caption now.
        reused: Those among them, and among the wordless, that had been asked about before.
        wordless: Pictures that the captioner had nothing to say of.
        skipped: Pictures that could not be read, or that the captioner failed on, with reasons.
    """

    captioned: int = 0
    reused: int = 0
    wordless: int = 0
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What became of generated captions that were to be taken out.

    Attributes:
        removed: Captions that are gone.
        changed: Captions that somebody has changed since; they stay.
    """

    removed: int = 0
    changed: int = 0


def fill_captions(
    store: Store,
    encoder: Encoder,
    captioner: Captioner,
    *,
    directory: Path | None = None,
    progress: Progress | None = None,
) -> CaptionReport:
    """Give every picture without words a generated caption, marked as such; see the module.

    Args:
        store: Keeps the records.
        encoder: Makes the captions' vectors.
        captioner: Writes the captions.
        directory: The space's, for what was written, and for tokens that a captioner may find
            there; without one a second run asks again.
        progress: Called after each batch.

    Raises:
        CaptionerError: The captioner does not load, or has failed on 16 pictures running; earlier
            batches are stored.
        EncoderError: A caption's vector is zero or not finite; earlier batches are stored.
        StoreError: The store refused; earlier batches are stored.
    """
    if directory is None:
        asked = CachedCaptioner(captioner)
    else:
        asked = CachedCaptioner(captioner.at(directory), directory / CAPTIONS_FILE)
    skipped: list[Skipped] = []
    run = CaptionRun(asked, skipped.append)
    waiting = [it.id for it in store.select(Selection(modality="image")) if lacks_caption(it)]
    captioned = 0
    for start in range(0, len(waiting), asked.batch_size):
        raise_if_interrupted()
        ids = waiting[start : start + asked.batch_size]
        records = [it for it in store.get(ids) if it is not None and lacks_caption(it)]
        answers = run.batch([it.image for it in records if it.image is not None])
        texts = {it.id: text for it, text in zip(records, answers, strict=True) if text}
        captioned += _store(store, encoder, records, texts, captioner.name)
        if progress is not None:
            progress(start + len(ids), len(waiting))
    return CaptionReport(captioned, asked.reused, run.wordless, tuple(skipped))


def remove_captions(
    store: Store, *, captioner: str | None = None, progress: Progress | None = None
) -> RemovalReport:
    """Take generated captions out again, with their vectors and marks.

    Args:
        store: Keeps the records.
        captioner: Only those that the captioner of this name wrote; everybody's if ``None``.
        progress: Called after each batch.

    Raises:
        StoreError: The store refused; earlier batches are done.
    """
    marked = [
        record
        for record in store.select(Selection(modality="image"))
        if GENERATED_BY in record.metadata and captioner in (None, record.metadata[GENERATED_BY])
    ]
    generated = [record.id for record in marked if is_generated(record)]
    removed = 0
    for ids in _batches(generated, _AT_ONCE):
        raise_if_interrupted()
        items = [
            EmbeddedRecord(
                without_caption(record),
                {kind: rows for kind, rows in vectors.items() if kind == "image"},
            )
            for record, vectors in zip(store.get(ids), store.vectors(ids), strict=True)
            if record is not None and vectors is not None and is_generated(record)
        ]
        store.add(items)
        removed += len(items)
        if progress is not None:
            progress(removed, len(generated))
    return RemovalReport(removed, len(marked) - len(generated))


def _store(
    store: Store,
    encoder: Encoder,
    records: Sequence[Record],
    texts: dict[str, str],
    captioner: str,
) -> int:
    """Store captions of records that are still as they were when they were captioned."""
    before = {record.id: record for record in records}
    ids = list(texts)
    if not ids:
        return 0
    rows = rows_of(encoder, encoder.encode_texts([texts[name] for name in ids]))
    items: list[EmbeddedRecord] = []
    stored = zip(ids, rows, store.get(ids), store.vectors(ids), strict=True)
    for name, row, record, vectors in stored:
        if record is not None and record == before[name] and vectors is not None:
            captioned = with_caption(record, texts[name], captioner)
            items.append(
                EmbeddedRecord(captioned, captioned_vectors(encoder, captioned, vectors, row))
            )
    store.add(items)
    return len(items)


def _batches(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    waiting = iter(ids)
    while batch := list(islice(waiting, size)):
        yield batch
