"""`StoreKind`: a kind of store with its settings, by which stores are opened and looked after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.base import Store
from unisem.stores.maintenance import Maintenance

Place = Path | str
"""Where a store is: a directory, or a URI whose scheme is the name of the store's kind."""


class StoreKind(ABC):
    """A kind of store and how its stores are opened.

    A subclass is a frozen dataclass. Its fields are the kind's own settings, all with defaults: a
    space that was built with the kind is opened with those if nobody says otherwise.

    Attributes:
        name: In manifests, for ``store=``, and as the scheme of URIs.
        file: The file by which a directory is known to hold such a store; ``None`` for a kind that
            keeps its records elsewhere.
    """

    name: ClassVar[str]
    file: ClassVar[str | None] = None

    def with_settings(self, **settings: object) -> Self:
        """The same kind with other settings; those that are ``None`` stay as they are.

        Raises:
            StoreError: The kind has no such setting.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        known: list[str] = [field.name for field in fields(self)] if is_dataclass(self) else []
        if strange := sorted(given.keys() - set(known)):
            has = ", ".join(known) or "none"
            raise StoreError(
                f"a store of the kind {self.name!r} has no setting {', '.join(strange)}, but {has}"
            )
        return replace(self, **given) if given else self  # type: ignore[type-var]

    @abstractmethod
    def open(
        self,
        place: Place | None,
        image_library: ImageLibrary,
        dimension: Callable[[], int] | None = None,
    ) -> Store:
        """Open a store, or create it.

        Args:
            place: Where it is; ``None`` for memory.
            image_library: Where its records' pictures lie.
            dimension: Says how long vectors must be while the store is empty; any length, if
                ``None``. Asked when the first are added, since an encoder may have to be loaded.

        Raises:
            StoreError: There can be no such store at this place.
            CorruptStoreError: What is there cannot be read.
        """

    @abstractmethod
    def maintenance(self, place: Place, image_library: ImageLibrary) -> Maintenance:
        """What looks after a store, which need not be open.

        Args:
            place: Where it is.
            image_library: Where its records' pictures lie.

        Raises:
            StoreError: There can be no such store at this place.
        """

    def image_library(
        self, place: Place | None, roots: Sequence[Path] | None = None, *, copy: bool = False
    ) -> ImageLibrary:
        """Where the pictures of a space lie.

        Args:
            place: Where the space is; ``None`` for memory.
            roots: As of `ImageLibrary`.
            copy: As of `ImageLibrary`.
        """
        return ImageLibrary(place if isinstance(place, Path) else None, roots, copy=copy)

    def is_untouched(self, directory: Path) -> bool:
        """Whether nothing was ever written to the store of a directory, if there is one."""
        return self.file is None or not (directory / self.file).exists()

    def read_manifest(self, uri: str) -> bytes | None:
        """The manifest of a space that is no directory; ``None`` if there is no space yet.

        Raises:
            StoreError: Stores of this kind are directories.
        """
        raise StoreError(f"{uri}: a {self.name} store is a directory; give a path")

    def write_manifest(self, uri: str, text: bytes) -> None:
        """Keep the manifest of a space that is no directory, whole or not at all.

        Raises:
            StoreError: As `read_manifest`.
        """
        raise StoreError(f"{uri}: a {self.name} store is a directory; give a path")
