"""`FaissKind`: the embedded store's settings, and its entry in the registry of stores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.faiss.index_settings import Index
from unisem.stores.faiss.readonly import is_untouched
from unisem.stores.faiss.store import FaissStore
from unisem.stores.faiss.words import Words
from unisem.stores.kind import Place, StoreKind

if TYPE_CHECKING:
    from unisem.stores.faiss.maintenance import FaissMaintenance


@dataclass(frozen=True, slots=True)
class FaissKind(StoreKind):
    """Records and vectors in SQLite, searched through Faiss: a directory, or memory.

    Attributes:
        index: Kind of index that `compact` builds: ``"flat"``, ``"hnsw"``, ``"ivf_pq"``,
            or by size; or `IndexSettings`, which also say how hard to try.
        durability: ``"full"``: every commit is fsynced; ``"relaxed"``: a power cut may cost the
            last ones, a crash of the process none.
        words: ``"whole"``: keyword search finds the words that are asked for; ``"parts"``: what
            they are parts of, and their parts, too.
    """

    name: ClassVar[str] = "faiss"
    file: ClassVar[str | None] = "catalog.sqlite"
    index: Index = "auto"
    durability: Literal["full", "relaxed"] = "full"
    words: Words = "whole"

    def open(
        self,
        place: Place | None,
        image_library: ImageLibrary,
        dimension: Callable[[], int] | None = None,
    ) -> FaissStore:
        """As `StoreKind.open`; see `FaissStore`."""
        return FaissStore(
            _directory(place),
            image_library,
            dimension=dimension,
            index=self.index,
            durability=self.durability,
            words=self.words,
        )

    def maintenance(self, place: Place, image_library: ImageLibrary) -> FaissMaintenance:
        """See `FaissMaintenance`."""
        from unisem.stores.faiss.maintenance import FaissMaintenance

        return FaissMaintenance(
            _directory(place), image_library, lambda: closing(self.open(place, image_library))
        )

    def is_untouched(self, directory: Path) -> bool:
        """Whether there is no catalogue, or one that nothing was ever written to."""
        return is_untouched(directory)


def _directory(place: Place | None) -> Path | None:
    if isinstance(place, str):
        raise StoreError(f"{place}: a faiss store is a directory; give a path")
    return place
