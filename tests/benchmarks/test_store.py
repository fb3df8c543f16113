"""`benchmarks.store`: its data, its judgement, and a run over a few rows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import store
from benchmarks.peers.bare_faiss import BareFaiss
from benchmarks.peers.data import ALL, SHAPES, Data, Truth, source_of
from benchmarks.peers.report import markdown
from benchmarks.peers.results import EffortPoint, Figures, QueryFigures, Results
from benchmarks.peers.spectrum import FILE, Mixture, Spectrum
from benchmarks.peers.targets import Verdict, judge


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.data.BLOCK", 300)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_arguments_give_the_same_rows(shape: str, tmp_path: Path) -> None:
    made = [Data.make(tmp_path / name, source_of(shape, 700, 48), 700, 5) for name in "ab"]
    for name in ("vectors.npy", "queries.npy", "years.npy", "categories.npy"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in "ab")
        assert one == other
    lengths = np.linalg.norm(made[0].vectors, axis=1)
    assert np.abs(lengths - 1).max() < 1e-5
    assert len(np.unique(made[0].vectors, axis=0)) == 700


def test_a_row_of_the_spectrum_is_the_same_in_any_number_of_rows(tmp_path: Path) -> None:
    few, many = (Data.make(tmp_path / str(n), source_of("spectrum", n, 0), n, 2) for n in (10, 90))
    assert np.array_equal(few.vectors, many.vectors[:10])


def test_the_file_is_small_and_its_queries_are_units() -> None:
    spectrum = Spectrum.load()
    assert FILE.stat().st_size < 1.5e6
    assert spectrum.dimension == 384
    assert np.abs(np.linalg.norm(spectrum.queries, axis=1) - 1).max() < 1e-6
    assert len(np.unique(spectrum.queries, axis=0)) == len(spectrum.queries) >= 200


def test_queries_are_far_from_pictures_and_near_to_texts() -> None:
    spectrum, rng = Spectrum.load(), np.random.default_rng(0)
    pictures = spectrum.pictures.draw(rng, 2000).mean(axis=0)
    texts = spectrum.texts.draw(rng, 2000).mean(axis=0)
    asked = spectrum.queries.mean(axis=0)
    cosines = [asked @ other / np.linalg.norm(asked) / np.linalg.norm(other)
               for other in (pictures, texts)]  # fmt: skip
    assert cosines[1] > cosines[0] + 0.2


def test_a_mixture_has_the_mean_and_the_covariance_that_it_was_fitted_to() -> None:
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.standard_normal((24, 24)))[0]
    real = rng.standard_normal((6000, 24)) * np.geomspace(1, 0.05, 24) @ turn + 0.3
    real[::2] += turn[0]
    real = (real / np.linalg.norm(real, axis=1, keepdims=True)).astype(np.float32)
    drawn = Mixture.of(real, 8).draw(rng, 20_000)
    assert np.abs(drawn.mean(axis=0) - real.mean(axis=0)).max() < 0.03
    ours, theirs = (np.linalg.eigvalsh(np.cov(each.T)) for each in (drawn, real))
    assert np.abs(ours - theirs).max() < 0.1 * theirs.max()


@pytest.mark.parametrize("kind", ["flat", "panorama", "rabitq", "ivf_rabitq", "hnsw"])
def test_bare_faiss_finds_what_is_nearest(kind: str, tmp_path: Path) -> None:
    data = Data.make(tmp_path / "data", source_of("spectrum", 2000, 0), 2000, 20)
    peer = BareFaiss(tmp_path / kind, data.vectors.shape[1], kind)
    peer.add(data.rows(0, 2000))
    peer.build()
    opened = BareFaiss(tmp_path / kind, data.vectors.shape[1], kind)
    found = [[hit.number for hit in opened.search(q, 10, None)] for q in data.queries]
    least = 1.0 if kind in ("flat", "panorama") else 0.93
    assert Truth(data).recall(found, 10, ALL) >= least


def test_truth_counts_no_hit_twice_and_none_that_the_filter_excludes(tmp_path: Path) -> None:
    data = Data.make(tmp_path, source_of("clusters", 300, 16), 300, 1)
    best = np.argsort(-(data.vectors @ data.queries[0]))[:10].tolist()
    truth = Truth(data)
    assert truth.recall([best], 10, ALL) == 1
    assert truth.recall([[best[0]] * 10], 10, ALL) == pytest.approx(0.1)


def figures(peer: str, kind: str, recall: float, ms: float, flat: float = 20.0) -> Figures:
    made = Figures(peer, kind, 100_000, 384, open_ms=50, delete_ms=[10], delete_batch=1000)
    made.queries["all"] = QueryFigures(10, recall, ms, [ms] * 3, ms, [flat] * 3)
    return made


def verdict(results: Results, start: str) -> Verdict:
    return next(each for each in judge(results) if each.wanted.startswith(start))


def test_what_is_wanted_is_judged_beside_the_flat_search_of_the_same_rounds() -> None:
    slow_hour = figures("unisem", "rabitq", 0.996, 4.0, flat=44.0)  # 11 x, whatever the hour
    results = Results({}, [figures("unisem", "flat", 1.0, 10.0), slow_hour])
    assert verdict(results, "exact").met is False
    assert verdict(results, "exact").measured.startswith("2.0 x")
    assert verdict(results, "rescored").met is True
    slow_hour.queries["all"].recall = 0.98
    assert verdict(results, "rescored").met is False


def test_a_peer_is_compared_at_its_recall_and_where_it_does_best() -> None:
    theirs = figures("lancedb", "hnsw", 0.97, 30.0)
    theirs.efforts = [EffortPoint(16, 0.80, 1.0), EffortPoint(64, 0.99, 60.0)]
    ours = [figures("unisem", "rabitq", 0.98, 1.0), figures("unisem", "flat", 1.0, 10.0)]
    found = verdict(Results({}, [theirs, *ours]), "at least 15 x faster than lancedb")
    # At .97 rabitq is 30 x faster; at .99 only flat finds as much, 6 x; .80 is no use to anyone.
    assert found.met is False
    assert found.measured.startswith("6.0 x (unisem flat")


def test_an_index_is_built_so_many_times_faster_only_if_it_finds_as_much() -> None:
    graph, codes = figures("unisem", "hnsw", 0.97, 1.0), figures("unisem", "rabitq", 0.98, 1.0)
    graph.build_seconds, codes.build_seconds = 50.0, 4.0
    results = Results({}, [graph, codes])
    assert verdict(results, "index build").met is True
    codes.queries["all"].recall = 0.96
    assert verdict(results, "index build").met is None


def test_a_reason_is_told_once_for_all_that_was_not_done() -> None:
    one = figures("usearch", "flat", 1.0, 1.0)
    one.trouble = ["filter 50 %: none", "filter 1 %: none", "delete: a mapped matrix: no"]
    told = markdown(Results({}, [one]))
    assert "- usearch flat, 100,000 rows: filter 50 %, filter 1 %: none\n" in told
    assert "- usearch flat, 100,000 rows: delete: a mapped matrix: no\n" in told


def test_a_run_goes_on_where_its_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    line = ["store", "--rows", "400", "--queries", "5", "--rounds", "1", "--peers", "faiss",
            "unisem", "--work", str(tmp_path), "--out", str(out), "--kinds"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [*line, "flat"])
    store.main()
    first = Results.load([out])
    assert [each.name for each in first.figures] == ["faiss flat", "unisem flat"]
    for each in first.figures:
        assert each.queries["all"].recall == 1
        assert each.queries["all"].speed
        assert len(each.load) == 2
    monkeypatch.setattr(sys, "argv", [*line, "flat", "hnsw"])
    store.main()
    again = Results.load([out])
    assert again.figures[:2] == first.figures
    assert [each.name for each in again.figures[2:]] == ["faiss hnsw", "unisem hnsw"]
    assert "flat was measured before" in capsys.readouterr().out
    assert not list(tmp_path.glob("store-*"))


def test_a_kind_that_the_store_has_not_is_told(tmp_path: Path) -> None:
    from benchmarks.peers.base import UnavailableError
    from benchmarks.peers.unisem_store import UniSem

    with pytest.raises(UnavailableError, match="no index of kind abacus"):
        UniSem(tmp_path, 8, "abacus")
