"""`answer_requests`: what a process for a library in native code does; see `ProcessApart`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from unisem.common.frames import receive, send
from unisem.common.limits import limit_memory, limited

Answer = tuple[Any, bytes]
"""A value as JSON can hold it, and bytes."""


def answer_requests(
    opened: Callable[[bytes], None],
    tasks: Mapping[str, Callable[..., Answer]],
    faults: tuple[type[Exception], ...],
) -> None:
    """Answer what comes on standard input until there is no more.

    Args:
        opened: Takes the bytes that the tasks after it are about.
        tasks: What can be asked of them.
        faults: Errors of theirs, which are told; others end this process.
    """
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library's chatter is no answer
    limit_memory(int(sys.argv[1]))
    while True:
        try:
            request, data = receive(requests)
        except EOFError:
            return
        began = time.process_time()
        answer: dict[str, Any]
        with limited(request["seconds"], request["clock"]):
            try:
                if request["task"] == "open":
                    opened(data)
                    answer, more = {"value": None}, b""
                else:
                    value, more = tasks[request["task"]](*request["arguments"])
                    answer = {"value": value}
            except faults as error:
                answer, more = {"error": str(error)}, b""
        send(answers, answer | {"seconds": time.process_time() - began}, more)
