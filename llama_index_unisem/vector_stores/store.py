"""`UniSemVectorStore`: texts and pictures of any embedding as a LlamaIndex vector store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import fsspec  # type: ignore[import-untyped]
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    DEFAULT_PERSIST_FNAME,
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_unisem.filters import to_filter
from llama_index_unisem.nodes import tell_copies
from llama_index_unisem.vector_stores.codec import (
    is_own_source,
    listed,
    nodes_from,
    nodes_with_vectors,
    offer_of,
    take_in,
    with_other_vectors,
)
from llama_index_unisem.vector_stores.open_stores import OPEN, OpenStore, lease_at, lease_of
from llama_index_unisem.vector_stores.persistence import (
    contents_of,
    file_of,
    fill,
    find,
    save,
    saved_namespaces,
)
from llama_index_unisem.vector_stores.queries import refuse_unknown, run
from unisem.common.leases import Lease
from unisem.common.threads import InThread
from unisem.errors import FilterError
from unisem.filters import Filter, narrows
from unisem.images.library import listed_folders
from unisem.ingest.word_reading import delete_with_words
from unisem.stores.kind import StoreKind
from unisem.stores.registry import place_of
from unisem.stores.selection import Match, Selection, as_ids

if TYPE_CHECKING:
    from unisem import SemanticSpace
    from unisem.stores import Store

_DEFAULT_PATH = os.path.join(DEFAULT_PERSIST_DIR, f"default__{DEFAULT_PERSIST_FNAME}")
_NOWHERE = (
    "this store has no directory of its own to be opened from again; give it a path, or persist it "
    "and use from_persist_path"
)


class UniSemVectorStore(BasePydanticVectorStore):
    """Nodes with their vectors, in memory, in a directory, or in a semantic space.

    Vectors may come from any embedding; the first one stored settles the dimension. A captioned
    picture may have two, its own and its caption's, and is still one node and one result. Threads
    may share a store; everything has an async twin that works in a thread.

    >>> from llama_index.core.schema import TextNode
    >>> from llama_index.core.vector_stores.types import VectorStoreQuery
    >>> from llama_index_unisem import UniSemVectorStore
    >>> store = UniSemVectorStore()
    >>> store.add([TextNode(id_="a", text="a tiger", embedding=[0.6, 0.8])])
    ['a']
    >>> store.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).ids
    ['a']
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    path: str | None = Field(default=None, description="The directory; None in memory.")
    image_roots: list[str] | None = Field(
        default=None, description="The only folders that pictures may lie in."
    )
    match: Match = Field(
        default="any", description="Which of a node's vectors are compared, and given."
    )
    _lease: Lease[OpenStore] = PrivateAttr()

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        space: SemanticSpace | None = None,
        store: str | StoreKind | None = None,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
        match: Match = "any",
    ) -> None:
        """Open a directory, or create it.

        Args:
            path: The directory, by custom named ``*.unisem``; ``None`` for a store in memory.
            space: A space to share, instead of a path; vectors must come from its encoder.
            store: The kind of store, as in `SemanticSpace.open`; that of the directory if ``None``.
            image_roots: The only folders that nodes' pictures may lie in; any if ``None``, or those
                of another store of this process that has the directory open.
            match: As the field; see `view`.

        Raises:
            CorruptStoreError: The directory holds other things, or damaged files.
            StoreError: The directory's store is of another kind, or open in this process with other
                ``image_roots``.
            ValueError: A path and a space.
        """
        if space is not None and (path, store, image_roots) != (None, None, None):
            raise ValueError("give a space, or a path, its store and its image_roots")
        place = None if path is None else place_of(path)
        if isinstance(place, Path):
            place = Path(os.path.abspath(place))
        named = None if image_roots is None else listed_folders(image_roots)
        roots = None if named is None else [os.path.abspath(root) for root in named]
        lease = lease_at(place, roots, store) if space is None else lease_of(space)
        self._begin(lease, match, None if place is None else str(place), roots)

    def _begin(
        self, lease: Lease[OpenStore], match: Match, path: str | None, image_roots: list[str] | None
    ) -> None:
        super().__init__(stores_text=True)
        self.path = path
        self.image_roots = image_roots
        self.match = match
        self._lease = lease

    def _sharing(self, match: Match) -> Self:
        twin = type(self).__new__(type(self))
        twin._begin(OPEN.shared(self._lease), match, self.path, self.image_roots)
        twin.stores_text = self.stores_text
        return twin

    @property
    def client(self) -> Store:
        """The `unisem.stores.Store` that keeps the records; ``len(store.client)`` counts them."""
        return self._opened.store

    @property
    def space(self) -> SemanticSpace | None:
        """The space that the store shares, if it was given one."""
        return self._opened.space

    @property
    def _opened(self) -> OpenStore:
        return self._lease.thing

    def view(self, match: Match) -> Self:
        """The same nodes seen by their ``"text"`` or by their ``"image"`` vectors only.

        What is added to a view is added as such a vector, beside the other one if the node is
        stored already; what is deleted is deleted whole. `MultiModalVectorStoreIndex` takes two
        views for its two stores.
        """
        return self._sharing(match)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "UniSemVectorStore"

    # -- writing -------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Insert nodes, or replace by id, all of them or none.

        Args:
            nodes: With their embeddings.
            **kwargs: None; other stores' options are refused.

        Returns:
            The node ids, in order.

        Raises:
            TypeError: Something that is no node, or an unknown option.
            ValueError: A node without a usable vector; names it.
            VectorError: Vectors of another dimension.
            RecordError: Metadata that LlamaIndex cannot write as JSON, or that cannot be found by.
            ImageError: A picture outside the allowed folders.
        """
        refuse_unknown(kwargs, "add")
        opened = self._opened
        nodes = listed(nodes)
        items = take_in(nodes, opened, self.match)
        with opened.mutex:
            store = opened.store
            store.add(items if self.match == "any" else with_other_vectors(items, store))
        return [node.node_id for node in nodes]

    def check(self, node: BaseNode) -> None:
        """Whether a node could be added; nothing is.

        Raises:
            ValueError: Says what is wrong with it, as `add` does.
        """
        (one,) = listed([node])
        offer_of(one, self._opened, self.match)

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove the nodes of a document, or the document itself if it was stored whole.

        Args:
            ref_doc_id: The document's id.
            **delete_kwargs: None; other stores' options are refused.
        """
        refuse_unknown(delete_kwargs, "delete")
        store = self._opened.store
        with self._opened.mutex:
            delete_with_words(store, Selection(source_ids=(ref_doc_id,)))
            whole = store.get([ref_doc_id])[0]
            if whole is not None and is_own_source(whole):
                delete_with_words(store, Selection(ids=(ref_doc_id,)))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | Filter | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Remove nodes that have one of the ids, and match the filters.

        Args:
            node_ids: Unknown ids are no error; no ids remove nothing.
            filters: As in a query.
            **delete_kwargs: None; other stores' options are refused.

        Without both nothing happens: `clear` empties a store.

        Raises:
            FilterError: The filters mean nothing, or have an empty part that holds for every node.
        """
        refuse_unknown(delete_kwargs, "delete_nodes")
        condition = to_filter(filters)
        if node_ids is None and condition is None:
            return
        if node_ids is None and condition is not None and not narrows(condition):
            raise FilterError(
                "these filters hold for every node and would delete everything, which clear() does"
            )
        chosen = Selection(ids=as_ids(node_ids, "node_ids"), filter=condition)
        delete_with_words(self._opened.store, chosen)

    def clear(self) -> None:
        """Remove everything, of a space also what was added to it in other ways."""
        self._opened.store.delete(Selection())

    # -- reading -------------------------------------------------------------------------------

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | Filter | None = None,
    ) -> list[BaseNode]:
        """Nodes that have one of the ids, and match the filters; all without both.

        Returns:
            Nodes with their embeddings, which have length 1, in the order of the ids, unknown ones
            left out; without ids the oldest first.
        """
        store = self._opened.store
        ids = as_ids(node_ids, "node_ids")
        records = list(store.select(Selection(ids=ids, filter=to_filter(filters))))
        if ids is not None:
            found = {record.id: record for record in records}
            records = [found[name] for name in dict.fromkeys(ids) if name in found]
        return nodes_with_vectors(records, store, self.match)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Search; see ``docs/guides/llama_index_stores.md`` for the modes.

        Args:
            query: ``node_ids`` and ``doc_ids`` restrict if they are not empty.
            **kwargs: ``modality`` (``"image"`` or ``"text"``: only nodes with, or without, a
                picture), ``mmr_threshold``, ``mmr_prefetch_k``, ``mmr_prefetch_factor``.

        Returns:
            Nodes, similarities and ids, best first; empty lists if there are none. Of nodes with
            one picture the best is there, and its metadata name the others, as ``copies``.

        Raises:
            TypeError: An unknown option.
            ValueError: The query lacks what its mode needs, or a value is out of range.
            VectorError: A vector of another dimension.
        """
        hits = run(self._opened.store, query, self.match, kwargs)
        nodes = nodes_from([hit.record for hit in hits], self._opened.store)
        for node, hit in zip(nodes, hits, strict=True):
            tell_copies(node, hit)
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[float(hit.score) for hit in hits],
            ids=[hit.record.id for hit in hits],
        )

    # -- async twins ---------------------------------------------------------------------------

    async_add = InThread(add).twin
    adelete = InThread(delete).twin
    adelete_nodes = InThread(delete_nodes).twin
    aclear = InThread(clear).twin
    aget_nodes = InThread(get_nodes).twin
    aquery = InThread(query).twin

    # -- persistence ---------------------------------------------------------------------------

    def persist(
        self, persist_path: str = _DEFAULT_PATH, fs: fsspec.AbstractFileSystem | None = None
    ) -> None:
        """Write a copy of everything, for `from_persist_path`.

        Args:
            persist_path: A small file, beside which a directory is made.
            fs: Where; this machine if ``None``.

        Raises:
            StoreLockedError: A process is writing to the store that would be replaced.
        """
        save(self._opened, str(persist_path), fs)

    @classmethod
    def from_persist_dir(
        cls,
        persist_dir: str = DEFAULT_PERSIST_DIR,
        namespace: str = "default",
        fs: fsspec.AbstractFileSystem | None = None,
    ) -> Self:
        """Open what a `StorageContext` persisted; see `from_persist_path`.

        Args:
            persist_dir: The directory.
            namespace: Which of its stores; a name, never a path.
            fs: Where; this machine if ``None``.

        Raises:
            ValueError: The namespace is no plain name; nothing outside the directory is opened.
        """
        name = file_of(namespace)
        return cls.from_persist_path(f"{str(persist_dir).rstrip('/')}/{name}", fs)

    @classmethod
    def from_namespaced_persist_dir(
        cls,
        persist_dir: str = DEFAULT_PERSIST_DIR,
        fs: fsspec.AbstractFileSystem | None = None,
    ) -> dict[str, BasePydanticVectorStore]:
        """Open every store that a `StorageContext` persisted, by its namespace.

        The result is what ``StorageContext.from_defaults`` takes as ``vector_stores``.

        Raises:
            ValueError: There is none, or one is another store's.
            CorruptStoreError: As `from_persist_path`.
        """
        found = saved_namespaces(str(persist_dir), fs)
        return {name: cls.from_persist_dir(persist_dir, name, fs) for name in found}

    @classmethod
    def from_persist_path(
        cls, persist_path: str, fs: fsspec.AbstractFileSystem | None = None
    ) -> Self:
        """Open what `persist` wrote, in place: what is added from now on is stored there at once.

        From another file system a copy is opened, and `persist` writes it back.

        Raises:
            ValueError: There is nothing, or another store's file.
            CorruptStoreError: Files are missing, damaged, or from a newer version.
        """
        directory, scratch = find(str(persist_path), fs)
        store = cls(directory)
        if scratch is not None:
            store._opened.keep(scratch)
        return store

    def close(self) -> None:
        """Write derived files and let go of locks, if nobody else in this process uses them."""
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Open the directory of `to_dict` again.

        Raises:
            ValueError: It was in memory, or a space's.
        """
        parts = {**data, **kwargs}
        if parts.get("path") is None and parts.get("space") is None:
            raise ValueError(_NOWHERE)
        names = ("path", "space", "image_roots", "match")
        return cls(**{name: parts[name] for name in names if name in parts})

    def __getstate__(self) -> dict[str, Any]:
        if self.space is not None:
            raise TypeError(_NOWHERE)
        names = ("path", "image_roots", "match", "stores_text")
        state = {name: getattr(self, name) for name in names}
        return state if self.path else {**state, "contents": contents_of(self._opened)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        path, roots = state["path"], state["image_roots"]
        place = None if path is None else place_of(path)
        # Not the constructor, which a subclass may have changed.
        self._begin(lease_at(place, roots), state["match"], path, roots)
        self.stores_text = state["stores_text"]
        fill(self._opened, state.get("contents", ()))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._sharing(self.match)
