"""`MilvusKind`: the settings of a space in Milvus, and its entry in the registry of stores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.kind import Place, StoreKind
from unisem.stores.milvus.address import Address
from unisem.stores.milvus.blobs import BlobLibrary
from unisem.stores.milvus.space import Space
from unisem.stores.milvus.store import MilvusStore

if TYPE_CHECKING:
    from unisem.stores.milvus.maintenance import MilvusMaintenance

Consistency = Literal["Strong", "Session", "Bounded", "Eventually"]


@dataclass(frozen=True, slots=True)
class MilvusKind(StoreKind):
    """Records and vectors in Milvus, a server or a file of Milvus Lite: a URI.

    Attributes:
        index: Kind of index of the vectors: ``"flat"``, which misses nothing, ``"hnsw"``,
            ``"ivf_flat"``, ``"ivf_sq8"``, or ``"autoindex"``, which leaves it to the server. A
            space has the one that it was made with.
        effort: How many candidates an index that may miss something looks at, or how many of its
            lists.
        consistency: Of reads. ``"Strong"``: what anybody has written is found. ``"Session"``: what
            this process has written; faster, where others write. The others: sooner or later.
        blobs: Where every picture that is added is copied to: a folder that all machines see, or a
            URL for fsspec, ``"s3://bucket/photos"``. By default what the URI says behind
            ``?blobs=``; without one, pictures stay where they are, and none may come as bytes.
    """

    name: ClassVar[str] = "milvus"
    index: str = "flat"
    effort: int = 128
    consistency: Consistency = "Strong"
    blobs: str | None = None

    def open(
        self,
        place: Place | None,
        image_library: ImageLibrary,
        dimension: Callable[[], int] | None = None,
    ) -> MilvusStore:
        """As `StoreKind.open`; see `MilvusStore`."""
        return MilvusStore(
            self._space(place),
            image_library,
            dimension=dimension,
            index=self.index,
            effort=self.effort,
        )

    def image_library(
        self, place: Place | None, roots: Sequence[Path] | None = None, *, copy: bool = False
    ) -> ImageLibrary:
        """As `StoreKind.image_library`; see `BlobLibrary`."""
        blobs = self.blobs or Address.of(_uri(place)).blobs
        if blobs is None or "://" in blobs:
            return BlobLibrary(blobs, roots, copy=copy or blobs is not None)
        return ImageLibrary(Path(blobs), roots, copy=True)

    def maintenance(self, place: Place, image_library: ImageLibrary) -> MilvusMaintenance:
        """See `MilvusMaintenance`."""
        from unisem.stores.milvus.maintenance import MilvusMaintenance

        uri = Address.of(_uri(place)).uri
        return MilvusMaintenance(uri, lambda: closing(self.open(uri, image_library)))

    def read_manifest(self, uri: str) -> bytes | None:
        """As `StoreKind.read_manifest`."""
        with closing(self._space(uri)) as space:
            return space.read_manifest()

    def write_manifest(self, uri: str, text: bytes) -> None:
        """As `StoreKind.write_manifest`."""
        with closing(self._space(uri)) as space:
            space.write_manifest(text)

    def _space(self, place: Place | None) -> Space:
        return Space(Address.of(_uri(place)), self.consistency)


def _uri(place: Place | None) -> str:
    if isinstance(place, str):
        return place
    where = "memory" if place is None else os.fspath(place)
    raise StoreError(
        f"{where}: a milvus store is on a server; give a URI, milvus://host:19530/space, or "
        f"milvus://{Path.cwd() / 'file.db'}/space for Milvus Lite"
    )
