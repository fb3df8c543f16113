"""`Maintenance`: what looks after a store: counts, checks, copies, compacts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unisem.errors import ImageError, StoreError
from unisem.images.reference import CHANGED, ImageRef
from unisem.records import EmbeddedRecord, Record
from unisem.stores.graph import Entity, Mention, Relation

_LISTED = 5  # examples named in one finding


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a store, or worth knowing.

    Attributes:
        area: What it is about.
        is_problem: Whether something is wrong; else it is only worth knowing.
        text: What, and what to do about it.
    """

    area: str
    is_problem: bool
    text: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a store holds and what it costs; a kind of store may add to it.

    Attributes:
        records: Records by modality.
        vectors: Vectors by what they were made from.
        dimension: Length of a vector; ``None`` before the first.
        writer: Who is writing, if anybody is.
    """

    records: dict[str, int]
    vectors: dict[str, int]
    dimension: int | None
    writer: str | None

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by what they are needed for."""
        return {}

    @property
    def remarks(self) -> dict[str, str]:
        """What else a person is told, by a word for each."""
        return {}


class SalvagedGraph(Protocol):
    """One pass over a graph that may be damaged: entities, relations, mentions, in this order."""

    @property
    def lost(self) -> Mapping[str, Sequence[str]]:
        """What could not be read so far, by kind, each by some name."""

    def entities(self) -> Iterator[Entity]:
        """Yield entities that can be read."""

    def relations(self) -> Iterator[Relation]:
        """Yield relations that can be read."""

    def mentions(self) -> Iterator[Mention]:
        """Yield mentions that can be read."""


class Salvage(Protocol):
    """One pass over a store that may be damaged, which is not changed.

    Attributes:
        dimension: Length of a vector, ``None`` if that cannot be found out.
        read: Records that could be read so far.
        without_vectors: How many of them have lost some or all of their vectors; they come with
            none.
        lost: Records that could not be read so far.
        may_be_removed: Whether removed records may be among those that were read, as it could not
            be told which those are.
    """

    dimension: int | None
    read: int
    without_vectors: int
    lost: int
    may_be_removed: bool

    @property
    def graph(self) -> SalvagedGraph | None:
        """Reads what can be read of its knowledge graph; ``None`` if it has none."""

    def __iter__(self) -> Iterator[EmbeddedRecord]:
        """Yield what can be read, oldest first, with their vectors where those are whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """One committed state of a store as files, whose records refer to pictures in ``blobs/``.

    Attributes:
        pictures: The places inside ``blobs/``, and which picture belongs there, some of them more
            than once. The files are whole when all of this has been asked for.
        moment: Names the state.
        follows: Whether the state of another moment is of this one's past, so that records of both
            are listed in the same order.
    """

    pictures: Iterator[tuple[str, ImageRef]]
    moment: str
    follows: Callable[[str], bool]


class Maintenance(ABC):
    """Looks after one store, whether it is open or not; only `compact` changes anything."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Count what the store holds.

        Raises:
            StoreError: There is no store, or it cannot be counted from here.
            CorruptStoreError: It cannot be read.
        """

    def writer(self) -> str | None:
        """Who is writing, where one at a time may; ``None`` if nobody is."""
        return None

    @abstractmethod
    def check(self, *, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
        """Look for damage; see `check_images` for what lies outside the store.

        Args:
            progress: Told what is being looked at.

        Raises:
            StoreError: There is no store.
        """

    @abstractmethod
    def salvage(self) -> AbstractContextManager[Salvage]:
        """Read what can be read of a store that may be damaged.

        Raises:
            StoreError: There is no store.
        """

    @abstractmethod
    def backup(self, destination: Path) -> None:
        """Copy the space: one committed state of the store, and all else in its directory.

        Args:
            destination: A directory that does not exist yet; folders above it are made.

        Raises:
            StoreError: There is no store, something of that name exists, or the disk refused;
                nothing is left.
            CorruptStoreError: It cannot be read.
        """

    def stage(self, destination: Path) -> Staged:
        """Copy one committed state without its pictures, for who keeps those elsewhere.

        Args:
            destination: An empty directory.

        Raises:
            StoreError: There is no store, it cannot do this, or the disk refused.
            CorruptStoreError: It cannot be read.
        """
        raise StoreError(
            f"{destination}: a store of this kind has no files to publish; many can open it where "
            "it is, or export it and import it into a faiss store"
        )

    @abstractmethod
    def compact(self, index: str | None = None) -> tuple[str, ...]:
        """Index all vectors and words anew and give unused space back; searches go on.

        Args:
            index: Kind of index; the one that the store was opened with if ``None``.

        Returns:
            What was done and why, sentence by sentence.

        Raises:
            ValueError: The store has no such index.
            StoreLockedError: Another process is writing.
        """


def check_images(
    maintenance: Maintenance, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Read every picture and compare it with what was stored.

    Args:
        maintenance: What looks after the store.
        progress: Called with (records done, records in all).
    """
    total = 0
    with suppress(StoreError):  # what is damaged may not be counted
        total = sum(maintenance.statistics().records.values())
    missing: list[str] = []
    changed: list[str] = []
    with maintenance.salvage() as found:
        for done, item in enumerate(found, start=1):
            if progress is not None:
                progress(done, max(done, total))
            state = _state_of(item.record)
            if state is not None:
                (changed if state == "changed" else missing).append(f"{item.record.id!r} ({state})")
    if missing:
        yield Finding("pictures", True, f"cannot be read: {named(missing)}")
    if changed:
        advice = "add their records again so that their vectors fit"
        yield Finding(
            "pictures", True, f"changed since they were added: {named(changed)}; {advice}"
        )


def _state_of(record: Record) -> str | None:
    if record.image is None:
        return None
    try:
        record.image.read_verified()
    except ImageError as error:
        return "changed" if error.summary == CHANGED else f"{error.name} {error.summary}"
    return None


def named(names: list[str]) -> str:
    """The first few of many names, and how many more there are."""
    shown = ", ".join(names[:_LISTED])
    rest = len(names) - _LISTED
    return shown + (f" and {rest:,} more" if rest > 0 else "")
