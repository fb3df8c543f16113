"""Counts the steps of whatever the store does to its files, and kills the process at one of them.

For the child process only: it replaces what the store calls (SQLite's statements, fsync, rename,
unlink, the writing of files) by wrappers. A step is a moment before a call, after it, or, where
bytes are written, halfway through.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from unisem.stores.faiss.connection import Connection


class Steps:
    """The counter.

    Attributes:
        names: What the steps were, in order, since `start`.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._deadly: int | None = None
        self._counting = False

    def start(self, deadly: int | None) -> None:
        """Count from here.

        Args:
            deadly: Which step, from 0, is this process's last; ``None`` for none.
        """
        self.names, self._deadly, self._counting = [], deadly, True

    def stop(self) -> list[str]:
        """Count no longer; return the steps."""
        self._counting = False
        return self.names

    def pass_(self, name: str) -> None:
        """A step."""
        if not self._counting:
            return
        if len(self.names) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    @property
    def is_next_deadly(self) -> bool:
        """Whether the process will not survive the next step."""
        return self._counting and len(self.names) == self._deadly

    def around(self, owner: Any, attribute: str, label: str) -> None:
        """Make a step before and one after each call of a function."""
        function = getattr(owner, attribute)

        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.pass_(f"before {label}")
            result = function(*args, **kwargs)
            self.pass_(f"after {label}")
            return result

        setattr(owner, attribute, stepping)

    def halfway(self, owner: Any, attribute: str, label: str, torn: Callable[..., None]) -> None:
        """Make another step inside a call that writes: ``torn`` writes a part of it."""
        function = getattr(owner, attribute)

        def stepping(*args: Any, **kwargs: Any) -> Any:
            if self.is_next_deadly:
                torn(*args, **kwargs)
            self.pass_(f"inside {label}")
            return function(*args, **kwargs)

        setattr(owner, attribute, stepping)


def install() -> Steps:
    """Replace what the store calls, in this process."""
    steps = Steps()
    steps.halfway(faiss, "write_index", "write_index", _half_an_index)
    steps.halfway(np, "save", "np.save", _half_an_array)
    steps.halfway(Path, "write_text", "write_text", _half_a_text)
    for owner, name in (
        (faiss, "write_index"),
        (np, "save"),
        (os, "fsync"),
        (os, "utime"),
        (Path, "write_text"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "mkdir"),
    ):
        steps.around(owner, name, name)
    connect = sqlite3.connect

    def stepping_connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs | {"factory": _SteppingConnection})
        connection.steps = steps
        return connection

    sqlite3.connect = stepping_connect  # type: ignore[assignment]
    return steps


class _SteppingConnection(Connection):
    steps: Steps

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        label = " ".join(sql.split()[:3])
        reads = label.startswith(("SELECT", "PRAGMA data_version"))
        if not reads:
            self.steps.pass_(f"before {label}")
        cursor = super().execute(sql, *args)
        if not reads:
            self.steps.pass_(f"after {label}")
        return cursor

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        label = " ".join(sql.split()[:3])

        def stepping() -> Any:
            for row in rows:
                self.steps.pass_(f"inside {label}")
                yield row

        return super().executemany(sql, stepping())

    def close(self) -> None:
        self.steps.pass_("before close")
        super().close()
        self.steps.pass_("after close")


def _half_an_index(index: Any, path: str) -> None:
    Path(path).write_bytes(bytes(faiss.serialize_index(index)[:40]))


def _half_an_array(file: Any, array: Any, **_: Any) -> None:
    file.write(b"\x93NUMPY\x01\x00")
    file.flush()


def _half_a_text(path: Path, text: str, **_: Any) -> None:
    path.write_bytes(text.encode()[: len(text) // 2])
