"""`SemanticSpace`: the front door. An encoder and a store behind one directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from unisem.encoders import Encoder, load_encoder
from unisem.errors import EncoderMismatchError, ImageError
from unisem.filters import Filter
from unisem.images import ImageSource
from unisem.ingest import Ingestion, IngestReport, embed_prepared
from unisem.manifest import Manifest
from unisem.pictures import Pictures
from unisem.readers import FolderReader, Reader
from unisem.records import Modality, Record
from unisem.search import EmbeddedRecord, Hit, Match, Query, Selection, Vector
from unisem.stores import Store
from unisem.stores.faiss import FaissStore

__all__ = ["IngestReport", "SemanticSpace"]

_BATCH = 64
_THREADS = 4


class SemanticSpace:
    """Texts, pictures and captioned pictures in one index, ranked in one list.

    Open one with `SemanticSpace.open`. Threads may share a space; of several processes one may
    write. Use it as a context manager, or call `close`, so that derived files are written.

    >>> from unisem import Record, SemanticSpace
    >>> with SemanticSpace.open(None) as space:
    ...     _ = space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    ...     space.search(text="a big striped cat", k=1)[0].record.id
    'a'
    """

    def __init__(
        self, *, encoder: Encoder, store: Store, pictures: Pictures, path: Path | None
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._pictures = pictures
        self._path = path

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        encoder: str | Encoder | None = None,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
    ) -> Self:
        """Open a space, or create it.

        Args:
            path: Its directory, by custom named ``*.unisem``; ``None`` for a space in memory.
            encoder: A name for `load_encoder`, or an `Encoder`. Defaults to the encoder that the
                space was built with, and to ``"mini"`` for a new one.
            image_roots: The only folders from which pictures are read. By default the folder
                that holds the space, the working directory, and folders that are added.

        Raises:
            EncoderMismatchError: The space was built with another encoder.
            EncoderError: The encoder cannot be found.
            CorruptStoreError: The space's files are damaged or from a newer version.
        """
        directory = None if path is None else Path(path)
        manifest = None if directory is None else Manifest.read(directory)
        if encoder is None and manifest is not None:
            # A name that comes from a file is looked for on this machine only.
            loaded = load_encoder(manifest.encoder, local_only=True)
        else:
            loaded = load_encoder(encoder or "mini")
        if manifest is None:
            if directory is not None:
                Manifest(encoder=loaded.name, fingerprint=loaded.fingerprint).write(directory)
        elif manifest.fingerprint != loaded.fingerprint:
            remedy = f"Open it with encoder={manifest.encoder!r}, or build a new space"
            if manifest.encoder == loaded.name:
                remedy = "The model of that name has changed since; build the space anew"
            raise EncoderMismatchError(
                f"{directory} was built with the encoder {manifest.encoder!r} "
                f"({manifest.fingerprint[:12]}), not {loaded.name!r} "
                f"({loaded.fingerprint[:12]}); their vectors cannot be compared. {remedy}"
            )
        roots = None if image_roots is None else [Path(root) for root in image_roots]
        pictures = Pictures(directory, roots)
        store = FaissStore(directory, pictures)
        return cls(encoder=loaded, store=store, pictures=pictures, path=directory)

    @property
    def path(self) -> Path | None:
        """The space's directory; ``None`` in memory."""
        return self._path

    @property
    def encoder(self) -> Encoder:
        """What embeds this space's records and queries."""
        return self._encoder

    @property
    def store(self) -> Store:
        """What keeps this space's records."""
        return self._store

    def add(self, records: Iterable[Record]) -> list[str]:
        """Embed and store records, all of them or none; an id that exists is replaced.

        For many files of mixed quality use `add_folder` or `ingest`, which skip and report.

        Returns:
            The ids, in the order given.

        Raises:
            ImageError: A picture cannot be used; names it. Nothing was added.
            TypeError: An item is no `Record`.
            StoreError: The store refused; nothing was added.
        """
        items = list(self.embed(records))
        self._store.add(items)
        return [item.record.id for item in items]

    def add_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> IngestReport:
        """Add a folder's pictures with their captions, and its texts; see `FolderReader`.

        Args:
            folder: The folder; its pictures are referred to, not copied.
            progress: Called with (files done, files in all) now and then.

        Raises:
            NotADirectoryError: There is no such folder.
        """
        reader = FolderReader(folder, locate=self._pictures.locate)
        self._pictures.allow(reader.folder)
        return self.ingest(reader, progress=progress)

    def ingest(
        self, reader: Reader, *, progress: Callable[[int, int], None] | None = None
    ) -> IngestReport:
        """Add what a reader yields, batch by batch.

        What has not changed since the last time is left alone, what cannot be used is skipped and
        reported, and chunks that a changed source no longer has are removed. Each batch is
        committed by itself: after an interruption the same call goes on where it stopped.
        """
        return Ingestion(self._encoder, self._store, self._pictures, progress).run(reader)

    def embed(self, records: Iterable[Record]) -> Iterator[EmbeddedRecord]:
        """Give records their vectors without storing them.

        A text has one vector; a picture has one, and a second one for its caption if it has one.

        Raises:
            ImageError: Names the first picture that cannot be used.
            TypeError: An item is no `Record`.
        """
        checked = map(_as_record, records)
        with ThreadPoolExecutor(_THREADS, "unisem-decode") as pool:
            while batch := list(islice(checked, _BATCH)):
                prepared = list(pool.map(self._prepare, batch))
                images = [image for _, image in prepared if image is not None]
                yield from embed_prepared(self._encoder, [record for record, _ in prepared], images)

    def _prepare(self, record: Record) -> tuple[Record, Image.Image | None]:
        if record.image is None:
            return record, None
        image = self._pictures.admit(record.image)
        data = image.read_bytes()
        try:
            decoded = self._encoder.prepare_image(data)
            return record.with_image(self._pictures.keep(image, data)), decoded
        except ImageError as error:
            raise ImageError(record.image.name, error.reason) from error

    def search(
        self,
        text: str | None = None,
        image: ImageSource | None = None,
        *,
        k: int = 5,
        filter: Filter | None = None,
        modality: Modality | None = None,
        match: Match = "any",
        text_weight: float = 0.5,
    ) -> list[Hit]:
        """Find the records nearest to a text, a picture, or both.

        Args:
            text: Text as written; a string that looks like a path or URL is still text.
            image: A path, bytes, a Pillow picture or an `ImageRef`.
            k: At most how many hits; exactly ``min(k, matching records)`` come back.
            filter: Condition on metadata, for example ``Field("year") >= 2020``.
            modality: ``"image"`` for records with a picture, ``"text"`` for those without.
            match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, or ``"any"``.
            text_weight: Share of the text, if both are given.

        Returns:
            Hits, best first, ties by id.

        Raises:
            ImageError: The query's picture cannot be used.
            ValueError: Neither text nor picture, or an argument out of range.
        """
        query = Query(
            text=text,
            image=image,
            text_weight=text_weight,
            k=k,
            selection=Selection(filter=filter, modality=modality),
            match=match,
        )
        return self.search_query(query)

    def search_query(self, query: Query) -> list[Hit]:
        """Run one `Query`."""
        vector = self.embed_query(query)[np.newaxis]
        return self._store.search(vector, query.k, query.selection, query.match)[0]

    def embed_query(self, query: Query) -> Vector:
        """The ``(d,)`` float32 unit vector of a query; text and picture are averaged by weight."""
        if query.vector is not None:
            vector = np.asarray(query.vector, np.float32).reshape(-1)
        else:
            vector = np.zeros(self._encoder.dimension, np.float32)
            both = query.text is not None and query.image is not None
            if query.text is not None:
                share = query.text_weight if both else 1.0
                vector += share * self._encoder.encode_texts([query.text], role="query")[0]
            if query.image is not None:
                share = 1 - query.text_weight if both else 1.0
                vector += share * self._encoder.encode_images([query.image])[0]
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0:
            raise ValueError("the query's vector is zero or not finite")
        unit: Vector = (vector / norm).astype(np.float32)
        return unit

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        """Return the record of each id, in order; ``None`` where there is none."""
        return self._store.get(ids)

    def delete(self, ids: Sequence[str]) -> int:
        """Remove records; unknown ids are no error. Returns how many were removed."""
        if isinstance(ids, str):
            raise TypeError("pass a list of ids, for example [id]")
        return self._store.delete(Selection(ids=tuple(ids)))

    def __len__(self) -> int:
        return len(self._store)

    def __repr__(self) -> str:
        return f"SemanticSpace({str(self._path)!r}, encoder={self._encoder.name!r})"

    def close(self) -> None:
        """Write derived files and let go of locks; safe to call twice."""
        self._store.close()
        self._pictures.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _as_record(record: object) -> Record:
    if not isinstance(record, Record):
        raise TypeError(f"expected a unisem.Record, not {type(record).__name__}")
    return record
