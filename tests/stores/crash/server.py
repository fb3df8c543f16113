"""A program that imports everything once and then forks writers, which are killed, and readers.

One JSON command a line on standard input, answers likewise on standard output. Every line is one
`os.write`, so a killed writer's last acknowledgement is there whole or not at all.

* ``{"write": directory, "seed": s, "first": n, "count": c, "deadly": [operation, step] | null}``
  forks a writer, which answers ``pid``, then ``done`` for each finished operation, then ``idle``,
  and waits to be killed. When it is dead the server answers ``status``.
* ``{"read": directory, "seed": s}`` searches through a store that stays open in this process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.stores.crash import steps
from tests.stores.crash.checks import searches, stored_records
from tests.stores.crash.workload import open_store, operation, perform, picture
from unisem.stores.faiss import FaissStore, unerased


def main() -> None:
    """Serve until standard input ends."""
    readers: dict[str, FaissStore] = {}
    picture(0)  # Pillow's plugins are imported once, here
    for line in sys.stdin:
        command = json.loads(line)
        if "write" in command:
            child = os.fork()
            if not child:
                _write(command)
            _, status = os.waitpid(child, 0)
            _say(status=status)
        else:
            directory = command["read"]
            if directory not in readers:
                readers[directory] = open_store(Path(directory))
            store = readers[directory]
            _say(records=stored_records(store), searches=searches(store, command["seed"]))


def _write(command: dict[str, Any]) -> None:
    if command["seed"] % 2:  # all removed records may wait to be erased; else hardly any
        unerased._SHARE = 1
    try:
        _work(command)
    except BaseException:  # noqa: BLE001 - the controller shows it
        _say(failure=traceback.format_exc())
    finally:
        os._exit(1)


def _work(command: dict[str, Any]) -> None:
    _say(pid=os.getpid())
    counter = steps.install()
    directory, first = Path(command["write"]), command["first"]
    deadly_operation, deadly_step = command["deadly"] or (None, None)
    store = None
    for number in range(first, first + command["count"]):
        counter.start(deadly_step if number == deadly_operation else None)
        if store is None:
            store = open_store(directory)  # belongs to the first operation
        store = perform(store, directory, operation(command["seed"], number))
        _say(done=number, steps=counter.stop())
    _say(idle=True)
    signal.pause()


def _say(**answer: Any) -> None:
    line = json.dumps(answer).encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    main()
