"""Rows that say what both sides of a pair are, whatever its kind.

Two ways of saying it, told by a row's names:

- ``query``, ``document`` and, if there are any, ``negatives`` (a list), each
  ``{"text": …, "image": …}`` with one of the two or both; a string is a text. What is ``null`` is
  not there. JSON Lines only.
- ``anchor``, ``positive`` and ``negative``, ``negative_1``, ``negative_2`` …, all texts, as
  users of sentence-transformers have them; in JSON Lines and Parquet ``negative`` may be a list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from unisem.images.reference import ImageRef
from unisem.pairs.input import Input
from unisem.pairs.pair import Pair
from unisem.readers.tables import Row

TRIPLET = ("anchor", "positive")
_NEGATIVE = re.compile(r"negative(_[0-9]+)?")
_PARTS = {"text", "image"}


def says_sides(row: Row) -> bool:
    """Whether a row says what its sides are."""
    return "document" in row or TRIPLET[1] in row


def triplet_columns(columns: Collection[str]) -> list[str]:
    """Those of a table's columns that `pair_of_row` reads."""
    return [*TRIPLET, *filter(_NEGATIVE.fullmatch, columns)]


def pair_of_row(row: Row, root: Path) -> Pair | str:
    """The pair of a row, or what is wrong with it.

    Args:
        row: From a table; `says_sides`.
        root: The folder of its pictures; one that leads outside is refused when it is opened.
    """
    is_triplet = TRIPLET[1] in row
    names: Sequence[str] = TRIPLET if is_triplet else ("query", "document")
    given = [(name, row.get(name)) for name in names]
    if is_triplet:
        for name in filter(_NEGATIVE.fullmatch, row):
            values = row[name] if isinstance(row[name], list) else [row[name]]
            given += [(name, value) for value in values if value not in (None, "")]
        if wrong := next((name for name, value in given if not isinstance(value, str)), None):
            return f'"{wrong}" must be a text'
    else:
        negatives = row.get("negatives") or []
        if not isinstance(negatives, list):
            return '"negatives" must be a list'
        given += [("negatives", value) for value in negatives if value is not None]
    inputs = []
    for name, value in given:
        found = _input(value, root)
        if isinstance(found, str):
            return f'"{name}" {found}'
        inputs.append(found)
    return Pair(inputs[0], inputs[1], tuple(inputs[2:]))


def _input(value: Any, root: Path) -> Input | str:
    if isinstance(value, str):
        return Input(value)
    if isinstance(value, dict):  # tables that were written as JSON have every column in every row
        value = {name: part for name, part in value.items() if part is not None}
    if not isinstance(value, dict) or not value or not value.keys() <= _PARTS:
        return 'must be a text, or have "text", "image" or both'
    if not all(isinstance(part, str) and part for part in value.values()):
        return "must have a text and a picture's path as strings"
    name = value.get("image")
    if name is None:
        return Input(value["text"])
    return Input(value.get("text"), ImageRef(path=root / name, root=root), name)
