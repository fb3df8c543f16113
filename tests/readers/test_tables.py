"""Tables as strangers write them: what is read, and what a bad row costs."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest

from unisem.readers.tables import TableError, csv_rows, json_rows, typed


def rows(text: str | bytes, *needed: str, **options: Any) -> list[Any]:
    data = text.encode() if isinstance(text, str) else text
    return [row for _, row in csv_rows(io.BytesIO(data), needed or ["a"], **options)]


def test_well_formed_tables_are_read_as_the_standard_library_reads_them() -> None:
    draw = random.Random(5)
    alphabet = ["x", "é", '"', ",", ";", "\t", " ", "\n", "\r\n", "\x0c", "\u2028", "'"]
    for separator in (",", ";", "\t"):
        for line_end in ("\n", "\r\n"):
            table = [
                ["".join(draw.choices(alphabet, k=draw.randrange(7))) for _ in range(3)]
                for _ in range(60)
            ]
            file = io.StringIO()
            writer = csv.writer(file, delimiter=separator, lineterminator=line_end)
            writer.writerows([["a", "b", "c"], *table])
            text = file.getvalue()
            expected = [
                row
                for row in csv.DictReader(
                    io.StringIO(text, newline=""), delimiter=separator, strict=True
                )
                if any(row.values())
            ]
            assert rows(text, "a", "c") == expected


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_encoding_are_read_from_the_table(
    separator: str, encoding: str, end: str
) -> None:
    text = end.join(separator.join(cells) for cells in [("a", "b"), ("ä; 1", "2"), ("3", "")])
    text = text.replace("ä; 1", '"ä; 1"')
    assert rows(text.encode(encoding)) == [{"a": "ä; 1", "b": "2"}, {"a": "3", "b": ""}]


def test_excel_s_line_about_the_separator() -> None:
    assert rows("sep=|\r\na|b\r\n1|2\r\n") == [{"a": "1", "b": "2"}]


def test_a_cell_may_be_of_any_size() -> None:
    assert rows('a,b\n1,"' + "long " * 100_000 + '"\n2,3\n')[0]["b"] == "long " * 100_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("b,c\n1,2\n", "has no column 'a'; it has 'b', 'c'"),
        ("a,a\n1,2\n", "has the column 'a' twice"),
        ('"a\n1\n', "has no column 'a'"),
        ("a\0,b\n", "NUL"),
        ("ä,a\n".encode("latin-1"), "not UTF-8"),
        ("a,b\n".encode("utf-16-le"), "NUL"),
    ],
)
def test_a_header_that_is_none_is_said_once(text: str | bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        rows(text)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"1,2,3", "more cells than the header"),
        (b'"1"x,2', "more text"),
        (b"\xe4,2", "not UTF-8"),
        (b"1\0,2", "NUL"),
        (b'"1\nand 2"x,2', "from line 3 on"),
    ],
)
def test_a_bad_row_costs_itself(bad: bytes, said: str) -> None:
    first, problem, last = rows(b"a,b\nok,1\n" + bad + b"\nlast,2\n")
    assert first == {"a": "ok", "b": "1"}
    assert said in problem
    assert last == {"a": "last", "b": "2"}


def test_short_rows_and_empty_ones() -> None:
    assert rows("a,b,,\n\n1\n,,,\n2,3,,\n1,2,3\n") == [
        {"a": "1"},
        {"a": "2", "b": "3"},
        "has more cells than the header",
    ]


def test_a_quote_that_is_never_closed_is_said() -> None:
    first, problem = rows('a,b\n1,2\n"3,4\n5,6\n')
    assert first == {"a": "1", "b": "2"}
    assert "from line 3 on (a quote is never closed)" in problem


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["7", "-1", "0"], [7, -1, 0]),
        (["1.5", "2", "2e3"], [1.5, 2, 2000.0]),
        (["1.5", "1.5"], [1.5, 1.5]),
        ([str(2**64 + 1), str(2**64)], [2**64 + 1, 2**64]),
        *(
            (cells, cells)
            for cells in (
                ["01234"],
                ["1_000"],
                ["١٢"],
                ["００７"],
                ["+1"],
                ["1."],
                [" 1"],
                ["1,5"],
                ["NaN"],
                ["1e999"],
                ["9" * 5000],
                ["1.1", "1.10"],
                ["1", "1.0"],
                ["9007199254740993.0", "9007199254740992.0"],
                ["7", "x"],
            )
        ),
    ],
)
def test_a_column_is_numbers_only_where_nothing_is_lost(cells: list[str], expected: Any) -> None:
    found = [row["n"] for row in typed([{"n": cell} for cell in cells], [])]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_empty_cells_and_columns_of_text_are_no_numbers() -> None:
    assert typed([{"n": "1", "t": "2"}, {"n": "", "t": "x"}], ["t"]) == [
        {"n": 1, "t": "2"},
        {"t": "x"},
    ]
    assert typed([{"t": "2"}], ["t"]) == [{"t": "2"}]


@pytest.mark.parametrize(
    "bad",
    [b"[" * 100_000, b'{"x": ' + b"9" * 5000 + b"}", b"[1]", b"nonsense", b'{"x": "\xe4"}', b"\0"],
)
def test_a_bad_line_of_json_costs_itself(bad: bytes) -> None:
    data = b"\xef\xbb\xbf" + b'{"a": 1}\r\n\r\n' + bad + b'\n{"a": "\xe2\x80\xa8"}'
    first, problem, last = json_rows(io.BytesIO(data))
    assert first == (1, {"a": 1})
    assert problem[0] == 3
    assert isinstance(problem[1], str)
    assert last == (4, {"a": "\u2028"})


def test_json_lines_of_windows() -> None:
    data = (json.dumps({"a": "ä"}, ensure_ascii=False) + "\r\n").encode("utf-16")
    assert list(json_rows(io.BytesIO(data))) == [(1, {"a": "ä"})]
    first, half = json_rows(io.BytesIO(data + b"\0"))
    assert first == (1, {"a": "ä"})
    assert half == (2, "is not UTF-8 text; save the table as UTF-8")
