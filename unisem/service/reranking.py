"""`HostedReranker`: a reranker that many ask, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.search.reranking import Ranked, Reranking
from unisem.service.batching import Batcher
from unisem.service.settings import ServiceSettings

_Asked = tuple[str | None, ImageRef | None, Sequence[Record]]


class HostedReranker:
    """A reranker, and what waits for it.

    Args:
        name: Its name in requests.
        reranking: The reranker.
        settings: How many may wait.
    """

    def __init__(self, name: str, reranking: Reranking, settings: ServiceSettings) -> None:
        self.name = name
        self.reranking = reranking
        self._asked: Batcher[_Asked, list[Ranked]] = Batcher(
            f"unisem-rerank-{name}",
            lambda jobs: [reranking.rank(*job) for job in jobs],
            most=1,
            queue=settings.queue,
        )

    def rank(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> Future[list[list[Ranked]]]:
        """Each record's place, in a list; see `Reranking.rank`.

        Raises:
            RefusedError: Too many wait. The future's: as of `Reranking.rank`.
        """
        return self._asked.submit([(text, image, records)])

    def close(self) -> None:
        """Finish what waits."""
        self._asked.close()
