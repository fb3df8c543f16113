"""`OpenStore`: an open store and its pictures, shared by all who ask for its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from unisem.common.forks import Mutex
from unisem.common.leases import Lease, Registry
from unisem.common.scratch import ScratchFolder
from unisem.errors import CorruptStoreError, StoreError
from unisem.images.library import ImageLibrary
from unisem.ingest.intake import Intake
from unisem.stores.kind import Place, StoreKind
from unisem.stores.registry import kind_at, kind_named, kind_of

if TYPE_CHECKING:
    from unisem import SemanticSpace
    from unisem.stores import Store


@dataclass(eq=False)
class OpenStore:
    """A store and where its pictures lie.

    Attributes:
        store: The store.
        image_library: Its pictures' places.
        place: Where the store is, a directory or a URI; ``None`` in memory.
        space: The space that the store belongs to, if any.
        tolerant: Whether pictures may lie anywhere, and may be missing.
        roots: The only folders that pictures may lie in, links followed; ``None`` if none are
            named.
        mutex: For what takes several steps.
    """

    store: Store
    image_library: ImageLibrary
    place: Place | None
    space: SemanticSpace | None = None
    tolerant: bool = True
    roots: frozenset[Path] | None = None
    mutex: Mutex = field(default_factory=Mutex)

    @property
    def intake(self) -> Intake:
        """The way into the store; the space's, if it belongs to one."""
        return Intake(self.image_library) if self.space is None else self.space.intake

    def keep(self, folder: ScratchFolder) -> None:
        """Remove a folder when the store is no longer in use."""
        finalize(self, folder.close)

    def close(self) -> None:
        """Close the store, unless it belongs to a space."""
        if self.space is None:
            self.store.close()
            self.image_library.close()


OPEN: Registry[OpenStore] = Registry(OpenStore.close)
"""What is open in this process."""


def lease_of(space: SemanticSpace) -> Lease[OpenStore]:
    """Take part in a space."""
    opened = OpenStore(space.store, space.image_library, space.place, space, tolerant=False)
    return OPEN.lease(None, lambda: opened)


def lease_at(
    place: Place | None,
    roots: Sequence[str] | None = None,
    store: str | StoreKind | None = None,
) -> Lease[OpenStore]:
    """Open a place, or find it open; create it if absent. ``None`` opens a store in memory.

    Whoever comes later gets the store's settings of the first, and its folders for pictures, unless
    other ones are named.

    Raises:
        CorruptStoreError: The directory holds a space, or other things.
        NotADirectoryError: There is a file of that name.
        StoreError: The directory's store is of another kind, or open with other folders for
            pictures.
    """
    directory = place.resolve() if isinstance(place, Path) else None
    where = directory or place
    wanted = None if roots is None else frozenset(Path(root).resolve() for root in roots)

    def opened() -> OpenStore:
        kind = _kind_of(where, store)
        folders = None if roots is None else [Path(root) for root in roots]
        image_library = kind.image_library(where, folders)
        opened = kind.open(where, image_library)
        if where is None:
            finalize(opened, image_library.close)  # nobody closes a store in memory
        return OpenStore(opened, image_library, where, tolerant=roots is None, roots=wanted)

    def same(known: OpenStore) -> None:
        # Who names none agrees to the first one's, which may be narrower and never wider.
        if wanted is not None and wanted != known.roots:
            raise StoreError(
                f"{where} is open in this process with {_named(known.roots)} as image_roots, not "
                f"with {_named(wanted)}; close the other store first, or give it the same folders"
            )

    return OPEN.lease(where, opened, same)


def _named(roots: frozenset[Path] | None) -> str:
    return "none" if roots is None else ", ".join(sorted(map(str, roots)))


def _kind_of(place: Place | None, store: str | StoreKind | None) -> StoreKind:
    found = _checked(place) if isinstance(place, Path) else None
    if found is not None and store is None:
        return found
    wanted = kind_of(place) if store is None else store
    kind = kind_named(wanted)() if isinstance(wanted, str) else wanted
    if found is not None and found.name != kind.name:
        raise StoreError(
            f"{place} is a store of the kind {found.name!r}, not {kind.name!r}; open it as it is"
        )
    return kind


def _checked(directory: Path) -> StoreKind | None:
    """What opens the store that a directory holds; ``None`` where one may be made."""
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{directory} is a file, not a store")
    if (directory / "manifest.json").exists():
        raise CorruptStoreError(
            f"{directory} is a space, whose vectors come from its own encoder; use "
            f"UniSemVectorStore(space=SemanticSpace.open({str(directory)!r}))"
        )
    kind = kind_at(directory)
    if directory.is_dir() and kind is None:
        others = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
        if others:
            raise CorruptStoreError(
                f"{directory} is a folder of other things ({min(others)}, …), not a store; name a "
                "new directory, for example vectors.unisem"
            )
    return kind
