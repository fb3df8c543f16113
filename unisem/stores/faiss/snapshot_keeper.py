"""`SnapshotKeeper`: the newest snapshot of a store, and how it moves on."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unisem.calibration import QueryKind
from unisem.records import Vector
from unisem.stores.calibrated import Calibrated, Question, digest_of
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.columns import RecordTable
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.moments import Changes
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.snapshot import Eligible, Snapshot
from unisem.stores.selection import Match, Selection

_log = logging.getLogger(__name__)
_PATIENCE = 4  # how often files are looked for that a writer may be replacing
_REMEMBERED = 16  # selections whose records are remembered until the next write
_STALE = 0.05  # share of unindexed or removed vectors from which a new segment is worth writing


class SnapshotKeeper:
    """Follows the catalogue's commits, one snapshot after the other.

    Not thread-safe by itself; the store holds a lock around it. The snapshots that it gives out
    need none.

    Args:
        catalog: What is committed.
        directory: Where segments are; ``None`` for memory.
        settings: Handed on to every segment.
        calibration: What vectors are searched by.
    """

    def __init__(
        self,
        catalog: Catalog,
        directory: Path | None,
        settings: IndexSettings,
        calibration: CalibrationFile,
    ) -> None:
        self._catalog = catalog
        self._directory = directory
        self._settings = settings
        self._calibration = calibration
        self._seen_version = -1
        self._snapshot: Snapshot | None = None
        self._table = RecordTable(catalog, directory)
        self._choices: OrderedDict[tuple[str, str], Eligible] = OrderedDict()

    def carry_over(self, catalog: Catalog) -> None:
        """Go on in a forked child, with a connection of its own, from what the parent knew."""
        self._catalog = catalog
        self._seen_version = -1
        self._table = RecordTable(catalog, self._directory)
        self._choices.clear()

    @property
    def known(self) -> Snapshot | None:
        """The state that was reached last, without looking for a later one."""
        return self._snapshot

    def newest(self) -> Snapshot | None:
        """The state after the latest commit; ``None`` while nothing was ever stored.

        It is wholly of the calibration that there is at its beginning, or of a later one.
        """
        with self._catalog.reading():  # no transaction where nothing is new, which is the rule
            version = self._catalog.version
        if (
            self._snapshot is not None
            and version == self._seen_version
            and self._snapshot.calibrated is self.calibrated(self._snapshot.dimension)
        ):
            return self._snapshot
        segment, loads = None, 0
        while True:
            with self._catalog.snapshot():
                dimension = self._catalog.dimension
                if dimension is None:
                    return None
                is_last = loads >= (_PATIENCE if segment else 2)
                is_last = is_last or self._directory is None
                if self._reach_present(segment, dimension, is_last=is_last):
                    return self._snapshot
            # Between transactions, as a writer may replace the files meanwhile: what is read from
            # the catalogue next is then never older than the segment.
            assert self._directory is not None
            segment, loads = Segment.load(self._directory, dimension), loads + 1

    def _reach_present(self, segment: Segment | None, dimension: int, *, is_last: bool) -> bool:
        """Move on to the present state; ``False`` if that needs a segment other than this."""
        version = self._catalog.version
        snapshot = self._snapshot
        present = self.calibrated(dimension)  # once: a writer may put another in its place
        if snapshot is not None and self.can_follow(snapshot, present):
            self._catch_up(snapshot)
        elif segment is not None and self.can_follow(segment, present):
            self.adopt(segment, present)
        elif is_last:
            if self._catalog.forgotten:  # so there was a segment
                self._warn()
            self.adopt(None, present)
        else:
            return False
        self._seen_version = version
        return True

    def calibrated(self, dimension: int) -> Calibrated | None:
        """What vectors of this dimension are searched by now."""
        return self._calibration.newest(dimension)

    def can_follow(self, known: Snapshot | Segment, present: Calibrated | None) -> bool:
        """Whether this is of the catalogue's past, and of the present calibration."""
        if isinstance(known, Segment):
            is_same = known.calibration == digest_of(present)
        else:
            is_same = known.calibrated is present
        return is_same and self._catalog.can_follow(known.moment, known.dimension)

    def adopt(self, segment: Segment | None, present: Calibrated | None) -> None:
        """Start from a segment of the present calibration, and apply what was committed after."""
        dimension = self._catalog.dimension
        assert dimension is not None
        if segment is not None:
            segment.settings = self._settings
        self._catch_up(self.start(segment, dimension, present))

    def do_without(self, damaged: Segment | None) -> None:
        """Go on from the catalogue's vectors, as the segment's are damaged."""
        if damaged is None or self._snapshot is None or self._snapshot.segment is not damaged:
            return  # it has been replaced already
        self._warn()
        version = self._catalog.version
        self.adopt(None, self.calibrated(damaged.dimension))
        self._seen_version = version

    def _warn(self) -> None:
        _log.warning(
            "%s: the vector index is missing, damaged, of an older layout or another catalogue's; "
            "rebuilding",
            self._directory,
        )

    def start(
        self, segment: Segment | None, dimension: int, present: Calibrated | None
    ) -> Snapshot:
        """A snapshot to move on from that follows no other: a segment's, or the empty one."""
        self._snapshot = None
        # Ordinals mean other records now.
        self._table = RecordTable(self._catalog, self._directory)
        return Snapshot.of(segment, dimension, present)

    def _catch_up(self, snapshot: Snapshot) -> None:
        then = snapshot.moment
        if then == self._catalog.moment:
            self._publish(snapshot)
        else:
            changes = self._catalog.changes_since(then.transaction, snapshot.last_vector_id)
            self.move_on(snapshot, changes)

    def move_on(self, snapshot: Snapshot, changes: Changes) -> None:
        """Make the state after a later write the newest."""
        self._snapshot = None  # its arrays grow; were that interrupted, they would be of no use
        self._publish(snapshot.after(changes))

    def _publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._choices.clear()

    def eligible(self, snapshot: Snapshot, selection: Selection, match: Match) -> Eligible:
        """Which positions of a snapshot a search may find; remembered until the next write."""
        everything = selection.is_everything
        key = ("" if everything else repr(selection), match)  # as text, 1 and True differ
        eligible = self._choices.get(key)
        if eligible is None:
            records = None if everything else self._table.choose(selection, snapshot)
            eligible = self._choices[key] = snapshot.eligible(records, match)
            while len(self._choices) > _REMEMBERED:
                self._choices.popitem(last=False)
        self._choices.move_to_end(key)
        return eligible

    def asked(
        self,
        snapshot: Snapshot,
        queries: Vector,
        asked: QueryKind,
        selection: Selection,
        match: Match,
    ) -> tuple[list[Question], list[Eligible]]:
        """Queries as they are compared, and what is searched apart.

        That is each kind of vector, if scores of each need another scale.
        """
        if snapshot.calibrated is None:
            plain = [Question(query) for query in queries]
            return plain, [self.eligible(snapshot, selection, match)]
        kinds = snapshot.kinds if match == "any" else (match,)
        parts = [self.eligible(snapshot, selection, kind) for kind in kinds]
        counts = {kind: part.count for kind, part in zip(kinds, parts, strict=True)}
        questions = snapshot.calibrated.questions(queries, asked, counts)
        if match == "any" and all(question.is_one_scale for question in questions):
            parts = [self.eligible(snapshot, selection, match)]
        return questions, parts

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Between a commit and its snapshot: if this is left early, the next call catches up."""
        seen, self._seen_version = self._seen_version, -1
        yield
        self._seen_version = seen

    def is_stale(self) -> bool:
        """Whether opening this space again would have much to catch up."""
        snapshot = self.newest()
        if snapshot is None or self._directory is None:
            return False
        indexed = len(snapshot.vector_ids) - snapshot.tail_length
        return snapshot.tail_length > _STALE * indexed or snapshot.dead_share > _STALE
