"""`Opened`: one open store for each directory, shared by all who ask for it in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet, WeakValueDictionary, finalize

from unisem.common.forks import Mutex
from unisem.common.scratch import ScratchFolder
from unisem.errors import CorruptStoreError
from unisem.images.library import Pictures

if TYPE_CHECKING:
    from unisem import SemanticSpace
    from unisem.stores import Store

_open: WeakValueDictionary[tuple[int, Path], Opened] = WeakValueDictionary()
_mutex = Mutex()


class Lease:
    """One user's part in an open store; the store is closed when no lease is left."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        opened.leases.add(self)

    def release(self) -> None:
        """Close the store, unless somebody else uses it or it belongs to a space."""
        with _mutex:
            self.opened.leases.discard(self)
            if not self.opened.leases and self.opened.space is None:
                self.opened.store.close()
                self.opened.pictures.close()
                _open.pop(self.opened.key, None)


class Opened:
    """A store and where its pictures lie.

    Two processes cannot write to one directory, and neither can two stores of one process. A
    copy of a `UniSemVectorStore`, or a second one with the same path, therefore gets the same.

    Attributes:
        directory: Where the files are; ``None`` in memory.
        space: The space that the store belongs to, if any.
        tolerant: Whether pictures may lie anywhere, and may be missing.
    """

    def __init__(
        self,
        store: Store,
        pictures: Pictures,
        directory: Path | None,
        *,
        space: SemanticSpace | None = None,
        tolerant: bool = True,
    ) -> None:
        self.store = store
        self.pictures = pictures
        self.directory = directory
        self.space = space
        self.tolerant = tolerant
        self.leases: WeakSet[Lease] = WeakSet()
        self.mutex = Mutex()
        if space is None and directory is None:
            finalize(store, pictures.close)  # nobody closes a store in memory

    def keep(self, folder: ScratchFolder) -> None:
        """Remove a folder when the store is no longer in use."""
        finalize(self, folder.close)

    @property
    def key(self) -> tuple[int, Path]:
        """Under which the store is found again: a forked process opens its own."""
        return os.getpid(), self.directory or Path()

    @classmethod
    def of(cls, space: SemanticSpace) -> Opened:
        """Take part in a space."""
        return cls(space.store, space.pictures, space.path, space=space, tolerant=False)

    @classmethod
    def at(cls, path: str | None, roots: Sequence[str] | None = None) -> Opened:
        """Open a directory, or find it open; create it if absent. ``None`` opens one in memory.

        Raises:
            CorruptStoreError: The directory holds a space, or other things.
            NotADirectoryError: There is a file of that name.
        """
        from unisem.stores.faiss import FaissStore

        directory = None if path is None else Path(path).resolve()
        folders = None if roots is None else [Path(root) for root in roots]
        with _mutex:
            if directory is not None:
                known = _open.get((os.getpid(), directory))
                if known is not None:
                    return known
                _check(directory)
            pictures = Pictures(directory, folders)
            opened = cls(FaissStore(directory, pictures), pictures, directory, tolerant=not roots)
            if directory is not None:
                _open[opened.key] = opened
            return opened


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
