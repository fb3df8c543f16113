"""`Replica`: a published space, opened here to be read, and brought up to date while it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from unisem.common.current import Current
from unisem.encoders import Encoder
from unisem.errors import CorruptStoreError, StoreError, UniSemError
from unisem.exchange.replicas.cache import Cache, LocalVersion, folder_of
from unisem.exchange.replicas.places import depot_at, is_url
from unisem.exchange.replicas.publishing import read_pointer, read_version
from unisem.exchange.replicas.version import Pointer, Version, object_name
from unisem.manifest import Manifest
from unisem.space import SemanticSpace

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenVersion:
    """A version of a published space, open.

    Attributes:
        version: Which one.
        space: It; nothing can be added, changed or removed.
    """

    version: Version
    space: SemanticSpace
    _local: LocalVersion

    @property
    def digest(self) -> str:
        """What names it beyond doubt."""
        return self._local.pointer.digest

    def close(self) -> None:
        """Close the space, and let the version be removed from this machine."""
        self.space.close()
        self._local.release()


class Published:
    """What is published at a place, opened here, version after version.

    Args:
        source: A directory, or a URL that fsspec knows.
        cache: A folder of this machine for versions, shared by all processes that read them; by
            default one in the user's folder of caches.
        encoder: As of `SemanticSpace.open`.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        cache: str | os.PathLike[str] | None = None,
        encoder: str | Encoder | None = None,
    ) -> None:
        if not is_url(source):
            source = os.path.abspath(source)
        self.source = str(source)
        self._depot = depot_at(source)
        self._cache = Cache(folder_of(self.source, None if cache is None else Path(cache)))
        self._encoder = encoder
        self._is_stopped = False
        self._unopened: Pointer | None = None  # what is newest, if it could not be opened

    def first(self) -> OpenVersion:
        """The newest version; if it cannot be had or opened, the newest here that can.

        Nothing at the place is no reason to do without what is here: a folder that is not mounted
        is empty.

        Raises:
            CorruptStoreError: What is published is damaged, and none here can be opened.
            StoreError: Nothing is published, or it cannot be reached, and none here can be opened.
            EncoderError: Its encoder is not here, and none here can be opened.
        """
        try:
            opened = self.newer(None)
            if opened is None:
                raise self._nothing()
            return opened
        except UniSemError as error:
            for local in self._cache.newest_first():
                if local.pointer == self._unopened:
                    local.release()
                    continue
                try:
                    opened = self._opened(local, None)
                except UniSemError as another:
                    _log.warning("version %d is here, but %s", local.version.number, another)
                    continue
                _log.warning("%s; version %d is used, which is here", error, local.version.number)
                return opened
            raise

    def newer(self, than: OpenVersion | None) -> OpenVersion | None:
        """The version that is the newest now; ``None`` if it is this one, or none is there.

        It is fetched and opened beside the present one, which stays as it is. One that cannot be
        opened stays on this machine until another is the newest, and is not fetched again.

        Raises:
            CorruptStoreError: It is damaged, or not all there.
            StoreError: It cannot be reached, kept here or opened.
            EncoderError: Its encoder is not here.
        """
        pointer = read_pointer(self._depot)
        if pointer is None or (than is not None and pointer.digest == than.digest):
            return None
        local = self._taken(pointer)
        self._unopened = pointer
        opened = self._opened(local, than)
        self._unopened = None
        return opened

    def fetched(self) -> LocalVersion:
        """The newest version, on this machine, without opening it; the others here are removed.

        Raises:
            CorruptStoreError: It is damaged, or not all there.
            StoreError: Nothing is published, or it cannot be reached or kept here.
        """
        pointer = read_pointer(self._depot)
        if pointer is None:
            raise self._nothing()
        local = self._taken(pointer)
        self._cache.prune(local.folder.name)
        return local

    def stop(self) -> None:
        """Have a fetch that another thread is in the middle of end in an error, and any later."""
        self._is_stopped = True

    def tidy(self, present: OpenVersion) -> None:
        """Remove the other versions from this machine, unless somebody uses them.

        The newest one stays, too, if it could not be opened: that is tried again.

        Raises:
            StoreError: The disk refuses.
        """
        unopened = [] if self._unopened is None else [self._unopened.name]
        self._cache.prune(present._local.folder.name, *unopened)

    def _nothing(self) -> StoreError:
        return StoreError(
            f"nothing is published at {self.source}; do that with `unisem store publish SPACE "
            f"{self.source}`"
        )

    def _taken(self, pointer: Pointer) -> LocalVersion:
        return self._cache.take(pointer, lambda: read_version(self._depot, pointer), self._part)

    def _part(self, digest: str, size: int) -> bytes:
        if self._is_stopped:
            raise StoreError(f"nothing more is fetched from {self.source}, as this is ending")
        data = self._depot.read(object_name(digest), size)
        if data is None:
            raise CorruptStoreError(
                f"{self.source} lacks a part ({digest[:16]}…); publish the space again"
            )
        return data

    def _opened(self, local: LocalVersion, before: OpenVersion | None) -> OpenVersion:
        try:
            encoder = self._encoder
            if encoder is None and before is not None:
                encoder = _same_encoder(local.folder, before.space)
            space = SemanticSpace.open(local.folder, encoder=encoder, image_roots=[])
            opened = OpenVersion(local.version, space, local)
            try:
                _ask(space)
            except BaseException:
                space.close()
                raise
            return opened
        except BaseException:
            local.release()
            raise


class Replica:
    """A published space that follows what is published.

    >>> from tempfile import TemporaryDirectory
    >>> from unisem import Record, SemanticSpace
    >>> from unisem.exchange.replicas import Replica, publish_space
    >>> folder = TemporaryDirectory()
    >>> with SemanticSpace.open(f"{folder.name}/s.unisem") as space:
    ...     _ = space.add([Record(id="a", text="a tiger")])
    ...     _ = publish_space(space, f"{folder.name}/published")
    >>> with Replica.open(f"{folder.name}/published", cache=f"{folder.name}/cache") as replica:
    ...     with replica.held() as space:
    ...         space.search(text="a big striped cat", k=1)[0].record.id
    'a'
    >>> folder.cleanup()
    """

    def __init__(self, published: Published, first: OpenVersion) -> None:
        self._published = published
        self._current = Current(first, OpenVersion.close)

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str],
        *,
        cache: str | os.PathLike[str] | None = None,
        encoder: str | Encoder | None = None,
    ) -> Self:
        """Fetch the newest version and open it; see `Published`.

        Raises:
            CorruptStoreError: What is published is damaged.
            StoreError: Nothing is published, or it cannot be reached and none is here.
            EncoderError: Its encoder is not here.
        """
        published = Published(source, cache=cache, encoder=encoder)
        return cls(published, published.first())

    @property
    def version(self) -> Version:
        """The version that is given out."""
        return self._current.present.version

    @contextmanager
    def held(self) -> Iterator[SemanticSpace]:
        """The space as it is now, which stays open and the same until the block ends."""
        with self._current.held() as opened:
            yield opened.space

    def refresh(self) -> bool:
        """Give out the newest version from now on; whether that is another.

        Raises:
            UniSemError: As of `Published.newer`; the present one stays.
        """
        opened = self._published.newer(self._current.present)
        if opened is not None:
            self._current.replace(opened)
        if not self._current.close_unused():
            self._published.tidy(self._current.present)
        return opened is not None

    def close(self) -> None:
        """Close all that is open, whoever uses it."""
        self._current.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def first_versions(published: Mapping[str, Published]) -> dict[str, OpenVersion]:
    """The newest version of each of several published spaces; all of them or none.

    Raises:
        UniSemError: As of `Published.first`.
    """
    opened: dict[str, OpenVersion] = {}
    try:
        for name, one in published.items():
            opened[name] = one.first()
    except BaseException:
        for version in opened.values():
            version.close()
        raise
    return opened


def _ask(space: SemanticSpace) -> None:
    """Have catalogue and index read before anybody waits for it; what is damaged is noticed."""
    dimension = space.store.dimension
    if dimension is not None:
        space.store.search(np.eye(1, dimension, dtype=np.float32), 1)


def _same_encoder(folder: Path, before: SemanticSpace) -> Encoder | None:
    """The encoder that is loaded, if the next version has the same."""
    manifest = Manifest.read(folder)
    if manifest is None:
        raise CorruptStoreError(f"{folder} holds no space; publish one again")
    same = manifest.fingerprint == before.encoder.fingerprint
    return before.encoder if same else None
