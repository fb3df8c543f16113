"""The guide's table is what the tests show, and no more."""

from __future__ import annotations

import inspect

from tests.encoders.architectures import table, test_columns


def test_the_guide_has_the_table_that_the_tests_declare() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    written = page.split(table.BEGIN)[1].split(table.END)[0]
    assert written == table.table(), "python -m tests.encoders.architectures.table writes it anew"


def test_every_column_is_a_test_of_every_architecture() -> None:
    tests = {
        name: inspect.signature(test).parameters
        for name, test in inspect.getmembers(test_columns, inspect.isfunction)
        if name.startswith("test_")
    }
    assert set(tests) == set(table.COLUMNS)
    assert all("encoder" in asked for asked in tests.values())  # which is made for each of them
    for name in tests:
        skipped = getattr(getattr(test_columns, name), "pytestmark", [])
        assert not [mark for mark in skipped if mark.name in ("skip", "skipif", "xfail")]
