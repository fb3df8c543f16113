"""`Opened`: an open store and its pictures, shared by all who ask for its directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from unisem.common.forks import Mutex
from unisem.common.scratch import ScratchFolder
from unisem.common.shared import Lease, Registry
from unisem.errors import CorruptStoreError
from unisem.images.library import ImageLibrary

if TYPE_CHECKING:
    from unisem import SemanticSpace
    from unisem.stores import Store


@dataclass(eq=False)
class Opened:
    """A store and where its pictures lie.

    Attributes:
        store: The store.
        image_library: Its pictures' places.
        directory: Where the files are; ``None`` in memory.
        space: The space that the store belongs to, if any.
        tolerant: Whether pictures may lie anywhere, and may be missing.
        mutex: For what takes several steps.
    """

    store: Store
    image_library: ImageLibrary
    directory: Path | None
    space: SemanticSpace | None = None
    tolerant: bool = True
    mutex: Mutex = field(default_factory=Mutex)

    def keep(self, folder: ScratchFolder) -> None:
        """Remove a folder when the store is no longer in use."""
        finalize(self, folder.close)

    def close(self) -> None:
        """Close the store, unless it belongs to a space."""
        if self.space is None:
            self.store.close()
            self.image_library.close()


OPEN: Registry[Opened] = Registry(Opened.close, "catalog.sqlite")
"""What is open in this process."""


def lease_of(space: SemanticSpace) -> Lease[Opened]:
    """Take part in a space."""
    opened = Opened(space.store, space.image_library, space.path, space, tolerant=False)
    return OPEN.lease(None, lambda: opened)


def lease_at(path: str | None, roots: Sequence[str] | None = None) -> Lease[Opened]:
    """Open a directory, or find it open; create it if absent. ``None`` opens one in memory.

    Whoever comes later gets the folders for pictures of the first.

    Raises:
        CorruptStoreError: The directory holds a space, or other things.
        NotADirectoryError: There is a file of that name.
    """
    directory = None if path is None else Path(path).resolve()

    def opened() -> Opened:
        from unisem.stores.faiss import FaissStore

        if directory is not None:
            _check(directory)
        folders = None if roots is None else [Path(root) for root in roots]
        image_library = ImageLibrary(directory, folders)
        store = FaissStore(directory, image_library)
        if directory is None:
            finalize(store, image_library.close)  # nobody closes a store in memory
        return Opened(store, image_library, directory, tolerant=not roots)

    return OPEN.lease(directory, opened)


def _check(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{directory} is a file, not a store")
    if (directory / "manifest.json").exists():
        raise CorruptStoreError(
            f"{directory} is a space, whose vectors come from its own encoder; use "
            f"UniSemVectorStore(space=SemanticSpace.open({str(directory)!r}))"
        )
    if directory.is_dir() and not (directory / "catalog.sqlite").exists():
        others = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
        if others:
            raise CorruptStoreError(
                f"{directory} is a folder of other things ({min(others)}, …), not a store; name a "
                "new directory, for example vectors.unisem"
            )
