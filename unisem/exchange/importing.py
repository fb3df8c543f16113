"""`import_space`: an export into a space, checked as input from strangers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from unisem.common.skipped import Skipped
from unisem.errors import ExchangeError, ImageError, RecordError
from unisem.exchange.entries import FIELDS, Entry, EntryReader, entries
from unisem.exchange.image_places import picture_from
from unisem.exchange.info import ExportInfo
from unisem.exchange.jsonl import JsonLinesReader
from unisem.exchange.parquet import ParquetReader
from unisem.ingest.embedder import RecordEmbedder
from unisem.records import EmbeddedRecord, Record
from unisem.space import SemanticSpace
from unisem.stores.vectors import are_unit

_BATCH = 256
_EMBEDDED = 32  # a smaller batch, where an encoder that may be slow has to see all of it
_OTHER = (RecursionError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an export's records.

    Attributes:
        records: Records stored, new or replaced.
        embedded: How many of them got new vectors.
        skipped: Pictures outside the export that are missing or have changed, and those that were
            to be embedded and cannot be decoded; their records were not stored.
    """

    records: int
    embedded: int
    skipped: tuple[Skipped, ...] = ()


def import_space(
    directory: str | os.PathLike[str],
    space: SemanticSpace,
    *,
    vectors: Literal["keep", "renew"] = "keep",
    image_roots: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Add an export's records to a space; an id that exists is replaced.

    Checksums are compared first. Then each batch is committed by itself: after an error or an
    interruption what is done is kept, and the same call does it all again.

    Args:
        directory: The export.
        space: Where to.
        vectors: ``"keep"`` takes the export's vectors, bit for bit, and embeds records that have
            none; ``"renew"`` embeds all, for another encoder.
        image_roots: More folders from which pictures outside the export may come.
        progress: Called with (records done, records in all).

    Raises:
        ExchangeError: The export is damaged, hostile, or of another encoder; names the line.
        StoreError: The store refused.
    """
    if vectors not in ("keep", "renew"):
        raise ValueError(f'vectors must be "keep" or "renew", not {vectors!r}')
    origin = Path(directory)
    info = ExportInfo.read(origin)
    if vectors == "keep":
        check_encoder(info, space.encoder.fingerprint, origin)
        if info.dimension not in (None, space.encoder.dimension):
            raise ExchangeError(
                f"{origin} holds vectors of dimension {info.dimension}, the encoder makes "
                f"{space.encoder.dimension}"
            )
    info.verify(origin)
    for root in image_roots:
        space.pictures.allow(Path(root))
    return _Import(origin, info, space, vectors).run(progress)


def check_encoder(info: ExportInfo, fingerprint: str, origin: Path) -> None:
    """Refuse vectors that another encoder made.

    Raises:
        ExchangeError: They are of another encoder, or nobody knows of which.
    """
    if info.fingerprint == fingerprint or not info.vectors:
        return
    made = f"{info.encoder!r} ({(info.fingerprint or 'unknown')[:12]})"
    raise ExchangeError(
        f"the vectors of {origin} were made by the encoder {made}, not by the space's "
        f"({fingerprint[:12]}); they cannot be compared. Import into a space of that encoder, or "
        'embed everything anew with vectors="renew" (--vectors renew)'
    )


class _Import:
    def __init__(self, origin: Path, info: ExportInfo, space: SemanticSpace, vectors: str) -> None:
        self._origin = origin
        self._info = info
        self._space = space
        self._embedder = RecordEmbedder(space.encoder, space.pictures)
        self._renew = vectors == "renew"
        self._skipped: list[Skipped] = []
        self._embedded = 0

    def run(self, progress: Callable[[int, int], None] | None) -> ImportReport:
        info = self._info
        kind = JsonLinesReader if info.layout == "jsonl" else ParquetReader
        reader: EntryReader = kind(self._origin)
        seen = stored = 0
        found = entries(reader, info.vectors, info.dimension or 0, self._origin)
        size = _EMBEDDED if self._renew else _BATCH
        while batch := list(islice(found, size)):
            items = self._completed([item for entry in batch for item in self._item(entry)])
            self._space.store.add(items)
            seen += len(batch)
            stored += len(items)
            if progress is not None:
                progress(seen, max(seen, info.records))
        if seen != info.records:
            raise ExchangeError(
                f"{self._origin} has {seen} records, not {info.records} as export.json says"
            )
        return ImportReport(stored, self._embedded, tuple(self._skipped))

    def _item(self, entry: Entry) -> list[EmbeddedRecord]:
        """One checked record, or none if its picture has gone."""
        fields, where = entry.fields, entry.where
        if unknown := sorted(set(fields) - set(FIELDS)):
            raise ExchangeError(f"{where}: unknown field {unknown[0][:80]!r}")
        for name in ("metadata", "links", "payload"):
            if not isinstance(fields.get(name, {}), dict | None):
                raise ExchangeError(f"{where}: {name} must be an object")
        image = None
        try:
            record_id = fields["id"]
            if not isinstance(record_id, str):
                raise RecordError("id must be a string")
            if fields.get("image") is not None:
                pictures = self._space.pictures
                image, data = picture_from(fields["image"], where, self._origin, pictures)
                image = pictures.keep(image, data)
            record = Record(
                id=record_id,
                text=fields.get("text"),
                image=image,
                metadata=fields.get("metadata"),
                source_id=fields.get("source_id"),
                links=fields.get("links"),
                payload=fields.get("payload"),
            )
        except ImageError as error:
            if "file" in fields["image"]:
                raise ExchangeError(f"{where}: {error}") from error
            self._skipped.append(Skipped(error.name, error.reason))
            return []
        except KeyError as error:
            raise ExchangeError(f"{where}: {error.args[0]} is missing") from None
        except ExchangeError:
            raise
        except _OTHER as error:
            raise ExchangeError(f"{where}: {error}") from error
        if self._renew:
            return [EmbeddedRecord(record, {})]
        if image is None and "image" in entry.vectors:
            raise ExchangeError(f"{where}: a picture's vector, but no picture")
        for rows in entry.vectors.values():
            if not are_unit(rows):
                fault = "of unit length" if np.isfinite(rows).all() else "finite"
                raise ExchangeError(
                    f"{where}: record {record.id!r} has a vector that is not {fault}"
                )
        return [EmbeddedRecord(record, entry.vectors)]

    def _completed(self, items: list[EmbeddedRecord]) -> list[EmbeddedRecord]:
        """The same, those without vectors embedded, except if their pictures cannot be decoded."""
        bare = [item.record for item in items if not item.vectors]
        if not bare:
            return items
        left_out: set[int] = set()

        def leave_out(record: Record, error: ImageError) -> None:
            left_out.add(id(record))  # not by its own id: a batch may have that twice
            self._skipped.append(Skipped(error.name, error.reason))

        made = list(self._embedder.embed(bare, leave_out=leave_out))
        self._embedded += len(made)
        following = iter(made)
        return [
            item if item.vectors else next(following)
            for item in items
            if id(item.record) not in left_out
        ]
