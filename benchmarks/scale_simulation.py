"""From what the parts of a search take at one size to other sizes, on one machine or many.

    python -m benchmarks.scale_simulation [--parts benchmarks/scale_parts.json]
        [--against codes-10000000.json] [--markdown docs/measured/scale.md]

`benchmarks.codes` measures the parts. Times go by what is done: codes looked at, vectors read,
lists compared with. Recall follows from how a query's best scores thin out and from how codes err
about them, both as measured. A search on several shards waits for the slowest of times that are
drawn. ``docs/measured/scale.md`` names every assumption.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.codes import K, KindParts, Parts, Timed
from benchmarks.peers.report import Sheet, write_between_marks

PARTS = Path(__file__).with_name("scale_parts.json")
SIZES = (10**6, 10**7, 10**8, 10**9)
LIMIT = 0.25  # by how much a prediction may be off
ENOUGH = 0.99  # recall that a setting is chosen for
_DRAWS = 4_000  # searches that the spread of times is drawn for


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=Path, default=PARTS, help="measured by benchmarks.codes")
    parser.add_argument("--against", type=Path, help="the same, measured at another size")
    parser.add_argument("--markdown", type=Path, help="a page, or the marked part of one")
    options = parser.parse_args()
    parts = Parts.load_file(options.parts)
    other = Parts.load_file(options.against) if options.against else None
    sheets = [measured_sheet(parts), *(predictions(parts, kind) for kind in parts.kinds)]
    if other is not None:
        sheets += [measured_sheet(other), comparison(parts, other)]
    for sheet in sheets:
        Console(width=150).print(sheet.as_rich())
    if options.markdown:
        text = "\n\n".join(sheet.as_markdown() for sheet in sheets)
        write_between_marks(text + "\n", options.markdown)


def measured_sheet(parts: Parts) -> Sheet:
    """The parts as they were measured."""
    rows = []
    for name, kind in parts.kinds.items():
        for timed in kind.timed:
            rows.append(
                (
                    _setting(name, timed),
                    f"{timed.recall:.3f}",
                    f"{timed.find_ms:.2f}",
                    f"{timed.lists_ms:.2f}",
                    f"{timed.read_ms:.2f}",
                    f"{timed.first_read_ms:.1f}",
                    f"{timed.total_ms:.2f}",
                    f"{kind.encode_us:.0f}",
                    f"{kind.file_bytes / parts.rows:.1f}",
                    f"{kind.private_mb:,.0f}",
                    f"{kind.noise:.4f}",
                )
            )
    columns = ("kind, rescored, lists", "recall@10", "codes ms", "of it lists", "rescoring ms",
               "from the disk, by the clock", "both ms", "encoding µs a vector", "bytes a vector",
               "private MB", "codes err by")  # fmt: skip
    load = " to ".join(f"{value:.1f}" for value in (min(parts.load), max(parts.load)))
    title = f"The parts at {parts.rows:,} vectors, {parts.queries} queries, load {load}"
    return Sheet(title, columns, rows)


def predictions(parts: Parts, kind: str) -> Sheet:
    """From a million to a billion records, with the first setting that finds .99 or the best."""
    model = Model(parts, kind)
    rows = []
    for size in SIZES:
        made = model.best(size)
        rows.append(
            (
                f"{size:,}",
                _setting(kind, made[0]),
                f"{made[1].shards:,}",
                f"{made[1].p50_ms:.1f}",
                f"{made[1].p99_ms:.1f}",
                f"{made[1].recall:.3f}",
                f"{made[1].searches_s:,.0f}",
                f"{made[1].codes_gb:,.2f}",
                f"{made[1].disk_gb:,.1f}",
                f"{made[1].build_hours:,.2f}",
                f"{made[1].embed_hours:,.0f}",
                f"{made[1].month:,.0f}",
            )
        )
    columns = ("records", "setting", "shards", "p50 ms", "p99 ms", "recall@10",
               "searches/s, all cores busy", "codes GB", "disk GB", "codes' core hours",
               "pictures' core hours", "$ a month")  # fmt: skip
    return Sheet(f"Predicted, {kind}", columns, rows)


def comparison(parts: Parts, other: Parts) -> Sheet:
    """What was predicted for another size on one machine, beside what was measured there."""
    rows = []
    for name, kind in other.kinds.items():
        # The same queries: the larger size may have been asked fewer.
        model = Model(replace(parts, tails=parts.tails[: other.queries]), name)
        predicted = model.measured.file_bytes / parts.rows
        rows.append(_row(f"{name}: bytes a vector", predicted, kind.file_bytes / other.rows))
        rows.append(
            _row(f"{name}: encoding µs a vector", model.encode_us(kind.lists), kind.encode_us)
        )
        for timed in kind.timed:
            setting = _setting(name, timed)
            times = model.times(other.rows, timed.shortlist, timed.probes, kind.lists)
            rows.append(_row(f"{setting}: codes ms", times.find, timed.find_ms))
            rows.append(_row(f"{setting}: rescoring ms", times.read, timed.read_ms))
            rows.append(_row(f"{setting}: both ms", times.total, timed.total_ms))
            recall = model.recall(other.rows, 1, timed.shortlist, timed.probes)
            rows.append(_row(f"{setting}: recall@10", recall, timed.recall))
            missed = 1 - recall, max(1 - timed.recall, 0.5 / (K * other.queries))
            rows.append(_row(f"{setting}: missed of the ten best", *missed))
    columns = ("", "predicted", "measured", "off by", "within 25 %")
    return Sheet(f"Predicted from {parts.rows:,}, measured at {other.rows:,}", columns, rows)


def _row(name: str, predicted: float, measured: float) -> tuple[str, ...]:
    off = predicted / measured - 1
    shown = (f"{value:.3f}" if value < 10 else f"{value:,.1f}" for value in (predicted, measured))
    return (name, *shown, f"{100 * off:+.0f} %", "yes" if abs(off) <= LIMIT else "NO")


def _setting(kind: str, timed: Timed) -> str:
    lists = f", {timed.probes}" if timed.probes else ""
    return f"{kind}, {timed.shortlist}{lists}"


@dataclass(frozen=True)
class Assumptions:
    """What was not measured here; every one is named on the page.

    Attributes:
        picture_ms: Processor time of embedding a picture (`docs/measured/ingest.md`).
        text_ms: Of embedding a text (`docs/measured/runtimes.md`).
        commit_us: Of storing a record (`docs/measured/store.md`).
        record_bytes: A record in the catalogue beside its vector.
        round_trip_ms: To a shard and back.
        megabytes_s: What the network carries of one answer.
        hit_bytes: An id and a score; a fetched record.
        cores: Of a node.
        node_gb: Memory of a node that codes may fill.
        core_hour: Price of a core, an hour.
        gb_month: Price of a gigabyte of memory, a month.
        disk_gb_month: Price of a gigabyte of disk, a month.
        wanted_ms: Shards are so many that a search's median is below this.
    """

    picture_ms: float = 40.0
    text_ms: float = 2.8
    commit_us: float = 40.0
    record_bytes: int = 600
    round_trip_ms: float = 0.5
    megabytes_s: float = 1000.0
    hit_bytes: tuple[int, int] = (16, 1500)
    cores: int = 16
    node_gb: float = 48.0
    core_hour: float = 0.04
    gb_month: float = 3.0
    disk_gb_month: float = 0.1
    wanted_ms: float = 50.0


@dataclass(frozen=True)
class Times:
    """Milliseconds of one search on one shard: a processor's, medians."""

    find: float
    read: float
    spread: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.find + self.read


@dataclass(frozen=True)
class Prediction:
    """One size.

    Attributes:
        shards: Machines' shares of the rows.
        p50_ms, p99_ms: A search, the network included where there is more than one shard.
        recall: ``ann_recall@10``.
        searches_s: A node's cores, all busy.
        codes_gb: In memory, all shards together.
        disk_gb: Vectors as float16, and records.
        build_hours: Of one core, codes only.
        embed_hours: Of one core, if every record is a picture.
        month: Price of memory, disk and the nodes' cores, a month.
    """

    rows: int
    shards: int
    p50_ms: float
    p99_ms: float
    recall: float
    searches_s: float
    codes_gb: float
    disk_gb: float
    build_hours: float
    embed_hours: float
    month: float


@dataclass(frozen=True)
class Model:
    """The parts of one kind of codes, and what follows from them.

    Args:
        parts: What was measured, at one size.
        kind: Of `benchmarks.codes.SETTINGS`.
        assumed: The rest.
    """

    parts: Parts
    kind: str
    assumed: Assumptions = Assumptions()

    @property
    def measured(self) -> KindParts:
        """Of this kind."""
        return self.parts.kinds[self.kind]

    def setting(self, shortlist: int, probes: int) -> Timed:
        """What was measured with these.

        Raises:
            ValueError: They were not measured.
        """
        for timed in self.measured.timed:
            if (timed.shortlist, timed.probes) == (shortlist, probes):
                return timed
        raise ValueError(f"{self.kind} was not measured with {shortlist} and {probes}")

    def times(self, rows: int, shortlist: int, probes: int, lists: int = 0) -> Times:
        """One search on a shard of ``rows``.

        Codes take what they took, by how many are looked at: all, or the share of the lists that
        is looked through. Keeping the best so far takes as often as it is bettered. Choosing lists
        goes by their number, reading by the shortlist.
        """
        timed, lists_then = self.setting(shortlist, probes), self.measured.lists
        lists_now = lists or lists_then
        looked_then, looked_now = float(self.parts.rows), float(rows)
        if lists_then:
            looked_then *= min(1.0, probes / lists_then)
            looked_now *= min(1.0, probes / lists_now)
        kept_then = self.keep_us * kept_often(shortlist, looked_then) / 1000
        scan = max(0.0, timed.find_ms - timed.lists_ms - kept_then) * looked_now / looked_then
        kept = self.keep_us * kept_often(shortlist, looked_now) / 1000
        choose = timed.lists_ms * (lists_now / lists_then if lists_then else 0)
        spread = math.log(max(timed.p95_ms / timed.total_ms, 1.0)) / 1.645
        return Times(scan + kept + choose, timed.read_ms, spread)

    @property
    def keep_us(self) -> float:
        """Microseconds each time that a shortlist changes, from codes without lists.

        The same codes are looked at for a short list and for a long one; what the long one takes
        more is for keeping it.
        """
        timed = self.parts.kinds["rabitq"].timed if "rabitq" in self.parts.kinds else []
        if len(timed) < 2:
            return 0.0
        few, many = timed[0], timed[-1]
        often = [kept_often(each.shortlist, self.parts.rows) for each in (few, many)]
        return max(0.0, 1000 * (many.find_ms - few.find_ms) / (often[1] - often[0]))

    def recall(self, rows: int, shards: int, shortlist: int, probes: int = 0) -> float:
        """Share of the ten best of ``rows`` that some shard's shortlist has.

        Where there are lists, what is lost by not looking through all is as measured: the same
        share of the lists loses as much.
        """
        return self._by_codes(rows, shards, shortlist) * self._by_lists(shortlist, probes)

    def _by_codes(self, rows: int, shards: int, shortlist: int) -> float:
        noise = self.measured.noise
        kept = [kept_share(tail, noise, rows, shards, shortlist) for tail in self.parts.tails]
        return float(np.mean(kept))

    def _by_lists(self, shortlist: int, probes: int) -> float:
        """Recall as measured over recall as simulated at that size: what lists lose."""
        if not self.measured.lists:
            return 1.0
        measured = self.setting(shortlist, probes).recall
        return min(1.0, measured / self._by_codes(self.parts.rows, 1, shortlist))

    def predict(
        self, rows: int, shortlist: int, probes: int = 0, shards: int | None = None
    ) -> Prediction:
        """Everything of one size; as many shards as memory and the wanted time ask for."""
        assumed = self.assumed
        code_bytes = self.measured.file_bytes / self.parts.rows
        lists = self.measured.lists
        if shards is None:
            by_memory = math.ceil(rows * code_bytes / (assumed.node_gb * 1e9))
            shards = max(1, by_memory)
            while (
                self.times(rows // shards, shortlist, probes).total > assumed.wanted_ms
                and rows // shards > self.parts.rows
            ):
                shards += 1
        times = self.times(math.ceil(rows / shards), shortlist, probes, lists)
        p50, p99 = self.latency(times, shards)
        disk = rows * (2 * self.parts.dimension + assumed.record_bytes) / 1e9
        memory = rows * code_bytes / 1e9
        nodes_month = shards * assumed.cores * assumed.core_hour * 730
        return Prediction(
            rows=rows,
            shards=shards,
            p50_ms=p50,
            p99_ms=p99,
            recall=self.recall(rows, shards, shortlist, probes),
            searches_s=1000 * assumed.cores / times.total,
            codes_gb=memory,
            disk_gb=disk,
            build_hours=rows * self.measured.encode_us / 3.6e9,
            embed_hours=rows * assumed.picture_ms / 3.6e6,
            month=nodes_month + memory * assumed.gb_month + disk * assumed.disk_gb_month,
        )

    def best(self, rows: int) -> tuple[Timed, Prediction]:
        """The setting with the lowest median that finds `ENOUGH`; else the one that finds most."""
        made = [(t, self.predict(rows, t.shortlist, t.probes)) for t in self.measured.timed]
        enough = [pair for pair in made if pair[1].recall >= ENOUGH]
        if enough:
            return min(enough, key=lambda pair: (pair[1].shards, pair[1].p50_ms))
        return max(made, key=lambda pair: pair[1].recall)

    def encode_us(self, lists: int) -> float:
        """Microseconds a vector with so many lists: a vector is compared with every list."""
        here = self.measured
        if not here.lists or "rabitq" not in self.parts.kinds:
            return here.encode_us
        codes_alone = self.parts.kinds["rabitq"].encode_us
        return codes_alone + (here.encode_us - codes_alone) * lists / here.lists

    def latency(self, times: Times, shards: int, seed: int = 0) -> tuple[float, float]:
        """Median and 99th percentile: the slowest shard, two round trips, and the answers."""
        rng = np.random.default_rng(seed)
        drawn = times.total * np.exp(times.spread * rng.standard_normal((_DRAWS, shards)))
        slowest = drawn.max(axis=1)
        if shards > 1:
            small, whole = self.assumed.hit_bytes
            sent = K * (shards * small + whole) / (self.assumed.megabytes_s * 1000)
            slowest = slowest + 2 * self.assumed.round_trip_ms + sent
        return float(np.median(slowest)), float(np.percentile(slowest, 99))


def kept_share(
    tail: tuple[float, float], noise: float, rows: int, shards: int, shortlist: int
) -> float:
    """Share of a query's ten best that are expected in their shard's shortlist.

    Scores are normal near the top, ``N(a, b^2)``; by codes that err by ``noise`` they are
    ``N(a, b^2 + noise^2)``. So a shard of ``n`` rows keeps what its codes say is above
    ``a + sqrt(b^2 + noise^2) * z(shortlist / n)``, and the ten best, whose scores are
    ``a + b * z(rank / rows)``, are seen there or not.
    """
    from scipy.special import ndtr, ndtri

    mean, spread = tail
    here = rows / shards
    if shortlist >= here:
        return 1.0
    best = mean - spread * ndtri((np.arange(1, K + 1) - 0.5) / rows)
    least = mean - math.hypot(spread, noise) * ndtri(shortlist / here)
    if not noise:
        return float(np.mean(best >= least))
    return float(np.mean(ndtr((best - least) / noise)))


def kept_often(shortlist: int, looked_at: float) -> float:
    """How often one of so many in any order is among the best so far: ``m + m * ln(n / m)``."""
    return shortlist * (1 + math.log(max(1.0, looked_at / shortlist)))


if __name__ == "__main__":
    main()
