"""A whole second kind of store: a list, searched by brute force, kept as one JSON file.

A store needs its `Store`, what looks after it, and the `StoreKind` that opens it by name. Its file
lies in a directory or, for a URI, in `SERVER`, which stands for a machine elsewhere.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests.congruence.oracle import Oracle
from tests.support.oracle import BruteForce
from unisem.calibration import QueryKind
from unisem.errors import CorruptStoreError, StoreError
from unisem.images.library import ImageLibrary
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores import Store, StoreKind, register
from unisem.stores.hits import Hit
from unisem.stores.kind import Place
from unisem.stores.maintenance import Finding, Maintenance, Statistics
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit, check_dimension, query_rows

_FILE = "records.json"
SERVER: dict[str, bytes] = {}


class ListStore(Store):
    """Everything in memory; every write rewrites the file."""

    def __init__(
        self,
        place: Place | None,
        image_library: ImageLibrary,
        dimension: Callable[[], int] | None = None,
        most: int = 10_000,
    ) -> None:
        self._place = place
        self._image_library = image_library
        self._first_dimension = dimension
        self._most = most
        self._kept = BruteForce()
        self._closed = False
        data = _read(place)
        if data is None:
            self._write()
        else:
            self._kept.add(_parsed(data, image_library, place))

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        self._check_open()
        if not items:
            return
        wanted = self.dimension
        if wanted is None and self._first_dimension is not None:
            wanted = self._first_dimension()
        items = admit(items, wanted)
        before = dict(self._kept.items)
        self._kept.add(items)
        try:
            if len(self) > self._most:
                raise StoreError(f"this store keeps {self._most} records at most")
            self._write()
        except BaseException:
            self._kept.items = before
            raise
        self._image_library.settle(item.record.image for item in items)

    def delete(self, selection: Selection) -> int:
        self._check_open()
        count = self._kept.delete(selection)
        self._write()
        return count

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        self._check_open()
        yield from [self._kept.items[name].record for name in self._kept.select(selection)]

    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> list[list[Hit]]:
        self._check_open()
        queries = query_rows(vectors)
        if self.dimension is not None:
            check_dimension(queries, "query vectors", self.dimension)
        return [
            [
                Hit(self._kept.items[name].record, min(1.0, max(-1.0, score)), kind)  # type: ignore[arg-type]
                for name, score, kind in self._kept.search(query, k, selection, match)
            ]
            for query in queries
        ]

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        self._check_open()
        items = self._kept.items
        chosen = [items[name] for name in self._kept.select(selection)]
        found = Oracle(list(items.values())).by_keyword(text, chosen) if items else []
        return [Hit(items[name].record, score, "text") for name, score in found[:k]]

    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        self._check_open()
        found = [self._kept.items.get(name) for name in ids]
        return [None if item is None else dict(item.vectors) for item in found]

    def __len__(self) -> int:
        return len(self._kept.items)

    def close(self) -> None:
        self._closed = True

    def maintenance(self) -> ListMaintenance:
        if self._place is None:
            raise StoreError("a store in memory has no files")
        return ListMaintenance(self._place, self._image_library)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this store has been closed; open it again")

    def _write(self) -> None:
        if self._place is not None:
            lines = [_line(item, self._image_library) for item in self._kept.items.values()]
            _write(self._place, json.dumps(lines).encode())


class ListMaintenance(Maintenance):
    """Reads the file as it is."""

    def __init__(self, place: Place, image_library: ImageLibrary) -> None:
        self._place = place
        self._image_library = image_library

    def _items(self) -> list[EmbeddedRecord]:
        data = _read(self._place)
        if data is None:
            raise StoreError(f"there is no store at {self._place}")
        return _parsed(data, self._image_library, self._place)

    def statistics(self) -> Statistics:
        items = self._items()
        records = Counter(item.record.modality for item in items)
        vectors = Counter(kind for item in items for kind in item.vectors)
        rows = [row for item in items for row in item.vectors.values()]
        return Statistics(
            records={name: records[name] for name in ("text", "image")},
            vectors={
                name: vectors[name] for name in VECTOR_KINDS if vectors[name] or name != "both"
            },
            dimension=rows[0].shape[-1] if rows else None,
            writer=None,
        )

    def check(self, *, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
        try:
            self._items()
        except CorruptStoreError as error:
            yield Finding("records", True, str(error))

    @contextmanager
    def salvage(self) -> Iterator[Whole]:
        yield Whole(self._items())

    def backup(self, destination: Path) -> None:
        if isinstance(self._place, str):
            raise StoreError(f"{self._place} has no files to copy; export it instead")
        if destination.exists():
            raise StoreError(f"{destination} exists already")
        shutil.copytree(self._place, destination)

    def compact(self, index: str | None = None) -> tuple[str, ...]:
        if index not in (None, "auto"):
            raise ValueError(f"a list has no index, so none of the kind {index!r}")
        return ("a list needs no index",)


class Whole:
    """What is read of a file that is whole, or not at all."""

    def __init__(self, items: list[EmbeddedRecord]) -> None:
        self.dimension = next(
            (row.shape[-1] for item in items for row in item.vectors.values()), None
        )
        self.read = self.without_vectors = self.lost = 0
        self.may_be_removed = False
        self.graph = None
        self._items = items

    def __iter__(self) -> Iterator[EmbeddedRecord]:
        for item in self._items:
            self.read += 1
            yield item


@register
@dataclass(frozen=True, slots=True)
class ListKind(StoreKind):
    """A list.

    Attributes:
        most: How many records it takes.
    """

    name: ClassVar[str] = "list"
    file: ClassVar[str | None] = _FILE
    most: int = 10_000

    def open(
        self,
        place: Place | None,
        image_library: ImageLibrary,
        dimension: Callable[[], int] | None = None,
    ) -> ListStore:
        return ListStore(place, image_library, dimension, self.most)

    def maintenance(self, place: Place, image_library: ImageLibrary) -> ListMaintenance:
        return ListMaintenance(place, image_library)

    def read_manifest(self, uri: str) -> bytes | None:
        return SERVER.get(f"{uri} manifest")

    def write_manifest(self, uri: str, text: bytes) -> None:
        SERVER[f"{uri} manifest"] = text


def _read(place: Place | None) -> bytes | None:
    if isinstance(place, str):
        return SERVER.get(place)
    if place is None or not (place / _FILE).exists():
        return None
    return (place / _FILE).read_bytes()


def _write(place: Place, data: bytes) -> None:
    if isinstance(place, str):
        SERVER[place] = data
        return
    place.mkdir(parents=True, exist_ok=True)
    (place / f".{_FILE}").write_bytes(data)
    (place / f".{_FILE}").replace(place / _FILE)


def _line(item: EmbeddedRecord, image_library: ImageLibrary) -> dict[str, Any]:
    record = item.record
    return {
        "id": record.id,
        "text": record.text,
        "image": None if record.image is None else image_library.to_json(record.image),
        "metadata": record.metadata,
        "source_id": record.source_id,
        "links": record.links,
        "payload": record.payload,
        "vectors": {kind: row.tolist() for kind, row in item.vectors.items()},
    }


def _parsed(data: bytes, image_library: ImageLibrary, place: Place | None) -> list[EmbeddedRecord]:
    try:
        items = []
        for line in json.loads(data):
            vectors = line.pop("vectors")
            image = line.pop("image")
            record = Record(**line, image=None if image is None else image_library.from_json(image))
            rows = {kind: np.array(row, np.float32) for kind, row in vectors.items()}
            items.append(EmbeddedRecord(record, rows))
        return items
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptStoreError(f"{place}: {_FILE} cannot be read ({error})") from error
