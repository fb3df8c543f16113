"""Writers are killed with SIGKILL; what they acknowledged is there, nothing is half there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.stores.crash.checks import assert_state
from tests.stores.crash.controller import Server, assert_reader_sees, resolve, run_and_kill
from tests.stores.crash.workload import DIMENSION, after, item, open_store, operation
from tests.support.oracle import BruteForce
from unisem.stores.faiss.segment import Segment
from unisem.stores.selection import EVERYTHING

_MOST = 30  # operations of a writer that is killed at one of its steps


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def reader() -> Iterator[Server]:
    """A second process, for a forked writer must not inherit open stores."""
    with Server() as running:
        yield running


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments(
    tmp_path: Path, server: Server, reader: Server, seed: int
) -> None:
    kill_again_and_again(tmp_path / "s", server, reader, seed, kills=10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_killed_at_many_random_moments(
    tmp_path: Path, server: Server, reader: Server, seed: int
) -> None:
    kill_again_and_again(tmp_path / "s", server, reader, seed, kills=25)


def kill_again_and_again(
    directory: Path, server: Server, reader: Server, seed: int, *, kills: int
) -> None:
    """One store through many generations of writers.

    Every second kill is at a step drawn beforehand, the others by the clock. The step is the
    same whenever the seed is; the clock is not.
    """
    rng = np.random.default_rng([1, seed])
    oracle, number = BruteForce(), 0
    for kill in range(kills):
        print(f"seed {seed}, kill {kill}, operations from {number}")
        with_reader = kill % 3 != 0
        if with_reader and kill:
            assert_reader_sees(reader, directory, oracle, kill)
        last = number + int(rng.integers(_MOST))
        deadly, delay = (last, int(rng.integers(40))), float(rng.uniform(0, 0.25))
        run = run_and_kill(
            server,
            directory,
            seed,
            first=number,
            count=_MOST if kill % 2 else 1000,
            deadly=deadly if kill % 2 else None,
            delay=None if kill % 2 else delay,
        )
        for done in run.done:
            oracle = after(oracle, operation(seed, done))
        number += len(run.done)
        oracle = resolve(directory, oracle, seed, number, kill)
        number += 1
        if with_reader:
            assert_reader_sees(reader, directory, oracle, kill)
        if rng.random() < 0.5:
            oracle = assert_writable(directory, oracle, version=1_000_000 + kill)
    assert_tidy_after_compaction(directory)


def assert_writable(directory: Path, oracle: BruteForce, version: int) -> BruteForce:
    """Write through a store opened anew, and close it; return the state it leaves."""
    probe = item("probe", version - version % 3 + 1)  # a text
    store = open_store(directory)
    store.add([probe])
    following = BruteForce()
    following.items = dict(oracle.items)
    following.add([probe])
    assert_state(store, following)
    store.close()
    return following


def assert_tidy_after_compaction(directory: Path) -> None:
    """No dead writer's files stay for ever."""
    store = open_store(directory)
    store.compact()
    found = sorted(path.suffix for path in directory.glob("*vectors-*"))
    assert found in ([], [".f32", ".npy", ".sums"])
    store.close()


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["create", "open", "add", "delete", "compact", "reopen"])
def test_killed_at_each_step(
    tmp_path: Path, server: Server, reader: Server, name: str, every: int
) -> None:
    """Every statement, fsync, rename, unlink and write of an operation: before, inside, after.

    In the fast tier every eleventh of these.

    ``create`` and ``open`` are an addition with the opening before it. The others come after an
    addition by the same writer, so that there is something to compact and to close.
    """
    seed, number = _example(name)
    first = number if name in ("create", "open") else number - 1
    before, oracle = tmp_path / "before", BruteForce()
    before.mkdir()
    if first:
        run = run_and_kill(server, before, seed, count=first)
        assert run.done == list(range(first))
    for done in range(number):
        oracle = after(oracle, operation(seed, done))
    shutil.copytree(before, tmp_path / "rehearsal")
    count = number - first + 1
    rehearsal = run_and_kill(server, tmp_path / "rehearsal", seed, first=first, count=count)
    steps = rehearsal.steps[number]
    for step, label in list(enumerate(steps))[::every]:
        print(f"{name}: seed {seed}, operation {number}, step {step} of {len(steps)}: {label}")
        directory = tmp_path / f"{step}"
        shutil.copytree(before, directory)
        with_reader = step % (2 * every) == 0 and name != "create"  # a reader would create it
        if with_reader:
            reader.send(read=str(directory), seed=step)  # opens it
            reader.answer()
        run = run_and_kill(server, directory, seed, first=first, count=count, deadly=(number, step))
        assert run.done == list(range(first, number))
        if list(before.glob("vectors.json")):
            assert Segment.load(directory, DIMENSION) is not None  # nothing need be built anew
        state = resolve(directory, oracle, seed, number, step)
        if with_reader:
            assert_reader_sees(reader, directory, state, step)
        if step % (2 * every) == 0:
            assert_writable(directory, state, version=1_000_000 + step)
            assert_tidy_after_compaction(directory)
        shutil.rmtree(directory)
    assert len(steps) >= 9


def _example(name: str) -> tuple[int, int]:
    """A workload, and the number of an operation in it which changes much."""
    if name == "create":
        return next((seed, 0) for seed in range(99) if operation(seed, 0).name == "add")
    wanted = "add" if name == "open" else name
    for seed in range(1000):
        oracle = BruteForce()
        for number in range(12):
            task = operation(seed, number)
            pictured = sum(version % 3 == 0 for _, version in task.items)
            replaced = sum(record_id in oracle.items for record_id, _ in task.items)
            removed = len(oracle.items) - len(after(oracle, task).items)
            before = operation(seed, number - 1) if number else task
            if number > 5 and (before.name, task.name) == ("add", wanted) and len(oracle.items) > 5:
                if wanted == "add" and (not pictured or not replaced):
                    continue
                if name == "delete" and (not removed or task.selection == EVERYTHING):
                    continue
                return seed, number
            oracle = after(oracle, task)
    raise AssertionError(name)
