"""The side that survives: starts writers, kills them, and knows what must be there afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.stores.crash.checks import asked, assert_state, expected_records, stored_records
from tests.stores.crash.workload import after, open_store, operation, query
from tests.support.oracle import BruteForce

_ROOT = Path(__file__).parents[3]


class Server:
    """A running `tests.stores.crash.server`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stores.crash.server"],
            cwd=_ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def send(self, **command: Any) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, timeout: float = 30) -> dict[str, Any] | None:
        """The next answer; ``None`` if none comes in time, in seconds."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._received:
            remaining = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._process.stdout], [], [], remaining)
            if not ready:
                return None
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            assert chunk, "the server has died"
            self._received += chunk
        line, self._received = self._received.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        assert "failure" not in answer, answer["failure"]
        return answer


@dataclass(slots=True)
class Run:
    """What is known of a writer that is dead.

    Attributes:
        done: Acknowledged operations.
        steps: Names of the steps of each acknowledged operation, by its number.
    """

    done: list[int] = field(default_factory=list)
    steps: dict[int, list[str]] = field(default_factory=dict)


def run_and_kill(
    server: Server,
    directory: Path,
    seed: int,
    *,
    first: int = 0,
    count: int = 1,
    deadly: tuple[int, int] | None = None,
    delay: float | None = None,
) -> Run:
    """Let a writer work and die.

    Args:
        server: Forks it.
        directory: The store's.
        seed: The workload's.
        first: Its first operation.
        count: How many operations it does before it waits for its end.
        deadly: Operation, and number of the step in it, at which it kills itself.
        delay: After how many seconds of work it is killed.
    """
    server.send(write=str(directory), seed=seed, first=first, count=count, deadly=deadly)
    started = server.answer()
    assert started is not None
    run, pid = Run(), started["pid"]
    deadline = None if delay is None else time.monotonic() + delay
    alive = True
    while True:
        waiting = alive and deadline is not None
        patience = max(0.0, deadline - time.monotonic()) if waiting and deadline else 60
        answer = server.answer(patience)
        if answer is not None and "done" in answer:
            run.done.append(answer["done"])
            run.steps[answer["done"]] = answer["steps"]
        elif answer is not None and "status" in answer:
            assert os.waitstatus_to_exitcode(answer["status"]) == -signal.SIGKILL
            return run
        elif alive:  # its time is up, or it has nothing left to do
            assert waiting or answer is not None, "the writer hangs"
            os.kill(pid, signal.SIGKILL)
            alive = False
        else:
            assert answer is not None, "the writer does not die"


def resolve(
    directory: Path, oracle: BruteForce, seed: int, in_flight: int, question: int
) -> BruteForce:
    """Check that the store is in the state before or after an operation; return which.

    Args:
        directory: The store's.
        oracle: The state after everything acknowledged.
        seed: The workload's.
        in_flight: The operation that may or may not have happened.
        question: Seed of the queries.
    """
    store = open_store(directory)
    try:
        found = stored_records(store)
        following = after(oracle, operation(seed, in_flight))
        state = following if found == expected_records(following) else oracle
        assert_state(store, state, question)
    finally:
        store.close()
    return state


def assert_reader_sees(reader: Server, directory: Path, oracle: BruteForce, question: int) -> None:
    """Check a store that another process has held open since before the kill."""
    reader.send(read=str(directory), seed=question)
    seen = reader.answer()
    assert seen is not None
    assert seen["records"] == expected_records(oracle)
    for (selection, match, k), hits in zip(asked(), seen["searches"], strict=True):
        expected = oracle.search(query(question), k, selection, match)
        wanted = [[record_id, kind] for record_id, _, kind in expected]
        assert [[record_id, kind] for record_id, _, kind in hits] == wanted
