"""`LlamaIndexFaiss`: a ``VectorStoreIndex`` over ``FaissMapVectorStore``."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path

import faiss
from llama_index.core import (
    MockEmbedding,
    QueryBundle,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.schema import TextNode
from llama_index.vector_stores.faiss import FaissMapVectorStore

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector


class LlamaIndexFaiss(Peer):
    """Nodes in the framework's in-memory docstore, vectors in Faiss; saved as a whole, as JSON.

    The map variant is used because the plain ``FaissVectorStore`` cannot delete. Neither filters.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        del kind
        self._directory = directory
        embedding = MockEmbedding(embed_dim=dimension)
        if (directory / "docstore.json").exists():
            context = StorageContext.from_defaults(
                vector_store=FaissMapVectorStore.from_persist_dir(str(directory)),
                persist_dir=str(directory),
            )
            self._index = load_index_from_storage(context, embed_model=embedding)
        else:
            flat = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
            context = StorageContext.from_defaults(vector_store=FaissMapVectorStore(flat))
            self._index = VectorStoreIndex([], storage_context=context, embed_model=embedding)
        self._context = context

    def add(self, rows: Rows) -> None:
        self._index.insert_nodes(
            [
                TextNode(id_=node_id, text=text, metadata=metadata, embedding=vector.tolist())
                for node_id, text, metadata, vector in zip(
                    rows.ids, rows.texts, rows.metadata, rows.vectors, strict=True
                )
            ]
        )

    def build(self) -> str:
        self._context.persist(str(self._directory))
        return ""

    def delete(self, numbers: list[int]) -> None:
        self._index.delete_nodes([str(number) for number in numbers], delete_from_docstore=True)

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        if below_year is not None:
            raise UnavailableError("metadata filters are not implemented for Faiss")
        query = QueryBundle("", embedding=vector.tolist())
        found = self._index.as_retriever(similarity_top_k=k).retrieve(query)
        return [
            Found(int(hit.node.node_id), hit.node.get_content(), hit.node.metadata["year"])
            for hit in found
        ]

    def close(self) -> None:
        del self._index, self._context
