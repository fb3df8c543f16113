"""`Benchmark`: queries, documents and judgements of a folder, as MixBench, BEIR and MTEB have them.

A folder holds ``queries.jsonl``, ``mixed_corpus.jsonl`` or else ``corpus.jsonl``, and judgements:
``qrels/SPLIT.tsv`` of a split; or ``qrels.tsv``, ``qrels/qrels.tsv`` or ``qrels/test.tsv``; the
same as ``.jsonl``. Pictures are named relative to its folder ``images``, or to the folder itself.
Sources: MixBench (https://arxiv.org/abs/2507.19054), BEIR (https://arxiv.org/abs/2104.08663).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unisem.errors import BenchmarkError, ImageError, RecordError
from unisem.images.reference import ImageRef
from unisem.readers.tables import Row, TableError, csv_rows, json_rows
from unisem.records import Record

QUERIES = "queries.jsonl"
_CORPORA = ("mixed_corpus.jsonl", "corpus.jsonl")
_SUFFIXES = (".tsv", ".jsonl")
_JUDGEMENTS = tuple(
    name + suffix for suffix in _SUFFIXES for name in ("qrels", "qrels/qrels", "qrels/test")
)
_QUERY_ID = ("query_id", "query-id", "_id", "id")
_DOCUMENT_ID = ("corpus_id", "corpus-id", "_id", "id")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark as read; no picture has been opened.

    Attributes:
        name: Its folder's.
        queries: Those that have a relevant document, by id; ids begin with ``query:``.
        documents: Everything that can be found; ids begin with ``doc:``.
        relevant: By a query's id the relevant documents' ids, and how relevant each is, above 0.
        split: Whose judgements these are.
        empty: How many rows of the corpus have neither text nor picture; they are not among the
            documents.
        unfindable: How many judgements want one of those. They are in ``relevant``, so that what
            is wanted and cannot be found counts as never found.
        unanswered: How many queries are judged, but have no relevant document; they are not asked.
        ignore_identical_ids: Whether a query never finds the document of its own id.
        digest: SHA-256 over the three files; pictures are in it by their names only.
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


def benchmark_folders(folder: Path) -> list[Path]:
    """The folder itself, or those in it, that hold a benchmark; none if it is something else."""
    if (folder / QUERIES).is_file():
        return [folder]
    if not folder.is_dir():
        return []
    return sorted(path.parent for path in folder.glob(f"*/{QUERIES}") if path.is_file())


def read_benchmark(
    folder: Path, *, split: str | None = None, ignore_identical_ids: bool = False
) -> Benchmark:
    """Read a benchmark, strictly: a row less would be another benchmark.

    Args:
        folder: See the module.
        split: Whose judgements, ``"dev"``; if ``None``, those of the files that the module names.
        ignore_identical_ids: A query does not find the document of its own id, as BEIR has it for
            its sets whose queries are documents (ArguAna, Quora).

    Raises:
        BenchmarkError: A file is missing, a row is malformed, an id is there twice or nowhere; a
            query judges the document of its own id, which is left out.
    """
    paths = _file(folder, (QUERIES,)), _file(folder, _CORPORA), _judgements(folder, split)
    queries, nothing = _records(paths[0], "query", _QUERY_ID)
    for name, where in nothing.items():
        raise BenchmarkError(
            f"{where}: the {name.replace(':', ' ', 1)!r} has neither text nor image"
        )
    documents, empty = _records(paths[1], "doc", _DOCUMENT_ID)
    path = paths[2]
    relevant: dict[str, dict[str, float]] = {}
    judged: set[tuple[str, str]] = set()
    for where, row in _rows(path):
        query = f"query:{_id(row, _QUERY_ID[:2], where)}"
        document = f"doc:{_id(row, _DOCUMENT_ID[:2], where)}"
        for name, known in ((query, queries), (document, documents)):
            if name not in known and name not in empty:
                raise BenchmarkError(f"{where}: there is no {name.replace(':', ' ', 1)!r}")
        if (query, document) in judged:
            raise BenchmarkError(f"{where}: query and document are judged twice")
        judged.add((query, document))
        score = _score(row, where)
        if score > 0:
            if ignore_identical_ids and query[6:] == document[4:]:
                raise BenchmarkError(
                    f"{where}: the query {query[6:]!r} wants the document of its own id, which "
                    "ignoring identical ids leaves out; do without it, or take this row out"
                )
            relevant.setdefault(query, {})[document] = score
    if not relevant:
        raise BenchmarkError(f"{path} judges no document as relevant; nothing can be measured")
    if not documents:
        raise BenchmarkError(f"{paths[1]} has no document with a text or a picture")
    return Benchmark(
        folder.resolve().name,
        tuple(record for name, record in queries.items() if name in relevant),
        tuple(documents.values()),
        relevant,
        split or ("test" if path.stem == "qrels" else path.stem),
        len({query for query, _ in judged} - set(relevant)),
        ignore_identical_ids,
        _digest(paths),
        len(empty),
        sum(document in empty for wanted in relevant.values() for document in wanted),
    )


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _judgements(folder: Path, split: str | None) -> Path:
    if split is None:
        names = _JUDGEMENTS
    elif split and split == Path(split).name:
        names = tuple(f"qrels/{split}{suffix}" for suffix in _SUFFIXES)
    else:
        raise BenchmarkError(f"{split!r} is no name of a split; it names a file in {folder}/qrels")
    if not any((folder / name).is_file() for name in names):
        there = {path.stem for suffix in _SUFFIXES for path in folder.glob(f"qrels/*{suffix}")}
        if there:
            raise BenchmarkError(
                f"{folder} has no {' or '.join(names)}; name one of its splits: "
                f"{', '.join(sorted(there))}"
            )
    return _file(folder, names)


def _file(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BenchmarkError(f"{folder} has no {' or '.join(names)}; a benchmark needs it")


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Every row with where it stands."""
    try:
        with path.open("rb") as file:
            tabular = path.suffix == ".tsv"
            for line, row in csv_rows(file, ["score"], ("\t",)) if tabular else json_rows(file):
                if isinstance(row, str):
                    raise BenchmarkError(f"{path}:{line} {row}")
                yield f"{path}:{line}", row
    except TableError as error:
        raise BenchmarkError(f"{path} {error}") from None


def _records(
    path: Path, kind: str, names: tuple[str, ...]
) -> tuple[dict[str, Record], dict[str, str]]:
    """Records by id; and where a row stands that has neither text nor picture, by id."""
    found: dict[str, Record] = {}
    empty: dict[str, str] = {}
    for where, row in _rows(path):
        name = f"{kind}:{_id(row, names, where)}"
        if name in found or name in empty:
            raise BenchmarkError(f"{where}: the id {name.partition(':')[2]!r} is there twice")
        try:
            text, image = _text(row, where), _image(row, path, where)
            if text is None and image is None:
                empty[name] = where
            else:
                found[name] = Record(id=name, text=text, image=image)
        except (RecordError, ImageError) as error:
            raise BenchmarkError(f"{where}: {error}") from None
    return found, empty


def _id(row: Row, names: tuple[str, ...], where: str) -> str:
    value = next((row[name] for name in names if name in row), None)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise BenchmarkError(f"{where}: needs a string or a whole number as {' or '.join(names)}")
    return value


def _text(row: Row, where: str) -> str | None:
    """BEIR's documents have a title, which is read before their text."""
    parts = [row.get("title"), row.get("text", row.get("query"))]
    if not all(part is None or isinstance(part, str) for part in parts):
        raise BenchmarkError(f"{where}: title and text must be strings or null")
    return " ".join(part.strip() for part in parts if part and part.strip()) or None


def _image(row: Row, path: Path, where: str) -> ImageRef | None:
    name = row.get("image")
    if name is None or name == "":
        return None
    if not isinstance(name, str) or "\0" in name:
        raise BenchmarkError(f"{where}: image must be a path below {path.parent}, or null")
    root = path.parent.resolve()
    inside = root / "images" / name
    try:
        is_inside = inside.exists()
    except OSError as error:  # a name that is too long for the system
        raise BenchmarkError(f"{where}: image is no path of a file ({error.strerror})") from None
    return ImageRef(path=inside if is_inside else root / name, root=root)


def _score(row: Row, where: str) -> float:
    try:
        score = float(row["score"])
    except (KeyError, TypeError, ValueError):
        raise BenchmarkError(f"{where}: score must be a number") from None
    if not abs(score) < float("inf"):
        raise BenchmarkError(f"{where}: score must be a finite number")
    return score
