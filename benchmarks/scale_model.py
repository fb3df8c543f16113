"""`Model`: what follows for other sizes from the parts of a search, measured at two.

Times go by what is done: codes looked at, lists, vectors read. Recall follows from how a query's
best scores thin out, from how codes err about them, and from how far down the lists they lie. A
search on several shards waits for the slowest of times that are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.codes_parts import FETCH, Parts
from unisem.stores.faiss.kinds.ivf_pq import OVERSAMPLING
from unisem.stores.faiss.kinds.tuning import K

ENOUGH = 0.99
"""Recall that a setting is chosen for."""
_PROBES = tuple(int(2 ** (step / 2)) for step in range(6, 26))  # that are tried
_DRAWS = 4_000  # searches that the spread of times is drawn for


@dataclass(frozen=True)
class Assumptions:
    """What was not measured here; every one is named on the page.

    Attributes:
        picture_ms: Processor time of embedding a picture (`docs/measured/ingest.md`).
        cache_mb: A processor's last cache.
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
    cache_mb: float = 32.0
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
        lists, oversampling, probes: Of a shard.
        p50_ms, p99_ms: A search, the network included where there is more than one shard.
        recall: ``ann_recall@10``.
        searches_s: A node's cores, all busy.
        codes_gb: In memory, all shards together.
        disk_gb: Vectors as float16, and records.
        build_hours: Of one core, the index only.
        embed_hours: Of one core, if every record is a picture.
        month: Price of memory, disk and the nodes' cores, a month.
    """

    rows: int
    shards: int
    lists: int
    oversampling: int
    probes: int
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
    """The parts of a search, and what follows from them.

    Args:
        smaller: What was measured of fewer rows, which says how it goes with them.
        parts: What was measured.
        assumed: The rest.
    """

    smaller: Parts
    parts: Parts
    assumed: Assumptions = Assumptions()

    def times(self, rows: int, oversampling: int, probes: int) -> Times:
        """One search on a shard of ``rows``, as `_costs` says."""
        depth, lists = oversampling * FETCH, lists_of(rows)
        codes, reading = self._costs
        probes = min(probes, lists)
        find = float(codes @ self._done(self.looked_at(rows, probes), probes, depth))
        choose = self._lists_ms * lists / self.parts.built.lists
        spread = [math.log(max(each.p95_ms / each.total_ms, 1.0)) for each in self.parts.timed]
        read = float(reading @ self._read(self.looked_at(rows, probes), depth))
        return Times(find + choose, read, float(np.median(spread)) / 1.645)

    def looked_at(self, rows: int, probes: int) -> float:
        """Codes in the nearest lists: as large a share as in so large a share of the lists."""
        timed, lists = self.parts.timed, self.parts.built.lists
        told = sorted({(each.probes / lists, each.looked_at / self.parts.rows) for each in timed})
        shares, looked_at = np.log(np.array([*told, (1.0, 1.0)])).T
        share = math.log(min(1.0, probes / lists_of(rows)))
        if share < shares[0]:  # below what was measured the lists are as full as those
            return rows * math.exp(share - shares[0] + looked_at[0])
        return rows * math.exp(np.interp(share, shares, looked_at))

    @cached_property
    def _lists_ms(self) -> float:
        return float(np.median([each.lists_ms for each in self.parts.timed]))

    @cached_property
    def _costs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Milliseconds of what is done, none below 0, that come nearest to all settings' times.

        Of codes: a search, a code looked at, a list, a change of the shortlist. Of rescoring: a
        search, a vector, a cache swept. A setting's error counts as a share of its time. Of one
        size only, codes looked at and lists would go together.
        """
        from scipy.optimize import nnls

        timed = [*self.smaller.timed, *self.parts.timed]
        done = [self._done(t.looked_at, t.probes, t.oversampling * FETCH) for t in timed]
        codes = np.array([t.find_ms - t.lists_ms for t in timed])
        reading = np.array([t.read_ms for t in timed])
        read = [self._read(t.looked_at, t.oversampling * FETCH) for t in timed]
        ones = np.ones(len(timed))
        return (
            nnls(np.array(done) / codes[:, None], ones)[0],
            nnls(np.array(read) / reading[:, None], ones)[0],
        )

    def _done(self, looked_at: float, probes: int, depth: int) -> list[float]:
        return [1.0, looked_at, float(probes), kept_often(depth, looked_at)]

    def _read(self, looked_at: float, depth: int) -> list[float]:
        """What codes that are looked at push out of the cache is read from memory again."""
        swept = looked_at * self.parts.file_bytes / self.parts.rows / (1e6 * self.assumed.cache_mb)
        return [1.0, float(depth), min(1.0, swept)]

    def recall(self, rows: int, shards: int, oversampling: int, probes: int) -> float:
        """Share of the ten best of ``rows`` that some shard's shortlist has.

        They must be in a list that is looked through, and among the shortlist by their codes.
        """
        kept = self.kept(rows, shards, oversampling * FETCH)
        return float(np.mean(kept * self._in_lists(lists_of(rows // shards), probes)))

    def kept(self, rows: int, shards: int, shortlist: int) -> NDArray[np.float64]:
        """For each query the share of its ten best that are expected in their shard's shortlist.

        Near the top exact scores are normal, ``N(a, b^2)``, and so are those that codes tell,
        ``N(a', b'^2)``. A shard of ``n`` rows keeps what its codes say is above
        ``a' - b' * z(shortlist / n)``; the ten best, whose scores are ``a - b * z(rank / rows)``,
        are seen there if what their codes err by leaves them above it.
        """
        from scipy.special import ndtr, ndtri

        here = rows / shards
        if shortlist >= here:
            return np.ones(len(self.parts.tails))
        mean, spread = np.array(self.parts.tails).T[:, :, None]
        told_mean, told_spread = np.array(self.parts.told_tails).T[:, :, None]
        best = mean - spread * ndtri((np.arange(1, K + 1) - 0.5) / rows)
        least = told_mean - told_spread * ndtri((shortlist - 0.5) / here)
        seen = ndtr((best + self.parts.bias - least) / self.parts.noise)
        kept: NDArray[np.float64] = seen.mean(axis=1)
        return kept

    def _in_lists(self, lists: int, probes: int) -> NDArray[np.float64]:
        """For each query the share of its ten best that are in so many of the nearest lists."""
        farther = (lists / self.parts.built.lists) ** self.deeper
        found: NDArray[np.float64] = (np.array(self.parts.ranks) * farther < probes).mean(axis=1)
        return found

    @cached_property
    def deeper(self) -> float:
        """With which power of the number of lists those lie farther down in which the best are."""
        depths = [np.mean(np.array(each.ranks) + 1) for each in (self.smaller, self.parts)]
        lists = self.parts.built.lists / self.smaller.built.lists
        return float(np.log(depths[1] / depths[0]) / math.log(lists))

    def predict(
        self, rows: int, oversampling: int, probes: int, shards: int | None = None
    ) -> Prediction:
        """Everything of one size; as many shards as memory and the wanted time ask for."""
        assumed, built = self.assumed, self.parts.built
        code_bytes = self.parts.file_bytes / self.parts.rows
        shards = shards or self.shards(rows, oversampling, probes)
        lists = lists_of(math.ceil(rows / shards))
        times = self.times(math.ceil(rows / shards), oversampling, probes)
        p50, p99 = self.latency(times, shards)
        disk = rows * (2 * self.parts.dimension + code_bytes + assumed.record_bytes) / 1e9
        memory = rows * code_bytes / 1e9
        nodes_month = shards * assumed.cores * assumed.core_hour * 730
        building = rows * self.encode_us(lists) / 1e6 + shards * self.train_s(lists)
        return Prediction(
            rows=rows,
            shards=shards,
            lists=lists,
            oversampling=oversampling,
            probes=min(probes, lists),
            p50_ms=p50,
            p99_ms=p99,
            recall=self.recall(rows, shards, oversampling, probes),
            searches_s=1000 * assumed.cores / times.total,
            codes_gb=memory,
            disk_gb=disk,
            build_hours=(building + built.tune_s * rows / self.parts.rows) / 3600,
            embed_hours=rows * assumed.picture_ms / 3.6e6,
            month=nodes_month + memory * assumed.gb_month + disk * assumed.disk_gb_month,
        )

    def shards(self, rows: int, oversampling: int, probes: int) -> int:
        """As many as memory and the wanted time ask for, none smaller than what was measured."""
        needed = rows * self.parts.file_bytes / self.parts.rows / (self.assumed.node_gb * 1e9)
        shards = max(1, math.ceil(needed))
        while rows // shards > self.smaller.rows:
            if self.times(rows // shards, oversampling, probes).total <= self.assumed.wanted_ms:
                break
            shards += 1
        return shards

    def best(self, rows: int) -> Prediction:
        """The setting of fewest shards and least time that finds `ENOUGH`, else the most."""
        found = []
        for oversampling in OVERSAMPLING:
            for probes in _PROBES:
                shards = self.shards(rows, oversampling, probes)
                recall = self.recall(rows, shards, oversampling, probes)
                took = self.times(rows // shards, oversampling, probes).total
                lacks = max(0.0, ENOUGH - recall)
                found.append(((lacks, shards, took), (oversampling, probes, shards)))
        return self.predict(rows, *min(found)[1])

    def encode_us(self, lists: int) -> float:
        """Microseconds a vector with so many lists: a vector is compared with every list."""
        built = self.parts.built
        return built.encode_us + built.assign_us * (lists / built.lists - 1)

    def train_s(self, lists: int) -> float:
        """Seconds to find so many lists: each from as many vectors, compared with every list."""
        few, many = self.smaller.built, self.parts.built
        each = (many.train_s - few.train_s) / (many.lists**2 - few.lists**2)
        return many.train_s + each * (lists**2 - many.lists**2)

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


def kept_often(shortlist: int, looked_at: float) -> float:
    """How often one of so many in any order is among the best so far: ``m + m * ln(n / m)``."""
    return shortlist * (1 + math.log(max(1.0, looked_at / shortlist)))


def lists_of(rows: int) -> int:
    """How many lists the store gives so many vectors (`IvfPQ.build`)."""
    return max(1, min(math.isqrt(rows), rows // 39))
