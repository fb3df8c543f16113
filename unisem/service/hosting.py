"""`HostedSpace`: a space that many ask at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from unisem.encoders import Encoder
from unisem.exchange.replicas.replica import OpenVersion
from unisem.exchange.replicas.version import Version
from unisem.search.query import Query
from unisem.service.batching import Batcher, joined
from unisem.service.cursors import Cursors
from unisem.service.refusal import RefusedError
from unisem.service.settings import ServiceSettings
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit

if TYPE_CHECKING:  # imported where somebody labels
    from unisem.pairs.labelling import Labelling

_Result = TypeVar("_Result")
_FEW = 400  # candidates that are compared with each other in no time


class HostedSpace:
    """A space, what is asked of it together, and what is written to it one by one.

    Args:
        name: Its name in URLs.
        space: The space; whoever opened it closes it.
        settings: How many may wait.
        secret: Hides where listings go on.
        writable: Whether records may be added and removed.
        opened: The version of a published space that this is, if it is one; closed with this.
    """

    def __init__(
        self,
        name: str,
        space: SemanticSpace,
        settings: ServiceSettings,
        *,
        secret: bytes,
        writable: bool,
        opened: OpenVersion | None = None,
    ) -> None:
        self.name = name
        self.space = space
        self.settings = settings
        self.cursors = Cursors(secret, name)
        self.writable = writable
        self._opened = opened
        self._labelling: Labelling | None = None
        self._searches: Batcher[Query, list[Hit]] = Batcher(
            f"unisem-search-{name}",
            space.search_many,
            most=settings.batch,
            queue=settings.queue,
        )
        self._reranked: Batcher[Query, list[Hit]] = Batcher(
            f"unisem-rerank-{name}", space.search_many, most=1, queue=settings.queue
        )
        self._looks: Batcher[Callable[[], object], object] = Batcher(
            f"unisem-look-{name}",
            lambda jobs: [job() for job in jobs],
            most=1,
            queue=settings.queue,
        )
        self._reads: Batcher[Callable[[], object], object] = Batcher(
            f"unisem-read-{name}",
            lambda jobs: [job() for job in jobs],
            most=1,
            queue=settings.queue,
        )
        self._writes: Batcher[Callable[[], object], object] = Batcher(
            f"unisem-write-{name}",
            lambda jobs: [job() for job in jobs],
            most=1,
            queue=settings.queue,
        )

    @classmethod
    def of_version(cls, name: str, opened: OpenVersion, settings: ServiceSettings) -> Self:
        """A version of a published space; whoever else serves it takes its listings' cursors."""
        secret = bytes.fromhex(opened.version.lineage)
        return cls(name, opened.space, settings, secret=secret, writable=False, opened=opened)

    @property
    def version(self) -> Version | None:
        """Which version of a published space this is, if it is one."""
        return None if self._opened is None else self._opened.version

    @property
    def encoder(self) -> str:
        """The encoder's name, as it is shown."""
        return shown_name(self.space.encoder)

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return sum(it.waiting for it in self._batchers)

    def search(self, queries: Sequence[Query]) -> Future[list[list[Hit]]]:
        """Each query's hits, in order; what takes long delays no other, and is done one by one.

        Raises:
            RefusedError: Too many wait.
        """
        if not any(map(_takes_long, queries)):
            return self._searches.submit(queries)
        begun: list[Future[list[list[Hit]]]] = []
        try:
            for query in queries:
                begun.append(self._reranked.submit([query]))
        except RefusedError:
            for one in begun:
                one.cancel()
            raise
        return joined(begun)

    def look(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Look for something in the store, in turn; the future has its result, in a list.

        Raises:
            RefusedError: Too many wait.
        """
        return cast(Future[list[_Result]], self._looks.submit([job]))

    def read(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Read records, in turn, beside searches; the future has what the job gives, in a list.

        Raises:
            RefusedError: Too many wait.
        """
        return cast(Future[list[_Result]], self._reads.submit([job]))

    def write(self, job: Callable[[], _Result]) -> Future[list[_Result]]:
        """Do one thing while nothing else is written; the future has its result, in a list.

        Raises:
            RefusedError: Too many wait.
        """
        return cast(Future[list[_Result]], self._writes.submit([job]))

    def labelling(self, who: str) -> Labelling:
        """Somebody's questions about pictures without captions; to be used by a `write` only.

        Raises:
            LabelError: The space is in no directory.
        """
        if self._labelling is None:
            from unisem.pairs.labelling import Labelling

            self._labelling = Labelling(self.space)
        return self._labelling.for_person(who)

    def close(self) -> None:
        """Finish what waits, and close a version of a published space."""
        for batcher in self._batchers:
            batcher.close()
        if self._opened is not None:
            self._opened.close()

    @property
    def _batchers(self) -> Sequence[Batcher[Any, Any]]:
        return self._searches, self._reranked, self._looks, self._reads, self._writes


def _takes_long(query: Query) -> bool:
    """Whether it is reranked, or compares many candidates with each other."""
    candidates = 4 * query.k if query.fetch_k is None else query.fetch_k
    return query.reranker is not None or bool(query.diversity and candidates > _FEW)


def shown_name(encoder: Encoder) -> str:
    """An encoder's name; of one in a directory, that directory's, and not where it lies."""
    path = Path(encoder.name)
    return path.name if path.is_absolute() or path.is_dir() else encoder.name
