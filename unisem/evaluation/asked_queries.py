"""`AskedQuery`: what users ask a space, read from a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from unisem.errors import UniSemError
from unisem.images.reference import ImageRef
from unisem.readers.tables import Row, TableError, csv_rows, json_rows
from unisem.readers.texts import decode_text
from unisem.records import Modality, check_unicode
from unisem.search.query import Query


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """What somebody asked: a text, or a picture and a text that says what is to be different.

    Attributes:
        text: As typed.
        relevant: Ids of the records that answer it, if that is known.
        image: The picture.
        text_weight: Share of the text, if there is a picture.
        wish: What is asked for; queries with the same one should have the same answers.
        modality: Of what the text wants, if it says so in words ("a picture of …").
    """

    text: str
    relevant: tuple[str, ...] = ()
    image: ImageRef | None = None
    text_weight: float = 0.5
    wish: str | None = None
    modality: Modality | None = None

    def query(self, k: int) -> Query:
        """It, as a space is asked."""
        return Query(text=self.text, image=self.image, text_weight=self.text_weight, k=k)


def read_queries(path: Path) -> tuple[AskedQuery, ...]:
    """Read queries: a text file with one a line, or a table.

    Args:
        path: ``.txt``; or ``.jsonl``, ``.csv``, ``.tsv`` with a column ``text`` and, as it is known
            or wanted, ``relevant``: a list of ids, in CSV and TSV one id; ``image``: a picture in
            the file's folder, by its path from there; ``text_weight``; ``wish``; ``modality``.

    Raises:
        UniSemError: Another kind of file, a malformed row, or no query in it; names it.
        OSError: The file cannot be read.
    """
    suffix = path.suffix.lower()
    found: list[AskedQuery] = []
    if suffix == ".txt":
        try:
            lines = decode_text(path.read_bytes()).splitlines()
        except ValueError as error:
            raise UniSemError(f"{path} is no text file: {error}") from None
        found = [AskedQuery(line.strip()) for line in lines if line.strip()]
    elif suffix in (".jsonl", ".csv", ".tsv"):
        try:
            with path.open("rb") as file:
                rows = json_rows(file) if suffix == ".jsonl" else csv_rows(file, ["text"])
                found = [_query(row, f"{path}:{line}", path.parent) for line, row in rows]
        except TableError as error:
            raise UniSemError(f"{path} {error}") from None
    else:
        raise UniSemError(f"{path}: queries are read from .txt, .jsonl, .csv or .tsv")
    if not found:
        raise UniSemError(f"{path} holds no query")
    return tuple(found)


def _query(row: Row | str, where: str, folder: Path) -> AskedQuery:
    if isinstance(row, str):
        raise UniSemError(f"{where} {row}")
    text, relevant = row.get("text"), row.get("relevant") or []
    if not isinstance(text, str) or not text.strip():
        raise UniSemError(f"{where}: text must be a string that is not empty")
    check_unicode(text, f"{where}: text")
    if isinstance(relevant, str):
        relevant = [relevant]
    if not isinstance(relevant, list) or not all(isinstance(one, str) for one in relevant):
        raise UniSemError(f"{where}: relevant must be a list of ids")
    image, wish = row.get("image") or None, row.get("wish") or None
    if not all(value is None or isinstance(value, str) for value in (image, wish)):
        raise UniSemError(f"{where}: image must be a path, and wish a string")
    given = row.get("text_weight")
    try:
        weight = 0.5 if given in (None, "") else float(given)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight <= 1:
        raise UniSemError(f"{where}: text_weight must be a number from 0 to 1")
    modality = row.get("modality") or None
    if modality not in (None, *get_args(Modality)):
        raise UniSemError(f'{where}: modality must be "text" or "image"')
    picture = None if image is None else ImageRef(path=folder / image, root=folder)
    return AskedQuery(text.strip(), tuple(relevant), picture, weight, wish, modality)
