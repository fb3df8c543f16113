"""Damaged and hostile catalogues: one typed error, or the right answer, or `check_store` knows."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, UniSemError
from unisem.exchange import export_space, salvage_space
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.readers import Reader
from unisem.records import EmbeddedRecord
from unisem.search import Query
from unisem.stores.faiss import checksums
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.statistics import StoreStatistics
from unisem.stores.selection import Selection

D = 16
COUNT = 40
Sound = Callable[[str, bool], dict[str, Any]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "s.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        space.add(
            Record(id=f"a{n}", text=f"tiger {n} of {n % 7}", metadata={"n": n, "mark": "x" * 50})
            for n in range(COUNT)
        )
        space.delete(["a3"])
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "s.unisem"))


def answers(path: Path) -> dict[str, Any]:
    """What a space says, by every way of asking."""
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        store = space.store
        ids = [f"a{n}" for n in range(COUNT)]
        records = list(store.select())
        vectors = [kinds and kinds["text"].tobytes() for kinds in store.vectors(ids)]
        rows = np.eye(D, dtype=np.float32)[:4]
        return {
            "select": records,
            "get": space.get(ids),
            "vectors": vectors,
            "search": [space.search_query(Query(vector=row, k=COUNT)) for row in rows],
            "filter": space.search(text="q", k=COUNT, filter=Field("n") >= 20),
            "select by filter": list(store.select(Selection(filter=Field("n") < 9))),
            "words": [
                [(hit.record.id, round(hit.score, 9)) for hit in store.search_words(text, COUNT)]
                for text in ("tiger", "5", "31 of")
            ],
        }


def flipped_bits(data: bytes, count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    rng = np.random.default_rng(seed)
    for position in rng.choice(len(data) * 8, count, replace=False).tolist():
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        yield position, bytes(damaged)


def unnoticed(path: Path, name: str, count: int, seed: int) -> tuple[int, list[str]]:
    """How many flips changed an answer, and those of them that neither reading nor a check saw."""
    expected = answers(path)
    original = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    (file,) = path.glob(name)
    wrong, silent = 0, []
    for position, damaged in flipped_bits(original[file.name], count, seed):
        for old in path.iterdir():
            if old.is_file():
                old.unlink()
        for old_name, data in original.items():
            (path / old_name).write_bytes(data)
        file.write_bytes(damaged)
        found = [it for it in check_store(path, ImageLibrary(path)) if it.is_problem]
        try:
            got = answers(path)
        except UniSemError:
            continue
        if got != expected:
            wrong += 1
            if not found:
                differing = [key for key in expected if got[key] != expected[key]]
                silent.append(f"{position}: {differing}")
    return wrong, silent


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", ["catalog.sqlite", "vectors-*.f32", "vectors-*.npy"])
def test_a_flipped_bit_is_noticed(path: Path, name: str) -> None:
    wrong, silent = unnoticed(path, name, 12, seed=1)
    print(name, wrong, silent)
    assert silent == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "seed"),
    [
        ("catalog.sqlite", 300, 2),
        ("catalog.sqlite", 300, 3),
        ("vectors-*.f32", 40, 1),
        ("vectors-*.npy", 40, 1),
    ],
)
def test_many_flipped_bits_are_noticed(path: Path, name: str, count: int, seed: int) -> None:
    wrong, silent = unnoticed(path, name, count, seed)
    print(wrong, silent)
    assert silent == []


ENTRANCES: dict[str, Callable[[SemanticSpace, Path], object]] = {
    "get": lambda space, _: space.get(["a5"]),
    "select": lambda space, _: list(space.store.select()),
    "search": lambda space, _: space.search(text="q", k=COUNT),
    "words": lambda space, _: space.search(text="tiger", k=COUNT, mode="keyword"),
    "vectors": lambda space, _: space.store.vectors(["a5"]),
    "embedded": lambda space, _: list(space.store.embedded()),
    "update": lambda space, _: space.update({"a5": {}}),
    "export": lambda space, folder: export_space(space, folder / "out"),
}
TOO_DEEP = "[" * 50_000 + "]" * 50_000


ONE_AFTER_ANOTHER = tuple(ENTRANCES)


@pytest.mark.parametrize(
    "entrances",
    [
        pytest.param(ONE_AFTER_ANOTHER, id="all"),
        *(pytest.param((name,), id=name, marks=pytest.mark.slow) for name in ENTRANCES),
    ],
)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "tigre"),
        ("text", b"tiger"),
        ("metadata", '{"n":6}'),
        ("metadata", "{"),
        ("metadata", "[1]"),
        ("metadata", f'{{"x":{TOO_DEEP}}}'),
        ("metadata", '{"x":' + "9" * 5000 + "}"),
        ("payload", TOO_DEEP),
        ("links", "7"),
        ("image", '{"blob":7}'),
        ("id", 5),
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize("forged", [False, True], ids=["damaged", "forged"])
def test_a_damaged_record_is_an_error_of_unisems(
    path: Path, tmp_path: Path, entrances: tuple[str, ...], column: str, value: Any, forged: bool
) -> None:
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        database.execute(f"UPDATE records SET {column} = ? WHERE id = 'a5'", (value,))
        if forged:
            with suppress(sqlite3.OperationalError):  # of what has none
                checksums.renew(database)
        database.commit()
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        for entrance in entrances:
            try:
                ENTRANCES[entrance](space, tmp_path)
            except UniSemError:
                pass
            else:
                assert forged or entrance == "vectors" or column == "id", entrance
        with suppress(UniSemError):
            space.search(text="q", k=3, filter=Field("n") == 3)
        with suppress(UniSemError):
            space.delete(["a5"])
        with suppress(UniSemError):
            space.compact()
    if not forged:
        shutil.rmtree(path)


def test_a_changed_vector_is_noticed(path: Path) -> None:
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        (blob,) = database.execute("SELECT vector FROM vectors LIMIT 1").fetchone()
        changed = -np.frombuffer(blob, "<f4")  # of unit length still
        database.execute(
            "UPDATE vectors SET vector = ? WHERE vector_id = (SELECT min(vector_id) FROM vectors)",
            (changed.tobytes(),),
        )
        database.commit()
    (finding,) = check_store(path, ImageLibrary(path))
    assert finding.text == "do not agree with their checksums: text of 'a0'"
    for file in path.glob("vectors*"):
        file.unlink()
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        for action in (
            lambda: space.store.vectors(["a0"]),
            lambda: space.search(text="q"),
            lambda: space.compact(),
        ):
            with pytest.raises(CorruptStoreError, match="checksum"):
                action()


def set_column(column: str, value: Any) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as database:
            database.execute(f"UPDATE records SET {column} = ? WHERE id = 'a5'", (value,))
            database.commit()

    return damage


def flip_id(file: Path) -> None:
    """In the row, and not in the index of ids."""
    data, whole = file.read_bytes(), b"a5texttiger 5 of 5"
    assert data.count(whole) == 1
    file.write_bytes(data.replace(whole, b"b" + whole[1:]))


def set_vector(blob: bytes | None) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as database:
            (row,) = database.execute("SELECT row FROM records WHERE id = 'a5'").fetchone()
            database.execute("UPDATE vectors SET vector = ? WHERE vector_id = ?", (blob, row << 12))
            database.commit()

    return damage


DAMAGES = {
    "text": set_column("text", "tigre"),
    "no text": set_column("text", None),
    "bytes": set_column("text", b"\xff\xfe"),
    "not unicode": lambda file: set_column("metadata", b'{"n":"\xff"}')(file),
    "metadata": set_column("metadata", '{"n":6,"mark":"tiger"}'),
    "no JSON": set_column("metadata", "{"),
    "no object": set_column("metadata", "[1]"),
    "deep": set_column("payload", TOO_DEEP),
    "picture": set_column("image", '{"blob":7}'),
    "checksum": set_column("checksum", None),
    "id": flip_id,
    "a vector": set_vector(np.eye(D, dtype="<f4")[0].tobytes()),
    "a short vector": set_vector(b"1234"),
    "no vector": set_vector(None),
}


class Records(list[Record], Reader):
    """Reads what it holds."""


INTACT = {f"a{n}" for n in range(COUNT)} - {"a3"}


WAYS = ("delete", "add", "add_embedded", "ingest", "clear")


def mend(folder: Path, way: str, *, indexed: bool) -> None:
    """Delete or replace ``a5``, whatever it is, in a space with or without its derived files."""
    if not indexed:
        for file in folder.glob("vectors*"):
            file.unlink()
    with SemanticSpace.open(folder, encoder=ToyEncoder(D)) as space:
        # All fields it had before: others would count as added by hand, and be kept if they can be.
        mended = Record(id="a5", text="tiger anew", metadata={"n": 5, "mark": "anew"})
        match way:
            case "delete":
                assert space.delete(["a5", "a6"]) == 2
            case "clear":
                assert space.store.delete(Selection()) == len(INTACT)
            case "add":
                space.add([mended])
            case "add_embedded":
                vector = np.eye(D, dtype=np.float32)[3]
                space.add_embedded([EmbeddedRecord(mended, {"text": vector})])
            case "ingest":
                assert space.ingest(Records([mended])).added == 1


@pytest.fixture(scope="module")
def sound(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """What a space says in which that was done, and which was never damaged."""
    found: dict[tuple[str, bool], dict[str, Any]] = {}

    def of(way: str, indexed: bool) -> dict[str, Any]:
        if (way, indexed) not in found:
            folder = tmp_path_factory.mktemp("sound") / "s.unisem"
            mend(shutil.copytree(original, folder), way, indexed=indexed)
            found[way, indexed] = answers(folder)
        return found[way, indexed]

    return of


def _every_kind() -> Iterator[Any]:
    """Each damage with and without derived files by a way in turn; the others are slow."""
    for number, kind in enumerate(DAMAGES):
        for indexed, way in itertools.product((True, False), WAYS):
            in_turn = way == WAYS[(number + indexed) % len(WAYS)]
            yield pytest.param(kind, indexed, way, marks=() if in_turn else pytest.mark.slow)


@pytest.mark.parametrize(("kind", "indexed", "way"), [*_every_kind()])
def test_what_is_damaged_can_be_deleted_and_replaced(
    path: Path, sound: Sound, kind: str, indexed: bool, way: str
) -> None:
    """Afterwards the space is as one in which that was done before the damage."""
    DAMAGES[kind](path / "catalog.sqlite")
    mend(path, way, indexed=indexed)
    assert [it.text for it in check_store(path, ImageLibrary(path)) if it.is_problem] == []
    assert answers(path) == sound(way, indexed)


def test_of_two_damaged_records_one_after_the_other_is_mended(path: Path) -> None:
    for name in ("a5", "a8"):
        with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
            database.execute("UPDATE records SET metadata = '{' WHERE id = ?", (name,))
            database.commit()
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        space.delete(["a5"])
        assert [hit.record.id for hit in space.search(text="31", k=1, mode="keyword")] == ["a31"]
        space.add([Record(id="a8", text="tiger anew")])
        assert {record.id for record in space.store.select()} == INTACT - {"a5"}
    assert not [it for it in check_store(path, ImageLibrary(path)) if it.is_problem]


def test_a_checksum_that_is_gone_is_noticed(path: Path) -> None:
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        database.execute("UPDATE vectors SET checksum = NULL WHERE vector_id >> 12 = 1")
        database.commit()
    (finding,) = check_store(path, ImageLibrary(path))
    assert finding.text == "do not agree with their checksums: text of 'a0'"
    with (
        SemanticSpace.open(path, encoder=ToyEncoder(D)) as space,
        pytest.raises(CorruptStoreError, match="checksum"),
    ):
        space.store.vectors(["a0"])


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
HOSTILE = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON records BEGIN"
    " INSERT INTO removals SELECT value, 1 FROM json_each('[1,2]'); END",
    "a view beside": f"CREATE VIEW mine AS {ENDLESS} i FROM n",
    "facts as a view": "DROP TABLE facts;"
    f" CREATE VIEW facts (name, value) AS {ENDLESS} 'format', i FROM n WHERE i < 0",
    "records as a view": "ALTER TABLE records RENAME TO r;"
    f" CREATE VIEW records AS {ENDLESS} i AS row, 'a' AS id FROM n",
    "removals as a view": "DROP TABLE removals;"
    f" CREATE VIEW removals (row, at) AS {ENDLESS} i, i FROM n",
    "a generated column": "ALTER TABLE records ADD COLUMN z AS (length(text))",
    "a condition": "DROP TABLE removals; CREATE TABLE removals"
    " (row INTEGER PRIMARY KEY, at INTEGER NOT NULL CHECK (length(zeroblob(99999999)) > at))",
    "an index that computes": "CREATE INDEX mine ON records (length(hex(zeroblob(9999999))))",
    "another virtual table": "CREATE VIRTUAL TABLE mine USING fts5(a)",
    "other words": "DROP TABLE words; CREATE VIRTUAL TABLE words USING fts5(text, metadata)",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("format", [2, 3])
def test_parts_that_are_not_ours_are_refused(path: Path, kind: str, format: int) -> None:
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'format'", (format,))
        database.commit()
        database.executescript(HOSTILE[kind])
        database.commit()
    if kind != "other words" or format == 3:
        with pytest.raises(CorruptStoreError, match=r"parts that unisem does not make|catalogue"):
            SemanticSpace.open(path, encoder=ToyEncoder(D))
    if kind != "other words":  # which do nothing by themselves
        (finding,) = check_store(path, ImageLibrary(path))
        assert "do not trust it" in finding.text
        with pytest.raises(CorruptStoreError):
            StoreStatistics.of(path)
        with pytest.raises(UniSemError):
            salvage_space(path, path.parent / "out")


@pytest.mark.parametrize("value", [10**12, 0, -1, "many", 2.5e300, b"16"])
def test_an_absurd_dimension_costs_no_memory(path: Path, value: Any) -> None:
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'dimension'", (value,))
        database.commit()
    with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space:
        for action in (lambda: space.search(text="q"), lambda: space.add([Record(text="a")])):
            with suppress(UniSemError):
                action()
    assert (
        any(finding.is_problem for finding in check_store(path, ImageLibrary(path)))
        or value == b"16"
    )


def test_metadata_nested_without_measure_in_a_thread_with_room(path: Path) -> None:
    deep = '{"x":' + "[" * 3000 + "]" * 3000 + "}"
    with closing(sqlite3.connect(path / "catalog.sqlite")) as database:
        database.execute("UPDATE records SET metadata = ? WHERE id = 'a5'", (deep,))
        checksums.renew(database)
        database.commit()
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(20_000)
        json.loads(deep)
        with SemanticSpace.open(path, encoder=ToyEncoder(D)) as space, suppress(UniSemError):
            space.search(text="q", k=COUNT, filter=Field("n") == 1)
    finally:
        sys.setrecursionlimit(limit)
