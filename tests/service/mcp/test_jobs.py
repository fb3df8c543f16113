"""Calls that wait, are given up, come in crowds or take too long; none costs the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.mcp.conftest import Connect
from unisem import SemanticSpace
from unisem.service.mcp.jobs import BusyError, Jobs

RED = {"text": "a red card", "k": 1}


class Gate:
    """Holds searches until it is opened; knows how many have come."""

    def __init__(self, search: Callable[..., Any]) -> None:
        self._search = search
        self._open = threading.Event()
        self.came = threading.Semaphore(0)
        self.count = 0

    def __call__(self, *given: Any) -> Any:
        self.count += 1
        self.came.release()
        assert self._open.wait(60)
        return self._search(*given)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate(card_space.store.search)
    monkeypatch.setattr(card_space.store, "search", made)
    yield made
    made.open()


async def at_the_gate(gate: Gate) -> None:
    await asyncio.to_thread(gate.came.acquire)


async def test_a_call_that_is_given_up_costs_the_others_nothing(
    connect: Connect, gate: Gate
) -> None:
    async with connect() as client:
        given_up = asyncio.create_task(client.call_tool("search", RED))
        await at_the_gate(gate)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        gate.open()
        assert not (await client.call_tool("search", RED)).is_error


async def test_a_crowd_is_told_to_come_again_and_those_before_it_are_answered(
    connect: Connect, gate: Gate
) -> None:
    async with connect(threads=1, queue=2) as client:
        calls = [asyncio.create_task(client.call_tool("search", RED)) for _ in range(6)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 3:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert {task.result().content[0].text for task in done} == {
            "The server is busy. Try again in a few seconds."
        }
        gate.open()
        for task in waiting:
            assert not (await task).is_error
        assert not (await client.call_tool("search", RED)).is_error


async def test_a_call_that_takes_too_long_is_an_error_that_says_so(
    connect: Connect, gate: Gate
) -> None:
    async with connect(seconds=0.2) as client:
        result = await client.call_tool("search", RED)
    assert result.is_error
    assert result.content[0].text.startswith("This took longer than 0.2 seconds")


async def test_what_is_given_up_while_it_waits_never_begins() -> None:
    jobs, hold, begun = Jobs(1, 8, 60), threading.Event(), list[str]()

    def first() -> None:
        begun.append("first")
        assert hold.wait(60)

    busy = asyncio.create_task(jobs.run(first))
    while not begun:
        await asyncio.sleep(0)
    given_up = asyncio.create_task(jobs.run(lambda: begun.append("given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    later = asyncio.create_task(jobs.run(lambda: begun.append("later")))
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(busy, later)
    assert begun == ["first", "later"]
    jobs.close()


async def test_threads_that_nobody_waits_for_are_counted_until_they_end() -> None:
    jobs, hold, begun = Jobs(2, 0, 0.05), threading.Event(), list[str]()

    def held() -> None:
        begun.append("one")
        assert hold.wait(60)

    while len(begun) < 2:  # what has not begun in time never does
        with pytest.raises(BusyError):
            await jobs.run(held)
    with pytest.raises(BusyError, match="is busy"):
        await jobs.run(lambda: None)
    hold.set()
    while True:  # the threads come back
        try:
            assert await jobs.run(lambda: 7) == 7
            break
        except BusyError:
            await asyncio.sleep(0.01)
    jobs.close()


async def test_errors_of_a_call_are_its_own() -> None:
    def failing() -> None:
        raise TimeoutError("of the disk")

    jobs = Jobs(1, 0, 60)
    with pytest.raises(TimeoutError, match="of the disk"):
        await jobs.run(failing)
    jobs.close()
