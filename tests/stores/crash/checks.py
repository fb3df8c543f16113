"""Whether a store is in the state that an oracle says it is in, by every way of asking."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.stores.crash.workload import IDS, query
from tests.support.oracle import BruteForce
from unisem import Record
from unisem.filters import Field
from unisem.stores import Store
from unisem.stores.selection import EVERYTHING, Selection

SELECTIONS = (
    EVERYTHING,
    Selection(modality="image"),
    Selection(filter=Field("year") >= 2003),
    Selection(source_ids=("s1", "nowhere")),
    Selection(ids=(*IDS[:4], "nobody")),
)
_K = (1, 3, 50)


def expected_records(oracle: BruteForce) -> list[Any]:
    """What `stored_records` gives for a store in this state."""
    return [_parts(embedded.record) for embedded in oracle.items.values()]


def stored_records(store: Store) -> list[Any]:
    """Every record with all its parts and its picture's bytes, in the store's order."""
    return [_parts(record) for record in store.select()]


def _parts(record: Record) -> list[Any]:
    image = None if record.image is None else record.image.read_bytes().hex()
    rest = [record.metadata, record.source_id, record.links, record.payload]
    return [record.id, record.text, image, *rest]


def assert_state(store: Store, oracle: BruteForce, seed: int = 0) -> None:
    """Compare records, vectors, counts, searches by vector and by word."""
    assert stored_records(store) == expected_records(oracle)
    assert len(store) == len(oracle.items)
    _assert_vectors(store, oracle)
    answers = searches(store, seed)
    for (selection, match, k), hits in zip(asked(), answers, strict=True):
        expected = oracle.search(query(seed), k, selection, match)
        wanted = [[record_id, kind] for record_id, _, kind in expected]
        assert [[record_id, kind] for record_id, _, kind in hits] == wanted
        scores = [score for _, score, _ in expected]
        assert np.allclose([score for _, score, _ in hits], scores, atol=1e-5)
    _assert_words(store, oracle)


def asked() -> list[tuple[Selection, Any, int]]:
    """The searches that `searches` makes."""
    return [
        (s, match, k) for s in SELECTIONS for match in ("any", "text", "image", "both") for k in _K
    ]


def searches(store: Store, seed: int) -> list[list[tuple[str, float, str]]]:
    """Id, score and matched vector of the hits of each search in `asked`."""
    return [
        [(hit.record.id, hit.score, hit.matched) for hit in store.search(vector, k, *rest)[0]]
        for selection, match, k in asked()
        for vector, rest in [(query(seed)[None], (selection, match))]
    ]


def _assert_vectors(store: Store, oracle: BruteForce) -> None:
    for record_id, stored in zip(IDS, store.vectors(IDS), strict=True):
        embedded = oracle.items.get(record_id)
        if embedded is None:
            assert stored is None
            continue
        assert stored is not None
        assert stored.keys() == embedded.vectors.keys()
        for kind, vector in embedded.vectors.items():
            assert np.array_equal(stored[kind], vector)


def _assert_words(store: Store, oracle: BruteForce) -> None:
    for common in ("common", "東京"):
        assert sorted(hit.record.id for hit in store.search_words(common, 99)) == sorted(
            oracle.items
        )
    for record_id, embedded in oracle.items.items():
        for word in (f"v{embedded.record.metadata['version']}", embedded.record.metadata["tag"]):
            assert [hit.record.id for hit in store.search_words(word, 9)] == [record_id]
