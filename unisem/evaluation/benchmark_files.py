"""`BenchmarkFiles`: where a benchmark's rows lie, as BEIR and as the hub's Parquet have them.

**BEIR and MixBench**: ``queries.jsonl``, ``mixed_corpus.jsonl`` or else ``corpus.jsonl``, and
judgements: ``qrels/SPLIT.tsv`` of a split; or ``qrels.tsv``, ``qrels/qrels.tsv`` or
``qrels/test.tsv``; the same as ``.jsonl``.

**Parquet**, as MTEB's sets lie on the hub: the configurations ``queries`` (or ``query``),
``corpus`` and ``qrels`` (or ``default``, which is asked first), of a subset ``SUBSET-queries`` and
so on. A configuration is a folder beside the others or in ``data``, with ``SPLIT.parquet``,
``SPLIT-00000-of-00002.parquet`` and its fellows, or ``SPLIT/0000.parquet``; one of one split may be
the file alone, of the split ``test``, and what lies in ``data`` without a folder is ``default``. Of
queries and corpus a single split is taken whatever its name. Source: mteb 2.26.24,
``mteb/abstasks/retrieval_dataset_loaders.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unisem.errors import BenchmarkError

QUERIES = "queries.jsonl"
_CORPORA = ("mixed_corpus.jsonl", "corpus.jsonl")
_SUFFIXES = (".tsv", ".jsonl")
_JUDGEMENTS = tuple(
    name + suffix for suffix in _SUFFIXES for name in ("qrels", "qrels/qrels", "qrels/test")
)
_USUAL = "test"
_SHARD = re.compile(r"(.+?)-([0-9]{5})-of-([0-9]{5})(-[0-9a-f]+)?")
_PART = re.compile(r"(?:(.+)-)?(corpus|queries|qrels)|query|default", re.DOTALL)

_Shards = Mapping[str, tuple[Path, ...]]
"""The files of each split."""


@dataclass(frozen=True, slots=True)
class BenchmarkFiles:
    """The files of one benchmark, none of them opened.

    Attributes:
        folder: Where they lie.
        subset: Which of the folder's; ``None`` if it has but one.
        split: Whose judgements these are.
        queries: In order.
        corpus: In order.
        judgements: In order.
    """

    folder: Path
    subset: str | None
    split: str
    queries: tuple[Path, ...]
    corpus: tuple[Path, ...]
    judgements: tuple[Path, ...]

    @classmethod
    def of(
        cls, folder: Path, *, split: str | None = None, subset: str | None = None
    ) -> BenchmarkFiles:
        """Find them.

        Raises:
            BenchmarkError: One is missing, a split or a subset is not there, or not told which.
        """
        if split is not None and (not split or split != Path(split).name):
            raise BenchmarkError(
                f"{split!r} is no name of a split; it names a file in {folder}/qrels"
            )
        if (folder / QUERIES).is_file():
            if subset is not None:
                raise BenchmarkError(f"{folder} has no subsets; leave out {subset!r}")
            path = _judgements(folder, split)
            return cls(
                folder,
                None,
                split or (_USUAL if path.stem == "qrels" else path.stem),
                (folder / QUERIES,),
                (_file(folder, _CORPORA),),
                (path,),
            )
        there = subsets_of(folder)
        if subset not in there:
            names = ", ".join(name for name in there if name is not None)
            raise BenchmarkError(
                f"{folder} has no {QUERIES} and no Parquet of queries and corpus"
                if not there
                else f"{folder} has {'the subsets ' + names if names else 'no subsets'}"
                + (f", not {subset!r}" if subset else "; name one")
            )
        return cls._of_tables(folder, _tables(folder), split, subset)

    @classmethod
    def _of_tables(
        cls, folder: Path, tables: Mapping[str, _Shards], split: str | None, subset: str | None
    ) -> BenchmarkFiles:
        before = "" if subset is None else f"{subset}-"
        judged = f"{before}qrels" if before or "default" not in tables else "default"
        if judged not in tables:
            raise BenchmarkError(f"{folder} has no Parquet of {judged}; a benchmark needs it")
        asked = "query" if not before and "query" in tables else f"{before}queries"
        name = _split(folder, judged, tables[judged], split, strict=split is not None)
        queries, corpus = (
            tables[part][_split(folder, part, tables[part], name)]
            for part in (asked, f"{before}corpus")
        )
        found = cls(folder, subset, name, queries, corpus, tables[judged][name])
        for path in (*found.queries, *found.corpus, *found.judgements):
            if not path.is_file():
                raise BenchmarkError(f"{path} is no file; a benchmark's tables are")
            _whole(path)
        return found


def benchmark_folders(folder: Path) -> list[Path]:
    """The folder itself, or those in it, that hold a benchmark; none if it is something else."""
    if subsets_of(folder):
        return [folder]
    return sorted(path for path in _entries(folder) if subsets_of(path))


def subsets_of(folder: Path) -> list[str | None]:
    """The subsets of a benchmark, by name; ``[None]`` if it has none, nothing if it is none."""
    if (folder / QUERIES).is_file():
        return [None]
    tables = _tables(folder)
    found: list[str | None] = []
    if "corpus" in tables and not tables.keys().isdisjoint(("queries", "query")):
        found.append(None)
    names = (match[1] for match in map(_PART.fullmatch, tables) if match and match[2] == "queries")
    found += sorted(name for name in names if name and f"{name}-corpus" in tables)
    return found


def _judgements(folder: Path, split: str | None) -> Path:
    names = _JUDGEMENTS
    if split is not None:
        names = tuple(f"qrels/{split}{suffix}" for suffix in _SUFFIXES)
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


def _split(
    folder: Path, part: str, splits: _Shards, wanted: str | None, *, strict: bool = False
) -> str:
    """The split that is wanted, else the only one."""
    name = wanted or _USUAL
    if name in splits:
        return name
    if len(splits) == 1 and not strict:
        return next(iter(splits))
    raise BenchmarkError(
        f"{folder} has no split {name!r} of {part}; name one of its splits: "
        f"{', '.join(sorted(splits))}"
    )


def _whole(path: Path) -> None:
    """Refuse a shard whose fellows are not all there.

    Raises:
        BenchmarkError: Says how many are missing.
    """
    if (shard := _SHARD.fullmatch(path.stem)) is None:
        return
    fellows = (_SHARD.fullmatch(other.stem) for other in path.parent.glob("*.parquet"))
    numbers = {one[2] for one in fellows if one and (one[1], one[3]) == (shard[1], shard[3])}
    missing = int(shard[3]) - len(numbers)
    if missing:
        raise BenchmarkError(
            f"{path.parent}: {missing:,} of {int(shard[3]):,} files of {shard[1]!r} are missing; "
            "fetch them all"
        )


def _tables(folder: Path) -> dict[str, dict[str, tuple[Path, ...]]]:
    """Parquet files by configuration and split."""
    found: dict[str, dict[str, tuple[Path, ...]]] = {}

    def add(part: str, split: str, path: Path) -> None:
        splits = found.setdefault(part, {})
        splits[split] = (*splits.get(split, ()), path)

    for place in (folder, folder / "data"):
        for path in _entries(place):
            if path.suffix == ".parquet":
                split = _split_of(path)
                if _PART.fullmatch(split):
                    add(split, _USUAL, path)
                elif place != folder:
                    add("default", split, path)
            elif _PART.fullmatch(path.name):
                for file in _entries(path):
                    if file.suffix == ".parquet":
                        add(path.name, _split_of(file), file)
                    else:
                        for shard in _entries(file):
                            if shard.suffix == ".parquet":
                                add(path.name, file.name, shard)
    return found


def _split_of(path: Path) -> str:
    shard = _SHARD.fullmatch(path.stem)
    return shard[1] if shard else path.stem


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing if it is none, or cannot be looked into."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
