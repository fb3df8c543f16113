"""Full disks, failing calls, read-only directories and flipped bytes.

Whatever the system refuses, the store says so with a `StoreError`, keeps what it acknowledged, is
in the state before or after the call, and works again once the fault has gone.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import resource
import shutil
import sqlite3
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from tests.stores.crash.checks import assert_state, expected_records, stored_records
from tests.stores.crash.workload import (
    DIMENSION,
    Operation,
    after,
    item,
    open_store,
    perform,
    query,
)
from tests.support.oracle import BruteForce
from unisem import Record
from unisem.errors import CorruptStoreError, ImageError, StoreError
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore, segment
from unisem.stores.faiss.connection import Connection
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.snapshot import Snapshot
from unisem.stores.faiss.snapshot_keeper import SnapshotKeeper
from unisem.stores.selection import Selection

FIRST = Operation("add", items=tuple((record_id, n) for n, record_id in enumerate("abcdefgh", 1)))
SECOND = Operation("delete", selection=Selection(ids=("b", "c")))
TASKS = {
    "add": Operation("add", items=(("a", 21), ("i", 22), ("j", 24))),
    "delete": Operation("delete", selection=Selection(modality="image")),
    "compact": Operation("compact", kind="hnsw"),
    "close": Operation("reopen"),
}


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, BruteForce]:
    """A closed store with a segment and a few writes that it does not reflect."""
    directory, oracle = tmp_path / "s", BruteForce()
    store = open_store(directory)
    for task in (FIRST, Operation("compact"), SECOND):
        store = perform(store, directory, task)
        oracle = after(oracle, task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotKeeper, "is_stale", lambda store: False)
        store.close()
    return directory, oracle


def before_or_after(store: FaissStore, oracle: BruteForce, task: Operation) -> BruteForce:
    """Which of both states the store is in; it must be one of them wholly."""
    following = after(oracle, task)
    happened = stored_records(store) == expected_records(following)
    state = following if happened else oracle
    assert_state(store, state)
    return state


def assert_works(store: FaissStore, directory: Path, oracle: BruteForce) -> None:
    """Write, compact, reopen."""
    steps = (
        Operation("add", items=(("k", 31), ("a", 32), ("l", 33))),
        Operation("delete", selection=Selection(ids=("k", "d"))),
        Operation("compact"),
        Operation("reopen"),
    )
    for task in steps:
        store = perform(store, directory, task)
        oracle = after(oracle, task)
        assert_state(store, oracle)
    store.close()


# A full database


@pytest.mark.parametrize("name", ["add", "delete", "compact"])
def test_database_that_is_full(filled: tuple[Path, BruteForce], name: str) -> None:
    directory, oracle = filled
    store = open_store(directory)
    database = store._files.catalog._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    task = TASKS[name]
    if name == "add":
        task = Operation("add", items=tuple((f"r{n}", 1000 + n) for n in range(200)))
        with pytest.raises(StoreError, match="full"):
            perform(store, directory, task)
        assert_state(store, oracle)
    else:
        with suppress(StoreError):
            store = perform(store, directory, task)
        oracle = before_or_after(store, oracle, task)
    database.execute("PRAGMA max_page_count = 1000000")
    assert_works(store, directory, oracle)


# Files that may not grow: writes are really short, or refused


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Python ignores SIGXFSZ, so a write beyond the limit is short or fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("every", [16_000, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TASKS)
def test_files_that_may_not_grow(filled: tuple[Path, BruteForce], name: str, every: int) -> None:
    before, oracle = filled
    outcomes: Counter[str] = Counter()
    for size in (0, 10, 300, 500, 700, *range(1000, 160_000, every)):
        directory = before.with_name(f"{size}")
        shutil.copytree(before, directory)
        store, reopened = open_store(directory), False
        store.search(query(0)[None], 1)
        state = oracle
        if name == "close":
            store.add([item("late", 25)])
            state = BruteForce()
            state.items = dict(oracle.items)
            state.add([item("late", 25)])
        try:
            with file_size_limit(size):
                if name == "close":
                    store.close()
                    reopened = True
                else:
                    store = perform(store, directory, TASKS[name])
            outcomes["worked"] += 1
        except StoreError:
            outcomes["refused"] += 1
        assert Segment.load(directory, DIMENSION) is not None  # the one before, or a whole one
        if reopened:
            store = open_store(directory)
        state = before_or_after(store, state, TASKS[name])
        assert_works(store, directory, state)
        assert_no_rests(directory)
    assert outcomes["worked"]
    assert outcomes["refused"] or name == "close"


def test_compacting_again_that_fails_leaves_the_segment_before(
    filled: tuple[Path, BruteForce], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, oracle = filled
    store = open_store(directory)
    store.compact("flat")
    publish = segment.publish

    def refuse_the_seal(temporary: Path, final: Path) -> None:
        if final.name == "vectors.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        publish(temporary, final)

    with monkeypatch.context() as patch:
        patch.setattr(segment, "publish", refuse_the_seal)
        with pytest.raises(StoreError, match="nothing that was stored is lost"):
            store.compact("hnsw")  # of the same state, so the files would have the same names
    sealed = Segment.load(directory, DIMENSION)
    assert sealed is not None
    assert sealed.kind == "flat"
    assert_state(store, oracle)
    store.close()


def assert_no_rests(directory: Path) -> None:
    names = sorted(path.name for path in directory.iterdir() if path.suffix == ".tmp")
    assert names == []
    assert len(list(directory.glob("vectors-*"))) in (3, 4)  # a graph has one more


# Every call of the system, one after the other, fails


@dataclass
class Saboteur:
    """Counts calls and fails one of them.

    Attributes:
        target: Number of the call that fails.
        error: Makes what it fails with.
        calls: How many calls there were.
    """

    target: int
    error: Callable[[], Exception]
    calls: int = -1
    name: str = ""

    def call(self, name: str) -> None:
        self.calls += 1
        if self.calls == self.target:
            self.name = name
            raise self.error()

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def sabotaged(*args: Any, **kwargs: Any) -> Any:
            self.call(name)
            return function(*args, **kwargs)

        return sabotaged


def sabotage_files(patch: pytest.MonkeyPatch, saboteur: Saboteur) -> None:
    for owner, name in (
        (os, "fsync"),
        (os, "utime"),
        (os, "open"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (Path, "open"),
        (faiss, "write_index"),
        (np, "save"),
    ):
        patch.setattr(owner, name, saboteur.around(getattr(owner, name), name))


def sabotage_database(patch: pytest.MonkeyPatch, saboteur: Saboteur) -> None:
    class Sabotaged(Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if not sql.startswith("ROLLBACK"):
                saboteur.call(sql)
            return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
            saboteur.call(sql)
            return super().executemany(sql, rows)

    connect = sqlite3.connect
    patch.setattr(
        sqlite3, "connect", lambda *args, **more: connect(*args, **more | {"factory": Sabotaged})
    )


def no_space() -> Exception:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def input_output() -> Exception:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def database_input_output() -> Exception:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


FAULTS = {
    "no space": (sabotage_files, no_space),
    "input/output": (sabotage_files, input_output),
    "database": (sabotage_database, database_input_output),
}


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", TASKS)
def test_each_call_fails_once(
    filled: tuple[Path, BruteForce], name: str, fault: str, every: int
) -> None:
    before, oracle = filled
    sabotage, error = FAULTS[fault]
    hurt = 0
    for target in range(0, 1000, every):
        directory = before.with_name(f"{target}")
        shutil.copytree(before, directory)
        saboteur = Saboteur(10**9, error)
        with pytest.MonkeyPatch.context() as patch:
            sabotage(patch, saboteur)
            store = open_store(directory)
            store.search(query(0)[None], 1)
            state = oracle
            if name == "close":
                late = Operation("add", items=(("late", 25),))
                store, state = perform(store, directory, late), after(oracle, late)
            saboteur.calls, saboteur.target = -1, target
            try:
                if name == "close":
                    store.close()  # what was stored is safe, so closing has nothing to say
                else:
                    perform(store, directory, TASKS[name])
                    state = after(state, TASKS[name])
                refused = False
            except StoreError:
                refused = True
        print(f"call {target}: {saboteur.name}")
        if saboteur.calls < target:
            break
        hurt += 1
        if name == "close":
            assert not refused
            store = open_store(directory)
        if refused and not saboteur.name.startswith("COMMIT"):
            assert_state(store, state)
        else:
            state = before_or_after(store, state, TASKS[name])
        assert_works(store, directory, state)
        assert_no_rests(directory)
        shutil.rmtree(directory)
    assert hurt


@pytest.mark.parametrize("question", ["select", "search", "words", "vectors", "len", "get"])
def test_reading_that_fails_says_so_and_works_again(
    filled: tuple[Path, BruteForce], question: str
) -> None:
    directory, oracle = filled
    saboteur = Saboteur(10**9, database_input_output)
    with pytest.MonkeyPatch.context() as patch:
        sabotage_database(patch, saboteur)
        for target in range(100):
            saboteur.target = 10**9
            store = open_store(directory)
            ask: dict[str, Callable[[], Any]] = {
                "select": lambda store=store: list(store.select(Selection(modality="image"))),
                "search": lambda store=store: store.search(
                    query(0)[None], 3, Selection(source_ids=("s1",))
                ),
                "words": lambda store=store: store.search_words("common", 3),
                "vectors": lambda store=store: store.vectors(["a", "d"]),
                "len": lambda store=store: len(store),
                "get": lambda store=store: store.get(["a", "d"]),
            }
            saboteur.calls, saboteur.target = -1, target
            complaint = ""
            try:
                ask[question]()
            except StoreError as error:
                complaint = str(error)
            print(f"call {target}: {saboteur.name}")
            assert ("disk I/O error" in complaint) == (saboteur.calls >= target)
            saboteur.target = 10**9
            assert_state(store, oracle)
            store.close()
            if not complaint:
                return
    raise AssertionError("never done")


@pytest.mark.parametrize("name", ["add", "delete", "compact"])
@pytest.mark.parametrize(
    ("owner", "function"),
    [
        (SnapshotKeeper, "move_on"),
        (SnapshotKeeper, "_catch_up"),
        (SnapshotKeeper, "_publish"),
        (Snapshot, "after"),
        (Snapshot, "of"),
        (Snapshot, "__init__"),
    ],
)
def test_interrupted_between_the_commit_and_the_next_search(
    filled: tuple[Path, BruteForce], name: str, owner: type, function: str
) -> None:
    directory, oracle = filled
    store = open_store(directory)
    assert_state(store, oracle)
    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(owner, function, interrupt)
        perform(store, directory, TASKS[name])
    state = before_or_after(store, oracle, TASKS[name])
    assert_works(store, directory, state)


def interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


# Pictures


@pytest.mark.parametrize("error", [no_space, input_output])
def test_picture_that_cannot_be_kept(tmp_path: Path, error: Callable[[], Exception]) -> None:
    directory = tmp_path / "s"
    embedded = item("a", 3)
    image = embedded.record.image
    assert image is not None
    assert image.data is not None
    for target in range(100):
        pictures, saboteur = ImageLibrary(directory), Saboteur(target, error)
        with pytest.MonkeyPatch.context() as patch:
            sabotage_files(patch, saboteur)
            with suppress(StoreError):
                pictures.keep(image, image.data)
        assert saboteur.name in ("unlink", "") or saboteur.calls >= target
        kept = pictures.keep(image, image.data)
        assert kept.read_bytes() == image.data
        assert [path.name for path in directory.rglob(".*")] == [] or saboteur.name == "unlink"
        if saboteur.calls < target:
            break
        shutil.rmtree(directory)
    assert target > 3


def test_picture_larger_than_files_may_be(tmp_path: Path) -> None:
    pictures, rng = ImageLibrary(tmp_path / "s"), np.random.default_rng(0)
    from PIL import Image

    noise = Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8))
    image = ImageRef.of(noise)
    assert image.data is not None
    with file_size_limit(5000), pytest.raises(StoreError, match="could not be kept"):
        pictures.keep(image, image.data)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert pictures.keep(image, image.data).read_bytes() == image.data


# Directories that may not be written


@contextmanager
def unprivileged() -> Iterator[None]:
    """Nobody's rights, if this is root, who may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only(filled: tuple[Path, BruteForce]) -> Iterator[tuple[Path, BruteForce]]:
    """The store in a directory that everyone may read and nobody may write."""
    directory, oracle = filled
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o755)
        moved = Path(shutil.copytree(directory, Path(folder) / "s"))
        for path in [moved, *moved.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield moved, oracle
        finally:
            for path in [moved, *moved.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)


def test_read_only_directory(read_only: tuple[Path, BruteForce]) -> None:
    directory, _ = read_only
    with unprivileged():
        with pytest.raises(StoreError, match="cannot be opened") as caught:
            open_store(directory)
        assert not isinstance(caught.value, CorruptStoreError)


def test_directory_that_became_read_only(read_only: tuple[Path, BruteForce]) -> None:
    directory, oracle = read_only
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    store = open_store(directory)
    directory.chmod(0o555)
    for path in directory.glob("writer.*"):
        path.chmod(0o444)
    with unprivileged():
        with pytest.raises(StoreError, match="cannot be written"):
            store.add([item("x", 1)])
        with pytest.raises(StoreError, match="cannot be written"):
            store.compact()
        assert_state(store, oracle)
    directory.chmod(0o755)
    for path in directory.glob("writer.*"):
        path.chmod(0o644)
    assert_works(store, directory, oracle)


# Flipped bytes


def flips(data: bytes, seed: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Positions, and the data with one byte changed there."""
    rng = np.random.default_rng(seed)
    for position in rng.choice(len(data), min(count, len(data)), replace=False).tolist():
        damaged = bytearray(data)
        damaged[position] ^= int(rng.integers(1, 256))
        yield position, bytes(damaged)


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", ["vectors-*.f32", "vectors-*.sums", "vectors-*.npy", "vectors.json"]
)
def test_flipped_byte_of_a_derived_file(
    filled: tuple[Path, BruteForce], name: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    directory, oracle = filled
    (path,) = directory.glob(name)
    data = path.read_bytes()
    for position, damaged in flips(data, 1, count):
        print(f"{path.name}: byte {position}")
        path.write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            store = open_store(directory)
            assert_state(store, oracle)
            store.close()
        assert "rebuilding" in caplog.text
    path.write_bytes(data)


@pytest.mark.slow
def test_flipped_bytes_of_the_catalogue(tmp_path: Path) -> None:
    flip_the_catalogue(tmp_path, seed=1, count=200)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
def test_many_flipped_bytes_of_the_catalogue(tmp_path: Path, seed: int) -> None:
    flip_the_catalogue(tmp_path, seed=seed, count=800)


def flip_the_catalogue(tmp_path: Path, seed: int, count: int) -> None:
    """In a process of its own, which SQLite might crash.

    A flipped letter of a caption is another caption: nobody can tell. Few flips leave a tree of
    pages that gives wrong answers and that only a look through the whole file finds.
    """
    context = multiprocessing.get_context("spawn")
    outcomes = context.Queue()
    process = context.Process(target=_flip, args=(tmp_path, seed, count, outcomes))
    process.start()
    process.join()
    seen: list[tuple[int, str]] = []
    while not outcomes.empty():
        seen.append(outcomes.get())
    assert process.exitcode == 0, f"crashed after byte {seen[-1:]} of seed {seed}"
    counted = Counter(outcome.split("\n")[0] for _, outcome in seen)
    print(counted)
    bad = [(position, outcome) for position, outcome in seen if outcome.startswith("BAD")]
    assert not bad, f"seed {seed}, {len(bad)} of {len(seen)}: byte {bad[0][0]}: {bad[0][1]}"
    assert counted["only a full check can tell"] <= 0.03 * count
    assert counted["damage named"] > 3
    assert counted["right"] > 10


def _flip(tmp_path: Path, seed: int, count: int, outcomes: Any) -> None:
    logging.disable(logging.WARNING)
    directory, oracle = tmp_path / "s", BruteForce()
    store = open_store(directory)
    for n in range(3):
        task = Operation("add", items=tuple((i, 20 * n + k) for k, i in enumerate("abcdefghijkl")))
        store, oracle = perform(store, directory, task), after(oracle, task)
    store.close()
    path = directory / "catalog.sqlite"
    data = path.read_bytes()
    for position, damaged in flips(data, seed, count):
        for rest in directory.glob("catalog.sqlite-*"):
            rest.unlink()
        path.write_bytes(damaged)
        outcomes.put((position, _outcome(directory, oracle, damaged)))


def _outcome(directory: Path, oracle: BruteForce, damaged: bytes) -> str:
    try:
        store = open_store(directory)
        with closing(store):
            assert_state(store, oracle)
            store.add([EmbeddedRecord(Record(id="z", text="z"), {"text": query(1)})])
            assert len(query(1)) == DIMENSION
        return "right"
    except (StoreError, ImageError):
        return "damage named"
    except AssertionError:
        return "only a full check can tell" if _told(damaged) else "nobody can tell"
    except Exception:  # noqa: BLE001 - shown by the test
        return f"BAD escaped\n{traceback.format_exc()}"


def _told(damaged: bytes) -> bool:
    """Whether SQLite finds something wrong when it looks through the whole file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.sqlite"
        path.write_bytes(damaged)
        with closing(sqlite3.connect(path)) as database:
            try:
                return database.execute("PRAGMA quick_check").fetchall() != [("ok",)]
            except sqlite3.DatabaseError:
                return True
