"""`export_space`: a space's records, vectors and pictures as plain files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from secrets import token_hex

from unisem.calibration import Calibration, save_calibration
from unisem.common.skipped import Skipped
from unisem.encoders import EncoderOptions
from unisem.errors import CorruptStoreError, ExchangeError, ImageError, StoreError
from unisem.exchange.entries import EntryWriter
from unisem.exchange.graph_file import write_graph, write_salvaged
from unisem.exchange.image_places import copied, reference_of
from unisem.exchange.info import (
    CALIBRATION,
    GRAPH,
    ExportInfo,
    Layout,
    check_layout,
    digests,
)
from unisem.exchange.jsonl import JsonLinesWriter
from unisem.exchange.parquet import ParquetWriter
from unisem.images.library import ImageLibrary
from unisem.manifest import Manifest
from unisem.records import EmbeddedRecord
from unisem.space import SemanticSpace
from unisem.stores import Store
from unisem.stores.graph import GraphStore
from unisem.stores.maintenance import SalvagedGraph
from unisem.stores.registry import kind_at, place_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        records: Records.
        vectors: Vectors.
        images: Records whose picture was copied.
        missing: Pictures that should have been copied and could not be; they are referred to.
        lost: Records of a damaged space that could not be read.
        without_vectors: Records of it whose vectors could not be read; their import embeds them.
        may_be_removed: Whether removed records of it may be among them, as the list of these could
            not be read.
        lost_of_graph: Entities, relations and mentions of it that could not be read, by kind.
    """

    records: int
    vectors: int
    images: int
    missing: tuple[Skipped, ...] = ()
    lost: int = 0
    without_vectors: int = 0
    may_be_removed: bool = False
    lost_of_graph: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Source:
    items: Iterable[EmbeddedRecord]
    pictures: ImageLibrary
    count: int
    dimension: int | None
    encoder: str | None
    fingerprint: str | None
    calibration: Calibration | None = None
    graph: GraphStore | SalvagedGraph | None = None
    options: EncoderOptions = field(default_factory=EncoderOptions)


def export_space(
    space: SemanticSpace | str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    layout: Layout = "jsonl",
    copy_images: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a space's present state into a new directory; see ``docs/guides/exchange.md``.

    Pictures that came as bytes and lie in the space are copied in any case, and so are all of a
    space that a service keeps. A calibration that the space searches by goes along, and so does
    its knowledge graph.

    Args:
        space: An open space, or the directory or URI of one; its encoder is not needed then.
        directory: Where to; must not exist, or be empty. It appears when it is complete.
        layout: ``"jsonl"`` or ``"parquet"``.
        copy_images: Copy the pictures that lie outside the space, too.
        progress: Called with (records done, records in all).

    Raises:
        ExchangeError: The directory holds something, or pyarrow is missing; or a picture that a
            service keeps cannot be fetched.
        CorruptStoreError: The space cannot be read to its end; see `salvage_space`.
    """
    with _opened(space) as source:
        return _write(source, Path(directory), check_layout(layout), copy_images, progress)


def salvage_space(
    path: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    layout: Layout = "jsonl",
    copy_images: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Export what can still be read of a damaged space, row by row; it is not changed.

    Args:
        path: The space's directory or URI.
        directory: As in `export_space`.
        layout: As in `export_space`.
        copy_images: As in `export_space`.
        progress: As in `export_space`.

    Raises:
        ExchangeError: As in `export_space`.
        CorruptStoreError: No record can be read.
    """
    origin = place_of(path)
    try:
        manifest = Manifest.read(origin)
    except CorruptStoreError:
        manifest = None
    kind = None if manifest is None else manifest.kind(origin)
    if kind is None and isinstance(origin, Path):
        kind = kind_at(origin)
    if kind is None:
        raise StoreError(f"there is no store at {origin}")
    pictures = kind.image_library(origin)
    with kind.maintenance(origin, pictures).salvage() as salvage:
        items = iter(salvage)
        first = list(islice(items, 1))
        if not first and salvage.lost:
            raise CorruptStoreError(f"no record of {origin} can be read; restore it from a copy")
        source = _Source(
            chain(first, items),
            pictures,
            0,
            salvage.dimension,
            None if manifest is None else manifest.encoder,
            None if manifest is None else manifest.fingerprint,
            graph=salvage.graph,
            options=EncoderOptions() if manifest is None else manifest.options,
        )
        report = _write(source, Path(directory), check_layout(layout), copy_images, progress)
        return replace(
            report,
            lost=salvage.lost,
            without_vectors=salvage.without_vectors,
            may_be_removed=salvage.may_be_removed,
            lost_of_graph={}
            if salvage.graph is None
            else {kind: len(lost) for kind, lost in salvage.graph.lost.items() if lost},
        )


@contextmanager
def _opened(space: SemanticSpace | str | os.PathLike[str]) -> Iterator[_Source]:
    if isinstance(space, SemanticSpace):
        store, encoder = space.store, space.encoder
        items, pictures = store.embedded(), space.image_library
        yield _Source(
            items,
            pictures,
            len(store),
            encoder.dimension,
            encoder.name,
            encoder.fingerprint,
            space.calibration,
            _graph_of(store),
            encoder.options,
        )
        return
    path = place_of(space)
    manifest = Manifest.existing(path)
    kind = manifest.kind(path)
    pictures = kind.image_library(path)
    opened = kind.open(path, pictures)
    try:
        items, name, fingerprint = opened.embedded(), manifest.encoder, manifest.fingerprint
        opened.expect(fingerprint)
        count, dimension, calibration = len(opened), opened.dimension, opened.calibration
        graph = _graph_of(opened)
        parts = items, pictures, count, dimension, name, fingerprint, calibration, graph
        yield _Source(*parts, manifest.options)
    finally:
        opened.close()


def _graph_of(store: Store) -> GraphStore | None:
    try:
        return store.graph
    except StoreError:  # it keeps none
        return None


def _write(
    source: _Source,
    directory: Path,
    layout: Layout,
    copy_images: bool,
    progress: Progress | None,
) -> ExportReport:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ExchangeError(f"{directory} is not a directory")
    if directory.exists() and any(directory.iterdir()):
        raise ExchangeError(f"{directory} is not empty; name a new directory")
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = directory.with_name(f".{directory.name}.{token_hex(8)}")
    unfinished.mkdir()
    try:
        report = _fill(source, unfinished, layout, copy_images, progress)
        if directory.exists():
            directory.rmdir()
        unfinished.rename(directory)
    except CorruptStoreError as error:
        raise CorruptStoreError(
            f"the space cannot be read to its end ({error}); `unisem store check` says more, "
            "and `unisem store export --salvage` saves what can be read"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return report


def _fill(
    source: _Source,
    unfinished: Path,
    layout: Layout,
    copy_images: bool,
    progress: Progress | None,
) -> ExportReport:
    records = pictures = 0
    missing: list[Skipped] = []
    writer: EntryWriter = (
        JsonLinesWriter(unfinished)
        if layout == "jsonl"
        else ParquetWriter(unfinished, source.dimension)
    )
    with writer:
        for item in source.items:
            record = item.record
            image, place = record.image, None
            if image is not None:
                is_copied = copy_images or image.path is None or source.pictures.holds(image)
                try:
                    place = copied(image, unfinished) if is_copied else reference_of(image)
                    pictures += is_copied
                except ImageError as error:
                    if image.path is None:  # there is no other place to refer to
                        raise ExchangeError(f"nothing is exported: {error}") from error
                    place = reference_of(image)
                    missing.append(Skipped(image.name, error.reason))
            fields = {
                "id": record.id,
                "text": record.text,
                "image": place,
                "metadata": dict(record.metadata),
                "links": dict(record.links),
                "source_id": record.source_id,
                "payload": dict(record.payload),
            }
            writer.add(fields, item.vectors)
            records += 1
            if progress is not None:
                progress(records, max(source.count, records))
    vectors = writer.vectors
    if source.calibration is not None:
        save_calibration(source.calibration, unfinished / CALIBRATION)
    if isinstance(source.graph, GraphStore):
        write_graph(source.graph, unfinished / GRAPH)
    elif source.graph is not None:
        write_salvaged(source.graph, unfinished / GRAPH)
    info = ExportInfo(
        layout=layout,
        encoder=source.encoder,
        fingerprint=source.fingerprint,
        dimension=source.dimension if vectors else None,
        records=records,
        vectors=vectors,
        pictures=pictures,
        files=digests(unfinished, layout),
        options=source.options,
    )
    info.write(unfinished)
    return ExportReport(records, vectors, pictures, tuple(missing))
