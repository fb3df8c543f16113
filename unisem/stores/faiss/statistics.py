"""`StoreStatistics`: what a store holds and what it costs, read from its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisem.errors import CorruptStoreError
from unisem.records import VECTOR_KINDS
from unisem.stores.calibrated import digest_of
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.faiss.calibration_statistics import CalibrationStatistics
from unisem.stores.faiss.index_settings import IndexKind, choose_kind
from unisem.stores.faiss.kinds.tuning import Tuning
from unisem.stores.faiss.moments import can_follow
from unisem.stores.faiss.rawvectors import VectorId, dropped_rows
from unisem.stores.faiss.readonly import read_only, writer_of
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.unerased import living
from unisem.stores.faiss.upgrades import FORMAT
from unisem.stores.maintenance import Statistics

_BY_MODALITY = "SELECT modality, count(*) FROM records WHERE {living} GROUP BY modality"


@dataclass(frozen=True, slots=True)
class StoreStatistics(Statistics):
    """One committed state of a store.

    Attributes:
        transactions: Writes committed so far.
        kind: Kind of the segment; ``None`` where there is none and all is scanned.
        tail: Vectors that are not in the segment and are scanned.
        dead_share: Share of the records in the segment that have been removed since.
        chosen: Why the segment is of its kind, with what was measured; ``None`` if it was asked for
            or is exact until somebody compacts.
        tuning: What was measured of the segment's index; ``None`` if nothing was.
        suggested: The kind that ``compact`` would choose by size.
        reason: Why it would.
        catalog_bytes: Size of the catalogue, with its log.
        free_bytes: How much of it is empty, and given back by ``compact``.
        segment_bytes: Size of the segment's files, and of the columns'.
        blob_bytes: Size of the pictures inside the space.
        calibration: What vectors are searched by; ``None`` if by raw cosine.
    """

    transactions: int
    kind: IndexKind | None
    tail: int
    dead_share: float
    chosen: str | None
    tuning: Tuning | None
    suggested: IndexKind
    reason: str
    catalog_bytes: int
    free_bytes: int
    segment_bytes: int
    blob_bytes: int
    calibration: CalibrationStatistics | None

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of the catalogue, the segment and the pictures inside the space."""
        return {
            "catalogue": self.catalog_bytes,
            "segment": self.segment_bytes,
            "pictures": self.blob_bytes,
        }

    @property
    def remarks(self) -> dict[str, str]:
        """On the index, and what compaction would do about it."""
        kind: str = self.kind or "none; everything is scanned"
        if self.chosen is not None:
            kind += f" ({self.chosen})"
        elif self.tuning is not None:
            kind += f" ({self.tuning.described})"
        elif self.kind != self.suggested and any(self.vectors.values()):
            kind += f" (compaction would build {self.suggested}: {self.reason})"
        return {
            "calibration": "none; scores are raw cosines"
            if self.calibration is None
            else self.calibration.described,
            "index": kind,
            "tail": f"{self.tail:,} vector{'' if self.tail == 1 else 's'} not in the index yet, "
            "scanned",
            "removed": f"{self.dead_share:.1%} of the records in the index",
            "empty": f"{self.free_bytes / 1e6:.1f} MB of the catalogue",
        }

    @classmethod
    def of(cls, directory: Path) -> StoreStatistics:
        """Read them from a store's files, which are not changed.

        Raises:
            StoreError: There is no store.
            CorruptStoreError: Its catalogue cannot be read.
        """
        with read_only(directory) as database:
            try:
                alive = living(database)
                facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
                records = dict(database.execute(_BY_MODALITY.format(living=alive)).fetchall())
                rows = _numbers(database, f"SELECT row FROM records WHERE {alive} ORDER BY row")  # noqa: S608 - constants
                vector_ids = _numbers(database, "SELECT vector_id FROM vectors")
                dropped = np.isin(VectorId.rows(vector_ids), dropped_rows(database))
                vector_ids = vector_ids[~dropped]
                dimension = facts.get("dimension")
                segment = _segment(database, directory, dimension, facts)
                last = -1 if segment is None or not len(segment) else int(segment.vector_ids[-1])
                calibration = CalibrationStatistics.of(database, directory, dimension)
                (pages,) = database.execute("PRAGMA freelist_count").fetchone()
                (page,) = database.execute("PRAGMA page_size").fetchone()
            except (sqlite3.Error, ValueError, TypeError) as error:
                raise CorruptStoreError(
                    f"the catalogue of {directory} cannot be read ({error}); "
                    "`unisem store check` says more"
                ) from error
        counts = np.bincount(VectorId.kinds(vector_ids), minlength=len(VECTOR_KINDS)).tolist()
        suggested, reason = choose_kind(len(vector_ids))
        return cls(
            records={name: records.get(name, 0) for name in ("text", "image")},
            vectors={
                kind: count
                for kind, count in zip(VECTOR_KINDS, counts, strict=True)
                if count or kind != "both"
            },
            dimension=dimension,
            transactions=int(facts.get("transaction", 0)),
            kind=None if segment is None else segment.kind,
            tail=int((vector_ids > last).sum()),
            dead_share=0.0 if segment is None else _dead_share(segment, rows),
            chosen=None if segment is None else segment.reason,
            tuning=None if segment is None else segment.tuning,
            suggested=suggested,
            reason=reason,
            catalog_bytes=_size([directory / "catalog.sqlite", directory / "catalog.sqlite-wal"]),
            free_bytes=pages * page,
            segment_bytes=_size([*directory.glob("vectors*"), *directory.glob("columns*")]),
            blob_bytes=_size(directory.glob("blobs/*/*")),
            calibration=calibration,
            writer=writer_of(directory),
        )


def _numbers(database: sqlite3.Connection, query: str) -> NDArray[np.int64]:
    return np.fromiter((number for (number,) in database.execute(query)), np.int64)


def _segment(
    database: sqlite3.Connection,
    directory: Path,
    dimension: int | None,
    facts: dict[str, int | None],
) -> Segment | None:
    """The segment that a store opened now would use."""
    is_old = facts.get("format") != FORMAT  # opening upgrades it, and indexes anew
    segment = None if dimension is None or is_old else Segment.load(directory, dimension)
    forgotten, current = facts.get("forgotten") or 0, facts.get("transaction") or 0
    if segment is None or not can_follow(database, segment.moment, forgotten, current):
        return None
    calibrated = CalibrationFile(directory).newest(dimension)
    return segment if segment.calibration == digest_of(calibrated) else None


def _dead_share(segment: Segment, rows: NDArray[np.int64]) -> float:
    indexed = np.unique(VectorId.rows(segment.vector_ids))
    return float(1 - np.isin(indexed, rows).mean()) if len(indexed) else 0.0


def _size(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(OSError):  # it may vanish meanwhile
            total += path.stat().st_size
    return total
