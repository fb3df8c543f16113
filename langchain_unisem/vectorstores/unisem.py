"""`UniSemVectorStore`: a semantic space, or any embeddings, as a LangChain vector store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypedDict, TypeVar, Unpack

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from langchain_unisem.embeddings import UniSemEmbeddings
from langchain_unisem.vectorstores.encoder import EmbeddingsEncoder
from langchain_unisem.vectorstores.space_documents import Metadatas, SpaceDocuments
from unisem.common.leases import Lease, Registry
from unisem.encoders import Encoder
from unisem.errors import EncoderMismatchError, StoreError
from unisem.images.library import listed_folders
from unisem.images.reference import ImageSource
from unisem.manifest import Manifest
from unisem.space import SemanticSpace
from unisem.stores import StoreKind
from unisem.stores.registry import place_of


class StorePlace(TypedDict, total=False):
    """Where a new store keeps its documents; see `UniSemVectorStore`."""

    space: SemanticSpace | None
    path: str | os.PathLike[str] | None
    fingerprint: str | None
    store: str | StoreKind | None
    image_roots: Sequence[str | os.PathLike[str]] | None


_Store = TypeVar("_Store", bound="UniSemVectorStore")


class UniSemVectorStore(SpaceDocuments):
    """Texts, pictures and captioned pictures in one LangChain vector store.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: The `unisem.SemanticSpace` to read and write; or
        embedding: Any LangChain `Embeddings`. If they have a method ``embed_image(uris)``, the
            store takes pictures as well.
        path: With ``embedding``: the directory to keep everything in, created if absent; in
            memory if ``None``. Stores of one path share it within a process.
        fingerprint: With ``embedding``: what tells its vectors from another model's. By default
            a digest of its class and settings, without secrets.
        store: With ``embedding``: the kind of store, as in `SemanticSpace.open`.
        image_roots: With ``embedding``: as in `SemanticSpace.open`.

    Instantiate:
        ```python
        from langchain_unisem import UniSemVectorStore
        from unisem import SemanticSpace

        store = UniSemVectorStore(space=SemanticSpace.open("photos.unisem"))
        store = UniSemVectorStore(embedding=embeddings, path="notes.unisem")
        ```

    Add, and update by adding an id again:
        ```python
        store.add_documents([Document("a tiger", id="a", metadata={"year": 2024})])
        store.add_images(["tiger.jpg"], captions=["a tiger"], ids=["b"])
        store.add_documents(ImageFolderLoader("photos/").load())
        ```

    Delete:
        ```python
        store.delete(["a"])
        store.delete(filter={"year": {"$lt": 2000}})
        ```

    Search:
        ```python
        store.similarity_search("a striped cat", k=2, filter={"year": {"$gte": 2020}})
        store.similarity_search_with_score("a striped cat")
        store.max_marginal_relevance_search("a striped cat", k=2, fetch_k=20)
        store.similarity_search_by_image("query.jpg", text="but white")
        ```

    Async:
        ```python
        store = await UniSemVectorStore.aopen(embeddings, path="more.unisem")
        await store.asimilarity_search("a striped cat")
        ```

    Use as a retriever:
        ```python
        retriever = store.as_retriever(search_type="hybrid", search_kwargs={"k": 4})
        ```

    Threads share a store. Documents come back as they went in, in fresh copies; metadata is JSON.
    Use a store as a context manager, or call `close`, so that derived files are written.

    Raises:
        EncoderMismatchError: ``path`` was built with other embeddings.
        TypeError: Neither or both of ``space`` and ``embedding``, or something else than these.
    """

    def __init__(
        self,
        *,
        space: SemanticSpace | None = None,
        embedding: Embeddings | None = None,
        path: str | os.PathLike[str] | None = None,
        fingerprint: str | None = None,
        store: str | StoreKind | None = None,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
    ) -> None:
        if (space is None) == (embedding is None):
            raise TypeError("give either space=a_semantic_space or embedding=langchain_embeddings")
        self._lease: Lease[_Open] | None = None
        if embedding is not None:
            self._lease = _lease(embedding, path, fingerprint, store, image_roots)
            space = self._lease.thing.space
        elif not all(given is None for given in (path, fingerprint, store, image_roots)):
            raise TypeError(
                "path, fingerprint, store and image_roots go with embedding, not with space"
            )
        if not isinstance(space, SemanticSpace):
            raise TypeError(f"space must be a unisem.SemanticSpace, not {type(space).__name__}")
        self._space = space
        self._embeddings = _embeddings_of(space) if embedding is None else embedding

    @property
    def space(self) -> SemanticSpace:
        """Where the documents are: ``space.get([document.id])[0].image`` is one's picture."""
        return self._space

    @property
    def embeddings(self) -> Embeddings:
        """What embeds documents and queries."""
        return self._embeddings

    @classmethod
    async def aopen(cls, embedding: Embeddings | None = None, **place: Unpack[StorePlace]) -> Self:
        """Make a store as ``UniSemVectorStore(…)`` does, in a thread: opening reads files."""
        return await asyncio.to_thread(lambda: cls(embedding=embedding, **place))

    @classmethod
    def from_texts(  # type: ignore[override]  # unknown keywords are refused
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """Make a store and add texts, as `add_texts` does, to what it holds already.

        Args:
            texts: May be empty.
            embedding: As when a store is made.
            metadatas: As in `add_texts`.
            ids: As in `add_texts`.
            **place: ``space``, or ``path``, ``fingerprint`` and ``image_roots``.
        """
        with _closed_on_error(cls(embedding=embedding, **place)) as store:
            store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(  # type: ignore[override]  # unknown keywords are refused
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """As `from_texts`, in a thread."""
        return await asyncio.to_thread(
            cls.from_texts, texts, embedding, metadatas, ids=ids, **place
        )

    @classmethod
    def from_documents(  # type: ignore[override]  # unknown keywords are refused
        cls,
        documents: Iterable[Document],
        embedding: Embeddings | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """Make a store and add documents, as `from_texts` and `add_documents` do."""
        with _closed_on_error(cls(embedding=embedding, **place)) as store:
            store.add_documents(documents, ids=ids)
        return store

    @classmethod
    async def afrom_documents(  # type: ignore[override]  # unknown keywords are refused
        cls,
        documents: Iterable[Document],
        embedding: Embeddings | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """As `from_documents`, in a thread."""
        return await asyncio.to_thread(cls.from_documents, documents, embedding, ids=ids, **place)

    @classmethod
    def from_images(
        cls,
        images: Iterable[ImageSource],
        embedding: Embeddings | None = None,
        *,
        captions: Sequence[str | None] | None = None,
        metadatas: Metadatas | None = None,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """Make a store and add pictures, as `from_texts` and `add_images` do."""
        with _closed_on_error(cls(embedding=embedding, **place)) as store:
            store.add_images(images, captions=captions, metadatas=metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_images(
        cls,
        images: Iterable[ImageSource],
        embedding: Embeddings | None = None,
        *,
        captions: Sequence[str | None] | None = None,
        metadatas: Metadatas | None = None,
        ids: Sequence[str | None] | None = None,
        **place: Unpack[StorePlace],
    ) -> Self:
        """As `from_images`, in a thread."""
        add = partial(cls.from_images, captions=captions, metadatas=metadatas, ids=ids)
        return await asyncio.to_thread(add, images, embedding, **place)

    def close(self) -> None:
        """Write derived files and let go of the writer's lock; safe to call twice.

        Stores of one ``path`` share what is open: the last of them closes it. A space that the
        store was given stays open: it is its owner's to close.
        """
        if self._lease is not None:
            self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._space)

    def __bool__(self) -> bool:
        return True  # an empty store is a store

    def __repr__(self) -> str:
        return f"UniSemVectorStore(space={self._space!r})"


@dataclass(frozen=True, slots=True)
class _Open:
    """An open space, and the only folders that its pictures may lie in, if it was given some."""

    space: SemanticSpace
    folders: set[Path] | None


_OPEN: Registry[_Open] = Registry(lambda known: known.space.close())


@contextmanager
def _closed_on_error(store: _Store) -> Iterator[_Store]:
    try:
        yield store
    except BaseException:
        store.close()
        raise


def _lease(
    embedding: Embeddings,
    path: str | os.PathLike[str] | None,
    fingerprint: str | None,
    store: str | StoreKind | None,
    image_roots: Sequence[str | os.PathLike[str]] | None,
) -> Lease[_Open]:
    encoder: Encoder
    if isinstance(embedding, UniSemEmbeddings):
        if fingerprint is not None:
            raise TypeError("UniSemEmbeddings have a fingerprint of their own; give none")
        encoder = embedding.encoder
    else:
        encoder = EmbeddingsEncoder(embedding, fingerprint)

    folders = None if image_roots is None else _resolved(image_roots)

    def opened() -> _Open:
        space = SemanticSpace.open(path, encoder=encoder, store=store, image_roots=image_roots)
        return _Open(space, folders)

    def check(known: _Open) -> None:
        assert place is not None
        if (manifest := Manifest.read(place)) is not None:
            manifest.check(encoder, place)
            manifest.kind(place, store)
        if known.folders != folders:
            raise StoreError(
                f"{path} is open in this process with other image_roots; give the same, or close "
                "the store that has it open"
            )

    place = None if path is None else place_of(path)
    try:
        return _OPEN.lease(place, opened, check)
    except EncoderMismatchError as error:
        if isinstance(embedding, UniSemEmbeddings):
            raise
        raise EncoderMismatchError(
            f"{path} was built with other embeddings than {encoder.name}, or with other settings "
            "of theirs, and vectors of two models cannot be compared. Give the embeddings that it "
            "was built with; or, if you know that the vectors are the same, the fingerprint from "
            f"its manifest.json: fingerprint=… ({error})"
        ) from error


def _resolved(folders: Sequence[str | os.PathLike[str]]) -> set[Path]:
    return {folder.resolve() for folder in listed_folders(folders)}


def _embeddings_of(space: SemanticSpace) -> Embeddings:
    encoder = space.encoder
    if isinstance(encoder, EmbeddingsEncoder):
        return encoder.embeddings
    return UniSemEmbeddings(encoder=encoder)
