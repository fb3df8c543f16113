"""`Peer`: what a store must do to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """A batch to be stored, in the shapes that most stores take.

    Attributes:
        numbers: Row numbers; a store may use them as ids.
        ids: The same as strings.
        vectors: ``(n, d)`` float32 unit rows.
        texts: About a hundred characters each.
        metadata: ``{"year": int, "category": str, "title": str}`` each.
    """

    numbers: list[int]
    ids: list[str]
    vectors: Vector
    texts: list[str]
    metadata: list[dict[str, Any]]


class Found(NamedTuple):
    """One hit; its text and year prove that the record was really fetched."""

    number: int
    text: str
    year: int


class UnavailableError(Exception):
    """What was asked of a peer is not something that it does; the message says what."""


class Peer(ABC):
    """One store in one directory, created if absent, holding one kind of index.

    Args:
        directory: Where it may write.
        dimension: Length of the vectors.
        kind: Of `benchmarks.peers.registry.KINDS`: what it is compared with.

    Raises:
        UnavailableError: The installed version has no such kind.
    """

    @abstractmethod
    def __init__(self, directory: Path, dimension: int, kind: str) -> None: ...

    @abstractmethod
    def add(self, rows: Rows) -> None:
        """Store a batch; on return it is as safe as this store makes it."""

    @abstractmethod
    def delete(self, numbers: list[int]) -> None:
        """Remove rows by number."""

    @abstractmethod
    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        """The ``k`` nearest of one ``(d,)`` query, best first, only those of an earlier year."""

    @abstractmethod
    def close(self) -> None:
        """Write what is unwritten and let go."""

    def build(self) -> str:
        """Do what makes searches fast once all rows are there: flush, index, compact.

        Returns:
            What was built and why, where the store says so.
        """
        return ""

    def tune(self, effort: int | None) -> None:
        """Search with this ``efSearch``, ``nprobe`` or shortlist; ``None``: the store's choice."""
        raise UnavailableError("exposes no search effort")


def selected(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack a mask the way that Faiss's bitmap selector reads it."""
    return np.packbits(mask, bitorder="little")
