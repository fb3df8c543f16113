"""`Connection`: SQLite's, kept out of the hands of forked processes."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import quote

from unisem.common.forks import Carried, keep_for_ever
from unisem.errors import StoreError

PATIENCE = 30  # seconds to wait for another process


class Connection(sqlite3.Connection, Carried):
    """A connection that only the process which opened it uses and closes.

    In a forked child `execute` and `executemany` refuse and `close` does nothing: were the child
    to close the file, the parent would lose its locks. One in memory is a copy, which the child
    may use.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_ours = True
        self.in_memory = False
        self.follow_forks()

    def begin_anew(self) -> None:
        """See `Carried`."""
        keep_for_ever(self)
        self.is_ours = self.in_memory
        if not self.is_ours:  # in the child only, so that no other call pays for the question
            vars(self).update(execute=_refuse, executemany=_refuse)

    def close(self) -> None:
        """As `sqlite3.Connection.close`, in the process that opened the file."""
        if self.is_ours:
            super().close()


def _refuse(*_: object) -> NoReturn:
    raise StoreError(
        "this reading began in another process, which forked; begin it anew in this one"
    )


def connect(
    path: Path | None, how: Literal["create", "write", "read", "frozen"] = "create"
) -> Connection:
    """Open a file, in whichever locale, or a database in memory if there is no path.

    Args:
        path: The file.
        how: ``"create"`` it if it is missing; ``"write"`` to one that is there; only ``"read"``;
            or ``"frozen"``: nobody writes, and nothing can be written beside it.
    """
    options = {"create": "mode=rwc", "write": "mode=rw", "read": "mode=ro", "frozen": "immutable=1"}
    name = ":memory:"
    if path is not None:
        name = f"file:{quote(os.fsencode(path.absolute()))}?{options[how]}"
    connection = sqlite3.connect(
        name,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=PATIENCE,
        factory=Connection,
    )
    connection.in_memory = path is None
    return connection
