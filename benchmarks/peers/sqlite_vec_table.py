"""`SqliteVec`: a ``vec0`` table of sqlite-vec."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path

import apsw
import sqlite_vec

from benchmarks.peers.base import Found, Peer, Rows, Vector

_COLUMNS = "number, text, year, category, title"
_SHORTLIST = 100


class SqliteVec(Peer):
    """``flat``: every vector is compared. ``rabitq``: one bit a dimension, then exact rescoring.

    The second is what its documentation recommends for many vectors; at most 4,096 are rescored.
    SQLite comes with apsw: many Pythons' own loads no extensions.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._kind = kind
        self._shortlist = _SHORTLIST
        self._connection = apsw.Connection(str(directory / "rows.db"))
        self._connection.enable_load_extension(True)
        self._connection.load_extension(sqlite_vec.loadable_path())
        self._connection.enable_load_extension(False)
        bits = f"bits bit[{dimension}], " if kind == "rabitq" else ""
        self._connection.execute(
            f"create virtual table if not exists rows using vec0(number integer primary key, "
            f"vector float[{dimension}] distance_metric=cosine, {bits}year integer, "
            "+category text, +title text, +text text)"
        )

    def add(self, rows: Rows) -> None:
        bits = ("bits, ", "vec_quantize_binary(?), ") if self._kind == "rabitq" else ("", "")
        vectors = [vector.tobytes() for vector in rows.vectors]
        with self._connection:
            self._connection.executemany(
                f"insert into rows(number, vector, {bits[0]}year, category, title, text) "
                f"values (?, ?, {bits[1]}?, ?, ?, ?)",
                (
                    (number, *((vector, vector) if bits[0] else (vector,)),
                     row["year"], row["category"], row["title"], text)
                    for number, vector, row, text in zip(
                        rows.numbers, vectors, rows.metadata, rows.texts, strict=True
                    )
                ),
            )  # fmt: skip

    def delete(self, numbers: list[int]) -> None:
        with self._connection:
            self._connection.executemany(
                "delete from rows where number = ?", [(number,) for number in numbers]
            )

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        allowed = "" if below_year is None else f" and year < {below_year}"
        if self._kind == "flat":
            found = self._connection.execute(
                f"select {_COLUMNS} from rows where vector match ? and k = ?{allowed}",
                (vector.tobytes(), k),
            )
        else:
            found = self._connection.execute(
                f"with near as (select {_COLUMNS}, vector from rows where "
                f"bits match vec_quantize_binary(?) and k = ?{allowed}) "
                f"select {_COLUMNS} from near order by vec_distance_cosine(vector, ?) limit ?",
                (vector.tobytes(), max(k, self._shortlist), vector.tobytes(), k),
            )
        return [Found(number, text, year) for number, text, year, _, _ in found]

    def tune(self, effort: int | None) -> None:
        self._shortlist = effort or _SHORTLIST

    def close(self) -> None:
        self._connection.close()
