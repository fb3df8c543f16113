"""Whoever waits in vain for a write is told whether it may still be done."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from unisem import SemanticSpace
from unisem.service.http.access import committed
from unisem.service.mcp.jobs import BusyError, Jobs
from unisem.service.refusal import RefusedError
from unisem.service.service import Service
from unisem.service.settings import ServiceSettings


async def test_one_that_has_begun_is_not_to_be_tried_again(card_space: SemanticSpace) -> None:
    service = Service({"cards": card_space}, ServiceSettings(seconds=0.05))
    running: Future[list[int]] = Future()
    running.set_running_or_notify_cancel()
    with pytest.raises(RefusedError, match="may still be done; look") as refused:
        await committed(running, service)
    assert (refused.value.status, refused.value.retry_after) == (503, None)


async def test_one_that_has_not_begun_is_given_up(card_space: SemanticSpace) -> None:
    service = Service({"cards": card_space}, ServiceSettings(seconds=0.05))
    waiting: Future[list[int]] = Future()
    with pytest.raises(RefusedError) as refused:
        await committed(waiting, service)
    assert refused.value.retry_after == 5
    assert waiting.cancelled()


async def test_calls_of_assistants_say_whether_they_have_begun() -> None:
    jobs, hold = Jobs(1, 1, 0.05), threading.Event()
    with pytest.raises(BusyError) as begun:
        await jobs.run(lambda: hold.wait(60))
    with pytest.raises(BusyError) as waiting:
        await jobs.run(lambda: hold.wait(60))
    hold.set()
    assert (begun.value.has_begun, waiting.value.has_begun) == (True, False)
    jobs.close()
