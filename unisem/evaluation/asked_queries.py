"""`AskedQuery`: what users ask a space, read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unisem.errors import UniSemError
from unisem.readers.tables import Row, TableError, csv_rows, json_rows
from unisem.readers.texts import decode_text
from unisem.records import check_unicode


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """One text that somebody asked.

    Attributes:
        text: As typed.
        relevant: Ids of the records that answer it, if that is known.
    """

    text: str
    relevant: tuple[str, ...] = ()


def read_queries(path: Path) -> tuple[AskedQuery, ...]:
    """Read queries: a text file with one a line, or a table.

    Args:
        path: ``.txt``; or ``.jsonl``, ``.csv``, ``.tsv`` with a column ``text`` and, if it is
            known, ``relevant``: a list of ids, in CSV and TSV one id.

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
                found = [_query(row, f"{path}:{line}") for line, row in rows]
        except TableError as error:
            raise UniSemError(f"{path} {error}") from None
    else:
        raise UniSemError(f"{path}: queries are read from .txt, .jsonl, .csv or .tsv")
    if not found:
        raise UniSemError(f"{path} holds no query")
    return tuple(found)


def _query(row: Row | str, where: str) -> AskedQuery:
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
    return AskedQuery(text.strip(), tuple(relevant))
