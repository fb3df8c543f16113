"""`HostedSpace`: a space that many ask at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar, cast

from unisem.encoders import Encoder
from unisem.search.query import Query
from unisem.service.batching import Batcher
from unisem.service.settings import ServiceSettings
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit

_Result = TypeVar("_Result")


class HostedSpace:
    """A space, what is asked of it together, and what is written to it one by one.

    Args:
        name: Its name in URLs.
        space: The space; whoever opened it closes it.
        settings: How many may wait.
        writable: Whether records may be added and removed.
    """

    def __init__(
        self, name: str, space: SemanticSpace, settings: ServiceSettings, *, writable: bool
    ) -> None:
        self.name = name
        self.space = space
        self.writable = writable
        self._searches: Batcher[Query, list[Hit]] = Batcher(
            f"unisem-search-{name}",
            space.search_many,
            most=settings.batch,
            queue=settings.queue,
        )
        self._reranked: Batcher[Query, list[Hit]] = Batcher(
            f"unisem-rerank-{name}", space.search_many, most=1, queue=settings.queue
        )
        self._writes: Batcher[Callable[[], object], object] = Batcher(
            f"unisem-write-{name}",
            lambda jobs: [job() for job in jobs],
            most=1,
            queue=settings.queue,
        )

    @property
    def encoder(self) -> str:
        """The encoder's name, as it is shown."""
        return shown_name(self.space.encoder)

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return self._searches.waiting + self._reranked.waiting + self._writes.waiting

    def search(self, queries: Sequence[Query]) -> Future[list[list[Hit]]]:
        """Each query's hits, in order; what is reranked delays no other.

        Raises:
            RefusedError: Too many wait.
        """
        slow = any(query.reranker is not None for query in queries)
        return (self._reranked if slow else self._searches).submit(queries)

    def write(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Do one thing while nothing else is written; the future has its result, in a list.

        Raises:
            RefusedError: Too many wait.
        """
        return cast(Future[list[_Result]], self._writes.submit([job]))

    def close(self) -> None:
        """Finish what waits."""
        self._searches.close()
        self._reranked.close()
        self._writes.close()


def shown_name(encoder: Encoder) -> str:
    """An encoder's name; of one in a directory, that directory's, and not where it lies."""
    path = Path(encoder.name)
    return path.name if path.is_absolute() or path.is_dir() else encoder.name
