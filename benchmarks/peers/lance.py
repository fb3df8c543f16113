"""`LanceDB`: a local LanceDB table."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import HnswSq, IvfRq

from benchmarks.peers.base import Found, Peer, Rows, Vector

_REFINE = 20  # times ten: what it rescores of its one-bit codes


class LanceDB(Peer):
    """``flat``: no vector index. ``hnsw``: its IVF_HNSW_SQ. ``ivf_rabitq``: its IVF_RQ, rescored.

    Filters are pre-filters.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        database = lancedb.connect(str(directory))
        self._kind = kind
        self._effort: int | None = None
        self._schema = pa.schema(
            [
                pa.field("number", pa.int64()),
                pa.field("vector", pa.list_(pa.float32(), dimension)),
                pa.field("text", pa.string()),
                pa.field("year", pa.int64()),
                pa.field("category", pa.string()),
                pa.field("title", pa.string()),
            ]
        )
        self._table = database.create_table("rows", schema=self._schema, exist_ok=True)

    def add(self, rows: Rows) -> None:
        vectors = pa.FixedSizeListArray.from_arrays(rows.vectors.ravel(), rows.vectors.shape[1])
        columns = [rows.numbers, vectors, rows.texts]
        columns += [[row[key] for row in rows.metadata] for key in ("year", "category", "title")]
        arrays = [pa.array(column) for column in columns]
        self._table.add(pa.Table.from_arrays(arrays, schema=self._schema))

    def build(self) -> str:
        self._table.optimize()
        if self._kind == "hnsw":
            self._table.create_index("vector", config=HnswSq(distance_type="dot"))
        elif self._kind == "ivf_rabitq":
            self._table.create_index("vector", config=IvfRq(distance_type="dot"))
        return ""

    def delete(self, numbers: list[int]) -> None:
        self._table.delete(f"number IN ({', '.join(map(str, numbers))})")

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        table: Any = self._table
        query = table.search(vector).distance_type("dot").limit(k)
        if below_year is not None:
            query = query.where(f"year < {below_year}", prefilter=True)
        if self._kind == "ivf_rabitq":
            query = query.refine_factor(_REFINE)
        if self._effort is not None:
            hnsw = self._kind == "hnsw"
            query = query.ef(self._effort) if hnsw else query.nprobes(self._effort)
        wanted = ["number", "text", "year", "category", "title", "_distance"]
        return [
            Found(row["number"], row["text"], row["year"]) for row in query.select(wanted).to_list()
        ]

    def tune(self, effort: int | None) -> None:
        self._effort = effort

    def close(self) -> None:
        del self._table
