"""`SemanticSpace`: the front door. An encoder and a store behind one directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack

from unisem.common.threads import in_thread
from unisem.encoders import Encoder
from unisem.errors import FilterError
from unisem.filters import Filter, fields_of, narrows
from unisem.images.library import ImageLibrary
from unisem.ingest.enrichable import Enrichable
from unisem.ingest.intake import Intake, Offer
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.search.query import Query
from unisem.search.searchable import Searchable
from unisem.search.searcher import Searcher
from unisem.space_parts import ServiceAccess, SpaceParts, SpaceSettings
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.kind import Place, StoreKind
from unisem.stores.selection import Selection
from unisem.stores.vectors import admit

if TYPE_CHECKING:  # what a search does without is imported where it is used
    from unisem.ingest.ingest_report import IngestReport
    from unisem.ingest.pruning import Pruning
    from unisem.ingest.ray import RayIngestion
    from unisem.ingest.seen_files import SeenFiles
    from unisem.readers import Reader
    from unisem.recognition import TextRecognizer
    from unisem.rerank import Reranker


class SemanticSpace(Enrichable, Searchable):
    """Texts, pictures and captioned pictures in one index, ranked in one list.

    Open one with `SemanticSpace.open`. Threads may share a space; of several processes one may
    write, and one that was forked opens the files anew. Use it as a context manager, or
    call `close`, so that derived files are written.

    >>> from unisem import Record, SemanticSpace
    >>> with SemanticSpace.open(None) as space:
    ...     _ = space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    ...     space.search(text="a big striped cat", k=1)[0].record.id
    'a'
    """

    def __init__(self, parts: SpaceParts) -> None:
        self._parts = parts
        self._intake = Intake(parts.image_library, parts.encoder, parts.tokens)
        self._seen: SeenFiles | None = None  # made when a folder is first added
        self._searcher = parts.searcher or Searcher(parts.encoder, parts.store, self.path)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        encoder: str | Encoder | None = None,
        store: str | StoreKind | None = None,
        index: Any = None,
        durability: str | None = None,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
        copy_images: bool = False,
        tokens_for: str | Reranker | None = None,
    ) -> Self:
        """Open a space, or create it.

        Args:
            path: Its directory, by custom named ``*.unisem``; ``None`` for a space in memory. Or,
                of a kind of store that has them, a URI.
            encoder: A name for `load_encoder`, or an `Encoder`. Defaults to the encoder that the
                space was built with, and to ``"mini"`` for a new one.
            store: The kind of store: its name, or a `StoreKind` with settings, for example
                ``FaissKind(index="hnsw")``. Defaults to the kind that the space was built with,
                and to ``"faiss"`` for a new one.
            index: The same as a setting of the kind, where it has one; see `FaissKind`.
            durability: Likewise: ``"full"``, or ``"relaxed"``.
            image_roots: The only folders from which pictures are read. By default the folder
                that holds the space, the working directory, and folders that you have added to
                this space; never the root of a file system.
            copy_images: Copy every picture that is added into the space; it outlives its file then.
            tokens_for: A `CrossModalReranker`, or its name for `load_reranker`, whose tokens of a
                picture are made and kept as the picture is added, by whichever door.

        Raises:
            EncoderMismatchError: The space was built with another encoder.
            EncoderError: The encoder cannot be found.
            StoreError: The kind of store is not known here, is not the space's, or has no such
                setting.
            RerankerError: The reranker cannot be found, or this space cannot keep its tokens.
            CorruptStoreError: The space's files are damaged or from a newer version.
        """
        return cls(
            SpaceParts.at(
                path,
                encoder=encoder,
                store=store,
                index=index,
                durability=durability,
                image_roots=image_roots,
                copy_images=copy_images,
                tokens_for=tokens_for,
            )
        )

    @classmethod
    async def aopen(
        cls, path: str | os.PathLike[str] | None, **settings: Unpack[SpaceSettings]
    ) -> Self:
        """As `open`, in a thread, for programs whose event loop must not wait for a disk."""
        return await in_thread(cls.open, path, **settings)

    @classmethod
    def connect(cls, url: str, space: str | None = None, **access: Unpack[ServiceAccess]) -> Self:
        """Use a space that a service keeps (`unisem serve`), as if it were here.

        Queries are run and texts and pictures are embedded there, so that answers are the same to
        the last bit; what is added is read here and sent. See ``docs/guides/service.md``.

        Args:
            url: Of the service, ``https://…``; nothing is sent anywhere else.
            space: The space's name there; may be left out if there is one only.
            **access: ``token=``, what the service knows you by; ``timeout=``, seconds that it may
                be silent (60); ``image_roots=``, as of `open`, for pictures that are added.

        Raises:
            ServiceError: It cannot be reached, refuses, or has no such space.
            ImportError: httpx or pydantic is not installed; ``pip install "unisem[client]"``.
        """
        return cls(SpaceParts.connected(url, space, **access))

    @classmethod
    async def aconnect(
        cls, url: str, space: str | None = None, **access: Unpack[ServiceAccess]
    ) -> Self:
        """As `connect`, in a thread."""
        return await in_thread(cls.connect, url, space, **access)

    @property
    def path(self) -> Path | None:
        """The space's directory; ``None`` if it is none."""
        return self.place if isinstance(self.place, Path) else None

    @property
    def place(self) -> Place | None:
        """The space's directory or URI; ``None`` in memory."""
        return self._parts.place

    @property
    def encoder(self) -> Encoder:
        """What embeds this space's records and queries."""
        return self._parts.encoder

    @property
    def store(self) -> Store:
        """What keeps this space's records."""
        return self._parts.store

    @property
    def image_library(self) -> ImageLibrary:
        """Where this space's pictures may lie."""
        return self._parts.image_library

    @property
    def intake(self) -> Intake:
        """The way into this space, for whoever adds records by another door."""
        return self._intake

    def add(self, records: Iterable[Record]) -> list[str]:
        """Embed and store records, all of them or none; their ids in order.

        An id that exists is replaced. `add_folder` and `ingest` skip what is bad, and report.

        Raises:
            ImageError: A picture cannot be used; names it. Nothing was added.
            TypeError: An item is no `Record`.
            StoreError: The store refused; nothing was added.
        """
        items = list(self._intake.embedded(map(Offer.of, records)))
        self.store.add(items)
        return [item.record.id for item in items]

    def add_embedded(self, items: Iterable[EmbeddedRecord]) -> list[str]:
        """Store records whose vectors are known already, all of them or none; their ids in order.

        The vectors must come from this space's encoder, or be comparable with its queries. Those
        that are not of length 1 are scaled to it.
        Pictures are checked and kept as by `add`; nothing is embedded.

        Raises:
            ImageError: A picture cannot be used; names it. Nothing was added.
            VectorError: A vector is of another dimension, zero, not finite or misshapen. Likewise.
            StoreError: The store refused; nothing was added.
        """
        kept = list(items)
        if any(item.record.image is not None for item in kept):
            admitted = admit(kept, self.encoder.dimension)  # before any picture is kept
            offers = (Offer(item.record, item.vectors) for item in admitted)
            kept = list(self._intake.embedded(offers))
        self.store.add(kept)
        return [item.record.id for item in kept]

    def add_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        prune: bool | Pruning | None = None,
        location: bool = True,
        recognizer: str | TextRecognizer | None = None,
        read_all: bool = False,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        ray: RayIngestion | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IngestReport:
        """Add a folder's pictures with captions, its texts and documents; see `FolderReader`.

        Args:
            folder: Its pictures are referred to, or copied if ``copy_images=True``.
            prune: Remove records whose files were deleted, in this run and, until you say
                ``False``, in later ones, but for what `Pruning` keeps; ``Pruning.NOW`` removes
                that, too, in this run. The report names them.
            location: Whether the place where a picture was taken becomes metadata.
            recognizer: Reads words in pictures and on scanned pages; as of `load_recognizer`.
            read_all: Read every file, also those whose size and times are what they were last time.
            exclude: Patterns of files and folders that are left out, ``["drafts", "*-old.*"]``.
            include: Patterns of what is taken in although it is usually left out.
            ray: Embed on the machines of a Ray cluster.
            progress: Called now and then with (done, in all): files, and pages as they are read.

        Raises:
            NotADirectoryError: There is no such folder.
            RecognizerError: It does not load, or has failed on 16 pictures running.
            ClusterError: The Ray cluster cannot be used. What is done is kept.
            LabelError: What was asked and judged cannot follow renamed files. All else is done.
        """
        from unisem.ingest.pruning import Pruning
        from unisem.ingest.seen_files import SeenFiles
        from unisem.readers import FolderReader

        if self._seen is None:
            self._seen = SeenFiles(self._parts.seen_file)
        place, whole = self.image_library.locate, self.encoder.reads_whole
        reader = FolderReader(
            folder,
            locate=place,
            reads_whole=whole,
            location=location,
            recognizer=recognizer,
            exclude=exclude,
            include=include,
        )
        self.image_library.allow(reader.folder)
        found = reader.recognizer
        pruning = self._parts.pruning(reader.folder, prune)
        seen = self._seen.unread() if read_all else self._seen
        report = self._ingest(reader, pruning, found, ray, progress, seen)
        if prune is not None:
            self._parts.remember_pruning(reader.folder, prune=pruning is not Pruning.NEVER)
        return report

    def ingest(
        self,
        reader: Reader,
        *,
        prune: bool | Pruning = False,
        recognizer: str | TextRecognizer | None = None,
        ray: RayIngestion | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IngestReport:
        """Add what a reader yields, batch by batch.

        What has not changed since the last time is left alone, what cannot be used is skipped and
        reported, and chunks that a changed source no longer has are removed. Each batch is
        committed by itself: after an interruption the same call goes on. Else see `add_folder`;
        ``prune`` is of this run only.
        """
        from unisem.ingest.pruning import Pruning

        return self._ingest(reader, Pruning.of(prune), recognizer, ray, progress)

    def _ingest(
        self,
        reader: Reader,
        pruning: Pruning,
        recognizer: str | TextRecognizer | None,
        ray: RayIngestion | None,
        progress: Callable[[int, int], None] | None,
        seen: SeenFiles | None = None,
    ) -> IngestReport:
        from unisem.ingest.ingestion import Ingestion
        from unisem.stores.personal_files import follow_renames

        intake = self._intake if ray is None else ray.intake(self._intake)
        parts = intake, self.encoder, self.store, self.image_library, progress
        run = Ingestion(*parts, pruning=pruning, seen=seen, recognizer=recognizer)
        report = run.run(reader)
        if self.path is not None:
            follow_renames(self.path, report.moved)
        return report

    def embed(self, records: Iterable[Record]) -> Iterator[EmbeddedRecord]:
        """Give records their vectors, a captioned picture two, without storing them.

        Raises:
            ImageError: Names the first picture that cannot be used.
            TypeError: An item is no `Record`.
        """
        return Intake(self.image_library, self.encoder).embedded(map(Offer.of, records))

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Searchable`."""
        return self._searcher.search_many(queries)

    def iterate(self, query: Query) -> Iterator[Hit]:
        """See `Searchable`."""
        return self._searcher.iterate(query)

    def embed_query(self, query: Query) -> Vector:
        """The ``(d,)`` float32 unit vector of a query; text and picture are averaged by weight."""
        return self._searcher.embed([query])[0]

    def get(self, ids: Sequence[str]) -> list[Record | None]:
        """Return the record of each id, in order; ``None`` where there is none."""
        return self.store.get(ids)

    def delete(
        self,
        ids: Sequence[str] | None = None,
        *,
        source_ids: Sequence[str] | None = None,
        filter: Filter | None = None,
    ) -> int:
        """Remove records for which all that is given holds, and the words read in their pictures.

        Args:
            ids: One of these ids; unknown ones are no error.
            source_ids: Cut from one of these sources.
            filter: Condition on metadata.

        Returns:
            How many were removed, words among them.

        Raises:
            ValueError: Nothing is given, or a filter that holds for every record whatever it is.
        """
        if ids is None and source_ids is None and filter is None:
            raise ValueError("say what to delete: ids, source_ids or filter")
        if filter is not None and not (fields_of(filter) and narrows(filter)):
            raise FilterError(
                "an empty filter, or one with an empty part that holds for every record, would "
                "delete everything; give one that leaves something out"
            )
        from unisem.ingest.word_reading import delete_with_words

        return delete_with_words(self.store, Selection(ids, source_ids, filter))

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace records' metadata without embedding anything, all of them or none.

        Args:
            metadata: The new metadata, whole, by id: ``{"a": {"year": 2025}}``.

        Raises:
            RecordError: There is no such record, or the metadata are not JSON; names it.
        """
        self.store.update(metadata)

    def compact(self, index: str | None = None) -> str:
        """Index all vectors and words anew and give unused disk space back; may take minutes.

        Args:
            index: Kind of index; the one the space was opened with if ``None``.

        Returns:
            What was built and why, as a sentence.

        Raises:
            ValueError: The space's store has no such index.
            StoreError: The space's store looks after itself.
        """
        return "; ".join(self.store.maintenance().compact(index))

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy this space, as it is after some write, into a new directory; others may go on.

        The copy is a space of its own, with the pictures that lie inside this one. See
        ``docs/guides/data_safety.md``.

        Args:
            path: The copy's directory, which must not exist yet.

        Raises:
            StoreError: It exists, the disk refused (nothing is left then), or there are no files.
        """
        self.store.maintenance().backup(Path(path))

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return f"SemanticSpace({str(self.place)!r}, encoder={self.encoder.name!r})"

    def __deepcopy__(self, memo: object) -> Self:
        return self  # its files are open once; a copy of what holds it goes on with them

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is open here and cannot be pickled; pass its place, and open it there"
        )

    def close(self) -> None:
        """Write derived files and let go of locks; safe to call twice."""
        self.store.close()
        self.image_library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
