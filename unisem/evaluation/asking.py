"""`Asking`: what every evaluation begins with, whatever it is of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from unisem.encoders.base import Encoder
from unisem.evaluation.embeddings import Embeddings, Progress
from unisem.evaluation.vector_cache import VectorCache
from unisem.pairs.checking import CheckedPairs, check_pairs
from unisem.pairs.dataset import PairDataset
from unisem.records import Record


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """Who is asked, where vectors are kept, and who hears how far it has come.

    Attributes:
        encoders: What is evaluated, and what it is compared with, if anything is.
        cache: Where vectors are kept and taken from.
        progress: Called with what is being done, how much is done, and how much there is.
    """

    encoders: tuple[Encoder, ...]
    cache: VectorCache | None
    progress: Progress | None

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        against: Encoder | None,
        cache: str | os.PathLike[str] | None,
        progress: Progress | None,
    ) -> Self:
        """As the functions are called that evaluate.

        Raises:
            OSError: The cache cannot be made.
        """
        encoders = (encoder,) if against is None else (encoder, against)
        return cls(encoders, None if cache is None else VectorCache(Path(cache)), progress)

    def checked(self, pairs: PairDataset) -> CheckedPairs:
        """Open every picture, so that what cannot be used is known before anything is encoded."""
        tell = self.progress
        return check_pairs(
            pairs, progress=tell and (lambda done, total: tell("checking", done, total))
        )

    def embeddings(
        self,
        texts: Sequence[Record],
        images: Sequence[Record],
        *,
        asked: Sequence[Record] | None = None,
        candidates: Sequence[Record] = (),
        queries: Sequence[Record] = (),
    ) -> list[Embeddings]:
        """The vectors of each encoder; see `Embeddings.of`."""
        return [
            Embeddings.of(
                one,
                texts,
                images,
                asked=asked,
                candidates=candidates,
                queries=queries,
                cache=self.cache,
                progress=self.progress,
            )
            for one in self.encoders
        ]
