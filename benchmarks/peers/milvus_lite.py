"""`MilvusLite`: ``MilvusClient`` on a local file."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient

from benchmarks.peers.base import Found, Peer, Rows, Vector


class MilvusLite(Peer):
    """An indexed, loaded collection, flushed after the last row (unflushed rows are slow).

    Indexes are built behind the caller's back; only its server's end waits for them, and a process
    that ends before leaves half a file. So `build` ends the server.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._effort: int | None = None
        self._file = str(directory / "rows.db")
        self._client = MilvusClient(self._file)
        if not self._client.has_collection("rows"):
            schema = self._client.create_schema(auto_id=False)
            schema.add_field("number", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            schema.add_field("year", DataType.INT64)
            for name in ("text", "category", "title"):
                schema.add_field(name, DataType.VARCHAR, max_length=500)
            index = self._client.prepare_index_params()
            graph = {"M": 16, "efConstruction": 80} if kind == "hnsw" else {}
            index.add_index("vector", index_type=kind.upper(), metric_type="IP", params=graph)
            self._client.create_collection("rows", schema=schema, index_params=index)
        self._client.load_collection("rows")

    def add(self, rows: Rows) -> None:
        self._client.insert(
            "rows",
            [
                {"number": number, "vector": vector, "text": text, **metadata}
                for number, vector, text, metadata in zip(
                    rows.numbers, rows.vectors.tolist(), rows.texts, rows.metadata, strict=True
                )
            ],
        )

    def build(self) -> str:
        self._client.flush("rows")
        self.close()
        return ""

    def delete(self, numbers: list[int]) -> None:
        self._client.delete("rows", ids=numbers)

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        parameters: dict[str, Any] = {"metric_type": "IP"}
        if self._effort is not None:
            parameters["params"] = {"ef": self._effort}
        found = self._client.search(
            "rows",
            [vector],
            limit=k,
            filter="" if below_year is None else f"year < {below_year}",
            output_fields=["text", "year", "category", "title"],
            search_params=parameters,
        )
        return [
            Found(hit["number"], hit["entity"]["text"], hit["entity"]["year"]) for hit in found[0]
        ]

    def tune(self, effort: int | None) -> None:
        self._effort = effort

    def close(self) -> None:
        self._client.close()
        server_manager_instance.release_server(self._file)
