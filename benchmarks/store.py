"""The embedded store beside bare Faiss and other embedded stores, on the same vectors.

    python -m benchmarks.store [--data spectrum] [--rows 20000 100000] [--peers all]
        [--kinds flat rabitq ivf_pq hnsw auto] [--out results.json]
        [--markdown docs/measured/store.md] [--plot docs/measured/store.png]

Every contender (a store with one kind of index) has processes of its own: one that fills it, one
that opens it afresh and answers. Those with the same kind of index, and bare Faiss's flat search,
are asked in turn within each round, so that a ratio, the median over rounds, survives a machine
whose speed drifts. With ``--out`` a run that was ended goes on where its file ends, kind by kind.
``docs/measured/store.md`` says what each figure means.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.peers.base import UnavailableError
from benchmarks.peers.data import ALL, CONDITIONS, SHAPES, Data, Truth, source_of
from benchmarks.peers.registry import BARE, KINDS, OURS, PEERS, installed
from benchmarks.peers.report import machine_line, plot, sheets, write_markdown
from benchmarks.peers.results import EffortPoint, Figures, QueryFigures, Results
from benchmarks.peers.worker import K, PeerError, Turn, Worker

_FEWEST = 5  # queries a round, however slow a contender is
_BESIDE = 20  # that bare Faiss is asked after each; of 5 all may meet one burst of other work


def main() -> None:
    """Measure, or read what was measured, and print the tables."""
    options = parse()
    console = Console()
    if not console.is_terminal:
        console = Console(width=170)
    if options.report:
        results = Results.load(options.report)
    else:
        results = Results(machine(options))
        if options.out and options.out.exists():
            results = Results.load([options.out]).continued(results.machine)
        console.print(machine_line(results))
        options.work.mkdir(parents=True, exist_ok=True)
        for rows in options.rows:
            Bench(options, rows, results, console).run()
    for sheet in sheets(results):
        console.print(sheet.as_rich())
    for left_out in results.skipped:
        console.print(f"left out: {left_out}")
    if options.out:
        results.save(options.out)
    if options.markdown:
        write_markdown(results, options.markdown, options.plot)
    if options.plot:
        plot(results, options.plot)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=SHAPES[0], choices=SHAPES)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--dimension", type=int, default=384, help="of clusters")
    parser.add_argument("--queries", type=int, default=100, help="asked in a round, at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=["all"], help=f"all, or of {list(PEERS)}")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--batch", type=int, default=5_000, help="rows an add takes")
    parser.add_argument("--threads", type=int, default=1, help="that answer a query; 0: no limit")
    parser.add_argument("--turn-seconds", type=float, default=5, help="of queries in one turn")
    parser.add_argument("--peer-timeout", type=float, default=3600, help="seconds to fill a store")
    parser.add_argument("--max-rows-for-slow-peers", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()),
                        help="where stores are written; 15 GB at a million rows")  # fmt: skip
    parser.add_argument("--out", type=Path, help="JSON, written after every kind, to go on from")
    parser.add_argument("--markdown", type=Path, help="a page, or the marked part of one")
    parser.add_argument("--plot", type=Path, help="recall against latency, .png or .svg")
    parser.add_argument("--report", type=Path, nargs="+", help="measure nothing, read these JSONs")
    options = parser.parse_args()
    named = list(PEERS) if options.peers == ["all"] else options.peers
    unknown = set(named) - set(PEERS)
    if unknown:
        parser.error(f"no such peers: {sorted(unknown)}")
    options.peers = [name for name in PEERS if name in named]
    return options


def machine(options: argparse.Namespace) -> dict[str, str]:
    """What the figures depend on."""
    versions = {
        distribution: installed(distribution)
        for name in options.peers
        for distribution in PEERS[name].distributions
    }
    return {
        "Python": platform.python_version(),
        **{name: found for name, found in versions.items() if found},
        "cores": str(os.cpu_count()),
        "threads a query": str(options.threads or "unlimited"),
        "threads that fill": os.environ.get("OMP_NUM_THREADS", "unlimited"),
        "data": options.data if options.data == "spectrum" else f"clusters of {options.dimension}",
        "rounds": str(options.rounds),
        "rows an add": f"{options.batch:,}",
    }


class Bench:
    """One size: its data, and a group of contenders for each kind of index."""

    def __init__(
        self, options: argparse.Namespace, rows: int, results: Results, console: Console
    ) -> None:
        self._options = options
        self._rows = rows
        self._results = results
        self._console = console

    def run(self) -> None:
        """Measure every kind."""
        with tempfile.TemporaryDirectory(prefix="store-", dir=self._options.work) as folder:
            self._folder = Path(folder)
            self._say("making vectors")
            options = self._options
            source = source_of(options.data, self._rows, options.dimension)
            queries = min(options.queries, source.most_queries)
            self._data = Data.make(self._folder / "data", source, self._rows, queries)
            self._truth = Truth(self._data)
            self._flat = Figures(BARE, "flat", self._rows, source.dimension)
            self._fill(self._flat)
            for kind in options.kinds:
                if self._results.has(kind, self._rows):
                    self._say(f"{kind} was measured before")
                    continue
                self._measure(kind)
                if options.out:
                    self._results.save(options.out)

    def _measure(self, kind: str) -> None:
        """Fill, open, ask, and empty the contenders of one kind."""
        contenders = []
        for name in self._peers(kind):
            figures = Figures(name, kind, self._rows, self._data.vectors.shape[1])
            if figures.name == self._flat.name:
                figures = self._flat
            figures.load = [os.getloadavg()[0]]
            self._results.figures.append(figures)
            if figures is self._flat:  # filled already, for every kind to be compared with
                contenders.append(figures)
                continue
            if self._fill(figures):
                contenders.append(figures)
        readers: dict[str, Worker] = {}
        try:
            for figures in contenders:
                worker = self._open(figures)
                if worker is not None:
                    readers[figures.peer] = worker
            contenders = [figures for figures in contenders if figures.peer in readers]
            if self._flat not in contenders:
                readers["flat"] = self._worker(self._flat, self._options.threads or None)
                readers["flat"].call("open", timeout=600)
            flat = readers.get("flat") or readers[BARE]
            self._ask(contenders, readers, flat)
            self._sweep(contenders, readers, flat)
            for figures in contenders:
                self._empty(figures, readers[figures.peer])
        finally:
            for worker in readers.values():
                worker.stop()
            for name in PEERS:
                if (name, kind) != (BARE, "flat"):
                    shutil.rmtree(self._folder / f"{name}-{kind}", ignore_errors=True)
            for figures in contenders:
                figures.load.append(os.getloadavg()[0])

    def _peers(self, kind: str) -> Iterator[str]:
        for name in self._options.peers:
            entry = PEERS[name]
            if kind not in entry.kinds:
                continue
            if entry.missing():
                self._skip(f"{name}: {', '.join(entry.missing())} not installed")
            elif entry.slow and self._rows > self._options.max_rows_for_slow_peers:
                self._skip(f"{name} at {self._rows:,} rows: --max-rows-for-slow-peers")
            else:
                yield name

    def _worker(self, figures: Figures, threads: int | None) -> Worker:
        directory = self._folder / f"{figures.peer}-{figures.kind}"
        return Worker(figures.peer, figures.kind, directory, self._data.directory, threads)

    def _fill(self, figures: Figures) -> bool:
        """Ingest with every core; whether there is now something to open."""
        self._say(f"filling {figures.name}")
        patience = self._options.peer_timeout
        worker = self._worker(figures, None)
        try:
            done = worker.call("ingest", self._options.batch, timeout=patience)
            worker.call("close", timeout=patience)
        except UnavailableError as error:
            self._skip(f"{figures.name}: {error}")
            self._results.figures.remove(figures)
            return False
        except PeerError as error:
            self._trouble(figures, f"ingest: {error}")
            return False
        finally:
            worker.stop()
        seconds = done.add_seconds
        if figures.peer == BARE:  # it only collects rows until it is told to build
            seconds += done.build_seconds
        figures.rows_per_second = self._rows / seconds
        figures.build_seconds = done.build_seconds
        figures.built = done.built
        files = [path for path in self._directory(figures).rglob("*") if path.is_file()]
        figures.disk_mb = sum(path.stat().st_size for path in files) / 1e6
        if figures.peer in (OURS, BARE):
            indexes = [path for path in files if path.suffix == ".faiss"]
            figures.index_mb = sum(path.stat().st_size for path in indexes) / 1e6
        return True

    def _open(self, figures: Figures) -> Worker | None:
        self._say(f"opening {figures.name}")
        worker = self._worker(figures, self._options.threads or None)
        try:
            opened = worker.call("open", timeout=600)
        except PeerError as error:
            self._trouble(figures, f"open: {error}")
            worker.stop()
            return None
        figures.import_seconds, figures.open_ms = opened.import_seconds, opened.open_ms
        return worker

    def _ask(self, contenders: list[Figures], readers: dict[str, Worker], flat: Worker) -> None:
        """Ask under every filter, the contenders in turn, another one first each round.

        Without a filter each is followed by bare Faiss's flat search, so that contenders of
        different kinds can be compared by what it took beside them.
        """
        counts: dict[tuple[str, str], int] = {}
        turns: dict[tuple[str, str], list[Turn]] = {}
        first: dict[tuple[str, str], float] = {}
        beside: dict[str, list[float]] = {}
        for figures in contenders:
            for condition in CONDITIONS:
                try:
                    tried = readers[figures.peer].call("turn", condition, 3, timeout=600)
                except (UnavailableError, PeerError) as error:
                    self._trouble(figures, f"filter {condition.label}: {error}")
                    continue
                counts[figures.peer, condition.label] = self._fitting(tried)
                first[figures.peer, condition.label] = tried.ms[0]
                turns[figures.peer, condition.label] = []
        for number in range(self._options.rounds):
            self._say(f"round {number + 1} of {self._options.rounds}")
            at = number % max(1, len(contenders))
            for condition in CONDITIONS:
                for figures in contenders[at:] + contenders[:at]:
                    key = (figures.peer, condition.label)
                    if key not in counts:
                        continue
                    try:
                        turn = readers[figures.peer].call(
                            "turn", condition, counts[key], timeout=600
                        )
                    except PeerError as error:
                        self._trouble(figures, f"filter {condition.label}: {error}")
                        del counts[key]
                        continue
                    turns[key].append(turn)
                    if condition == ALL:
                        asked = flat.call("turn", ALL, min(_BESIDE, counts[key]), timeout=600)
                        beside.setdefault(figures.peer, []).append(statistics.median(asked.ms))
        for figures in contenders:
            for condition in CONDITIONS:
                made = turns.get((figures.peer, condition.label), [])
                if made:
                    figures.queries[condition.label] = QueryFigures(
                        queries=len(made[0].ms),
                        recall=self._truth.recall(made[0].found, K, condition),
                        first_ms=first[figures.peer, condition.label],
                        rounds_ms=[statistics.median(turn.ms) for turn in made],
                        p95_ms=float(np.percentile([ms for turn in made for ms in turn.ms], 95)),
                        flat_rounds_ms=beside[figures.peer] if condition == ALL else [],
                    )
            try:
                held = readers[figures.peer].call("memory", timeout=60)
            except PeerError as error:
                self._trouble(figures, f"memory: {error}")
                continue
            figures.anonymous_mb, figures.resident_mb = held.anonymous_mb, held.resident_mb

    def _fitting(self, tried: Turn) -> int:
        """How many queries fit into a turn, going by a few that were tried."""
        fits = int(1000 * self._options.turn_seconds / statistics.median(tried.ms))
        return min(max(fits, _FEWEST), self._options.queries)

    def _sweep(self, contenders: list[Figures], readers: dict[str, Worker], flat: Worker) -> None:
        """Try the search efforts of those that let their user choose."""
        for figures in contenders:
            efforts = PEERS[figures.peer].efforts.get(figures.kind, ())
            if not efforts or "all" not in figures.queries:
                continue
            self._say(f"trying {figures.name} with search efforts {list(efforts)}")
            worker = readers[figures.peer]
            try:
                for effort in efforts:
                    worker.call("tune", effort, timeout=60)
                    tried = worker.call("turn", ALL, 3, timeout=600)
                    count = self._fitting(tried)
                    medians, shares = [], []
                    for _ in range(3):
                        turn = worker.call("turn", ALL, count, timeout=600)
                        asked = flat.call("turn", ALL, min(_BESIDE, count), timeout=600)
                        medians.append(statistics.median(turn.ms))
                        shares.append(medians[-1] / statistics.median(asked.ms))
                    recall = self._truth.recall(turn.found, K, ALL)
                    figures.efforts.append(
                        EffortPoint(
                            effort, recall, statistics.median(medians), statistics.median(shares)
                        )
                    )
                worker.call("tune", None, timeout=60)
            except (UnavailableError, PeerError) as error:
                self._trouble(figures, f"search effort: {error}")

    def _empty(self, figures: Figures, worker: Worker) -> None:
        """Remove 1 % (at least one batch) in batches of 1,000 ids, or a tenth of a small store."""
        self._say(f"deleting from {figures.name}")
        batch = min(1000, max(1, self._rows // 10))
        batches = max(1, self._rows // 100 // batch)
        chosen = np.random.default_rng(1).permutation(self._rows)[: batch * batches]
        figures.delete_batch = batch
        try:
            for numbers in chosen.reshape(batches, batch).tolist():
                done = worker.call("delete", numbers, timeout=600)
                figures.delete_ms.append(done.ms)
                figures.next_query_ms.append(done.next_query_ms)
            worker.call("close", timeout=600)
        except (UnavailableError, PeerError) as error:
            self._trouble(figures, f"delete: {error}")

    def _directory(self, figures: Figures) -> Path:
        return self._folder / f"{figures.peer}-{figures.kind}"

    def _trouble(self, figures: Figures, what: str) -> None:
        if what not in figures.trouble:
            figures.trouble.append(what)
        self._say(f"{figures.name}: {what}")

    def _skip(self, what: str) -> None:
        if what not in self._results.skipped:
            self._results.skipped.append(what)

    def _say(self, what: str) -> None:
        self._console.print(f"[dim]{self._rows:,} rows: {what}[/dim]", highlight=False)


if __name__ == "__main__":
    main()
