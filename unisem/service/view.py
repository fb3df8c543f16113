"""`SpaceView`: a space as one principal sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from unisem.errors import FilterError, StoreError
from unisem.exchange.replicas.version import Version
from unisem.filters import Filter, conditions_in, fields_of, matches, narrows
from unisem.graph.neighbourhood import Drawing, Neighbourhood
from unisem.ingest.word_reading import delete_with_words
from unisem.records import Record
from unisem.search.neighbors import with_neighbors
from unisem.search.query import Query
from unisem.service.hosting import HostedSpace
from unisem.service.places import Places
from unisem.service.principals import Principal
from unisem.service.refusal import RefusedError, too_many
from unisem.service.store_view import StoreView
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Selection

if TYPE_CHECKING:  # imported where somebody labels
    from unisem.pairs.labelling import Labelling

_Result = TypeVar("_Result")


class SpaceView:
    """The one place where what a principal may see and do is decided.

    The filter that a principal is bound to is a part of every selection, so that what it leaves out
    is nowhere: it is not found, given, listed, counted, changed or removed. Who may not write to
    all of the space is not told where on this machine its files lie.

    Args:
        hosted: The space.
        principal: Who asks.
    """

    def __init__(self, hosted: HostedSpace, principal: Principal) -> None:
        self._hosted = hosted
        self._space = hosted.space
        self._principal = principal
        self._places = None
        if principal.scope == "read" or principal.filter is not None:
            hides_all = principal.scope == "read"
            self._places = Places(hosted.space.image_library.folders, all_paths=hides_all)

    @property
    def name(self) -> str:
        """The space's name in URLs."""
        return self._hosted.name

    @property
    def encoder(self) -> str:
        """The encoder's name."""
        return self._hosted.encoder

    @property
    def version(self) -> Version | None:
        """Which version of a published space this is, if it is one."""
        return self._hosted.version

    @property
    def fingerprint(self) -> str:
        """The encoder's fingerprint."""
        return self._space.encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._space.encoder.dimension

    @property
    def options(self) -> dict[str, str | int]:
        """How the encoder was asked to embed."""
        return self._space.encoder.options.given

    @property
    def is_calibrated(self) -> bool:
        """Whether scores of texts and pictures are comparable."""
        return self._space.calibration is not None

    @property
    def writable(self) -> bool:
        """Whether records may be added and removed, by this principal."""
        return self._hosted.writable and self._principal.scope == "write"

    @property
    def store(self) -> StoreView:
        """The same, for who brings vectors."""
        return StoreView(self._space, self)

    def search(self, queries: Sequence[Query]) -> Future[list[list[Hit]]]:
        """Each query's hits, in order.

        Raises:
            RefusedError: Too many wait; or a graph is asked for by who may not see all records,
                whose names its paths would tell (403).
        """
        if self._principal.filter is not None and any(query.graph for query in queries):
            raise _no_graph()
        return self._hosted.search(
            [replace(query, selection=self.bound(query.selection)) for query in queries]
        )

    @property
    def has_graph(self) -> bool:
        """Whether a knowledge graph may take part in this principal's searches, and is there."""
        if self._principal.filter is not None:
            return False
        try:
            with self._space.store.graph.reading() as reader:
                return reader.version > 0
        except StoreError:  # it keeps none
            return False

    def drawing(self, record_id: str) -> Drawing | None:
        """What is known of the things that a record is about; ``None`` if that is nothing.

        Raises:
            RefusedError: There is no such record (404), or no graph for this principal (403).
        """
        record = self.record(record_id)
        if not self.has_graph:
            raise _no_graph()
        return Neighbourhood.of(self._space.graph, record.id).drawing()

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        """The record of each id, in order; ``None`` where there is none."""
        selection = self.bound(Selection(ids=tuple(ids)))
        found = {record.id: record for record in self._space.store.select(selection)}
        return [found.get(record_id) for record_id in ids]

    def record(self, record_id: str) -> Record:
        """One record.

        Raises:
            RefusedError: There is none of that id (404).
        """
        (record,) = self.get([record_id])
        if record is None:
            raise RefusedError(
                404, "there is no such record", field="id", remedy="search for what there is"
            )
        return record

    def told(self, record: Record) -> Record:
        """A record as this principal is told of it."""
        return record if self._places is None else self._places.told(record)

    def around(self, record: Record, count: int) -> list[Record]:
        """A record among those that its links lead to, in the order of its document.

        Args:
            record: One that is seen here.
            count: How many links are followed, ``"previous"`` and ``"next"`` each.
        """
        hit = Hit(record, 0.0, record.modality)
        found = with_neighbors(self._space.store, [hit], count, self.bound(EVERYTHING))
        return [hit.record for hit in found]

    def count(self, selection: Selection = EVERYTHING) -> int:
        """How many records are selected."""
        return self._space.store.count(self.bound(selection))

    def page(
        self, selection: Selection, after: str | None, most: int
    ) -> tuple[list[Record], str | None]:
        """Some of the selected records, and where the next page begins; see `Store.page`.

        Where that is does not say how much there is that the principal does not see.

        Raises:
            RefusedError: ``after`` is nothing that a page gave (422).
        """
        cursors = self._hosted.cursors
        try:
            last = None if after is None else cursors.shown(after)
            records, following = self._space.store.page(self.bound(selection), last, most)
        except ValueError:
            raise RefusedError(
                422, "cursor is nothing that a listing gave", field="cursor", remedy="leave it out"
            ) from None
        return records, None if following is None else cursors.hidden(following)

    def add(self, records: Sequence[Record]) -> Future[list[list[str]]]:
        """Add records, all of them or none; their ids in order.

        Raises:
            RefusedError: Nothing may be added here (403), or too many wait (429). The future's: a
                record that the principal would not see (403), or an id that is taken (409).
        """

        def job() -> list[str]:
            return self._space.add(self.checked(records))

        return self.write(job)

    def update(self, record_id: str, metadata: Mapping[str, Any]) -> Future[list[Record]]:
        """Replace a record's metadata; the record as it is then.

        Raises:
            RefusedError: Nothing may be changed here (403), or too many wait (429). The future's:
                there is no such record (404), or the principal would not see it any more (403).
        """

        def job() -> Record:
            changed = self.record(record_id).with_metadata(metadata)
            if self._principal.filter is not None:
                _check_seen(changed, self._principal.filter)
            self._space.update({record_id: metadata})
            return changed

        return self.write(job)

    def delete(
        self,
        ids: Sequence[str] | None = None,
        source_ids: Sequence[str] | None = None,
        filter: Filter | None = None,
    ) -> Future[list[int]]:
        """Remove the records for which all that is given holds; how many.

        Raises:
            RefusedError: Nothing may be removed here (403), nothing is given (422), or too many
                wait (429).
            FilterError: A filter that holds for every record.
        """
        if ids is None and source_ids is None and filter is None:
            raise RefusedError(422, "say what to delete: ids, source_ids or filter")
        if filter is not None and not (fields_of(filter) and narrows(filter)):
            raise FilterError(
                "filter holds for every record and would delete everything; give one that leaves "
                "something out"
            )
        selection = self.bound(Selection(ids, source_ids, filter))
        bound = self._principal.filter  # a record's links are whatever somebody wrote
        return self.write(lambda: delete_with_words(self._space.store, selection, bound))

    def look(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Look for something in the store, in turn; the future has its result, in a list.

        Raises:
            RefusedError: Too many wait (429).
        """
        return self._hosted.look(job)

    def read(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Read records, in turn, beside searches; the future has what the job gives, in a list.

        Raises:
            RefusedError: Too many wait (429).
        """
        return self._hosted.read(job)

    def write(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Do one thing while nothing else is written; the future has its result, in a list.

        Raises:
            RefusedError: Nothing may be written here (403), or too many wait (429).
        """
        if not self._hosted.writable:
            raise RefusedError(
                403, "this space is served for reading only", remedy="serve it without --read-only"
            )
        if self._principal.scope != "write":
            raise RefusedError(403, "this token is for reading only", remedy="use one for writing")
        return self._hosted.write(job)

    def label(self, who: str, job: Callable[[Labelling], _Result]) -> Future[list[_Result]]:
        """Do one thing as somebody who labels; the future has its result, in a list.

        Raises:
            RefusedError: Nothing may be written here, or not to all of it (403), or too many wait
                (429).
        """
        if self._principal.filter is not None:
            raise RefusedError(
                403, "this token is bound to some records, and questions are about all of them"
            )
        return self.write(lambda: job(self._hosted.labelling(who)))

    def bound(self, selection: Selection) -> Selection:
        """What of a selection there is for this principal.

        Raises:
            RefusedError: Its filter has more conditions than are looked at here (422).
        """
        if self._places is not None:
            selection = self._places.meant(selection)
        bound, wanted = self._principal.filter, selection.filter
        if wanted is not None and conditions_in(wanted) > (
            most := self._hosted.settings.conditions
        ):
            raise too_many("the number of conditions in filter", most, "filter")
        if bound is None:
            return selection
        return replace(selection, filter=bound if wanted is None else bound & wanted)

    def checked(self, records: Sequence[Record]) -> list[Record]:
        """Records that this principal adds, as they are meant: a source may be named as it is told.

        Raises:
            RefusedError: It would not see one (403), or an id is taken (409).
        """
        bound = self._principal.filter
        if bound is None:
            return list(records)
        for record in records:
            _check_seen(record, bound)
        ids = [record.id for record in records]
        there = self._space.get(ids)
        if any(record is not None and not matches(bound, record.metadata) for record in there):
            raise RefusedError(409, "an id cannot be used", remedy="choose other ids")
        return [
            new
            if old is None or self.told(old).source_id != new.source_id
            else replace(new, source_id=old.source_id)
            for new, old in zip(records, there, strict=True)
        ]


def _check_seen(record: Record, bound: Filter) -> None:
    if not matches(bound, record.metadata):
        raise RefusedError(
            403,
            "metadata are not those that this token may write",
            field="metadata",
            remedy="add what the token's filter asks for",
        )


def _no_graph() -> RefusedError:
    return RefusedError(
        403,
        "the knowledge graph tells of records that you may not see",
        field="graph",
        remedy="leave it out",
    )
