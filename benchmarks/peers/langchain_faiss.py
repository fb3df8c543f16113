"""`LangChainFaiss`: ``langchain_community.vectorstores.FAISS``, everything in memory."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path

import faiss
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores.utils import DistanceStrategy
from langchain_core.embeddings import DeterministicFakeEmbedding

from benchmarks.peers.base import Found, Peer, Rows, Vector


class LangChainFaiss(Peer):
    """Documents in a dict beside a flat index; saved as a whole, with a pickle.

    Its filter runs over the ``fetch_k=20`` nearest after the search (its default), so a selective
    filter loses most of what it should find.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        del kind
        self._directory = directory
        embeddings = DeterministicFakeEmbedding(size=dimension)
        if (directory / "index.faiss").exists():
            self._store = FAISS.load_local(
                str(directory),
                embeddings,
                allow_dangerous_deserialization=True,  # written by this very benchmark
                distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT,
            )
        else:
            self._store = FAISS(
                embeddings,
                faiss.IndexFlatIP(dimension),
                InMemoryDocstore(),
                {},
                distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT,
            )

    def add(self, rows: Rows) -> None:
        pairs = zip(rows.texts, rows.vectors, strict=True)
        self._store.add_embeddings(pairs, rows.metadata, rows.ids)

    def build(self) -> str:
        self._store.save_local(str(self._directory))
        return ""

    def delete(self, numbers: list[int]) -> None:
        self._store.delete([str(number) for number in numbers])

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        condition = None if below_year is None else {"year": {"$lt": below_year}}
        found = self._store.similarity_search_with_score_by_vector(
            vector.tolist(), k, filter=condition
        )
        return [
            Found(int(document.id or -1), document.page_content, document.metadata["year"])
            for document, _ in found
        ]

    def close(self) -> None:
        del self._store
