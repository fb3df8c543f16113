"""Many rows to a statement arrive as one by one."""

from __future__ import annotations

import sqlite3

import pytest

from unisem.stores.faiss.bulk import insert


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_every_row_arrives_once(count: int) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT, data BLOB)")
    lines = [(number, f"thing {number}", bytes([number])) for number in range(count)]
    insert(database, "things (number, name, data)", lines)
    assert database.execute("SELECT * FROM things ORDER BY number").fetchall() == lines
