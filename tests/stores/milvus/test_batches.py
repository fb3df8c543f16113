"""A writer that dies at any step leaves what was there before, or what it has written, whole."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.stores.contract.items import item, query
from tests.stores.milvus.conftest import opened
from tests.support.oracle import BruteForce
from unisem.errors import StoreError
from unisem.stores.milvus import MilvusStore
from unisem.stores.milvus.server import Server
from unisem.stores.selection import EVERYTHING, Selection

OLD = [item(name, n, picture=n % 2 == 0) for n, name in enumerate("abcd")]
NEW = [item(name, 10 + n, picture=n % 2 == 1) for n, name in enumerate("bcxy")]


def agree(store: MilvusStore, oracle: BruteForce) -> None:
    """The store holds and finds what the oracle does."""
    assert len(store) == len(oracle.items)
    assert [record.id for record in store.select()] == list(oracle.items)
    (hits,) = store.search(query(0)[None], 50)
    found = [(hit.record.id, hit.matched) for hit in hits]
    assert found == [(name, kind) for name, _, kind in oracle.search(query(0), 50)]
    texts = [record and record.text for record in store.get(list(oracle.items))]
    assert texts == [one.record.text for one in oracle.items.values()]


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


def steps(count: int, fast: tuple[int, ...]) -> list[Any]:
    """Each step at which a writer may die; those that are like others are slow."""
    return [
        pytest.param(step, marks=() if step in fast else pytest.mark.slow) for step in range(count)
    ]


@pytest.mark.parametrize("step", steps(8, fast=(0, 3, 4, 7)))
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
    agree(other, expected)
    monkeypatch.setattr("unisem.stores.milvus.batches._DEAD", 0)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    finished = other.tidy()
    monkeypatch.undo()
    assert finished == (0 if step in (0, 7) else 1)
    agree(other, expected)
    assert other.unfinished() == 0
    rows = other._space.server.count(other._space.vectors, '(pk != "")')
    assert rows == sum(len(one.vectors) for one in expected.items.values())
    again = [item("b", 77), item("z", 78)]
    other.add(again)
    expected.add(again)
    agree(other, expected)
    other.close()
    store.close()


@pytest.mark.parametrize("step", steps(4, fast=(0, 3)))
def test_refused(store: MilvusStore, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = both()
    store.add(OLD)
    with monkeypatch.context() as patch:
        dying_at(patch, step, StoreError("full"))
        with pytest.raises(StoreError, match="full"):
            store.add(NEW)
    agree(store, before)


def test_a_batch_that_is_being_written_is_left_alone(store: MilvusStore, place: str) -> None:
    store.add(OLD)
    server, records = store._space.server, store._space.records
    from unisem.stores.milvus.rows import own_row, rows_of

    batch = store._batches.now()
    new = item("new", 5)
    rows, vectors = rows_of(batch, 0, new, store._images)
    server.insert(records, [own_row(batch, "batch", "writing")])
    server.insert(store._space.vectors, vectors)
    server.insert(records, rows)
    before = BruteForce()
    before.add(OLD)
    agree(store, before)
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
    agree(store, before)
    assert store.tidy() == 3
    assert store.tidy() == 0
    agree(store, before)


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


@pytest.mark.parametrize("inner_is_older", [True, False])
def test_two_replace_one_record_at_once(
    store: MilvusStore, place: str, inner_is_older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(place)
    store.add([item("a", 1)])
    write = store._batches.write

    def meanwhile(batch: str, *arguments: Any) -> None:
        older = f"{int(batch[:14], 16) - 1:014x}ffffffff"
        if inner_is_older:
            monkeypatch.setattr(other._batches, "now", lambda after="": older)
        other.add([item("a", 3), item("b", 4)])
        write(batch, *arguments)

    monkeypatch.setattr(store._batches, "write", meanwhile)
    store.add([item("a", 2)])
    expected = BruteForce()
    expected.add([item("b", 4), item("a", 2)] if inner_is_older else [item("a", 3), item("b", 4)])
    for one in (store, other):
        agree(one, expected)
        assert one.tidy() == 0
    other.close()


def at_done(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Let something happen instead of the one write that makes a batch count."""
    real = Server.insert

    def insert(self: Server, collection: str, rows: Any, *, replace: bool = False) -> None:
        if [row.get("body") for row in rows] == ["done"]:
            act(lambda: real(self, collection, rows, replace=replace))
        else:
            real(self, collection, rows, replace=replace)

    monkeypatch.setattr(Server, "insert", insert)


def test_what_may_have_been_stored_is_not_taken_back(
    store: MilvusStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, after = both()
    other = opened(place)
    store.add(OLD)

    def timed_out(done: Any) -> None:
        done()
        assert other.tidy() == 1  # deletes what the batch has replaced
        raise StoreError("timed out")

    with monkeypatch.context() as patch:
        at_done(patch, timed_out)
        with pytest.raises(StoreError, match=r"timed out.*may have been stored: look before"):
            store.add(NEW)
    agree(other, after)
    other.close()


@pytest.mark.parametrize("moment", ["before", "warned", "looked"])
def test_a_writer_that_was_taken_for_dead_learns_of_it(
    store: MilvusStore, place: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = both()
    other = opened(place)
    store.add(OLD)
    searched = other._space.searched
    kept: list[Any] = []

    def taken(done: Any) -> None:
        if moment == "before":
            assert other._batches.finish(searched, dead=0) == 1
        elif moment == "warned":
            read = other._batches._markers
            first = iter([read()])
            monkeypatch.setattr(
                other._batches, "_markers", lambda: next(first, None) or [done(), read()][1]
            )
            assert other._batches.finish(searched, dead=0) == 0
            monkeypatch.setattr(other._batches, "_markers", read)
            return
        else:
            take_back = other._batches._take_back
            with monkeypatch.context() as patch:
                patch.setattr(
                    other._batches, "_take_back", lambda *given: kept.append((take_back, given))
                )
                other._batches.finish(searched, dead=0)
        done()

    with monkeypatch.context() as patch:
        at_done(patch, taken)
        with pytest.raises(StoreError, match=r"took this one for dead.*may have been stored"):
            store.add(NEW)
    for take_back, given in kept:
        take_back(*given)
    other.tidy()
    agree(other, after if moment == "warned" else before)
    other.close()


def test_a_writer_that_takes_long_is_not_taken_for_dead(
    store: MilvusStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(place)
    store.add(OLD)
    long_ago = f"{time.time_ns() // 1000 - 3_600_000_000:014x}ffffffff"
    found: list[int] = []

    def meanwhile(done: Any) -> None:
        found.append(other.tidy())
        done()

    at_done(monkeypatch, meanwhile)
    monkeypatch.setattr("unisem.stores.milvus.batches._RENEWED", 0)
    monkeypatch.setattr(store._batches, "now", lambda after="": long_ago)
    store.add([item("z", 40)])
    assert found == [0]
    assert len(other) == 5
    other.close()


@pytest.mark.parametrize("asked", ["all", "some"])
def test_a_reader_beside_a_writer(
    store: MilvusStore, place: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch counts, and what it replaces goes, after a reader has read rows."""
    before, after = both()
    other = opened(place)
    store.add(OLD)
    found: list[Any] = []

    def read_meanwhile(done: Any) -> None:
        server = store._space.server
        pages, among = server.pages, server.among
        ends = iter([lambda: (done(), other.tidy())])

        def paged(*given: Any) -> Any:
            for page in list(pages(*given)):
                next(ends, tuple)()
                yield page

        def listed(*given: Any) -> Any:
            rows = list(among(*given))
            next(ends, tuple)()
            return rows

        with monkeypatch.context() as patch:
            if asked == "all":
                patch.setattr(server, "pages", paged)
                found.extend(store.select())
            else:
                patch.setattr(server, "among", listed)
                found.extend(store.get(["b", "x"]))

    with monkeypatch.context() as patch:
        at_done(patch, read_meanwhile)
        other.add(NEW)
    if asked == "all":
        assert [one.text for one in found] == [one.record.text for one in before.items.values()]
    else:
        assert found == [after.items[name].record for name in ("b", "x")]
    agree(store, after)
    other.close()
