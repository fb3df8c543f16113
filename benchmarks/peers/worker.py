"""`Worker`: one peer in a process of its own, so that memory, threads and crashes are its own."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.base import Peer, UnavailableError
from benchmarks.peers.data import Condition, Data, text_of
from benchmarks.peers.registry import PEERS

K = 10
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "LANCE_CPU_THREADS",
)


class PeerError(Exception):
    """A peer raised, died or took too long; the message says which."""


@dataclass(frozen=True)
class Ingested:
    """Seconds until the rows were acknowledged, and until the index was built after that.

    Attributes:
        built: What was built and why, where the store says so.
    """

    add_seconds: float
    build_seconds: float
    built: str


@dataclass(frozen=True)
class Opened:
    """A fresh process's first answer, and what it cost.

    Attributes:
        import_seconds: Loading the peer's modules.
        open_ms: From the constructor's call to the first answer.
    """

    import_seconds: float
    open_ms: float


@dataclass(frozen=True)
class Memory:
    """Megabytes more than before opening: what cannot be dropped, and all that is resident."""

    anonymous_mb: float
    resident_mb: float


@dataclass(frozen=True)
class Turn:
    """Some queries one after another: each one's milliseconds and the rows that it found."""

    ms: list[float]
    found: list[list[int]]


@dataclass(frozen=True)
class Deleted:
    """Milliseconds until a batch's removal was acknowledged, and of the next query."""

    ms: float
    next_query_ms: float


class Worker:
    """A process that drives one peer; `call` runs a method of `_Served` there.

    Args:
        peer: Its name in `PEERS`.
        kind: Kind of index.
        directory: Where the peer keeps its files.
        data: Where `Data` lies.
        threads: What its libraries may use at most; ``None`` leaves them their own choice.
    """

    def __init__(
        self, peer: str, kind: str, directory: Path, data: Path, threads: int | None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, peer, kind, directory, data), name=f"{peer}-{kind}"
        )
        before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
        if threads is not None:
            os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
        try:  # the variables count at import, so they must be set before the child starts
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        theirs.close()

    def call(self, method: str, *arguments: Any, timeout: float) -> Any:
        """Run a method over there and return what it returns.

        Raises:
            UnavailableError: The peer does not do that.
            PeerError: It raised, died, or took longer than ``timeout`` seconds.
        """
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(timeout):
                self.stop()
                raise PeerError(f"{method} took more than {timeout:.0f} s")
            outcome, value = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise PeerError(f"died during {method} ({self._process.exitcode})") from None
        if outcome == "unavailable":
            raise UnavailableError(value)
        if outcome == "failed":
            raise PeerError(value)
        return value

    def stop(self) -> None:
        """End the process, politely first."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()


def _serve(connection: Connection, peer: str, kind: str, directory: Path, data: Path) -> None:
    warnings.filterwarnings("ignore")  # peers' own deprecations are not ours to print
    served = _Served(peer, kind, directory, Data.load(data))
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = ("ok", getattr(served, method)(*arguments))
        except UnavailableError as error:
            answer = ("unavailable", str(error))
        except Exception as error:  # noqa: BLE001  # whatever a peer raises is a result
            answer = ("failed", f"{type(error).__name__}: {error}"[:300])
        connection.send(answer)


class _Served:
    """What a worker does with its peer."""

    def __init__(self, peer: str, kind: str, directory: Path, data: Data) -> None:
        self._entry = PEERS[peer]
        self._kind = kind
        self._directory = directory
        self._data = data
        self._peer: Peer | None = None
        self._before = memory()

    def ingest(self, batch: int) -> Ingested:
        """Create the store and fill it; making the batches themselves is not timed."""
        rows, dimension = self._data.vectors.shape
        self._peer = self._entry.load()(self._directory, dimension, self._kind)
        seconds = 0.0
        for start in range(0, rows, batch):
            taken = self._data.rows(start, start + batch)
            mark = time.perf_counter()
            self._peer.add(taken)
            seconds += time.perf_counter() - mark
        mark = time.perf_counter()
        built = self._peer.build()
        return Ingested(seconds, time.perf_counter() - mark, built)

    def open(self) -> Opened:
        """Open the finished store and answer one query."""
        mark = time.perf_counter()
        made = self._entry.load()
        imported = time.perf_counter()
        self._before = memory()
        opening = time.perf_counter()
        self._peer = made(self._directory, self._data.vectors.shape[1], self._kind)
        self._peer.search(self._data.queries[0], K, None)
        ready = time.perf_counter()
        return Opened(imported - mark, 1000 * (ready - opening))

    def memory(self) -> Memory:
        """How much more is held than before opening."""
        now = memory()
        return Memory(
            now.anonymous_mb - self._before.anonymous_mb, now.resident_mb - self._before.resident_mb
        )

    def turn(self, condition: Condition, count: int) -> Turn:
        """Ask the first ``count`` queries one by one."""
        assert self._peer is not None
        ms, found = [], []
        for number, query in enumerate(self._data.queries[:count]):
            below = condition.below(number)
            mark = time.perf_counter()
            hits = self._peer.search(query, K, below)
            ms.append(1000 * (time.perf_counter() - mark))
            found.append([hit.number for hit in hits])
        if self._entry.records:
            for hit in hits:
                if (hit.text, hit.year) != (text_of(hit.number), self._data.years[hit.number]):
                    raise ValueError(f"row {hit.number} came back with another row's record")
        return Turn(ms, found)

    def tune(self, effort: int | None) -> None:
        """Change the search effort."""
        assert self._peer is not None
        self._peer.tune(effort)

    def delete(self, numbers: list[int]) -> Deleted:
        """Remove one batch, then look for its first row, which must be gone."""
        assert self._peer is not None
        row = np.array(self._data.vectors[numbers[0]])
        mark = time.perf_counter()
        self._peer.delete(numbers)
        acknowledged = time.perf_counter()
        hits = self._peer.search(row, K, None)
        answered = time.perf_counter()
        if numbers[0] in [hit.number for hit in hits]:
            raise ValueError(f"row {numbers[0]} is still found after it was removed")
        return Deleted(1000 * (acknowledged - mark), 1000 * (answered - acknowledged))

    def close(self) -> None:
        """Close the store."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None


def memory() -> Memory:
    """Megabytes of this process; zeros where there is no ``/proc``."""
    try:
        text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return Memory(0, 0)
    kilobytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return Memory(kilobytes["Anonymous"] / 1024, kilobytes["Rss"] / 1024)
