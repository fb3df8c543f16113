"""Readers beside a writer: every answer is one committed state's, whole and exact.

The writer's commits are numbered and follow from a seed, so a reader knows every state there ever
was. Each answer must be what brute force gives for one of the states that were the newest at some
moment of the call.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unisem import Record
from unisem.errors import StoreLockedError
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores import Store
from unisem.stores.faiss import FaissStore, store
from unisem.stores.faiss.index_settings import KINDS
from unisem.stores.faiss.segment import Segment
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Selection

DIMENSION = 8
COUNT = 40
GROUPS = 4
PATIENCE = 300  # seconds in which ENOUGH must come about
ENOUGH = 20  # commits, and answers of each reader, however long they take on a busy machine
State = dict[str, int]
"""Which records there are, and the commit that each was last written by, in order of writing."""


@lru_cache(100_000)
def vector(record_id: str, generation: int) -> np.ndarray:
    rng = np.random.default_rng([int(record_id[1:]), generation])
    row = rng.standard_normal(DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def item(record_id: str, generation: int) -> EmbeddedRecord:
    record = Record(
        id=record_id,
        text=f"common {record_id} at {generation}",
        metadata={"generation": generation, "group": int(record_id[1:]) % GROUPS},
    )
    return EmbeddedRecord(record, {"text": vector(record_id, generation)})


class History:
    """The states of a seed, as far as they were asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: list[State] = [{}]

    def change(self, generation: int) -> tuple[str, list[str]]:
        """What a commit does, and to which ids."""
        rng = np.random.default_rng([self._seed, generation])
        name = "delete" if rng.random() < 0.25 else "add"
        size = COUNT if rng.random() < 0.1 and name == "add" else int(rng.integers(1, 8))
        return name, [f"r{n}" for n in rng.choice(COUNT, size, replace=False)]

    def state(self, generation: int) -> State:
        """The state after a commit."""
        while len(self._states) <= generation:
            name, ids = self.change(len(self._states))
            state = {known: at for known, at in self._states[-1].items() if known not in ids}
            if name == "add":
                state |= dict.fromkeys(ids, len(self._states))
            self._states.append(state)
        return self._states[generation]


def write(opened: FaissStore, history: History, generation: int) -> None:
    """Make one commit, and now and then compact."""
    name, ids = history.change(generation)
    if name == "add":
        opened.add([item(record_id, generation) for record_id in ids])
    else:
        opened.delete(Selection(ids=tuple(ids)))
    if generation % 13 == 0:
        opened.compact(KINDS[generation // 13 % len(KINDS)])


def written(records: list[Record]) -> list[tuple[str, int]]:
    """Ids and commits of records, whose parts must belong together."""
    found = [(record.id, record.metadata["generation"]) for record in records]
    for record, (record_id, generation) in zip(records, found, strict=True):
        assert record == item(record_id, generation).record
    return found


def chosen(state: State, selection: Selection) -> State:
    if selection.ids is not None:
        return {known: at for known, at in state.items() if known in selection.ids}
    if selection.filter is not None:
        return {known: at for known, at in state.items() if int(known[1:]) % GROUPS == 1}
    return state


SELECTIONS = (EVERYTHING, Selection(filter=Field("group") == 1), Selection(ids=("r1", "r2", "r3")))


def questions(opened: Store, rng: np.random.Generator) -> Iterator[tuple[Callable[[], Any], Any]]:
    """Pairs of a question and a function that answers it for a state."""
    query = vector("r0", int(rng.integers(1 << 40)))

    def search(selection: Selection, k: int) -> Any:
        (hits,) = opened.search(query[None], k, selection)
        return ranked(hits)

    def ranked(hits: list[Hit]) -> list[tuple[str, int]]:
        return written([hit.record for hit in hits])

    def best(state: State, selection: Selection, k: int) -> Any:
        scores = {pair: float(vector(*pair) @ query) for pair in chosen(state, selection).items()}
        return sorted(scores, key=lambda pair: (-scores[pair], pair))[:k]

    for selection in SELECTIONS:
        for k in (3, 1000):
            yield (
                lambda selection=selection, k=k: search(selection, k),
                lambda state, selection=selection, k=k: best(state, selection, k),
            )
        yield (
            lambda selection=selection: written(list(opened.select(selection))),
            lambda state, selection=selection: list(chosen(state, selection).items()),
        )
        yield (
            lambda selection=selection: sorted(
                ranked(opened.search_words("common", 1000, selection))
            ),
            lambda state, selection=selection: sorted(chosen(state, selection).items()),
        )
    ids = [f"r{n}" for n in range(5)]
    yield (
        lambda: written([record for record in opened.get(ids) if record is not None]),
        lambda state: [(known, state[known]) for known in ids if known in state],
    )
    yield (
        lambda: [
            None if found is None else found["text"].tolist() for found in opened.vectors(ids)
        ],
        lambda state: [vector(i, state[i]).tolist() if i in state else None for i in ids],
    )
    yield lambda: len(opened), len


def read(
    opened: Store,
    history: History,
    seed: int,
    newest: Callable[[], tuple[int, int]],
    stopped: Callable[[], bool],
    answered: Callable[[], None],
) -> None:
    """Ask and check until stopped.

    Args:
        opened: The store.
        history: Its states.
        seed: Of the queries.
        newest: The last commit that is finished, and the last that has begun.
        stopped: Whether to leave.
        answered: Called after each answer that was checked.
    """
    rng = np.random.default_rng([99, seed])
    while not stopped():
        for ask, expected in questions(opened, rng):
            first, _ = newest()
            answer = ask()
            _, last = newest()
            window = range(first, last + 1)
            if not any(answer == expected(history.state(at)) for at in window):
                at_first = expected(history.state(first))
                raise AssertionError(
                    f"{answer} is no state's of {window}; the first would be {at_first}"
                )
            answered()


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_threads(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_threads(tmp_path / "s" if where == "disk" else None, 2.5, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["disk", "memory"])
def test_threads_for_long(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_threads(tmp_path / "s" if where == "disk" else None, 15, monkeypatch)


def run_threads(path: Path | None, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PAGE", 8)
    opened, seed = FaissStore(path, ImageLibrary(path)), 5
    begun = finished = 0
    failures: list[str] = []
    answers = [0] * 4
    stop = threading.Event()

    def reading(number: int) -> None:
        def answered() -> None:
            answers[number] += 1

        try:
            newest = lambda: (finished, begun)  # noqa: E731
            read(opened, History(seed), number, newest, stop.is_set, answered)
        except BaseException:  # noqa: BLE001 - shown by the test
            failures.append(traceback.format_exc())
            stop.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    threads = [threading.Thread(target=reading, args=(number,)) for number in range(4)]
    try:
        for thread in threads:
            thread.start()
        history, begin = History(seed), time.monotonic()
        while not stop.is_set() and (elapsed := time.monotonic() - begin) < PATIENCE:
            if elapsed >= seconds and min(finished, *answers) >= ENOUGH:
                break
            begun += 1
            write(opened, history, begun)
            finished = begun
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        sys.setswitchinterval(before)
    print(f"{finished} commits, {sum(answers)} answers")
    assert not failures, failures[0]
    assert min(finished, *answers) >= ENOUGH
    opened.close()


def test_a_compaction_that_another_overtakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, build = FaissStore(tmp_path / "s", ImageLibrary(tmp_path / "s")), Segment.build
    opened.add([item(f"r{n}", 1) for n in range(9)])

    def overtaken(*arguments: Any) -> Segment:
        monkeypatch.setattr(Segment, "build", build)
        opened.delete(Selection(ids=("r3", "r4")))
        opened.compact()
        return build(*arguments)

    monkeypatch.setattr(Segment, "build", overtaken)
    opened.compact("hnsw")
    for _ in range(2):
        (hits,) = opened.search(vector("r3", 1)[None], 9)
        assert sorted(hit.record.id for hit in hits) == ["r0", "r1", "r2", "r5", "r6", "r7", "r8"]
        opened.close()
        opened = FaissStore(tmp_path / "s", ImageLibrary(tmp_path / "s"))
    assert opened.index_kind == "hnsw"
    opened.close()


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(4), context.Queue()
    for round_ in range(2):
        arguments = (tmp_path / f"{round_}", barrier, outcomes)
        processes = [context.Process(target=_make, args=(*arguments, n)) for n in range(4)]
        for process in processes:
            process.start()
        assert [outcomes.get(timeout=60) for _ in processes] == ["made"] * 4
        for process in processes:
            process.join(60)
        made = FaissStore(tmp_path / f"{round_}", ImageLibrary(tmp_path / f"{round_}"))
        assert len(made) == 4
        (hits,) = made.search(vector("r0", 1)[None], 9)
        assert len(hits) == 4
        made.close()


def _make(path: Path, barrier: Any, outcomes: Any, number: int) -> None:
    try:
        barrier.wait(60)
        opened = FaissStore(path, ImageLibrary(path))
        while True:
            try:
                opened.add([item(f"r{number}", 1)])
                break
            except StoreLockedError:
                time.sleep(0.01)
        opened.close()
        outcomes.put("made")
    except BaseException:  # noqa: BLE001 - shown by the test
        outcomes.put(traceback.format_exc())


def test_processes(tmp_path: Path) -> None:
    run_processes(tmp_path / "s", 5)


@pytest.mark.slow
def test_processes_for_long(tmp_path: Path) -> None:
    run_processes(tmp_path / "s", 30)


def run_processes(path: Path, seconds: float) -> None:
    context = multiprocessing.get_context("spawn")
    finished, begun = context.Value("q", 0), context.Value("q", 0)
    stop, outcomes = context.Event(), context.Queue()
    answers = context.Array("q", 2)
    arguments = (path, finished, begun, answers, stop, outcomes)
    processes = [context.Process(target=_write, args=(*arguments, seconds))]
    processes += [context.Process(target=_read, args=(*arguments, n)) for n in range(2)]
    for process in processes:
        process.start()
    try:
        results = [outcomes.get(timeout=seconds + 300) for _ in processes]
    finally:
        stop.set()
        for process in processes:
            process.join(60)
    print(results)
    for name, count in results:
        assert isinstance(count, int), count
        assert count >= ENOUGH, name


def _write(
    path: Path,
    finished: Any,
    begun: Any,
    answers: Any,
    stop: Any,
    outcomes: Any,
    seconds: float,
) -> None:
    try:
        opened, history = FaissStore(path, ImageLibrary(path)), History(6)
        deadline = time.monotonic() + seconds
        while not stop.is_set() and (
            time.monotonic() < deadline or min(finished.value, *answers) < ENOUGH
        ):
            begun.value += 1
            write(opened, history, begun.value)
            finished.value = begun.value
        opened.close()
        outcomes.put(("commits", finished.value))
    except BaseException:  # noqa: BLE001 - shown by the test
        outcomes.put(("the writer", traceback.format_exc()))
    stop.set()


def _read(
    path: Path, finished: Any, begun: Any, answers: Any, stop: Any, outcomes: Any, number: int
) -> None:
    def answered() -> None:
        answers[number] += 1

    store._PAGE = 8
    try:
        opened = FaissStore(path, ImageLibrary(path))
        newest = lambda: (finished.value, begun.value)  # noqa: E731
        read(opened, History(6), number, newest, stop.is_set, answered)
        opened.close()
        outcomes.put(("answers", answers[number]))
    except BaseException:  # noqa: BLE001 - shown by the test
        outcomes.put(("a reader", traceback.format_exc()))
        stop.set()
