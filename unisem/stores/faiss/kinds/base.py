"""`VectorIndex`: finds the best of a segment's vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import Found, scan
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.tuning import Tuning
from unisem.stores.faiss.raw_file import DamagedVectorsError, RawFile

_CHUNK = 1 << 24  # bytes that are written at a time
FEW = 2_000
"""Vectors so few that scanning them beats any index."""
_SPARSE = 0.03  # a selection this small is scanned; an index would lose its way in it


class VectorIndex(ABC):
    """An index for inner product over vectors that will not change.

    Attributes:
        kind: Its name.
        sparse: The share of the vectors up to which a selection of them is scanned.
        vectors: ``(n, d)`` what it finds, by position.
        tuning: What was measured when it was built; ``None`` if nothing was.

    Args:
        vectors: See the attribute.
        index: Faiss's own; ``None`` where there is none beside the vectors.

    Raises:
        ValueError: The index is of other vectors.
    """

    kind: ClassVar[IndexKind]
    sparse: ClassVar[float] = _SPARSE
    tuning: Tuning | None = None
    late: int = 0
    """So many bytes at the end of its file are checked by itself, when it first reads them."""

    def __init__(self, vectors: RawFile, index: Any) -> None:
        if index is not None and (index.d, index.ntotal) != (vectors.dimension, len(vectors)):
            raise ValueError("an index of other vectors")
        self.vectors = vectors
        self._index = index

    def search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        """Find the best vectors of each query.

        Args:
            queries: ``(q, d)`` float32, as long as the indexed vectors.
            fetch: How many are wanted, at least 1 and at most ``count``.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            count: How many may be found.
            settings: How hard to try.

        Returns:
            For each query ``fetch`` vectors, scored as exactly as float32 allows.

        Raises:
            DamagedVectorsError: Vectors that were read do not agree with their checksums, or the
                index names some that there are not.
        """
        if self.is_scanned(count):
            return scan(self.vectors, queries, fetch, eligible, count)
        found = self._search(queries, fetch, eligible, count, settings)
        for number, (_, places) in enumerate(found):
            if len(places) and not 0 <= places.min() <= places.max() < len(self.vectors):
                raise DamagedVectorsError("the index names vectors that there are not")
            if len(places) < fetch:  # it lost its way, though there is more
                query = queries[number : number + 1]
                (found[number],) = scan(self.vectors, query, fetch, eligible, count)
        return found

    def is_scanned(self, count: int) -> bool:
        """Whether so many that may be found are compared one by one."""
        return count <= max(FEW, self.sparse * len(self.vectors))

    @abstractmethod
    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        """As `search`, of more than a few that may be found; fewer than asked for may come."""

    def check(self) -> None:
        """Look at all that is otherwise looked at when it is first read.

        Raises:
            DamagedVectorsError: Something does not agree with its checksum.
        """
        self.vectors.all()

    @property
    def has_file(self) -> bool:
        """Whether there is anything to be written."""
        return self._index is not None

    def write(self, file: BinaryIO) -> None:
        """Write the index, without the vectors.

        Raises:
            OSError: The disk refused.
            RuntimeError: The same, as Faiss says it.
        """
        import faiss

        # Faiss itself would not notice that the last bytes do not fit the disk.
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _CHUNK))


def selector_of(eligible: NDArray[np.bool_] | None) -> Any | None:
    """Faiss's selector of what may be found; ``None`` for all."""
    import faiss

    if eligible is None:
        return None
    return faiss.IDSelectorBitmap(np.packbits(eligible, bitorder="little"))


def found_of(scores: NDArray[np.float32], places: NDArray[np.int64]) -> list[Found]:
    """Faiss's answer, without the places that it could not fill."""
    return [(row[at >= 0], at[at >= 0]) for row, at in zip(scores, places, strict=True)]


def checked(index: Any, name: str) -> Any:
    """An index that was read, if it is of Faiss's class of this name.

    Raises:
        ValueError: It is of another.
    """
    import faiss

    if not isinstance(index, getattr(faiss, name)):
        raise ValueError(f"an index of the class {type(index).__name__}, not {name}")
    return index


def mapped(path: Path) -> Any:
    """Read an index that `VectorIndex.write` wrote and that has been checked.

    Raises:
        OSError: It is not there.
        RuntimeError: It is none.
    """
    import faiss

    with path.open("rb") as file:  # Faiss knows no names outside the locale
        name = str(path) if str(path).isascii() else f"/dev/fd/{file.fileno()}"
        return faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)
