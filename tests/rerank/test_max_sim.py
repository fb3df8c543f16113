"""MaxSim and its eight bits against the formulas in loops, and Ward's pooling against Lance's."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from unisem.errors import RerankerError
from unisem.rerank import max_sim as module
from unisem.rerank.int8_vectors import Int8Form, Int8Vectors
from unisem.rerank.max_sim import max_sim


def by_hand(query: np.ndarray, document: np.ndarray) -> float:
    """The definition, in loops and double precision."""
    if not len(document):
        return math.nan
    return sum(
        max(sum(float(a) * float(b) for a, b in zip(one, other, strict=True)) for other in document)
        for one in query
    )


def units(generator: np.random.Generator, count: int, width: int = 12) -> np.ndarray:
    rows = generator.normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("at_once", [1, 9, 65_536])
def test_max_sim_is_the_definition(
    generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    query = units(generator, 5)
    documents = [[units(generator, n)] for n in (1, 7, 0, 30, 0, 2)]
    documents.append([units(generator, 3), units(generator, 4)])  # a picture and its caption
    documents.append([documents[3][0], documents[3][0]])  # ties
    documents.append([])
    documents.append([-np.abs(query[:1])])  # what is least alike is below none at all
    expected = [
        by_hand(query, np.concatenate([*parts, units(generator, 0)])) for parts in documents
    ]
    found = max_sim(query, documents)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[3] == found[7]
    assert np.isnan(found).tolist() == [n in (2, 4, 8) for n in range(10)]
    assert max_sim(query, []).shape == (0,)


def test_kept_vectors_are_compared_as_what_they_say(generator: np.random.Generator) -> None:
    query = units(generator, 6)
    documents = [3 * units(generator, n) for n in (4, 1, 9, 0)]
    kept = [Int8Vectors.of(vectors) for vectors in documents]
    mixed = [[kept[0]], [documents[1]], [kept[2], documents[0]], [kept[3]], [kept[1], kept[2]]]
    whole = [
        kept[0].whole(),
        documents[1],
        np.concatenate([kept[2].whole(), documents[0]]),
        kept[3].whole(),
        np.concatenate([kept[1].whole(), kept[2].whole()]),
    ]
    expected = [by_hand(query, vectors) for vectors in whole]
    np.testing.assert_allclose(max_sim(query, mixed), expected, atol=1e-5)


def test_eight_bits_are_off_by_half_a_step(generator: np.random.Generator) -> None:
    vectors = units(generator, 50)
    vectors[7] = 0
    kept = Int8Vectors.of(vectors)
    steps = np.abs(vectors).max(axis=1) / 127
    np.testing.assert_allclose(kept.scales, steps, rtol=1e-6)
    assert (np.abs(kept.whole() - vectors) <= steps[:, None] / 2 + 1e-7).all()
    assert np.abs(kept.codes).max(axis=1).tolist() == [0 if n == 7 else 127 for n in range(50)]
    form = Int8Form()
    content = form.packed(vectors)
    assert len(content) == 2 + 50 * (12 + 4)
    read = form.unpacked(content)
    assert read is not None
    np.testing.assert_array_equal(read.whole(), kept.whole())
    nothing = form.unpacked(form.packed(vectors[:0]))
    assert nothing is not None
    assert (len(nothing), nothing.width) == (0, 12)


def test_what_is_no_vector_is_refused(generator: np.random.Generator) -> None:
    vectors, form = units(generator, 4), Int8Form()
    content = form.packed(vectors)
    bad_scale = content[:2] + struct.pack("<f", math.inf) + content[6:]
    large_scale = content[:2] + struct.pack("<f", 1e30) + content[6:]
    for wrong in (b"", b"\1", b"\0\0", content[:-1], content + b"\0", bad_scale, large_scale):
        assert form.unpacked(wrong) is None
    vectors[1, 2] = np.nan
    with pytest.raises(RerankerError, match="not finite"):
        form.packed(vectors)
    with pytest.raises(RerankerError, match="more than the 2,097,152"):
        form.packed(np.zeros((20_000, 128), np.float32))
    with pytest.raises(RerankerError, match="not of length 1"):
        Int8Form(2).packed(3 * units(generator, 4))
    for factor in (0, 1001, 1.5, True):
        with pytest.raises(ValueError, match="pool_factor"):
            Int8Form(factor)  # type: ignore[arg-type]


def clustered(vectors: np.ndarray, count: int) -> list[list[int]]:
    """Ward's clusters by cosine distance, by Lance and Williams' recurrence, in loops."""
    clusters = [[n] for n in range(len(vectors))]
    distances = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    apart = {
        (i, j): distances[i, j] for i in range(len(vectors)) for j in range(len(vectors)) if i != j
    }
    alive = list(range(len(vectors)))
    while len(alive) > count:
        i, j = min(((i, j) for i in alive for j in alive if i < j), key=lambda pair: apart[pair])
        for k in set(alive) - {i, j}:
            sizes = len(clusters[i]), len(clusters[j]), len(clusters[k])
            total = sum(sizes)
            new = math.sqrt(
                (sizes[0] + sizes[2]) / total * apart[i, k] ** 2
                + (sizes[1] + sizes[2]) / total * apart[j, k] ** 2
                - sizes[2] / total * apart[i, j] ** 2
            )
            apart[i, k] = apart[k, i] = new
        clusters[i] += clusters[j]
        alive.remove(j)
    return [clusters[n] for n in alive]


@pytest.mark.parametrize("factor", [1, 2, 3, 50])
def test_pooling_is_the_mean_of_wards_clusters(generator: np.random.Generator, factor: int) -> None:
    vectors = units(generator, 20)
    clusters = clustered(vectors, max(20 // factor, 1))
    expected = np.array([vectors[places].mean(axis=0) for places in clusters])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = Int8Form(factor).formed(vectors).whole()
    assert len(found) == len(expected)
    nearest = (found @ expected.T).argmax(axis=1)
    assert sorted(nearest.tolist()) == list(range(len(expected)))
    np.testing.assert_allclose(found, expected[nearest], atol=0.01)
    assert len(Int8Form(factor).formed(vectors[:1])) == 1
    assert len(Int8Form(factor).formed(vectors[:0])) == 0
