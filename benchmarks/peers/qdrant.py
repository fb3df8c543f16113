"""`QdrantLocal`: ``QdrantClient(path=…)``, Qdrant's engine-less mode in Python."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path

from qdrant_client import QdrantClient, models

from benchmarks.peers.base import Found, Peer, Rows, Vector


class QdrantLocal(Peer):
    """Vectors in NumPy, payloads in dicts, each point pickled into SQLite; always exact."""

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        del kind
        self._client = QdrantClient(path=str(directory))
        if not self._client.collection_exists("rows"):
            self._client.create_collection(
                "rows",
                vectors_config=models.VectorParams(size=dimension, distance=models.Distance.DOT),
            )

    def add(self, rows: Rows) -> None:
        self._client.upsert(
            "rows",
            models.Batch(
                ids=list(rows.numbers),
                vectors=rows.vectors.tolist(),
                payloads=[
                    {"text": text, **metadata}
                    for text, metadata in zip(rows.texts, rows.metadata, strict=True)
                ],
            ),
        )

    def delete(self, numbers: list[int]) -> None:
        self._client.delete("rows", models.PointIdsList(points=list(numbers)))

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        condition = None
        if below_year is not None:
            earlier = models.FieldCondition(key="year", range=models.Range(lt=below_year))
            condition = models.Filter(must=[earlier])
        found = self._client.query_points("rows", vector, query_filter=condition, limit=k)
        return [
            Found(int(point.id), (point.payload or {})["text"], (point.payload or {})["year"])
            for point in found.points
        ]

    def close(self) -> None:
        self._client.close()
