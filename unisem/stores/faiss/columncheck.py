"""`damaged_columns`: what is wrong with the columns on disk, held against columns made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unisem.images.library import ImageLibrary
from unisem.stores.faiss.column_file import SEAL, Coded, ColumnFile, ColumnMaker, code_key
from unisem.stores.faiss.moments import Moments
from unisem.stores.faiss.recordrows import RecordRows


def damaged_columns(
    database: sqlite3.Connection, directory: Path, image_library: ImageLibrary, current: int
) -> Iterator[str]:
    """Yield what is wrong, as clauses about the columns; nothing where there are none.

    Args:
        database: The catalogue, of the present format.
        directory: The store.
        image_library: Where its pictures lie.
        current: The catalogue's last write.
    """
    if not (directory / SEAL).exists():
        return
    found = ColumnFile.load(directory)
    if found is None:
        yield "do not agree with their seal"
        return
    if found.moment.transaction > current or not Moments(database).knows(found.moment):
        yield f"are of write {found.moment.transaction}, which is not one of the catalogue's"
        return
    last = int(found.rows[-1]) if len(found.rows) else -1
    lines = RecordRows(database, image_library).lines()
    made = ColumnMaker(line for line in lines if line[0] <= last)
    if not np.isin(made.rows, found.rows).all():
        yield "lack records"
        return
    anew = dict(made.coded())
    for name in {**dict.fromkeys(found.fields), **anew}:
        written = found.read(name)
        if written is None:
            if name in found.fields:
                yield f"are damaged where the field {name!r} is"
            continue
        codes, values = written
        right = anew.get(name, (np.zeros(len(made.rows), np.int32), []))
        if not _are_same((found.aligned(codes, made.rows), values), right):
            yield f"differ from the records in the field {name!r}"


def _are_same(written: Coded, right: Coded) -> bool:
    code_of = {code_key(value): code for code, value in enumerate(written[1], 1)}
    codes = [0, *(code_of.get(code_key(value), -1) for value in right[1])]
    return bool((np.array(codes)[right[0]] == written[0]).all())
