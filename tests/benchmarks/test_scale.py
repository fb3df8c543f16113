"""`benchmarks.codes` over a few rows, and `benchmarks.scale_simulation` against cases by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import codes
from benchmarks.codes import KindParts, Parts, Timed
from benchmarks.peers.data import FromClusters
from benchmarks.scale_simulation import (
    Assumptions,
    Model,
    Times,
    comparison,
    kept_often,
    kept_share,
)

ROWS, QUERIES = 3_000, 8
FLAT = Timed(200, 0, 0.99, 10.0, 0.0, 0.5, 20.0, 10.5, 21.0)
LISTED = Timed(500, 16, 0.9, 2.0, 0.5, 1.0, 40.0, 3.0, 3.0)
MODEL = Model(
    Parts(
        rows=10**6,
        dimension=384,
        queries=2,
        threads=1,
        tails=[(0.2, 0.05), (0.3, 0.04)],
        kinds={
            "rabitq": KindParts(0, 1.0, 20.0, 56 * 10**6, 60.0, 0.02, 0.0, [FLAT]),
            "ivf_rabitq": KindParts(1000, 60.0, 50.0, 64 * 10**6, 70.0, 0.02, 0.0, [LISTED]),
        },
        load=[1.0],
    ),
    "rabitq",
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "BLOCK", 1_000)
        patch.setattr("benchmarks.peers.data.BLOCK", 1_000)
        patch.setattr(codes, "TAIL", 500)
        folder = tmp_path_factory.mktemp("codes")
        source = FromClusters(ROWS, 64)
        *_, last = codes.measured(source, ROWS, QUERIES, list(codes.SETTINGS), folder)
        last.save(folder / "parts.json")
        assert Parts.load_file(folder / "parts.json") == last
        # What `drawn` kept, against all vectors at once.
        vectors = np.concatenate([source.block(number) for number in range(3)])
        exact = np.sort(source.queries(QUERIES) @ vectors.T, axis=1)[:, ::-1][:, :500]
        _, scores, numbers = codes.drawn(source, ROWS, source.queries(QUERIES), folder / "v.npy")
        assert np.allclose(scores, exact, atol=1e-6)
        assert np.allclose(
            np.einsum("qd,qtd->qt", source.queries(QUERIES), vectors[numbers]), exact, atol=1e-6
        )
    return last


def test_more_that_is_rescored_finds_no_less_and_all_of_it_finds_all(parts: Parts) -> None:
    timed = parts.kinds["rabitq"].timed
    recalls = [each.recall for each in timed]
    assert recalls == sorted(recalls)
    assert timed[-1].recall >= 0.999
    assert all(each.find_ms > 0 and each.read_ms > 0 for each in timed)
    assert parts.kinds["ivf_rabitq"].lists > 1
    assert parts.kinds["ivf_rabitq"].timed[-1].lists_ms > 0


def test_codes_take_an_eighth_of_a_byte_a_dimension_and_a_little(parts: Parts) -> None:
    bytes_each = parts.kinds["rabitq"].file_bytes / ROWS
    assert 64 / 8 < bytes_each < 64 / 8 + 24


def test_the_line_of_normal_scores_is_their_mean_and_deviation() -> None:
    scores = 0.1 + 0.05 * np.random.default_rng(0).standard_normal((3, 200_000))
    best = -np.sort(-scores, axis=1)[:, : codes.TAIL]
    for a, b in codes.tails_of(best.astype(np.float32), 200_000):
        assert a == pytest.approx(0.1, abs=0.01)
        assert b == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(("shards", "shortlist"), [(1, 20), (1, 60), (4, 10)])
def test_what_shortlists_keep_is_what_all_scores_say(shards: int, shortlist: int) -> None:
    rows, tail, noise, rng = 20_000, (0.1, 0.05), 0.02, np.random.default_rng(1)
    seen = []
    for _ in range(200):
        scores = np.sort(tail[0] + tail[1] * rng.standard_normal(rows))[::-1]
        owners = rng.integers(0, shards, rows)
        told = scores + noise * rng.standard_normal(rows)
        kept = 0
        for shard in range(shards):
            here = np.flatnonzero(owners == shard)
            kept += int((here[np.argsort(-told[here])[:shortlist]] < 10).sum())
        seen.append(kept / 10)
    assert 0.3 < np.mean(seen) < 0.98  # else nothing could differ
    assert kept_share(tail, noise, rows, shards, shortlist) == pytest.approx(
        np.mean(seen), abs=0.03
    )


def test_codes_without_noise_lose_nothing() -> None:
    assert kept_share((0.1, 0.05), 0.0, 10**9, 7, 10) == 1


def test_ten_times_the_rows_take_ten_times_the_codes_and_the_same_reading() -> None:
    times = MODEL.times(10**7, 200, 0)
    assert (times.find, times.read) == (pytest.approx(100.0), 0.5)
    assert times.spread == pytest.approx(math.log(2) / 1.645)


def test_lists_share_the_codes_and_are_chosen_by_their_number() -> None:
    listed = replace(MODEL, kind="ivf_rabitq")
    # 1.5 ms of codes in 16 of 1,000 lists; ten times the rows in twice the lists: five times.
    times = listed.times(10**7, 500, 16, lists=2000)
    assert times.find == pytest.approx(1.5 * 5 + 0.5 * 2)
    assert listed.encode_us(2000) == pytest.approx(20 + 30 * 2)


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
    # 8 ms of codes, and 1 us each time that a shortlist changes.
    often = {m: kept_often(m, 10**6) for m in (200, 5000)}
    timed = [replace(FLAT, shortlist=m, find_ms=8 + n / 1000) for m, n in often.items()]
    kinds = {"rabitq": replace(MODEL.parts.kinds["rabitq"], timed=timed)}
    model = replace(MODEL, parts=replace(MODEL.parts, kinds=kinds))
    assert model.keep_us == pytest.approx(1.0)
    found = model.times(10**7, 5000, 0).find
    assert found == pytest.approx(80 + kept_often(5000, 10**7) / 1000)


def test_a_setting_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="not measured with 7 and 0"):
        MODEL.times(10, 7, 0)


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
    assumed = Assumptions(picture_ms=36, record_bytes=232, cores=10, core_hour=0.1, gb_month=2,
                          disk_gb_month=0.5)  # fmt: skip
    found = replace(MODEL, assumed=assumed).predict(10**6, 200, shards=1)
    assert found.codes_gb == pytest.approx(0.056)
    assert found.disk_gb == pytest.approx(1.0)
    assert found.embed_hours == pytest.approx(10)
    assert found.build_hours == pytest.approx(20 / 3600)
    assert found.searches_s == pytest.approx(10 / 0.0105)
    assert found.month == pytest.approx(10 * 0.1 * 730 + 0.056 * 2 + 0.5)


def test_shards_are_as_many_as_the_wanted_time_asks_for() -> None:
    model = replace(MODEL, assumed=Assumptions(wanted_ms=50.5))
    assert model.predict(10**7, 200).shards == 2  # 100 ms of codes, 50 each
    assert model.predict(10**6, 200).shards == 1


def test_a_prediction_of_what_was_measured_is_right_and_another_is_told() -> None:
    own = comparison(MODEL.parts, MODEL.parts)
    assert {row[-1] for row in own.rows if " ms" in row[0]} == {"yes"}
    slower = replace(MODEL.parts.kinds["rabitq"], timed=[replace(FLAT, find_ms=20.0)])
    off = comparison(MODEL.parts, replace(MODEL.parts, kinds={"rabitq": slower}))
    assert [row[-1] for row in off.rows if "codes ms" in row[0]] == ["NO"]


def test_the_parts_that_are_shipped_are_read() -> None:
    from benchmarks.scale_simulation import PARTS

    shipped = Parts.load_file(PARTS)
    assert shipped.rows == 10**6
    assert set(shipped.kinds) == set(codes.SETTINGS)


def test_the_page_has_what_was_predicted() -> None:
    from benchmarks.scale_simulation import SIZES, predictions

    sheet = predictions(MODEL.parts, "rabitq")
    assert [row[0] for row in sheet.rows] == [f"{size:,}" for size in SIZES]
