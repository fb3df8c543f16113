"""`Benchmark`: queries, documents and judgements of a folder, as MixBench, BEIR and MTEB have them.

Where they lie is `BenchmarkFiles`. Pictures are named relative to the folder's ``images``, or to
the folder itself; in Parquet they may be there as bytes. Sources: MixBench
(https://arxiv.org/abs/2507.19054), BEIR (https://arxiv.org/abs/2104.08663), MTEB
(https://arxiv.org/abs/2210.07316).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from unisem.common.skipped import Skipped
from unisem.errors import BenchmarkError, ImageError, RecordError
from unisem.evaluation.benchmark_files import BenchmarkFiles
from unisem.images.reference import ImageRef
from unisem.pairs.sources.unpacking import Unpacked
from unisem.readers.parquet_tables import MISSING, ParquetTable
from unisem.readers.tables import Row, Rows, TableError, csv_rows, json_rows
from unisem.records import Record

_QUERY_ID = ("query_id", "query-id", "_id", "id")
_DOCUMENT_ID = ("corpus_id", "corpus-id", "_id", "id")
_CONTENT = ("text", "query", "image", "title")
_JUDGEMENT = (_QUERY_ID[:2], _DOCUMENT_ID[:2], ("score",))
_TOLERATED = 1000  # rows, of which one may be bad
_LONGEST = 1 << 24  # characters of a text or an id, as of a line


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark as read; no picture has been decoded.

    Attributes:
        name: Its folder's.
        queries: Those that have a relevant document, by id; ids begin with ``query:``.
        documents: Everything that can be found; ids begin with ``doc:``.
        relevant: By a query's id the relevant documents' ids, and how relevant each is, above 0.
        split: Whose judgements these are.
        empty: How many rows of the corpus have neither text nor picture; they are not among the
            documents.
        unfindable: How many judgements want what is not among the documents. They are in
            ``relevant``, so that what is wanted and cannot be found counts as never found.
        unanswered: How many queries are judged, but have no relevant document; they are not asked.
        ignore_identical_ids: Whether a query never finds the document of its own id.
        digest: SHA-256 over the files; pictures outside them are in it by their names only.
        subset: Which of the folder's, a language perhaps; ``None`` if it has but one.
        skipped: Rows that could not be used, at most one in a thousand.
    """

    name: str
    queries: tuple[Record, ...] = field(repr=False)
    documents: tuple[Record, ...] = field(repr=False)
    relevant: dict[str, dict[str, float]] = field(repr=False)
    split: str = "test"
    unanswered: int = 0
    ignore_identical_ids: bool = False
    digest: str = field(default="", repr=False)
    empty: int = 0
    unfindable: int = 0
    subset: str | None = None
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """Its name, and its subset's if it is one of several."""
        return self.name if self.subset is None else f"{self.name}, {self.subset}"


def read_benchmark(
    folder: Path,
    *,
    split: str | None = None,
    subset: str | None = None,
    ignore_identical_ids: bool = False,
    unpack_to: Path | None = None,
) -> Benchmark:
    """Read a benchmark, strictly: a row less would be another benchmark.

    A row that is malformed, bytes that do not begin as a picture, a judgement of something that is
    not there: of a thousand one is passed over and told in ``skipped``, more are an error that
    names the first. A picture that is named by its path is opened when it is measured; then not one
    may be missing, or begin as no picture.

    Args:
        folder: See `BenchmarkFiles`.
        split: Whose judgements, ``"dev"``; if ``None``, those that `BenchmarkFiles` names.
        subset: Which of the folder's, ``"de"``, if it has several.
        ignore_identical_ids: A query does not find the document of its own id, as BEIR has it for
            its sets whose queries are documents (ArguAna, Quora).
        unpack_to: A folder for the pictures that Parquet carries as bytes.

    Raises:
        BenchmarkError: A file or a column is missing, rows are malformed, an id is there twice; a
            query judges the document of its own id, which is left out; pictures come as bytes and
            nobody said where to.
    """
    files = BenchmarkFiles.of(folder, split=split, subset=subset)
    reading = _Reading(folder, unpack_to)
    queries, blank = reading.records(files.queries, "query", _QUERY_ID)
    documents, empty = reading.records(files.corpus, "doc", _DOCUMENT_ID)
    for name, where in blank.items():
        reading.skip(where, f"the {_plainly(name)} has neither text nor image")
    reading.check(len(queries))
    relevant: dict[str, dict[str, float]] = {}
    judged: set[tuple[str, str]] = set()
    for where, row in reading.rows(files.judgements, _JUDGEMENT):
        try:
            query = f"query:{_id(row, _QUERY_ID[:2])}"
            document = f"doc:{_id(row, _DOCUMENT_ID[:2])}"
            score = _score(row)
        except _BadRowError as error:
            reading.skip(where, str(error))
            continue
        if (query, document) in judged:
            raise BenchmarkError(f"{where}: query and document are judged twice")
        judged.add((query, document))
        for name, known in ((query, (queries,)), (document, (documents, empty))):
            if not any(name in some for some in known):
                reading.skip(where, f"there is no {_plainly(name)}")
        if score > 0 and query in queries:
            if ignore_identical_ids and query[6:] == document[4:]:
                raise BenchmarkError(
                    f"{where}: the query {query[6:]!r} wants the document of its own id, which "
                    "ignoring identical ids leaves out; do without it, or take this row out"
                )
            relevant.setdefault(query, {})[document] = score
    reading.check(len(judged))
    if not relevant:
        raise BenchmarkError(
            f"{files.judgements[0]} judges no document as relevant; nothing can be measured"
        )
    if not documents:
        raise BenchmarkError(f"{files.corpus[0]} has no document with a text or a picture")
    return Benchmark(
        folder.resolve().name,
        tuple(record for name, record in queries.items() if name in relevant),
        tuple(documents.values()),
        relevant,
        files.split,
        len({query for query, _ in judged if query in queries} - set(relevant)),
        ignore_identical_ids,
        _digest((*files.queries, *files.corpus, *files.judgements)),
        len(empty),
        sum(document not in documents for wanted in relevant.values() for document in wanted),
        files.subset,
        tuple(reading.skipped),
    )


class _BadRowError(ValueError):
    """Says what is wrong with one row."""


class _Reading:
    """A benchmark's rows, and those of them that cannot be used."""

    def __init__(self, folder: Path, unpack_to: Path | None) -> None:
        self._root = folder.resolve()
        self._unpack_to = unpack_to
        self._unpacked: Unpacked | None = None
        self._told = 0  # of the skipped, how many are of files that have been checked
        self.skipped: list[Skipped] = []

    def skip(self, where: str, reason: str) -> None:
        self.skipped.append(Skipped(where, reason))

    def check(self, rows: int) -> None:
        """Refuse more than one row in a thousand skipped since the last time, beside good ones."""
        bad = self.skipped[self._told :]
        self._told = len(self.skipped)
        if len(bad) * _TOLERATED > rows:
            first, more = bad[0], len(bad) - 1
            raise BenchmarkError(
                f"{first.name}: {first.reason}"
                + (f", and {more:,} more of {rows + len(bad):,} rows" if more else "")
            )

    def rows(
        self, paths: Sequence[Path], needed: Sequence[Sequence[str]]
    ) -> Iterator[tuple[str, Row]]:
        """Every row with where it stands, of each file that has one column of each kind."""
        for path in paths:
            try:
                with path.open("rb") as file:
                    for line, row in _rows_of(path, file, needed):
                        if isinstance(row, str):
                            self.skip(f"{path}:{line}", row)
                        else:
                            yield f"{path}:{line}", row
            except TableError as error:
                raise BenchmarkError(f"{path} {error}") from None
            except ImportError:
                raise BenchmarkError(f"{path}: {MISSING}") from None

    def records(
        self, paths: Sequence[Path], kind: str, names: tuple[str, ...]
    ) -> tuple[dict[str, Record], dict[str, str]]:
        """Records by id; and where a row stands that has neither text nor picture, by id."""
        found: dict[str, Record] = {}
        empty: dict[str, str] = {}
        for where, row in self.rows(paths, (names, _CONTENT[:3])):
            try:
                name = f"{kind}:{_id(row, names)}"
                if name in found or name in empty:
                    raise BenchmarkError(
                        f"{where}: the id {name.partition(':')[2]!r} is there twice"
                    )
                text, image = _text(row), self._image(row, where)
                if text is None and image is None:
                    empty[name] = where
                else:
                    found[name] = Record(id=name, text=text, image=image)
            except (_BadRowError, RecordError) as error:
                self.skip(where, str(error))
            except ImageError as error:
                self.skip(where, error.reason)
        self.check(len(found) + len(empty))
        return found, empty

    def _image(self, row: Row, where: str) -> ImageRef | None:
        name = row.get("image")
        if isinstance(name, dict):  # as the hub's datasets have pictures
            carried = name.get("bytes")
            if carried is not None and not isinstance(carried, bytes):
                raise _BadRowError("image must have bytes, or a path")
            name = name.get("path") if carried is None else carried
        if isinstance(name, bytes):
            return self._written(name, where)
        if name is None or name == "":
            return None
        if not isinstance(name, str) or "\0" in name:
            raise _BadRowError(f"image must be a path below {self._root}, or null")
        inside = self._root / "images" / name
        try:
            is_inside = inside.exists()
        except OSError as error:  # a name that is too long for the system
            raise _BadRowError(f"image is no path of a file ({error.strerror})") from None
        return ImageRef(path=inside if is_inside else self._root / name, root=self._root)

    def _written(self, data: bytes, where: str) -> ImageRef:
        if self._unpacked is None:
            if self._unpack_to is None:
                raise BenchmarkError(
                    f"{where}: pictures are carried as bytes, which are unpacked first; say where "
                    "to (unpack_to=, --cache)"
                )
            self._unpacked = Unpacked(self._unpack_to)
        return self._unpacked.add(data, where)


def _rows_of(path: Path, file: BinaryIO, needed: Sequence[Sequence[str]]) -> Rows:
    match path.suffix:
        case ".tsv":
            return csv_rows(file, ["score"], ("\t",))
        case ".parquet":
            table = ParquetTable(file)
            for names in needed:
                if not set(names) & set(table.columns):
                    raise TableError(
                        f"has no column {' or '.join(map(repr, names))}; it has "
                        f"{', '.join(map(repr, table.columns)) or 'none'}"
                    )
            known = {name for names in needed for name in names} | {"title"}
            return table.rows([name for name in table.columns if name in known])
    return json_rows(file)


def _plainly(name: str) -> str:
    """An id as what it is of: ``doc 7``."""
    return repr(name.replace(":", " ", 1))


def _digest(paths: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _id(row: Row, names: tuple[str, ...]) -> str:
    value = next((row[name] for name in names if name in row), None)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise _BadRowError(f"needs a string or a whole number as {' or '.join(names)}")
    return value


def _text(row: Row) -> str | None:
    """BEIR's documents have a title, which is read before their text."""
    text = row.get("text")
    parts = [row.get("title"), row.get("query") if text is None else text]
    if not all(part is None or isinstance(part, str) for part in parts):
        raise _BadRowError("title and text must be strings or null")
    if any(part and len(part) > _LONGEST for part in parts):
        raise _BadRowError(f"title and text may have {_LONGEST:,} characters")
    return " ".join(part.strip() for part in parts if part and part.strip()) or None


def _score(row: Row) -> float:
    try:
        score = float(row["score"])
    except (KeyError, TypeError, ValueError):
        raise _BadRowError("score must be a number") from None
    if not abs(score) < float("inf"):
        raise _BadRowError("score must be a finite number")
    return score
