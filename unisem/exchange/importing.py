"""`import_space`: an export into a space, checked as input from strangers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from unisem.calibration import load_calibration
from unisem.common.skipped import Skipped
from unisem.common.unit_vectors import unit_rows
from unisem.encoders import Encoder
from unisem.errors import (
    CalibrationError,
    EncoderMismatchError,
    ExchangeError,
    RecordError,
    StoreError,
)
from unisem.exchange.entries import FIELDS, Entry, EntryReader, entries
from unisem.exchange.graph_file import read_graph
from unisem.exchange.image_places import image_from
from unisem.exchange.info import CALIBRATION, GRAPH, ExportInfo
from unisem.exchange.jsonl import JsonLinesReader
from unisem.exchange.parquet import ParquetReader
from unisem.images.library import listed_folders
from unisem.ingest.intake import Offer, Prepared, with_digest
from unisem.records import Record
from unisem.space import SemanticSpace
from unisem.stores.graph import GraphReport
from unisem.stores.vectors import are_unit

Renewal = Literal["keep", "truncate", "renew", "renew-texts"]
"""Which of an export's vectors are taken: all, all but cut, none, or those of pictures."""

_BATCH = 256  # records of a transaction, where they need not be embedded
_OTHER = (RecursionError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an export's records.

    Attributes:
        records: Records stored, new or replaced.
        embedded: How many of them got new vectors.
        skipped: Pictures outside the export that are missing or have changed, and those that cannot
            be decoded, as half of it is missing; their records were not stored. A calibration that
            cannot be used, or a knowledge graph, as the space's store keeps none; nothing else
            misses it.
        calibrated: Whether the space searches by the export's calibration now.
        graph: What became of the export's knowledge graph; ``None`` if it has none. Its names have
            no vectors; `KnowledgeGraph.embed_names` makes them.
    """

    records: int
    embedded: int
    skipped: tuple[Skipped, ...] = ()
    calibrated: bool = False
    graph: GraphReport | None = None


def import_space(
    directory: str | os.PathLike[str],
    space: SemanticSpace,
    *,
    vectors: Renewal = "keep",
    image_roots: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Add an export's records to a space; an id that exists is replaced.

    Checksums are compared first. Then each batch is committed by itself: after an error or an
    interruption what is done is kept, and the same call does it all again. A calibration is taken
    last, with the vectors that it belongs to, by a space that has none and holds nothing else.

    Args:
        directory: The export.
        space: Where to.
        vectors: ``"keep"`` takes the export's vectors, bit for bit, and embeds records that have
            none; ``"truncate"`` does so with the first numbers of each, for the same encoder with a
            smaller ``dimension``; ``"renew"`` embeds all, for another encoder; ``"renew-texts"``
            embeds texts and keeps the vectors of pictures, for one that has the same pictures'
            vectors (`Encoder.image_fingerprint`), as mini-multilingual has `mini`'s.
        image_roots: More folders from which pictures outside the export may come.
        progress: Called with (records done, records in all).

    Raises:
        ExchangeError: The export is damaged, hostile, or of another encoder; names the line.
        StoreError: The store refused.
    """
    if vectors not in get_args(Renewal):
        listed = ", ".join(f'"{one}"' for one in get_args(Renewal))
        raise ValueError(f"vectors must be one of {listed}, not {vectors!r}")
    folders = listed_folders(image_roots)
    origin = Path(directory)
    info = ExportInfo.read(origin)
    if vectors != "renew":
        check_encoder(info, space.encoder, origin, vectors)
        is_cut = vectors == "truncate" and (info.dimension or 0) >= space.encoder.dimension
        if info.dimension not in (None, space.encoder.dimension) and not is_cut:
            raise ExchangeError(
                f"{origin} holds vectors of dimension {info.dimension}, the encoder makes "
                f"{space.encoder.dimension}"
            )
    info.verify(origin)
    for root in folders:
        space.image_library.allow(root)
    return _Import(origin, info, space, vectors).run(progress)


def check_encoder(info: ExportInfo, encoder: Encoder, origin: Path, vectors: Renewal) -> None:
    """Refuse vectors that another encoder made, but for pictures' that are the same.

    Raises:
        ExchangeError: They are of another encoder, or nobody knows of which.
    """
    fingerprint = encoder.fingerprint
    same = {fingerprint}
    ours, theirs = encoder.options, info.options
    if vectors == "truncate":
        longer: set[int | None] = {None}
        if ours.dimension is not None and (theirs.dimension or 0) > ours.dimension:
            longer.add(theirs.dimension)  # the first numbers of those that were cut before
        model = encoder.model_fingerprint
        same = {replace(ours, dimension=size).fingerprint(model) for size in longer}
    elif vectors == "renew-texts":
        same.add(encoder.image_fingerprint)
    if info.fingerprint in same or not info.vectors:
        return
    made = f"{info.encoder!r} ({(info.fingerprint or 'unknown')[:12]})"
    own = f"({fingerprint[:12]})"
    if differing := theirs.differing(ours):
        made += f" with {theirs.in_words(differing)}"
        own += f" with {ours.in_words(differing)}"
    raise ExchangeError(
        f"the vectors of {origin} were made by the encoder {made}, not by the space's {own}; "
        "they cannot be compared. Import into a space of that encoder, or "
        'embed everything anew with vectors="renew" (--vectors renew)'
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Line(Offer):
    """A record on offer, and where it stands in the export."""

    where: str = ""


class _Import:
    def __init__(
        self, origin: Path, info: ExportInfo, space: SemanticSpace, vectors: Renewal
    ) -> None:
        self._origin = origin
        self._info = info
        self._space = space
        self._vectors = vectors
        self._skipped: list[Skipped] = []
        self._stored = self._embedded = 0

    def run(self, progress: Callable[[int, int], None] | None) -> ImportReport:
        info, space, seen = self._info, self._space, 0
        kind = JsonLinesReader if info.layout == "jsonl" else ParquetReader
        reader: EntryReader = kind(self._origin)
        lines = map(self._line, entries(reader, info.vectors, info.dimension or 0, self._origin))
        with closing(space.intake.committed(lines, space.store, most=_BATCH)) as batches:
            for batch in batches:
                for item in batch:
                    self._note(item)
                seen += len(batch)
                if progress is not None:
                    progress(seen, max(seen, info.records))
        if seen != info.records:
            raise ExchangeError(
                f"{self._origin} has {seen} records, not {info.records} as export.json says"
            )
        calibrated = self._calibrate()
        graph = self._graph()
        return ImportReport(self._stored, self._embedded, tuple(self._skipped), calibrated, graph)

    def _graph(self) -> GraphReport | None:
        """Add the export's knowledge graph in one transaction, after the records."""
        path = self._origin / GRAPH
        if GRAPH not in self._info.files:
            return None
        try:
            graph = self._space.store.graph
        except StoreError as error:
            self._skipped.append(Skipped(str(path), str(error)))
            return None
        return read_graph(path, graph)

    def _calibrate(self) -> bool:
        """Search by the export's calibration, if it fits; what does not is skipped."""
        space, path = self._space, self._origin / CALIBRATION
        if CALIBRATION not in self._info.files or self._vectors != "keep":
            return False
        if space.calibration is not None or len(space) > self._stored:
            return False  # what is searched by is for the space's owner to change
        try:
            space.use_calibration(load_calibration(path))
        except (CalibrationError, EncoderMismatchError, StoreError) as error:
            self._skipped.append(Skipped(str(path), str(error)))
            return False
        return True

    def _note(self, item: Prepared) -> None:
        if item.error is None:
            self._stored += 1
            made = item.offer.vectors is None or (item.offer.fills and bool(item.record.text))
            self._embedded += made
            return
        if item.offer.copied and item.record is item.offer.record:  # it is no picture, or another
            assert isinstance(item.offer, _Line)
            raise ExchangeError(f"{item.offer.where}: {item.error}") from item.error
        self._skipped.append(Skipped.of(item.error))

    def _line(self, entry: Entry) -> _Line:
        """One checked record; its picture has not been opened."""
        fields, where = entry.fields, entry.where
        if unknown := sorted(set(fields) - set(FIELDS)):
            raise ExchangeError(f"{where}: unknown field {unknown[0][:80]!r}")
        for name in ("metadata", "links", "payload"):
            if not isinstance(fields.get(name, {}), dict | None):
                raise ExchangeError(f"{where}: {name} must be an object")
        image = expected = None
        try:
            record_id = fields["id"]
            if not isinstance(record_id, str):
                raise RecordError("id must be a string")
            if fields.get("image") is not None:
                pictures = self._space.image_library
                image, expected = image_from(fields["image"], where, self._origin, pictures)
            record = Record(
                id=record_id,
                text=fields.get("text"),
                image=image,
                metadata=fields.get("metadata"),
                source_id=fields.get("source_id"),
                links=fields.get("links"),
                payload=fields.get("payload"),
            )
        except KeyError as error:
            raise ExchangeError(f"{where}: {error.args[0]} is missing") from None
        except ExchangeError:
            raise
        except _OTHER as error:
            raise ExchangeError(f"{where}: {error}") from error
        vectors = {} if self._vectors == "renew" else dict(entry.vectors)
        if vectors:
            self._check_vectors(record, entry)
        if self._vectors == "truncate":
            most = self._space.encoder.dimension
            what = f"{where}: record {record_id!r} has a vector whose first {most} numbers"
            vectors = {
                modality: unit_rows(rows[..., :most], what, ExchangeError)
                for modality, rows in vectors.items()
            }
        if self._vectors == "renew-texts":
            vectors.pop("text", None)
            vectors.pop("both", None)
        copied = image is not None and "file" in fields["image"]
        fault = (
            "does not have the sha256 it should" if copied else "has changed since it was exported"
        )
        return _Line(
            record,
            vectors=vectors or None,
            fills=bool(vectors) and self._vectors == "renew-texts",
            is_wanted=with_digest(expected, fault),
            copied=copied,
            whole=True,
            where=where,
        )

    def _check_vectors(self, record: Record, entry: Entry) -> None:
        if record.image is None and not entry.vectors.keys() <= {"text"}:
            raise ExchangeError(f"{entry.where}: a picture's vector, but no picture")
        for rows in entry.vectors.values():
            if not are_unit(rows):
                fault = "of unit length" if np.isfinite(rows).all() else "finite"
                raise ExchangeError(
                    f"{entry.where}: record {record.id!r} has a vector that is not {fault}"
                )
