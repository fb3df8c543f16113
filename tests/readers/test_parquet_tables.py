"""Parquet files that are damaged, or say of themselves what is not so."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unisem.readers import parquet_tables
from unisem.readers.parquet_pages import size_of_pages
from unisem.readers.parquet_tables import ParquetTable
from unisem.readers.tables import TableError

ROWS = [{"id": number, "text": f"text {number} " * 3, "other": [number]} for number in range(50)]


def file_of(rows: list[dict[str, Any]], **options: Any) -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, **options)
    return file.getvalue()


def read(data: bytes, *columns: str) -> list[Any]:
    return [row for _, row in ParquetTable(BytesIO(data)).rows(columns)]


def test_rows_by_number_of_the_columns_that_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(ROWS, row_group_size=20)
    table = ParquetTable(BytesIO(data))
    assert table.columns == ["id", "text", "other"]
    monkeypatch.setattr(parquet_tables, "_ROWS_AT_ONCE", 7)
    found = list(table.rows(["id", "text"]))
    assert [number for number, _ in found] == list(range(1, 51))
    assert [row for _, row in found] == [{"id": it["id"], "text": it["text"]} for it in ROWS]


def test_what_is_damaged_is_said() -> None:
    whole = file_of(ROWS)
    for spoilt in (b"", b"PAR1", whole[:-9], whole[8:], whole[: len(whole) // 2]):
        with pytest.raises(TableError, match=r"is not a Parquet file|is damaged behind row"):
            read(spoilt, "id", "text")
    outcomes = set()
    for place in range(4, len(whole), 11):
        try:
            read(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :], "id", "text")
        except TableError as error:
            outcomes.add(str(error).split(":")[0])
    assert {"is not a Parquet file", "is damaged behind row 0"} <= outcomes


def test_fewer_rows_than_the_footer_says() -> None:
    whole = file_of(ROWS, compression="none", use_dictionary=False)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    fifty = bytes([100])  # as Thrift writes it: doubled
    places = [place for place in range(footer, len(whole) - 8) if whole[place:][:1] == fifty]
    told = set()
    for place in places:
        try:
            read(whole[:place] + bytes([102]) + whole[place + 1 :], "id")
        except TableError as error:
            told.add(str(error))
    assert any("rows, not" in it or "damaged" in it for it in told), told


def test_a_row_group_may_not_claim_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(ROWS)
    monkeypatch.setattr(parquet_tables, "_MOST_BYTES", 300)
    with pytest.raises(TableError, match=r"row group with .* bytes of 'text', above the limit"):
        read(data, "text")
    monkeypatch.setattr(parquet_tables, "_MOST_BYTES", 1 << 31)
    monkeypatch.setattr(parquet_tables, "_MOST_AT_ONCE", 1)
    assert len(read(data, "text")) == 50


def test_a_value_that_is_every_rows_is_not_read_for_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """200 kB, once in the file's dictionary: 1 kB for 300 rows, which would be 60 MB."""
    data = file_of([{"text": "x" * 200_000}] * 300, compression="zstd")
    assert len(data) < 10_000
    monkeypatch.setattr(parquet_tables, "_MOST_AT_ONCE", 1 << 21)
    before = pa.total_allocated_bytes()
    held = []
    for _, row in ParquetTable(BytesIO(data)).rows(["text"]):
        assert len(row["text"]) == 200_000
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) == 300
    assert max(held) < 1 << 24


def test_lists_of_every_kind_are_read_as_they_were() -> None:
    kinds = {
        "texts": pa.list_(pa.string()),
        "deep": pa.list_(pa.list_(pa.large_string())),
        "pictures": pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "in a struct": pa.struct(
            [("numbers", pa.list_(pa.int64(), 2)), ("texts", pa.list_(pa.string()))]
        ),
        "map": pa.map_(pa.string(), pa.int64()),
        "one of few": pa.dictionary(pa.int32(), pa.string()),
    }
    row: list[Any] = [
        ["a", None, "a"],
        [["a"], None, [], ["b", "a"]],
        [{"bytes": b"a", "path": None}, None, {"bytes": None, "path": "b"}],
        {"numbers": [1, 2], "texts": ["a"]},
        [("a", 1), ("b", None)],
        "a",
    ]
    empty = [[], [], [], {"numbers": None, "texts": []}, [], None]
    rows = [dict(zip(kinds, them, strict=True)) for them in (row, empty, [None] * 6, row)]
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(kinds.items()))), file)
    assert read(file.getvalue(), *kinds) == rows


def test_a_text_that_a_list_has_very_often_is_in_memory_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A text of 1 kB, 300,000 times in one list: 300 MB in a file of some kilobytes."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 300_000, pa.int32()), ["x" * 1000])
    lists = pa.ListArray.from_arrays([0, 300_000], texts)
    pq.write_table(pa.table({"text": lists}), file := BytesIO(), compression="zstd")
    assert len(file.getvalue()) < 10_000
    tracemalloc.start()
    before = pa.default_memory_pool().max_memory()
    (row,) = read(file.getvalue(), "text")
    assert len(row["text"]) == 300_000
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert pa.default_memory_pool().max_memory() < before + 50_000_000
    monkeypatch.setattr(parquet_tables, "_MOST_IN_LISTS", 299_999)
    with pytest.raises(TableError, match=r"300,000 values of 'text.*above the limit of 299,999"):
        read(file.getvalue(), "text")


def test_a_footer_that_makes_a_column_small_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As above, but the footer says that the column has 1 kB."""
    data = file_of([{"text": "x" * 200_000}] * 300, compression="zstd", write_statistics=False)
    size = pq.ParquetFile(BytesIO(data)).metadata.row_group(0).column(0).total_uncompressed_size
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    lying = data[:footer] + data[footer:].replace(_varint(2 * size), _varint(2 * 1000, 3))
    told = pq.ParquetFile(BytesIO(lying)).metadata.row_group(0).column(0)
    assert told.total_uncompressed_size == 1000
    monkeypatch.setattr(parquet_tables, "_MOST_AT_ONCE", 1 << 21)
    before = pa.total_allocated_bytes()
    held = []
    for _, row in ParquetTable(BytesIO(lying)).rows(["text"]):
        assert len(row["text"]) == 200_000
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) == 300
    assert max(held) < 1 << 24


def _varint(number: int, length: int = 1) -> bytes:
    """As Thrift writes it, in at least so many bytes."""
    found = []
    while number > 127 or len(found) + 1 < length:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "none", "use_dictionary": False},
        {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 64},
        {"compression": "zstd", "write_page_checksum": True, "write_page_index": True},
        {"row_group_size": 7, "data_page_size": 16, "store_decimal_as_integer": True},
    ],
)
def test_pages_are_as_large_as_an_honest_footer_says(options: dict[str, Any]) -> None:
    """The footer's sum has the headers of pages, too: some tens of bytes each."""
    data = file_of(
        [{**row, "image": {"bytes": b"abc" * 9, "path": None}} for row in ROWS], **options
    )
    about = pq.ParquetFile(BytesIO(data)).metadata
    for group in (about.row_group(number) for number in range(about.num_row_groups)):
        for chunk in (group.column(number) for number in range(group.num_columns)):
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            size, values = size_of_pages(BytesIO(data), start, chunk.num_values)
            assert values == chunk.num_values
            assert 0 < chunk.total_uncompressed_size - size < 8000, chunk.path_in_schema
    assert len(read(data, "id", "text", "image")) == 50


def test_headers_of_pages_that_are_none_are_said() -> None:
    whole = file_of(ROWS, use_dictionary=False, compression="none")
    at = pq.ParquetFile(BytesIO(whole)).metadata.row_group(0).column(0).data_page_offset
    said = set()
    for spoilt in (
        b"\x1c" * 60,
        b"\x15\x00" * 2,
        b"\x19\xfc" + b"\xff" * 60,
        b"\x15" + b"\xff" * 60,
    ):
        with pytest.raises(TableError, match="is damaged behind row 0") as error:
            read(whole[:at] + spoilt + whole[at + len(spoilt) :], "id")
        said.add(str(error.value))
    assert len(said) == 3
    for place in range(at, at + 40):
        for byte in (0x00, 0x0C, 0x1C, 0x7F, 0xFF):
            with suppress(TableError):
                read(whole[:place] + bytes([byte]) + whole[place + 1 :], "id")


def test_a_text_that_is_none_costs_itself() -> None:
    texts = pa.array([b"one", b"\xff\xfe", b"two"], pa.binary()).view(pa.string())
    file = BytesIO()
    pq.write_table(pa.table({"text": texts}), file)
    found = read(file.getvalue(), "text")
    assert found == [{"text": "one"}, "is not UTF-8 text", {"text": "two"}]
