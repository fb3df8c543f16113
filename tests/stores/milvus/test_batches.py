"""A writer that dies at any step leaves what was there before, or what it has written, whole."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.stores.contract.items import assert_agree, item
from tests.stores.milvus.conftest import opened
from tests.support.oracle import BruteForce
from unisem.errors import StoreError
from unisem.stores.milvus import MilvusStore
from unisem.stores.milvus.server import Server
from unisem.stores.selection import EVERYTHING, Selection

OLD = [item(name, n, picture=n % 2 == 0) for n, name in enumerate("abcd")]
NEW = [item(name, 10 + n, picture=n % 2 == 1) for n, name in enumerate("bcxy")]


class DiedError(BaseException):
    """The process is gone: nothing that comes later happens."""


def dying_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> list[str]:
    """Let the writes of a server fail from the given one on."""
    steps: list[str] = []

    def watched(name: str) -> Any:
        real = getattr(Server, name)

        def call(self: Server, *arguments: Any, **named: Any) -> None:
            steps.append(name)
            if len(steps) > step:
                raise error
            real(self, *arguments, **named)

        return call

    for name in ("insert", "remove"):
        monkeypatch.setattr(Server, name, watched(name))
    return steps


def both() -> tuple[BruteForce, BruteForce]:
    before, after = BruteForce(), BruteForce()
    before.add(OLD)
    after.add(OLD)
    after.add(NEW)
    return before, after


@pytest.mark.parametrize("step", range(8))
def test_killed(place: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = both()
    store = opened(place)
    store.add(OLD)
    with monkeypatch.context() as patch:
        steps = dying_at(patch, step, DiedError())
        if step < 7:
            with pytest.raises(DiedError):
                store.add(NEW)
        else:
            store.add(NEW)
    # marker, vectors, records, done | vectors and records that were replaced, marker
    assert step < 4 or steps[:4] == ["insert"] * 4
    expected = before if step < 4 else after
    other = opened(place)
    assert_agree(other, expected)
    monkeypatch.setattr("unisem.stores.milvus.batches._DEAD", 0)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    finished = other.tidy()
    monkeypatch.undo()
    assert finished == (0 if step in (0, 7) else 1)
    assert_agree(other, expected)
    assert other.unfinished() == 0
    rows = other._space.server.count(other._space.vectors, '(pk != "")')
    assert rows == sum(len(one.vectors) for one in expected.items.values())
    again = [item("b", 77), item("z", 78)]
    other.add(again)
    expected.add(again)
    assert_agree(other, expected)
    other.close()
    store.close()


@pytest.mark.parametrize("step", range(4))
def test_refused(store: MilvusStore, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = both()
    store.add(OLD)
    with monkeypatch.context() as patch:
        dying_at(patch, step, StoreError("full"))
        with pytest.raises(StoreError, match="full"):
            store.add(NEW)
    assert_agree(store, before)


def test_a_batch_that_is_being_written_is_left_alone(store: MilvusStore, place: str) -> None:
    store.add(OLD)
    server, records = store._space.server, store._space.records
    from unisem.stores.milvus.rows import own_row, rows_of, words_of

    batch = store._batches.now()
    new = item("new", 5)
    rows, vectors = rows_of(batch, 0, new, words_of("x", {}), store._images)
    server.insert(records, [own_row(batch, "batch", "writing")])
    server.insert(store._space.vectors, vectors)
    server.insert(records, rows)
    before = BruteForce()
    before.add(OLD)
    assert_agree(store, before)
    assert store.tidy() == 0
    server.remove(records, [batch])
    assert [record.id for record in store.select(EVERYTHING)] == [*"abcd", "new"]


def test_a_deletion_that_dies_leaves_nothing_that_is_found(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = both()
    store.add(OLD)
    with monkeypatch.context() as patch:
        dying_at(patch, 1, DiedError())
        with pytest.raises(DiedError):
            store.delete(Selection(ids=("a", "b")))
    before.delete(Selection(ids=("a", "b")))
    assert_agree(store, before)
    assert store.tidy() == 3
    assert store.tidy() == 0
    assert_agree(store, before)


def test_two_write_at_once(store: MilvusStore, place: str) -> None:
    other = opened(place)
    for n in range(4):
        store.add([item(f"s{n}", n), item("shared", n)])
        other.add([item(f"o{n}", n), item("shared", 50 + n)])
    assert len(store) == len(other) == 9
    assert store.get(["shared"]) == other.get(["shared"]) == [item("shared", 53).record]
    assert store.delete(EVERYTHING) == 9
    assert len(other) == 0
    other.close()
