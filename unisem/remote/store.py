"""`RemoteStore`: the records of a space that a service keeps."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from unisem.calibration import Calibration, QueryKind, load_calibration
from unisem.calibration.artefact import packed
from unisem.errors import CalibrationError, RecordError, StoreError
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.remote.image import RemoteImage
from unisem.remote.space import RemoteSpace
from unisem.stores.base import Store
from unisem.stores.graph import GraphStore
from unisem.stores.hits import Hit
from unisem.stores.maintenance import Maintenance
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit, query_rows
from unisem.wire.answers import Added, Deleted, Got
from unisem.wire.requests import RecordIds
from unisem.wire.store import (
    CalibrationAnswer,
    CalibrationRequest,
    EmbeddedItem,
    EmbeddedItems,
    IdsRequest,
    KeptImage,
    NewCalibration,
    PageRequest,
    StoreHits,
    StorePage,
    Updated,
    Updates,
    VectorsAnswer,
    VectorSearch,
    WireRows,
    WireSelection,
    WordSearch,
    vectors_of,
)

_Answer = TypeVar("_Answer", bound=BaseModel)
_HEAD = 32  # bytes more than a picture that its data URI may seem to hold


class RemoteStore(Store):
    """A `Store` over HTTP; whoever made its space's token decides what there is in it.

    Pictures of records that are added are sent with them; those that the space has already are
    not. `select` and `embedded` read page by page: of what is written meanwhile some may be among
    them, and no record comes twice.

    Args:
        space: The space.
    """

    def __init__(self, space: RemoteSpace) -> None:
        self._space = space
        self._calibration: tuple[str, Calibration] | None = None  # with its digest

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        """See `Store`; all or none of what one request holds.

        What is more goes in several requests, one after the other: if one of them fails, the
        records of those before it are stored, and the error has a note that says how many.

        Raises:
            ImageError: A picture cannot be read, is not the one that it was, or is more than the
                service takes; nothing is stored.
            VectorError: As `Store.add`; likewise.
            ServiceError: The service refuses, or is gone.
        """
        if not items:
            self._check_open()
            return
        ready = admit(items)
        stored = 0
        try:
            for entries in self._batches(ready):
                if not stored:  # before anything is
                    for item in ready[len(entries) :]:
                        self._entry(item)
                self._ask(Added, "add", EmbeddedItems(items=entries), again=False)
                stored += len(entries)
        except Exception as error:
            if stored:
                error.add_note(f"the first {stored} of {len(ready)} records are stored")
            raise

    def delete(self, selection: Selection) -> int:
        body = WireSelection.of(selection)
        return self._ask(Deleted, "delete", body, again=False).deleted

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        for page in self._pages(selection, with_vectors=False):
            yield from map(self._space.record_of, page.records)

    def embedded(self) -> Iterator[EmbeddedRecord]:
        for page in self._pages(EVERYTHING, with_vectors=True):
            for record, vectors in zip(page.records, page.vectors or (), strict=True):
                if vectors is not None:
                    yield EmbeddedRecord(self._space.record_of(record), vectors_of(vectors))

    def count(self, selection: Selection) -> int:
        return self._page(selection, None, 1).count

    def page(
        self, selection: Selection, after: str | None, most: int
    ) -> tuple[list[Record], str | None]:
        page = self._page(selection, after, min(most, self._space.limits.records))
        return [self._space.record_of(record) for record in page.records], page.cursor

    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> list[list[Hit]]:
        rows, limits = query_rows(vectors), self._space.limits
        most = min(limits.vectors, max(limits.hits // max(k, 1), 1))
        found: list[list[Hit]] = []
        for start in range(0, max(len(rows), 1), most):  # of none the service is asked, too
            body = VectorSearch(
                vectors=WireRows.of(rows[start : start + most]),
                k=k,
                selection=WireSelection.of(selection),
                match=match,
                asked=asked,
            )
            results = self._ask(StoreHits, "search", body).results
            found += [[self._space.hit_of(hit) for hit in hits] for hits in results]
        return found

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        body = WordSearch(text=text, k=k, selection=WireSelection.of(selection))
        (hits,) = self._ask(StoreHits, "words", body).results
        return [self._space.hit_of(hit) for hit in hits]

    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        found: list[dict[VectorKind, Vector] | None] = []
        for some in self._some(ids):
            answer = self._ask(VectorsAnswer, "vectors", IdsRequest(ids=some))
            found += [None if one is None else vectors_of(one) for one in answer.vectors]
        return found

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        self._check_open()
        found: list[Record | None] = []
        for some in self._some(ids):
            answer = self._space.ask(Got, "/records/get", RecordIds(ids=some))
            found += [None if it is None else self._space.record_of(it) for it in answer.records]
        return found

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        for record_id, one in metadata.items():
            if not isinstance(one, Mapping):
                raise RecordError(
                    f"record {record_id!r}: metadata must be a dictionary, not {type(one).__name__}"
                )
            Record(id=record_id, text="", metadata=one)  # which checks that they are JSON
        body = Updates(metadata={name: dict(one) for name, one in metadata.items()})
        self._ask(Updated, "update", body, again=False)

    def __len__(self) -> int:
        self._check_open()
        return self._space.told().records

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        self._check_open()
        return self._space.told().stored_dimension

    @property
    def graph(self) -> GraphStore:
        raise StoreError(
            "the knowledge graph of a space that a service keeps is searched there, with graph=, "
            "but without a reranker or a fusion of one's own; read and fill it where the space is"
        )

    @property
    def calibration(self) -> Calibration | None:
        known = None if self._calibration is None else self._calibration[0]
        answer = self._ask(CalibrationAnswer, "calibration", CalibrationRequest(known=known))
        if answer.digest is None:
            self._calibration = None
        elif answer.data is not None:
            self._calibration = answer.digest, _unpacked(base64.b64decode(answer.data))
        return None if self._calibration is None else self._calibration[1]

    def calibrate(self, calibration: Calibration | None) -> None:
        data = None if calibration is None else base64.b64encode(packed(calibration)).decode()
        self._ask(CalibrationAnswer, "calibrate", NewCalibration(data=data), again=False)

    def maintenance(self) -> Maintenance:
        self._refuse("looked after")

    def close(self) -> None:
        self._space.connection.close()

    def _batches(self, items: Sequence[EmbeddedRecord]) -> Iterator[list[EmbeddedItem]]:
        """As many as one request may have; pictures are read as they are needed."""
        batch: list[EmbeddedItem] = []
        size = 0
        for item in items:
            entry = self._entry(item)
            weight = self._space.weight(entry.model_dump_json().encode())
            is_full = len(batch) == self._space.limits.added
            if batch and (is_full or size + weight > self._space.room):
                yield batch
                batch, size = [], 0
            batch.append(entry)
            size += weight
        yield batch

    def _entry(self, item: EmbeddedRecord) -> EmbeddedItem:
        """A record as it is sent.

        Raises:
            ImageError: As `add`.
        """
        record = item.record
        entry = EmbeddedItem.with_vectors(record, item.vectors, self._kept(record))
        if entry.image is not None and (image := record.image) is not None:
            pixels = (image.width or 0) * (image.height or 0)
            self._space.check_picture(image.name, 3 * len(entry.image) // 4 - _HEAD, pixels)
        return entry

    def _kept(self, record: Record) -> KeptImage | None:
        """How the space is told of a picture that it has already."""
        picture = None if record.image is None else record.image.elsewhere
        if not isinstance(picture, RemoteImage) or picture.place != self._space.place:
            return None
        return KeptImage(of=picture.record_id, sha256=picture.sha256 or "")

    def _pages(self, selection: Selection, *, with_vectors: bool) -> Iterator[StorePage]:
        """Pages, without records that came before."""
        seen: set[str] = set()
        cursor, left = None, None
        while True:
            page = self._page(selection, cursor, self._space.limits.records, with_vectors)
            left = page.count if left is None else left  # who adds what he reads comes to an end
            places = [n for n, it in enumerate(page.records) if it.id not in seen][:left]
            seen |= {page.records[place].id for place in places}
            left -= len(places)
            vectors = page.vectors and [page.vectors[place] for place in places]
            records = [page.records[place] for place in places]
            yield page.model_copy(update={"records": records, "vectors": vectors})
            cursor = page.cursor
            if cursor is None or left <= 0:
                return

    def _page(
        self, selection: Selection, cursor: str | None, most: int, with_vectors: bool = False
    ) -> StorePage:
        body = PageRequest(
            selection=WireSelection.of(selection),
            cursor=cursor,
            limit=most,
            with_vectors=with_vectors,
        )
        return self._ask(StorePage, "page", body)

    def _ask(
        self, answer: type[_Answer], path: str, body: BaseModel, *, again: bool = True
    ) -> _Answer:
        return self._space.ask(answer, f"/store/{path}", body, again=again)

    def _some(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """As many ids as one request may have."""
        most = self._space.limits.records
        yield from (list(ids[start : start + most]) for start in range(0, len(ids), most))

    def _check_open(self) -> None:
        if self._space.connection.is_closed:
            raise StoreError(f"{self._space.place}: this space is closed; connect again")

    def _refuse(self, done: str) -> NoReturn:
        raise StoreError(
            f"{self._space.place} is {done} where it lies: open it there, or use `unisem store` "
            "with its directory on that machine"
        )


def _unpacked(data: bytes) -> Calibration:
    """A calibration from the bytes of its file.

    Raises:
        CalibrationError: They are damaged.
    """
    try:
        with TemporaryDirectory(prefix="unisem-") as folder:
            path = Path(folder) / "calibration.safetensors"
            path.write_bytes(data)
            return load_calibration(path)
    except OSError as error:
        raise CalibrationError(f"a calibration could not be read ({error})") from error
