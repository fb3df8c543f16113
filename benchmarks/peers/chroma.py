"""`Chroma`: ``chromadb.PersistentClient``."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import chromadb
from chromadb.config import Settings

from benchmarks.peers.base import Found, Peer, Rows, Vector


class Chroma(Peer):
    """A local collection with its only kind of index, HNSW (M 16, ef 100 by default).

    An open collection keeps the ``ef`` that it was opened with, so a change opens it again.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        del dimension, kind
        self._directory = directory
        self._open()

    def _open(self) -> None:
        self._client: Any = chromadb.PersistentClient(
            str(self._directory), settings=Settings(anonymized_telemetry=False)
        )
        self._collection: Any = self._client.get_or_create_collection(
            "rows", configuration={"hnsw": {"space": "ip"}}, embedding_function=None
        )

    def add(self, rows: Rows) -> None:
        self._collection.add(
            ids=rows.ids, embeddings=rows.vectors, documents=rows.texts, metadatas=rows.metadata
        )

    def delete(self, numbers: list[int]) -> None:
        self._collection.delete(ids=[str(number) for number in numbers])

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        found = self._collection.query(
            query_embeddings=vector[None],
            n_results=k,
            where=None if below_year is None else {"year": {"$lt": below_year}},
            include=["documents", "metadatas", "distances"],
        )
        return [
            Found(int(record_id), text, metadata["year"])
            for record_id, text, metadata in zip(
                found["ids"][0], found["documents"][0], found["metadatas"][0], strict=True
            )
        ]

    def tune(self, effort: int | None) -> None:
        self._collection.modify(configuration={"hnsw": {"ef_search": effort or 100}})
        self._client.close()
        self._open()

    def close(self) -> None:
        self._client.close()
