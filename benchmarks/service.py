"""How much ``unisem serve`` bears, beside Chroma's server, in one run.

    python -m benchmarks.service [--rows 100000] [--rounds 3] [--seconds 5]
        [--beside chroma] [--markdown tables.md]

All servers run throughout; each is asked in turn within a round, so that a ratio, the median over
rounds, survives a machine whose speed drifts.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.peers.report import Sheet
from benchmarks.service_load import Load, Questions
from unisem import Record, SemanticSpace
from unisem.search import EmbeddedRecord

_CLIENTS = (1, 8, 64)
_CROWD = 512  # clients of an overload
_QUEUE = 256  # that may wait, by default
_SINGLE = ", --limit batch=1"
_K = 10
_BATCH = 10_000
_EMBEDDED = 512  # texts that the encoder embeds; every other vector is one of theirs with noise
_ASKED = 4096  # different questions
_SIZES = ("small", "large", "tall", "narrow", "round", "square", "bright", "dark", "old", "new")
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "grey", "brown", "pink", "golden")
_THINGS = """
tiger teapot bridge lantern harbour violin mushroom tractor castle bicycle owl anchor windmill
pear kettle ladder compass umbrella balloon candle whale rocket guitar piano cactus drum
""".split()  # noqa: SIM905
_PLACES = ("in a garden", "on a table", "by the sea", "under a tree", "in the snow", "at night")


@dataclass(frozen=True)
class Target:
    """A server that is asked something.

    Attributes:
        name: What the table calls it.
        url: Where it is asked.
        questions: What.
    """

    name: str
    url: str
    questions: Questions


def main() -> None:
    """Measure and print the tables."""
    options = parsed()
    console = Console(width=150)
    with ExitStack() as stack:
        parent = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="service-")))
        vectors, texts = made(parent / "s.unisem", options.rows)
        console.print(f"{options.rows:,} records; load of the machine: {loads()}")
        targets = started(stack, parent, vectors, texts, options.beside)
        measured: dict[tuple[str, int], list[Load]] = {
            (target.name, clients): [] for target in targets for clients in _CLIENTS
        }
        for target in targets:  # connections, caches, and whatever else is made when first asked
            target.questions.asked(target.url, 8, 2)
        for _ in range(options.rounds):
            for clients in _CLIENTS:
                for target in targets:
                    load = target.questions.asked(target.url, clients, options.seconds)
                    measured[target.name, clients].append(load)
                    console.print(f"{target.name}, {clients}: {load}")
        crowds = [overloaded(targets[0], 2 * options.seconds) for _ in range(options.rounds)]
        sheets = [figures(targets, measured), crowd_sheet(crowds)]
        about = (
            f"{options.rows:,} records, k = {_K}, {options.rounds} rounds of {options.seconds} s, "
            f"{os.cpu_count()} cores that wrk shares ({platform.machine()}), Python "
            f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}; load of the machine "
            f"(1, 5, 15 minutes) at the end: {loads()}"
        )
    console.print(about)
    for sheet in sheets:
        console.print(sheet.as_rich())
    if options.markdown:
        options.markdown.write_text(
            "\n\n".join([about, *(sheet.as_markdown() for sheet in sheets)]) + "\n"
        )


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of a turn")
    parser.add_argument("--beside", nargs="*", default=["chroma"], choices=["chroma"])
    parser.add_argument("--markdown", type=Path, help="where tables are written")
    return parser.parse_args()


def made(path: Path, rows: int) -> tuple[NDArray[np.float32], list[str]]:
    """Fill a space of `mini`; its vectors and texts.

    Only some texts are embedded: the others' vectors are theirs with noise, which takes a server as
    long to search.
    """
    rng = np.random.default_rng(0)
    texts = described(rng, rows)
    with SemanticSpace.open(path) as space:
        known = space.encoder.encode_texts(texts[:_EMBEDDED], role="document")
        noise = rng.standard_normal((rows, known.shape[1])).astype(np.float32)
        vectors = known[np.arange(rows) % len(known)] + 0.5 * noise / known.shape[1] ** 0.5
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for first in range(0, rows, _BATCH):
            space.add_embedded(
                EmbeddedRecord(
                    Record(id=str(row), text=texts[row], metadata={"year": row % 100}),
                    {"text": vectors[row]},
                )
                for row in range(first, min(rows, first + _BATCH))
            )
    return vectors, texts


def described(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of a few words."""
    columns = [rng.choice(words, count) for words in (_SIZES, _COLOURS, _THINGS, _PLACES)]
    return [f"a {' '.join(words)}" for words in zip(*columns, strict=True)]


def started(
    stack: ExitStack,
    parent: Path,
    vectors: NDArray[np.float32],
    texts: Sequence[str],
    beside: Sequence[str],
) -> list[Target]:
    """Every server, ready."""
    rng = np.random.default_rng(1)
    asked = vectors[rng.integers(0, len(vectors), _ASKED)]
    asked = (
        asked + 0.3 * rng.standard_normal(asked.shape).astype(np.float32) / asked.shape[1] ** 0.5
    )
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    words = Questions(
        parent, "texts", [json.dumps({"text": it, "k": _K}) for it in described(rng, _ASKED)]
    )
    given = Questions(
        parent,
        "vectors",
        [
            json.dumps({"vector": base64.b64encode(it.tobytes()).decode(), "k": _K})
            for it in asked.astype("<f4")
        ],
    )
    listed = Questions(
        parent,
        "lists",
        [
            json.dumps({"query_embeddings": [it.tolist()], "n_results": _K,
                        "include": ["documents", "metadatas", "distances"]})
            for it in asked
        ],
    )  # fmt: skip
    space = parent / "s.unisem"
    ours = stack.enter_context(served(space, "--read-only"))
    single = stack.enter_context(served(space, "--read-only", "--limit", "batch=1"))
    double = stack.enter_context(served(space, "--read-only", "--workers", "2"))
    targets = [
        Target("text", ours, words),
        Target(f"text{_SINGLE}", single, words),
        Target("text, --workers 2", double, words),
        Target("vector", ours, given),
        Target(f"vector{_SINGLE}", single, given),
        Target("vector, --workers 2", double, given),
    ]
    if "chroma" in beside:
        theirs = stack.enter_context(chroma(parent / "chroma", vectors, texts))
        targets.append(Target("vector, Chroma's server", theirs, listed))
    return targets


@contextmanager
def served(space: Path, *arguments: str) -> Iterator[str]:
    """``unisem serve``; where it is searched."""
    command = [sys.executable, "-m", "unisem", "serve", str(space), "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"serving at (http://[^\s;]+)", line):
                    break
            else:
                raise RuntimeError("unisem serve did not begin")
            answering(f"{found[1]}/ready")
            yield f"{found[1]}/v1/spaces/s/search"
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def chroma(folder: Path, vectors: NDArray[np.float32], texts: Sequence[str]) -> Iterator[str]:
    """``chroma run`` with the same records; where it is searched."""
    import chromadb
    from chromadb.config import Settings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("chroma"))
    command = [program, "run", "--path", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            answering(f"http://127.0.0.1:{port}/api/v2/heartbeat")
            client: Any = chromadb.HttpClient(
                "127.0.0.1", port, settings=Settings(anonymized_telemetry=False)
            )
            collection = client.create_collection(
                "rows", configuration={"hnsw": {"space": "ip"}}, embedding_function=None
            )
            for first in range(0, len(vectors), 2000):
                rows = range(first, min(len(vectors), first + 2000))
                collection.add(
                    ids=[str(row) for row in rows],
                    embeddings=vectors[rows.start : rows.stop],
                    documents=[texts[row] for row in rows],
                    metadatas=[{"year": row % 100} for row in rows],
                )
            yield (
                f"http://127.0.0.1:{port}/api/v2/tenants/default_tenant/databases/"
                f"default_database/collections/{collection.id}/query"
            )
        finally:
            process.terminate()
            process.wait(60)


def answering(url: str) -> None:
    """Wait for a server that is starting.

    Raises:
        RuntimeError: It does not answer within two minutes.
    """
    for _ in range(1200):
        try:
            if httpx.get(url, timeout=60).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer")


@dataclass(frozen=True)
class Crowd:
    """An overload.

    Attributes:
        load: What the crowd was answered.
        seen: Status and milliseconds of whoever else asked meanwhile, one request at a time.
    """

    load: Load
    seen: list[tuple[int, float]]


def overloaded(target: Target, seconds: int) -> Crowd:
    """Twice as many ask as may wait, without a pause after a refusal; somebody else asks, too."""
    seen: list[tuple[int, float]] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                begun = time.perf_counter()
                body = {"text": f"a red teapot, {len(seen)}", "k": _K}
                status = client.post(target.url, json=body).status_code
                seen.append((status, 1000 * (time.perf_counter() - begun)))
                stop.wait(0.01)

    while httpx.post(target.url, json={"text": "a", "k": 1}, timeout=60).status_code != 200:
        time.sleep(0.1)  # what a crowd before has left is still being answered
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        load = target.questions.asked(target.url, _CROWD, seconds)
    finally:
        stop.set()
        asker.join()
    return Crowd(load, seen)


def figures(targets: Sequence[Target], measured: dict[tuple[str, int], list[Load]]) -> Sheet:
    """Rates and latencies, medians over rounds."""
    rows = []
    for target in targets:
        kind = target.name.partition(",")[0]
        for clients in _CLIENTS:
            turns = measured[target.name, clients]
            rows.append(
                (
                    target.name,
                    str(clients),
                    f"{median(turn.rate for turn in turns):.0f}",
                    f"{ratio(turns, measured[target.name, _CLIENTS[0]]):.2f}",
                    f"{ratio(turns, measured[f'{kind}{_SINGLE}', clients]):.2f}",
                    f"{median(turn.p50 for turn in turns):.1f}",
                    f"{median(turn.p99 for turn in turns):.1f}",
                    str(sum(turn.failed for turn in turns)),
                )
            )
    columns = (
        "asked by", "clients", "200 a second", "x one client", "x batch=1", "p50, ms", "p99, ms",
        "failed",
    )  # fmt: skip
    return Sheet("Clients that ask without a pause", columns, rows)


def ratio(turns: Sequence[Load], others: Sequence[Load]) -> float:
    """How many times as many answers, each turn beside that of its round."""
    pairs = zip(turns, others, strict=True)
    return median([turn.rate / other.rate for turn, other in pairs if other.answered] or [np.nan])


def crowd_sheet(crowds: Sequence[Crowd]) -> Sheet:
    """Each overload, in a row."""
    rows = []
    for crowd in crowds:
        load, took = crowd.load, sorted(took for _, took in crowd.seen)
        rows.append(
            (
                f"{load.rate:.0f}",
                f"{load.refused / load.seconds:.0f}",
                str(load.failed),
                f"{load.p50:.0f}",
                f"{load.p99:.0f}",
                " + ".join(
                    f"{sum(status == code for status, _ in crowd.seen)} x {code}"
                    for code in sorted({status for status, _ in crowd.seen})
                ),
                f"{took[-1]:.0f}",
            )
        )
    columns = (
        "200 a second", "429 a second", "failed", "p50, ms", "p99, ms", "another is answered",
        "at the latest after, ms",
    )  # fmt: skip
    return Sheet(f"{_CROWD} clients, where {_QUEUE} may wait", columns, rows)


def loads() -> str:
    """The machine's load averages."""
    return ", ".join(f"{load:.1f}" for load in os.getloadavg())


if __name__ == "__main__":
    main()
