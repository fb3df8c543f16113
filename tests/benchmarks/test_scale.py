"""`benchmarks.codes` over a few rows, and `benchmarks.scale_model` against cases by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import codes
from benchmarks.codes_parts import FETCH, Built, Parts, Timed
from benchmarks.peers.data import FromClusters
from benchmarks.scale_model import Assumptions, Model, Times, kept_often
from benchmarks.scale_simulation import comparison

ROWS, QUERIES = 3_000, 8


def timed(oversampling: int, probes: int, lists: int) -> Timed:
    """A setting that takes .1 ms, 10 ns a code, 1 us a list, and 2 us a vector and 20 a shortlist.

    What codes push out of a cache of 32 MB takes 100 us to be read again.

    Lists are as full as each other: of as many vectors as there are lists.
    """
    looked_at = float(probes * lists)
    find = 0.1 + looked_at / 1e5 + probes / 1000 + 0.05  # of which .05 choose lists
    read = 0.02 + FETCH * oversampling / 500 + 0.1 * min(1.0, 108 * looked_at / 32e6)
    return Timed(
        oversampling=oversampling,
        probes=probes,
        recall=0.9,
        recall_error=0.01,
        looked_at=looked_at,
        find_ms=find,
        lists_ms=0.05,
        read_ms=read,
        first_read_ms=20.0,
        total_ms=find + read,
        p95_ms=2 * (find + read),
    )


PARTS = Parts(
    rows=10**6,
    dimension=384,
    queries=2,
    tails=[(0.2, 0.05), (0.3, 0.04)],
    told_tails=[(0.19, 0.052), (0.3, 0.045)],
    ranks=[[0, 3, 9, 15, 15], [1, 1, 99, 400, 999]],
    built=Built(1000, 5.0, 30.0, 10.0, 3.0, {}, 200.0, 1.0),
    file_bytes=108 * 10**6,
    private_mb=120.0,
    noise=0.02,
    bias=-0.001,
    timed=[timed(times, probes, 1000) for probes in (16, 64, 256, 1000) for times in (2, 8, 32)],
    load=1.0,
)
SMALLER = replace(
    PARTS,
    rows=250_000,
    built=replace(PARTS.built, lists=500, train_s=2.0),
    file_bytes=27 * 10**6,
    timed=[timed(times, probes, 500) for probes in (16, 64, 256, 500) for times in (2, 8, 32)],
)
MODEL = Model(SMALLER, PARTS)


def here(step: Callable[..., object], *arguments: object) -> object:
    """In this process, where a test can look at what is done."""
    return step(*arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codes")


@pytest.fixture(scope="module")
def parts(folder: Path) -> Parts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "BLOCK", 1_000)
        patch.setattr("benchmarks.peers.data.BLOCK", 1_000)
        patch.setattr(codes, "_apart", here)
        found = codes.measured(FromClusters(ROWS, 64), ROWS, QUERIES, folder)
    found.save(folder / "parts.json")
    assert Parts.load_file(folder / "parts.json") == found
    return found


def test_what_is_drawn_block_by_block_is_scored_exactly(parts: Parts, folder: Path) -> None:
    files, source = codes.Files(folder, ROWS, 64), FromClusters(ROWS, 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.peers.data.BLOCK", 1_000)
        vectors = np.concatenate([source.block(number) for number in range(3)])
    exact = source.queries(QUERIES) @ vectors.T
    scores, numbers = files.truth()
    best = np.sort(exact, axis=1)[:, ::-1][:, : codes.TAIL]
    np.testing.assert_allclose(scores, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, numbers, axis=1), best, atol=1e-6)
    assert (files.unchecked() == vectors.astype(np.float16)).all()
    assert (files.vectors().all() == vectors.astype(np.float16)).all()


def test_what_is_there_is_not_made_again(parts: Parts, folder: Path) -> None:
    class Refuses(FromClusters):
        def block(self, number: int) -> np.ndarray:
            raise AssertionError("drawn again")

    files = codes.Files(folder, ROWS, 64)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    source = Refuses(ROWS, 64)
    codes.drawn(source, source.queries(QUERIES), files)
    codes.built(files)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert files.built() == parts.built


def test_more_that_is_looked_at_finds_no_less_and_all_of_it_finds_all(parts: Parts) -> None:
    *tried, own = parts.timed
    assert (own.oversampling, own.probes) == (
        parts.built.tuning["oversampling"],
        parts.built.tuning["probes"],
    )
    assert own.recall >= 0.95
    for few, more in zip(tried, tried[3:], strict=False):  # the same shortlist, more lists
        assert few.recall <= more.recall
        assert few.looked_at <= more.looked_at
    assert (tried[-1].recall, tried[-1].recall_error, tried[-1].looked_at) == (1, 0, ROWS)
    assert tried[-1].probes == parts.built.lists  # as there are no 1,024
    assert all(min(each.find_ms, each.read_ms, each.lists_ms) > 0 for each in tried)


def test_no_more_is_found_than_is_in_the_lists(parts: Parts) -> None:
    ranks = np.array(parts.ranks)
    assert ranks.shape == (QUERIES, 10)
    assert 0 <= ranks.min() <= ranks.max() < parts.built.lists
    for each in parts.timed:
        assert each.recall <= (ranks < each.probes).mean() + 1e-9


def test_codes_take_four_bits_a_pair_and_err_little(parts: Parts) -> None:
    bytes_each = parts.file_bytes / ROWS
    assert 64 / 4 + 8 < bytes_each < 64 / 4 + 8 + 40  # a number of eight bytes, and the lists
    assert 0 < parts.noise < 0.05
    assert abs(parts.bias) < 0.05


def test_building_is_timed_by_its_parts(parts: Parts) -> None:
    built = parts.built
    assert built.lists == math.isqrt(ROWS)
    assert built.train_s > 0
    assert built.tune_s > 0
    assert built.assign_us > 0
    assert built.encode_us > 0


def test_the_line_of_normal_scores_is_their_mean_and_deviation() -> None:
    scores = 0.1 + 0.05 * np.random.default_rng(0).standard_normal((3, 200_000))
    best = -np.sort(-scores, axis=1)[:, : codes.TAIL]
    for a, b in codes.tails_of(best.astype(np.float32), 200_000, 10):
        assert a == pytest.approx(0.1, abs=0.01)
        assert b == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(("shards", "shortlist"), [(1, 20), (1, 60), (4, 10)])
def test_what_shortlists_keep_is_what_all_scores_say(shards: int, shortlist: int) -> None:
    """Codes that err, all by as much, and tell a quarter less of what they should."""
    rows, (mean, spread), noise, rng = 20_000, (0.1, 0.05), 0.02, np.random.default_rng(1)
    seen, shrunk = [], 0.75
    for _ in range(200):
        scores = np.sort(mean + spread * rng.standard_normal(rows))[::-1]
        owners = rng.integers(0, shards, rows)
        told = mean + shrunk * (scores - mean) + noise * rng.standard_normal(rows)
        kept = 0
        for shard in range(shards):
            here = np.flatnonzero(owners == shard)
            kept += int((here[np.argsort(-told[here])[:shortlist]] < 10).sum())
        seen.append(kept / 10)
    assert 0.3 < np.mean(seen) < 0.98  # else nothing could differ
    ten_best = spread * -norm.ppf((np.arange(1, 11) - 0.5) / rows).mean()
    parts = replace(
        PARTS,
        tails=[(mean, spread)],
        told_tails=[(mean, math.hypot(shrunk * spread, noise))],
        noise=noise,
        bias=(shrunk - 1) * ten_best,
    )
    (kept_share,) = replace(MODEL, parts=parts).kept(rows, shards, shortlist)
    assert kept_share == pytest.approx(np.mean(seen), abs=0.03)


def test_codes_that_do_not_err_lose_nothing() -> None:
    exact = replace(PARTS, told_tails=PARTS.tails, noise=1e-9, bias=0.0)
    assert replace(MODEL, parts=exact).kept(10**9, 7, 20).tolist() == [1, 1]


def test_what_was_measured_is_predicted_again() -> None:
    for each in PARTS.timed:
        times = MODEL.times(10**6, each.oversampling, each.probes)
        assert times.find == pytest.approx(each.find_ms, rel=1e-3)
        assert times.read == pytest.approx(each.read_ms, rel=1e-3)
        assert times.spread == pytest.approx(math.log(2) / 1.645)


def test_more_rows_are_in_more_and_longer_lists() -> None:
    rows = 4 * 10**6  # of which as many lists hold a half of the share, and so twice as many
    assert MODEL.looked_at(rows, 64) == pytest.approx(64 * 2000)
    times = MODEL.times(rows, 8, 64)
    # .1 ms a search, 10 ns a code, 1 us a list, .05 ms to choose from twice as many.
    assert times.find == pytest.approx(0.1 + 128_000 / 1e5 + 0.064 + 0.05 * 2, rel=1e-3)
    assert times.read == pytest.approx(0.02 + 144 / 500 + 0.1 * 108 * 128_000 / 32e6, rel=1e-3)


def test_lists_that_are_fuller_near_a_query_are_so_at_any_size() -> None:
    fuller = [replace(each, looked_at=10**6 * (each.probes / 1000) ** 0.8) for each in PARTS.timed]
    model = replace(MODEL, parts=replace(PARTS, timed=fuller))
    for probes in (32, 100, 500, 2000):
        assert model.looked_at(4 * 10**6, probes) == pytest.approx(
            4 * 10**6 * (probes / 2000) ** 0.8
        )
    assert model.looked_at(4 * 10**6, 5000) == pytest.approx(4 * 10**6)


def test_lists_and_codes_both_lose() -> None:
    exact = replace(MODEL, parts=replace(PARTS, told_tails=PARTS.tails, noise=1e-9, bias=0.0))
    assert exact.recall(10**6, 1, 2, 16) == pytest.approx((5 / 5 + 2 / 5) / 2)
    assert exact.recall(10**6, 1, 2, 1000) == 1
    kept = MODEL.kept(10**6, 1, 2 * FETCH)
    assert MODEL.recall(10**6, 1, 2, 16) == pytest.approx((kept[0] * 1 + kept[1] * 0.4) / 2)
    assert 0 < kept.min() <= kept.max() < 1


def test_the_best_lie_as_much_deeper_as_they_did_from_fewer_rows() -> None:
    ranks = [[4 * (rank + 1) - 1 for rank in row] for row in PARTS.ranks]  # four times as deep
    model = replace(MODEL, parts=replace(PARTS, ranks=ranks))
    assert model.deeper == pytest.approx(2)  # of twice the lists
    assert MODEL.deeper == pytest.approx(0)
    exact = replace(model, parts=replace(model.parts, told_tails=PARTS.tails, noise=1e-9, bias=0))
    # 4,000,000 have twice the lists: what lay behind 63 lists lies behind 252.
    assert exact.recall(4 * 10**6, 1, 2, 252) == pytest.approx((3 / 5 + 2 / 5) / 2)
    assert exact.recall(4 * 10**6, 1, 2, 253) == pytest.approx((5 / 5 + 2 / 5) / 2)


def test_a_vector_is_compared_with_every_list() -> None:
    assert MODEL.encode_us(1000) == 30
    assert MODEL.encode_us(3000) == pytest.approx(20 + 10 * 3)
    assert MODEL.train_s(3000) == pytest.approx(1 + 4 * 9)  # 5 s of 1,000 lists, 2 of 500


def test_a_shortlist_is_changed_as_often_as_it_is_bettered() -> None:
    rng = np.random.default_rng(0)
    changes = []
    for _ in range(20):
        best: list[float] = []
        count = 0
        for score in rng.standard_normal(2_000):
            if len(best) < 30 or score > best[0]:
                best = sorted([*best, score])[-30:]
                count += 1
        changes.append(count)
    assert kept_often(30, 2_000) == pytest.approx(np.mean(changes), rel=0.05)


def test_what_a_longer_shortlist_takes_more_is_for_keeping_it() -> None:
    def changed(each: Timed) -> Timed:
        """One microsecond each time that a shortlist changes."""
        often = kept_often(FETCH * each.oversampling, each.looked_at)
        return replace(each, find_ms=each.find_ms + often / 1000)

    smaller = replace(SMALLER, timed=[changed(each) for each in SMALLER.timed])
    model = Model(smaller, replace(PARTS, timed=[changed(each) for each in PARTS.timed]))
    often = kept_often(32 * FETCH, 128_000)
    found = model.times(4 * 10**6, 32, 64).find
    assert found == pytest.approx(0.1 + 1.28 + 0.064 + 0.1 + often / 1000, rel=1e-2)


def test_the_slowest_of_many_shards_is_waited_for() -> None:
    assumed = Assumptions(round_trip_ms=2.0, megabytes_s=1e9)
    model = replace(MODEL, assumed=assumed)
    steady = Times(9.0, 1.0, 0.0)
    assert model.latency(steady, 1) == (10.0, 10.0)
    assert model.latency(steady, 50) == pytest.approx((14.0, 14.0))
    p50, p99 = model.latency(replace(steady, spread=0.2), 50)
    # The median of the largest of 50 normal numbers is that whose 50th power is a half.
    assert p50 == pytest.approx(4 + 10 * math.exp(0.2 * norm.ppf(0.5 ** (1 / 50))), rel=0.02)
    assert p99 > p50


def test_costs_by_hand() -> None:
    assumed = Assumptions(picture_ms=36, record_bytes=124, cores=10, core_hour=0.1, gb_month=2,
                          disk_gb_month=0.5)  # fmt: skip
    found = replace(MODEL, assumed=assumed).predict(10**6, 2, 64, shards=1)
    assert found.codes_gb == pytest.approx(0.108)
    assert found.disk_gb == pytest.approx(1.0)
    assert found.embed_hours == pytest.approx(10)
    assert found.build_hours == pytest.approx((30 + 5 + 3) / 3600)
    assert found.searches_s == pytest.approx(1000 * 10 / MODEL.times(10**6, 2, 64).total)
    assert found.month == pytest.approx(10 * 0.1 * 730 + 0.108 * 2 + 0.5)


def test_shards_are_as_many_as_memory_and_the_wanted_time_ask_for() -> None:
    whole = MODEL.times(10**8, 2, 4096).total  # 4,096 of 10,000 lists
    model = replace(MODEL, assumed=Assumptions(wanted_ms=whole * 0.75))
    assert model.predict(10**8, 2, 4096).shards == 2  # of 7,071 lists: no half, but .71
    assert model.predict(10**6, 2, 64).shards == 1
    small = replace(MODEL, assumed=Assumptions(wanted_ms=1e9, node_gb=0.054))
    assert small.predict(10**6, 2, 64).shards == 2


def test_the_quickest_setting_is_taken_that_finds_enough() -> None:
    model = replace(MODEL, parts=replace(PARTS, noise=0.004))
    found = model.best(10**6)
    assert found.recall >= 0.99
    for probes in (found.probes // 2, found.probes):
        for times in (2, 4, 8, 16):
            if model.recall(10**6, 1, times, probes) >= 0.99:
                assert model.times(10**6, times, probes).total >= found.p50_ms * 0.95
    none = replace(MODEL, parts=replace(PARTS, noise=0.1))
    assert none.best(10**6).recall == none.recall(10**6, 1, 32, 1000) < 0.99


def test_a_prediction_of_what_was_measured_is_right_and_another_is_told() -> None:
    searches, index = comparison(MODEL, PARTS)
    assert not any("NO" in cell for row in searches.rows for cell in row[1:5])  # times
    assert not any("NO" in cell for _, cell in index.rows)
    slower = replace(PARTS, timed=[replace(PARTS.timed[0], find_ms=20.0)])
    (row,) = comparison(MODEL, slower)[0].rows
    assert ["NO" in cell for cell in row[:4]] == [False, False, True, False]
    assert row[2].startswith("0.33 / 20.00, -98 %")


def test_the_parts_that_are_shipped_are_read() -> None:
    from benchmarks.scale_simulation import PARTS, built_sheet, measured_sheet

    shipped = [Parts.load_file(path) for path in PARTS]
    assert [parts.rows for parts in shipped] == [10**5, 10**6, 10**7]
    for parts in shipped:
        tried = [each.oversampling for each in parts.timed[:-1]]
        assert tried == [times for times, _ in codes.SETTINGS]
        assert len(measured_sheet(parts).rows) == len(parts.timed)
    assert {len(row) for row in built_sheet(shipped).rows} == {4}


def test_the_page_has_what_was_predicted() -> None:
    from benchmarks.scale_simulation import SIZES, predictions

    assert [row[0] for row in predictions(MODEL).rows] == [f"{size:,}" for size in SIZES]
