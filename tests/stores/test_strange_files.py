"""Derived files that agree with their own seals, and were not written here: they are not used."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from unisem import Record
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore, column_file, indexer, raw_file, segment
from unisem.stores.faiss.column_file import ColumnFile
from unisem.stores.faiss.exact_scan import nearest_of
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.kinds import base
from unisem.stores.faiss.kinds.graph import Graph
from unisem.stores.faiss.raw_file import DamagedVectorsError, RawFile
from unisem.stores.faiss.segment import Segment
from unisem.stores.selection import Selection

COUNT, D = 40, 16
QUERY = np.eye(D, dtype=np.float32)[:1]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with an index and columns."""
    monkeypatch.setattr(indexer, "FEWEST", 1)
    fill(tmp_path / "s", [{"n": n} for n in range(COUNT)])
    return tmp_path / "s"


def opened(path: Path, kind: Any = "auto") -> FaissStore:
    return FaissStore(path, ImageLibrary(path), index=kind)


def fill(path: Path, metadata: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((len(metadata), D)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store = opened(path)
    store.add(
        [
            EmbeddedRecord(Record(id=f"r{n}", text="x", metadata=each), {"text": row})
            for n, (each, row) in enumerate(zip(metadata, rows, strict=True))
        ]
    )
    store.compact("hnsw")
    store.close()


def answers(path: Path) -> list[tuple[str, float]]:
    store = opened(path)
    found = store.search(QUERY, COUNT, Selection(filter=Field("n") >= 20))[0]
    store.close()
    return [(hit.record.id, hit.score) for hit in found]


def sealed_anew(seal: Path, changed: dict[str, Any]) -> None:
    """Write a seal that agrees with itself and with the files beside it."""
    whole = json.loads(seal.read_text(encoding="utf-8")) | changed
    del whole["seal"]
    if seal.name == segment.SEAL:
        whole["files"] = {name: segment._fingerprint(seal.parent / name) for name in whole["files"]}
    digest = segment._digest if seal.name == segment.SEAL else column_file._digest
    seal.write_text(json.dumps(whole | {"seal": digest(whole)}), encoding="utf-8")


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1000])
def test_a_fingerprint_is_of_all_bytes(
    tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_file, "_CHUNK", 64)
    data = np.random.default_rng(length).bytes(length)
    (tmp_path / "file").write_bytes(data)
    expected = {"bytes": length, "xxh3": xxhash.xxh3_128_hexdigest(data)}
    assert segment._fingerprint(tmp_path / "file") == expected


@pytest.mark.parametrize("name", [column_file.SEAL, segment.SEAL])
@pytest.mark.parametrize("number", [float("inf"), float("nan"), -(10**30), 10**30, -1])
def test_a_seal_of_no_write(path: Path, name: str, number: float) -> None:
    expected = answers(path)
    sealed_anew(path / name, {"transaction": number})
    assert answers(path) == expected


@pytest.mark.parametrize("key", ["at", "bytes"])
@pytest.mark.parametrize("part", ["rows", "codes", "values"])
def test_a_part_of_the_columns_lies_nowhere(path: Path, key: str, part: str) -> None:
    expected = answers(path)
    seal = json.loads((path / column_file.SEAL).read_text(encoding="utf-8"))
    (seal["rows"] if part == "rows" else seal["fields"]["n"][part])[key] = float("inf")
    sealed_anew(path / column_file.SEAL, seal)
    assert answers(path) == expected


@pytest.mark.parametrize(
    "numbers",
    [
        np.arange(COUNT, dtype=np.float64),
        np.arange(COUNT, dtype=np.int32),
        np.arange(COUNT).reshape(COUNT, 1),
        np.arange(COUNT)[::-1].copy(),
        np.zeros(COUNT, np.int64),
    ],
    ids=["float", "short", "in two dimensions", "descending", "all the same"],
)
def test_numbers_of_vectors_that_are_none(path: Path, numbers: Any) -> None:
    expected = answers(path)
    (file,) = path.glob("vectors-*.npy")
    np.save(file, numbers)
    sealed_anew(path / segment.SEAL, {})
    assert Segment.load(path, D) is None
    assert answers(path) == expected


@pytest.mark.parametrize("suffix", ["npy", "sums"])
def test_more_numbers_than_memory(path: Path, suffix: str) -> None:
    expected = answers(path)
    (file,) = path.glob(f"vectors-*.{suffix}")
    with file.open("wb") as out:
        kind = "<i8" if suffix == "npy" else "<u8"
        head = {"descr": kind, "fortran_order": False, "shape": (10**13,)}
        np.lib.format.write_array_header_1_0(out, head)
    sealed_anew(path / segment.SEAL, {})
    assert Segment.load(path, D) is None
    assert answers(path) == expected


def test_an_index_that_says_it_is_larger(path: Path) -> None:
    """Each number of its head, one at a time, is made as large as can be."""
    expected = answers(path)
    (file,) = path.glob("vectors-*.faiss")
    original, seal = file.read_bytes(), (path / segment.SEAL).read_bytes()
    kept = {each: each.read_bytes() for each in path.glob("vectors-*")}
    for start in range(41, 73, 8):  # lengths of arrays
        for each, data in kept.items():
            each.write_bytes(data)
        (path / segment.SEAL).write_bytes(seal)
        changed = original[:start] + b"\xff" * 6 + b"\0\0" + original[start + 8 :]
        file.write_bytes(changed)
        sealed_anew(path / segment.SEAL, {})
        if Segment.load(path, D) is None:
            assert answers(path) == expected


def test_vectors_that_there_are_not_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.eye(D, dtype=np.float32)
    vectors = RawFile.of(rows)
    for wrong in ([D], [-1], [0, 1 << 40]):
        with pytest.raises(DamagedVectorsError, match="outside"):
            nearest_of(vectors, rows[0], np.array(wrong), 1)
    monkeypatch.setattr(base, "FEW", 0)
    index = Graph.build(vectors)
    monkeypatch.setattr(
        Graph, "_search", lambda *_: [(np.ones(2, np.float32), np.array([0, D]))] * 2
    )
    with pytest.raises(DamagedVectorsError, match="there are not"):
        index.search(rows[:2], 2, None, D, IndexSettings("hnsw"))


def test_columns_of_half_a_surrogate_pair(tmp_path: Path) -> None:
    half = "\ud800"
    made = column_file.ColumnMaker([(0, "text", None, {"a": half, "b": [half]})])
    made.save(tmp_path, segment.Moment("e", 1))
    found = ColumnFile.load(tmp_path)
    assert found is not None
    assert found.read("a")[1] == [half]  # type: ignore[index]
    assert found.read("b")[1] == [[half]]  # type: ignore[index]


def test_lists_count_by_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_file, "_MOST_CHARACTERS", 100)
    lines = [(n, "text", None, {"tags": [str(n), "x" * 40], "n": n}) for n in range(4)]
    assert "tags" in dict(column_file.ColumnMaker(lines[:2]).coded())
    names = dict(column_file.ColumnMaker(lines).coded())
    assert "tags" not in names
    assert "n" in names
