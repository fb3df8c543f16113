"""`GraphSource`: where entities, relations and mentions come from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from unisem.errors import GraphError
from unisem.stores.graph import Entity, Mention, Relation


class GraphSource:
    """Gives what a graph is made of, one thing after the other, so that it need not be in memory.

    Each of the three may be asked for again, and then gives the same. What is wrong with a source
    is a `GraphError` that names the file and the line; a graph that was being filled from it is as
    it was before. `KnowledgeGraph.add` takes them::

        space.graph.add(source.entities(), source.relations(), source.mentions())
    """

    def entities(self) -> Iterable[Entity]:
        """Entities with their names; those that are only named by relations may be left out."""
        return ()

    @property
    def unusable(self) -> int:
        """How many names and triples `entities` left out the last time, as they cannot be kept."""
        return 0

    def relations(self) -> Iterable[Relation]:
        """Relations between entities."""
        return ()

    def mentions(self) -> Iterable[Mention]:
        """What records are about; of records that do not exist as well, which the graph counts."""
        return ()


@contextmanager
def opened(path: Path, *, largest: int | None = None) -> Iterator[BinaryIO]:
    """Open a file of triples for reading: a regular one, so that nobody waits for a pipe.

    Args:
        path: The file that the user has named.
        largest: Bytes that it may have; any number if ``None``.

    Raises:
        GraphError: It cannot be read, is no file or too large.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise GraphError(f"{path} cannot be read ({error})") from None
    with open(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise GraphError(f"{path} is no file; name the file that the triples are in")
        if largest is not None and status.st_size > largest:
            raise GraphError(
                f"{path} has {status.st_size:,} bytes, more than the {largest:,} that are read at "
                "once; convert it to N-Triples (.nt), which are read line by line"
            )
        yield file
