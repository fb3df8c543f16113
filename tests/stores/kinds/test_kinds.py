"""Every kind of index beside brute force: found, filtered, written, opened, measured."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from unisem.records import Vector
from unisem.stores.faiss import exact_scan
from unisem.stores.faiss.exact_scan import TOGETHER
from unisem.stores.faiss.index_settings import KINDS, IndexSettings
from unisem.stores.faiss.kinds import building, flat, ivf_pq, tuning
from unisem.stores.faiss.kinds.flat import Rounded, build_flat
from unisem.stores.faiss.kinds.ivf_pq import IvfPQ
from unisem.stores.faiss.kinds.rotation import Rotation
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.raw_file import Precision, RawFile
from unisem.stores.faiss.segment import Segment

ROWS, DIMENSION, K = 6_000, 65, 10  # a length that nothing divides, as calibrated vectors have
Eligible = np.ndarray | None


def drawn(rows: int, dimension: int) -> tuple[Vector, Vector]:
    """Vectors that vary most in a few directions, as a model's do, and queries like them."""
    rng = np.random.default_rng(7)
    spread = 1 / np.sqrt(1 + np.arange(dimension))
    found = (rng.standard_normal((rows + 40, dimension)) * spread).astype(np.float32)
    found += 0.3
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found[:rows], np.ascontiguousarray(found[rows:])


@cache
def corpus() -> tuple[Vector, Vector]:
    """A few of them."""
    return drawn(ROWS, DIMENSION)


IDS = np.arange(ROWS, dtype=np.int64) << 12 | (np.arange(ROWS) % 5 < 2)  # some are pictures'
SHARES: dict[str, Eligible] = {
    "all": None,
    "half": np.random.default_rng(1).random(ROWS) < 0.5,
    "tenth": np.random.default_rng(2).random(ROWS) < 0.1,
    "few": np.random.default_rng(3).random(ROWS) < 0.01,
}


@pytest.fixture(scope="module", autouse=True)
def small() -> object:
    """What pays from 10,000 vectors on is used for these."""
    patch = pytest.MonkeyPatch()
    patch.setattr(flat, "PAYS_FROM", 1000)
    yield
    patch.undo()


@pytest.fixture(scope="module", params=KINDS)
def segment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Segment:
    """Built, written, and mapped."""
    built = Segment.build(
        request.param, corpus()[0], IDS, Moment("e", 1), None, IndexSettings(request.param)
    )
    mapped = built.saved(tmp_path_factory.mktemp(request.param))
    assert mapped is not built
    assert mapped.kind == built.kind == request.param
    assert mapped.tuning == built.tuning
    return mapped


def nearest(queries: Vector, eligible: Eligible, fetch: int) -> np.ndarray:
    products = queries.astype(np.float64) @ corpus()[0].astype(np.float64).T
    if eligible is not None:
        products[:, ~eligible] = -np.inf
    return np.argsort(-products, axis=1)[:, :fetch]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", [1, 40])
def test_what_is_found(segment: Segment, share: str, count: int) -> None:
    eligible, queries = SHARES[share], corpus()[1][:count]
    able = ROWS if eligible is None else int(eligible.sum())
    expected = nearest(queries, eligible, K)
    found = segment.search(queries, K, eligible, able)
    recalls = []
    for query, (scores, places), true in zip(queries, found, expected, strict=True):
        assert len(set(places.tolist())) == K
        assert eligible is None or eligible[places].all()
        assert np.all(np.diff(scores) <= 0)
        np.testing.assert_allclose(scores, corpus()[0][places] @ query, atol=1e-6)
        recalls.append(np.isin(true, places).mean())
    least = 0.97 if count > 1 else 0.7  # one query may be an unlucky one
    assert np.mean(recalls) >= (1 if segment.kind == "flat" or share == "few" else least)


def test_all_that_there_are_are_found(segment: Segment) -> None:
    eligible = SHARES["half"]
    able = int(eligible.sum())  # type: ignore[union-attr]
    (found,) = segment.search(corpus()[1][:1], ROWS, eligible, able)
    assert sorted(found[1].tolist()) == np.flatnonzero(eligible).tolist()  # type: ignore[arg-type]
    ((scores, places),) = segment.search(corpus()[1][:1], 5, np.zeros(ROWS, np.bool_), 0)
    assert (len(scores), len(places)) == (0, 0)


def test_what_may_be_found_is_far_from_the_query(segment: Segment) -> None:
    """A filter that leaves only what is least like the query: lists and codes tell little of it."""
    shares = []
    for query in corpus()[1]:
        eligible = np.zeros(ROWS, np.bool_)
        eligible[nearest(query[None], None, ROWS)[0, -ROWS // 2 :]] = True
        ((_, places),) = segment.search(query[None], K, eligible, ROWS // 2)
        assert eligible[places].all()
        shares.append(np.isin(nearest(query[None], eligible, K)[0], places).mean())
    print(f"{segment.kind}: {np.mean(shares):.2f}")
    assert np.mean(shares) >= {"flat": 1, "ivf_pq": 0.95, "hnsw": 0.1}[segment.kind]


@pytest.mark.parametrize("fetch", [200, 600, 2_000])
def test_no_less_is_found_where_much_is_asked_for(segment: Segment, fetch: int) -> None:
    queries = corpus()[1][:10]
    found = segment.search(queries, fetch, None, ROWS)
    shares = [
        np.isin(true, places).mean()
        for true, (_, places) in zip(nearest(queries, None, fetch), found, strict=True)
    ]
    assert np.mean(shares) >= (0.97 if segment.kind == "hnsw" else 0.99)


@pytest.fixture(scope="module")
def large() -> tuple[Segment, Vector, Vector]:
    """Lists of 40,000 vectors, the vectors, and queries."""
    rows, queries = drawn(40_000, 128)
    numbers = np.arange(len(rows), dtype=np.int64)
    settings = IndexSettings("ivf_pq")
    ids = numbers << 12 | (numbers % 5 < 2)
    built = Segment.build("ivf_pq", rows, ids, Moment("e", 1), None, settings)
    return built, rows, queries[:20]


@pytest.mark.parametrize(("fetch", "least"), [(500, 0.99), (2_000, 1), (6_000, 1)])
def test_no_less_is_found_of_many_vectors(
    large: tuple[Segment, Vector, Vector], fetch: int, least: float
) -> None:
    """What is measured is of the ten nearest: in as many lists only .93 of 6,000 were found."""
    segment, rows, queries = large
    found = segment.search(queries, fetch, None, len(rows))
    nearest_ones = np.argsort(-(queries @ rows.T), axis=1)[:, :fetch]
    shares = [
        np.isin(true, places).mean() for true, (_, places) in zip(nearest_ones, found, strict=True)
    ]
    assert np.mean(shares) >= least


def test_rounding_misses_none_of_many_that_tie() -> None:
    rows = np.repeat(corpus()[0][:1500], 4, axis=0)
    index = build_flat(RawFile.of(rows))
    assert isinstance(index, Rounded)
    for eligible in (None, SHARES["half"]):
        able = ROWS if eligible is None else int(eligible.sum())
        for query in corpus()[1][:10]:
            products = rows @ query
            if eligible is not None:
                products[~eligible] = -2
            ((scores, _),) = index.search(query[None], 50, eligible, able, IndexSettings())
            np.testing.assert_allclose(scores, np.sort(products)[:-51:-1], atol=2e-6)


@pytest.mark.parametrize("alike", [100, 500, 4000])
def test_rounding_misses_none_of_many_that_round_alike(alike: int) -> None:
    """Vectors nearer to each other than a step, and to the query than all others."""
    rows, query = corpus()[0].copy(), corpus()[1][0]
    rng = np.random.default_rng(4)
    rows[:alike] = query + 2e-3 * rng.standard_normal((alike, DIMENSION)).astype(np.float32)
    rows[:alike] /= np.linalg.norm(rows[:alike], axis=1, keepdims=True)
    index = build_flat(RawFile.of(rows))
    assert isinstance(index, Rounded)
    products = rows.astype(np.float64) @ query.astype(np.float64)
    ((_, places),) = index.search(query[None], 18, None, ROWS, IndexSettings())
    np.testing.assert_allclose(products[places], np.sort(products)[:-19:-1], atol=1e-7)


def test_a_copy_is_made_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = RawFile.of(corpus()[0])
    assert isinstance(build_flat(vectors), Rounded)
    monkeypatch.setattr(flat, "PAYS_FROM", ROWS + 1)
    assert not build_flat(vectors).has_file


def test_a_batch_finds_what_each_of_it_finds(segment: Segment) -> None:
    queries = corpus()[1][: TOGETHER + 2]
    together = segment.search(queries, K, None, ROWS)
    for number, (scores, places) in enumerate(together):
        ((alone, at),) = segment.search(queries[number : number + 1], K, None, ROWS)
        np.testing.assert_allclose(scores, alone, atol=1e-6)
        assert places.tolist() == at.tolist()


def test_more_is_looked_at_where_less_is_found() -> None:
    """What the index says that it finds, it finds of others; vectors without order need more."""
    settings = IndexSettings("ivf_pq")
    ordered = Segment.build("ivf_pq", corpus()[0], IDS, Moment("e", 1), None, settings)
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((ROWS, DIMENSION)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    scattered = Segment.build("ivf_pq", drawn, IDS, Moment("e", 1), None, settings)
    assert ordered.tuning is not None
    assert scattered.tuning is not None
    assert set(ordered.tuning.recalls) == {"texts", "pictures", "pictures for texts"}
    for made in (ordered.tuning, scattered.tuning):
        assert made.is_enough
        assert min(made.recalls.values()) >= 0.99
    easy, hard = (it.probes * it.oversampling for it in (ordered.tuning, scattered.tuning))
    assert easy < hard
    assert f"{ordered.tuning.probes} lists are looked at" in ordered.tuning.described


def test_no_quicker_way_finds_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside every way that is tried: of those that find enough, the least is taken."""
    for name, value in (("_EACH", 16), ("_ENOUGH", 0.93), ("_ENOUGH_APART", 0.9)):
        monkeypatch.setattr(tuning, name, value)
    monkeypatch.setattr(ivf_pq, "_PROBES", (4, 16, 48))
    vectors = RawFile.of(corpus()[0])
    samples = tuning.samples_of(vectors, IDS, corpus()[0], None)
    index = IvfPQ.build(vectors, samples)
    ways = [
        ivf_pq._least(index, replace(index.tuning, probes=probes), samples)
        for probes in (4, 16, 48, index.lists)
    ]
    efforts = [index.effort_of(way) for way in ways if way.is_enough]
    assert len(efforts) > 1
    assert index.effort_of(index.tuning) == min(efforts)


def test_codes_of_few_vectors_are_not_asked() -> None:
    """There is nothing to measure on what they need, so all vectors are compared."""
    rows = corpus()[0][:1_900]
    index = IvfPQ.build(RawFile.of(rows), [])
    for query in corpus()[1]:
        ((_, places),) = index.search(query[None], K, None, len(rows), IndexSettings("ivf_pq"))
        assert places.tolist() == np.argsort(-(rows @ query))[:K].tolist()


def test_one_record_may_own_every_vector() -> None:
    """Nothing is left that its own could be asked to find."""
    rows = corpus()[0][:2_040]
    ids = np.sort(np.arange(len(rows)) << 1 | (np.arange(len(rows)) % 3 == 0))
    for owners in (ids, np.append(ids[:-1], 1 << 12)):  # of two records, one has all but one
        made = Segment.build("ivf_pq", rows, owners, Moment("e", 1), None, IndexSettings("ivf_pq"))
        assert made.tuning is not None
        assert not np.isnan(list(made.tuning.recalls.values())).any()
        ((_, places),) = made.search(corpus()[1][:1], K, None, len(rows))
        assert len(set(places.tolist())) == K


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_many_likely_ones_are_copied_by_blocks_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    vectors, most = RawFile.of(corpus()[0], precision), 0
    read = vectors.at

    def counted(positions: np.ndarray) -> Vector:
        nonlocal most
        most = max(most, len(positions))
        return read(positions)

    monkeypatch.setattr(vectors, "at", counted)
    monkeypatch.setattr(exact_scan, "_CHUNK", 100 * 4 * DIMENSION)
    query, positions = corpus()[1][0], np.arange(0, ROWS, 2)
    scores, places = exact_scan.nearest_of(vectors, query, positions, 2_500)
    assert most == (100 if precision == "float16" else 0)
    np.testing.assert_allclose(scores, np.sort(read(positions) @ query)[:-2_501:-1], atol=1e-6)
    assert set(places.tolist()) <= set(positions.tolist())


def test_turned_vectors_have_the_products_of_the_vectors() -> None:
    """An odd number of components becomes an even one; pairs vary alike, their two do not."""
    turned = Rotation.in_pairs(corpus()[0]).of(corpus()[0])
    assert turned.shape == (ROWS, DIMENSION + 1)
    np.testing.assert_allclose(turned[:50] @ turned.T, corpus()[0][:50] @ corpus()[0].T, atol=1e-5)
    varied = turned.var(axis=0)
    assert varied[0::2].mean() > 3 * varied[1::2].mean()


def test_the_kind_is_chosen_by_size_and_by_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen() -> tuple[str, str]:
        made = Segment.build("auto", corpus()[0], IDS, Moment("e", 1), None, IndexSettings())
        assert made.reason is not None
        return made.kind, made.reason

    assert chosen() == ("flat", "6,000 vectors are scanned exactly in milliseconds")
    monkeypatch.setattr("unisem.stores.faiss.index_settings.EXACT_UP_TO", 5000)
    kind, reason = chosen()
    assert kind == "ivf_pq"
    assert "recall@10 " in reason
    assert "of pictures for texts" in reason
    assert "on 192 held-out queries" in reason
    monkeypatch.setattr(tuning, "_ENOUGH", 1.1)
    kind, reason = chosen()
    assert kind == "flat"
    assert reason.startswith("nothing else finds; ivf_pq had recall@10")


def test_a_file_of_another_index_is_refused(tmp_path: Path) -> None:
    vectors = RawFile.of(corpus()[0])
    index = IvfPQ.build(vectors, [])
    with (tmp_path / "i").open("wb") as file:
        index.write(file)
    for kind in KINDS:
        if kind != "ivf_pq":
            with pytest.raises((ValueError, TypeError, RuntimeError)):
                building.opened_index(kind, tmp_path / "i", vectors, index.tuning)
    with pytest.raises(ValueError, match="other vectors"):
        IvfPQ.opened(tmp_path / "i", RawFile.of(corpus()[0][:-1]), index.tuning)
    with pytest.raises(ValueError, match="no index of the kind"):
        building.opened_index("sq8", tmp_path / "i", vectors, index.tuning)
