"""`UniSemVectorStore`: texts and pictures of any embedding as a LlamaIndex vector store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_unisem.filters import ids_of, to_filter
from llama_index_unisem.vector_stores.codec import (
    is_own_source,
    listed,
    nodes_from,
    nodes_with_vectors,
    offer_of,
    take_in,
)
from llama_index_unisem.vector_stores.lifecycle import VectorStoreLifecycle
from llama_index_unisem.vector_stores.queries import refuse_unknown, run
from unisem.common.threads import InThread
from unisem.errors import FilterError, VectorError
from unisem.filters import Filter, narrows
from unisem.records import EmbeddedRecord, Record, to_json
from unisem.stores.selection import Selection


class UniSemVectorStore(VectorStoreLifecycle):
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

    __init__ = VectorStoreLifecycle.__init__  # type checkers would make up one from the fields

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
        if opened.space is not None:
            _check_dimension(items, opened.space.encoder.dimension)
        with opened.mutex:
            opened.store.add(items if self.match == "any" else self._beside(items))
        return [node.node_id for node in nodes]

    def check(self, node: BaseNode) -> None:
        """Whether a node could be added; nothing is.

        Raises:
            ValueError: Says what is wrong with it, as `add` does.
        """
        (one,) = listed([node])
        offer_of(one, self._opened, self.match)

    def _beside(self, items: Sequence[EmbeddedRecord]) -> list[EmbeddedRecord]:
        """Keep the other vectors of nodes that are stored already and have not changed."""
        ids = [item.record.id for item in items]
        store = self._opened.store
        known = zip(store.get(ids), store.vectors(ids), strict=True)
        return [
            EmbeddedRecord(item.record, {**vectors, **item.vectors})
            if old is not None and vectors and _content(old) == _content(item.record)
            else item
            for item, (old, vectors) in zip(items, known, strict=True)
        ]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove the nodes of a document, or the document itself if it was stored whole.

        Args:
            ref_doc_id: The document's id.
            **delete_kwargs: None; other stores' options are refused.
        """
        refuse_unknown(delete_kwargs, "delete")
        store = self._opened.store
        with self._opened.mutex:
            store.delete(Selection(source_ids=(ref_doc_id,)))
            whole = store.get([ref_doc_id])[0]
            if whole is not None and is_own_source(whole):
                store.delete(Selection(ids=(ref_doc_id,)))

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
        self._opened.store.delete(Selection(ids=ids_of(node_ids, "node_ids"), filter=condition))

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
        ids = ids_of(node_ids, "node_ids")
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
            Nodes, similarities and ids, best first; empty lists if there are none.

        Raises:
            TypeError: An unknown option.
            ValueError: The query lacks what its mode needs, or a value is out of range.
            VectorError: A vector of another dimension.
        """
        hits = run(self._opened.store, query, self.match, kwargs)
        return VectorStoreQueryResult(
            nodes=nodes_from([hit.record for hit in hits], self._opened.store),
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


def _content(record: Record) -> tuple[Any, ...]:
    path = None if record.image is None else record.image.path
    mappings = to_json(record.metadata), to_json(record.payload)
    return record.text, record.source_id, path, *mappings


def _check_dimension(items: Sequence[EmbeddedRecord], dimension: int) -> None:
    for item in items:
        for vector in item.vectors.values():
            if len(vector) != dimension:
                raise VectorError(
                    f"the embedding of node {item.record.id!r} has dimension {len(vector)}, the "
                    f"space's encoder {dimension}; use UniSemEmbedding(encoder=space.encoder)"
                )
