"""Columns on disk decide filters as the catalogue does, and are not believed where they differ."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.crash.steps import Steps
from tests.stores.test_columns import columns_of
from tests.support.examples import examples
from tests.test_filters import FILTERS, METADATA
from unisem import Record
from unisem.filters import SOURCE, Field, Filter, fields_of, matches
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore, column_file, indexer
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.column_file import MODALITY, SEAL, ColumnFile, ColumnMaker
from unisem.stores.faiss.columns import Column, evaluate
from unisem.stores.faiss.moments import Moment
from unisem.stores.selection import Selection

CONDITIONS = [
    Field("year") < 2005,
    Field("year") == 2003,
    (Field("year") >= 2002) & (Field("year") <= 2004),
    Field("tags").contains("b"),
    Field("title") == "title 7",
    Field("loc.page") == 2,
    Field("a.b") == 1,
    Field("nowhere").exists(),
    Field("mixed").is_in([1, "1", None]),
    ~(Field("mixed") == True),  # noqa: E712
    Field("flag").is_empty(),
]


@pytest.fixture(autouse=True)
def written_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer, "FEWEST", 1)


def record(number: int) -> Record:
    """One of many kinds, by its number."""
    metadata: dict[str, Any] = {
        "year": 2000 + number % 7,
        "title": f"title {number}",
        "tags": ["a", "b"][: number % 3],
        "loc": {"page": number % 3},
        "mixed": (1, 1.0, "1", True, None, 2**60)[number % 6],
    }
    if number % 5 == 0:
        metadata |= {"a.b": 1, "flag": ""}
    return Record(id=f"r{number}", text="x", metadata=metadata, source_id=(None, "s")[number % 2])


def fill(store: FaissStore, numbers: range) -> dict[str, Record]:
    rng = np.random.default_rng(numbers.start)
    records = [record(number) for number in numbers]
    vectors = rng.standard_normal((len(records), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.add([EmbeddedRecord(it, {"text": row}) for it, row in zip(records, vectors, strict=True)])
    return {it.id: it for it in records}


def opened(directory: Path) -> FaissStore:
    return FaissStore(directory, ImageLibrary(directory))


def found(store: FaissStore, condition: Filter) -> set[str]:
    query = np.eye(8, dtype=np.float32)[:1]
    return {hit.record.id for hit in store.search(query, 1000, Selection(filter=condition))[0]}


def assert_right(store: FaissStore, records: dict[str, Record], *left_out: str) -> None:
    for condition in CONDITIONS:
        if not fields_of(condition) & set(left_out):
            right = {key for key, it in records.items() if matches(condition, it.metadata)}
            assert found(store, condition) == right, condition
    query = np.eye(8, dtype=np.float32)[:1]
    assert len(store.search(query, 1000, Selection(modality="text"))[0]) == len(records)
    assert not store.search(query, 1000, Selection(modality="image"))[0]
    sources = Selection(filter=Field(SOURCE) == "s")
    right = {key for key, it in records.items() if it.source_id == "s"}
    assert {hit.record.id for hit in store.search(query, 1000, sources)[0]} == right


@contextmanager
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str | None, int]]]:
    """Which fields are read from the catalogue, and after which row."""
    asked: list[tuple[str | None, int]] = []
    values = Catalog.values

    def noting(self: Catalog, field: str | None, after: int, last: int) -> Any:
        asked.append((field, after))
        return values(self, field, after, last)

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "values", noting)
        yield asked


@given(
    FILTERS, st.lists(METADATA, max_size=5), st.lists(st.lists(METADATA, max_size=3), max_size=2)
)
@settings(max_examples=examples(60))
def test_columns_that_were_written_mean_what_python_means(
    condition: Filter, first: list[dict[str, Any]], later: list[list[dict[str, Any]]]
) -> None:
    lines = ((row, "text", None, metadata) for row, metadata in enumerate(first))
    written = dict(ColumnMaker(lines).coded())
    columns = columns_of([], fields_of(condition))
    for field in columns:
        if field in written:
            codes, values = written[field]
            columns[field] = Column((codes, json.loads(json.dumps(values))))
        elif "." in field:
            columns[field] = columns_of([first], {field})[field]
        else:
            columns[field] = Column((np.zeros(len(first), np.int32), []))
    everything = first + [metadata for batch in later for metadata in batch]
    rest = columns_of([first, *later], fields_of(condition))
    mask = evaluate(condition, columns, len(first))
    assert mask.tolist() == [matches(condition, metadata) for metadata in first]
    assert evaluate(condition, rest, len(everything)).tolist() == [
        matches(condition, metadata) for metadata in everything
    ]


def test_a_filter_reads_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    records = fill(store, range(100))
    store.delete(Selection(ids=("r3", "r50")))
    store.close()
    records = {key: it for key, it in records.items() if key not in ("r3", "r50")}
    store = opened(tmp_path)
    with reads(monkeypatch) as asked:
        assert_right(store, records)
    assert {field for field, _ in asked} == {"loc.page", "a.b"}  # may be paths
    records |= fill(store, range(90, 130))  # replaces some
    store.delete(Selection(ids=("r4", "r120")))
    records = {key: it for key, it in records.items() if key not in ("r4", "r120")}
    store.close()
    (last,) = (int(it.rows[-1]) for it in [ColumnFile.load(tmp_path)] if it is not None)
    store = opened(tmp_path)
    fill(store, range(125, 140))
    records |= {f"r{number}": record(number) for number in range(125, 140)}
    with reads(monkeypatch) as asked:
        assert_right(store, records)
    assert {after for field, after in asked if field in ("year", "title", None)} == {last}
    store.close()


def test_rows_that_were_removed_before_are_not_missed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    records = fill(store, range(60))
    store.compact()
    assert store.delete(Selection(filter=Field("year") == 2003)) == 9
    records = {key: it for key, it in records.items() if it.metadata["year"] != 2003}
    store._indexer.save_columns()  # of fewer records than the segment has
    found = ColumnFile.load(tmp_path)
    assert found is not None
    assert len(found.rows) == len(records)
    other = opened(tmp_path)
    assert_right(other, records)
    other.close()
    store.close()


def test_a_file_of_another_past_is_not_believed(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    fill(store, range(30))
    store.compact()
    store.close()
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    store = opened(tmp_path / "s")
    fill(store, range(100, 150))
    store.close()
    for path in (tmp_path / "s").glob("catalog*"):
        path.unlink()
    shutil.copy(tmp_path / "copy" / "catalog.sqlite", tmp_path / "s")
    store = opened(tmp_path / "s")  # whose next rows have the numbers of those that were lost
    records = {f"r{number}": record(number) for number in range(30)} | fill(store, range(200, 250))
    assert_right(store, records)
    store.close()


def test_fields_beyond_the_limits_are_read_from_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_file, "_MOST_VALUES", 20)
    monkeypatch.setattr(column_file, "_MOST_FIELDS", 5)
    store = opened(tmp_path)
    records = fill(store, range(60))
    store.close()
    found = ColumnFile.load(tmp_path)
    assert found is not None
    assert found.read("title") is None
    assert {*found.fields} == {MODALITY, SOURCE, "year", "tags"}
    store = opened(tmp_path)
    assert_right(store, records)
    store.close()


def test_more_fields_than_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(column_file, "_MOST_FIELDS", 3)
    monkeypatch.setattr(column_file, "_MOST_LEFT_OUT", 3)
    lines = [(row, "text", None, {f"f{row}": 1}) for row in range(9)]
    ColumnMaker(lines).save(tmp_path, Moment("e", 1))
    found = ColumnFile.load(tmp_path)
    assert found is not None
    assert [found.read(f"f{row}") is None for row in range(3)] == [False, True, True]
    assert found.read("never seen") is None


def test_rows_out_of_order_are_no_file(tmp_path: Path) -> None:
    for rows, is_whole in (((1, 2, 9), True), ((1, 9, 2), False), ((1, 1), False)):
        ColumnMaker((row, "text", None, {}) for row in rows).save(tmp_path, Moment("e", 1))
        assert (ColumnFile.load(tmp_path) is not None) is is_whole


@pytest.mark.parametrize("place", [0.1, 0.4, 0.7, 0.98])
def test_damage_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, place: float) -> None:
    store = opened(tmp_path)
    records = fill(store, range(80))
    store.close()
    assert list(check_store(tmp_path, ImageLibrary(tmp_path))) == []
    (path,) = tmp_path.glob("columns-*.bin")
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    store = opened(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert_right(store, records)
    store.close()
    findings = [it for it in check_store(tmp_path, ImageLibrary(tmp_path)) if it.is_problem]
    assert [it.area for it in findings] == ["columns"]


@pytest.mark.parametrize("name", [SEAL, "columns-*.bin"])
@pytest.mark.parametrize("how", ["missing", "cut", "empty", "strange"])
def test_files_that_are_not_whole(tmp_path: Path, name: str, how: str) -> None:
    store = opened(tmp_path)
    records = fill(store, range(40))
    store.close()
    (path,) = tmp_path.glob(name)
    if how == "missing":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes({"cut": data[:-9], "empty": b"", "strange": b"[" * 99_999}[how])
    store = opened(tmp_path)
    assert_right(store, records)
    store.compact()
    store.close()
    assert ColumnFile.load(tmp_path) is not None
    assert len(list(tmp_path.glob("*columns*"))) == 2


def test_killed_at_each_step_the_columns_are_the_old_or_the_new(tmp_path: Path) -> None:
    def lines(count: int) -> list[column_file.Line]:
        return [(row, "text", None, {"n": row}) for row in range(count)]

    def save(directory: Path, deadly: int | None) -> int:
        """In a child that dies at that step; its number of steps if it does not."""
        child = os.fork()
        if not child:
            steps = Steps()
            for owner, attribute in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
                steps.around(owner, attribute, attribute)
            steps.start(deadly)
            ColumnMaker(lines(9)).save(directory, Moment("e", 1))
            os._exit(len(steps.stop()))
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    before = tmp_path / "before"
    before.mkdir()
    ColumnMaker(lines(5)).save(before, Moment("e", 1))
    shutil.copytree(before, tmp_path / "rehearsal")
    count = save(tmp_path / "rehearsal", None)
    assert count >= 10
    lengths = []
    for step in range(count):
        directory = tmp_path / f"{step}"
        shutil.copytree(before, directory)
        assert save(directory, step) < 0
        found = ColumnFile.load(directory)
        assert found is not None
        coded = found.read("n")
        assert coded is not None
        assert [coded[1][code - 1] for code in coded[0]] == list(range(len(found.rows)))
        lengths.append(len(found.rows))
        ColumnMaker(lines(7)).save(directory, Moment("e", 2))
        assert len(list(directory.iterdir())) == 2
    assert lengths == sorted(lengths)
    assert {*lengths} == {5, 9}
