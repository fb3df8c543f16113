"""`Cache`: versions of one published space on this machine, shared by all processes that use it.

A version is a folder that appears whole: its files were compared with their digests first, and do
not change. Who uses it holds a shared lock in it; who fetches one, or removes one that nobody uses,
holds the cache's own.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from unisem.common.atomic_files import fsync_folder
from unisem.common.filelock import FileLock
from unisem.common.owned import is_own_file, is_own_folder
from unisem.common.threads import in_order, workers
from unisem.errors import CorruptStoreError, StoreError
from unisem.exchange.replicas.version import MOST_VERSION, Pointer, StoredFile, Version, digest_of
from unisem.stores.frozen import FROZEN, IN_USE

_LOCK = "cache.lock"
_AHEAD = 32  # files that are fetched before they are needed
_LEFT = 1 << 26  # bytes that a disk must have left

Part = Callable[[str, int], bytes]
"""Gives the part of a digest, of at most so many bytes."""


@dataclass(slots=True)
class LocalVersion:
    """A version that is here and in use.

    Attributes:
        version: It.
        pointer: What names it.
        folder: Its files, which are a space's directory.
    """

    version: Version
    pointer: Pointer
    folder: Path
    _lock: FileLock

    def release(self) -> None:
        """Let it be removed; safe to call twice."""
        self._lock.close()


def folder_of(source: str, folder: Path | None = None) -> Path:
    """Where versions of a published space are kept: in a folder, or in the user's for caches."""
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home, "unisem", "replicas")
    return folder / hashlib.sha256(source.encode()).hexdigest()[:32]


class Cache:
    """See the module.

    Args:
        folder: Made if it is missing, for this user only.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made ({error}); name another cache") from error

    def newest_first(self) -> Iterator[LocalVersion]:
        """The versions that are here, whole, from the greatest number on; release each."""
        with self._alone():
            names = sorted(self._names(), reverse=True)
        for name in names:
            with suppress(CorruptStoreError):
                with self._alone():
                    local = self._leased(name)
                yield local

    def take(self, pointer: Pointer, describe: Callable[[], Version], part: Part) -> LocalVersion:
        """Have a version here, and use it; another process may have fetched it already.

        Args:
            pointer: Which one.
            describe: Gives its description.
            part: Gives a part, which need not be the right one.

        Raises:
            CorruptStoreError: A part is missing or another; nothing of it is kept.
            StoreError: The place cannot be reached, or this machine's disk refuses.
        """
        with self._alone():
            if (self._folder / pointer.name).exists():
                try:
                    return self._leased(pointer.name)
                except CorruptStoreError:
                    self._remove(pointer.name)
            version = describe()
            temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
            try:
                here = _Here(self._folder)
                self._check_room(version, here)
                temporary.mkdir(mode=0o700)
                self._fill(temporary, version, here, part)
                _write(temporary / FROZEN, version.to_bytes())
                temporary.rename(self._folder / pointer.name)
                fsync_folder(self._folder)
            except OSError as error:
                raise StoreError(
                    f"{self._folder}: version {pointer.number} could not be kept ({error})"
                ) from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return self._leased(pointer.name)

    def prune(self, *kept: str) -> None:
        """Remove what nobody uses but versions of some names, and what killed processes left."""
        with self._alone():
            for name in self._names():
                if name not in kept:
                    self._remove(name)
            for path in self._folder.glob(".*.tmp"):
                shutil.rmtree(path, ignore_errors=True)

    def _names(self) -> list[str]:
        return [it.name for it in self._folder.iterdir() if it.name[:1].isdigit()]

    def _remove(self, name: str) -> None:
        folder = self._folder / name
        try:
            lock = FileLock(folder / IN_USE)
        except OSError:  # somebody uses it
            return
        with lock:
            gone = self._folder / f".{secrets.token_hex(8)}.tmp"
            with suppress(OSError):
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)

    def _leased(self, name: str) -> LocalVersion:
        """A version that is here, of which it is looked at whether all files are.

        Raises:
            CorruptStoreError: It is damaged.
        """
        folder = self._folder / name
        version, pointer = _described(folder)
        if pointer.name != name:
            raise CorruptStoreError(f"{folder} is another version than its name says")
        for path, file in version.files.items():
            if not is_own_file(folder / path) or (folder / path).stat().st_size != file.size:
                raise CorruptStoreError(f"{folder / path} is missing or damaged")
        try:
            lock = FileLock(folder / IN_USE, shared=True, wait=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be used ({error})") from error
        return LocalVersion(version, pointer, folder, lock)

    def _check_room(self, version: Version, here: _Here) -> None:
        free = shutil.disk_usage(self._folder).free
        length = version.part_bytes
        needed = sum(
            file.size for name, file in version.files.items() if not here.has(name, file, length)
        )
        if needed + _LEFT > free:
            raise StoreError(
                f"{self._folder} has {free / 1e9:.1f} GB left, and the version needs up to "
                f"{needed / 1e9:.1f} GB; name a cache on another disk"
            )

    def _fill(self, folder: Path, version: Version, here: _Here, part: Part) -> None:
        """Bring all files of a version together, from what is here and from its place."""
        for parent in sorted({Path(name).parent for name in version.files}):
            (folder / parent).mkdir(parents=True, exist_ok=True)
        length = version.part_bytes

        def bring(name: str, file: StoredFile) -> None:
            path = folder / name
            if not here.link(name, file, length, path):
                _write_parts(path, file, length, lambda *it: here.part(*it) or part(*it))

        with workers("unisem-fetch") as pool:
            jobs = (pool.submit(bring, name, file) for name, file in version.files.items())
            for _ in in_order(jobs, _AHEAD):
                pass

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            lock = FileLock(self._folder / _LOCK, wait=True)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be used ({error})") from error
        with lock:
            yield


class _Here:
    """The newest version that is here, of which most is the same in the next one.

    Args:
        folder: The cache's.
    """

    def __init__(self, folder: Path) -> None:
        self._version: Version | None = None
        self._places: dict[str, tuple[Path, int]] = {}
        for path in sorted(folder.iterdir(), reverse=True):
            if not path.name[:1].isdigit() or not is_own_folder(path):
                continue
            with suppress(StoreError):
                self._version, _ = _described(path)
                self._folder = path
                break
        if self._version is not None:
            length = self._version.part_bytes
            for name, file in self._version.files.items():
                for number, digest in enumerate(file.parts):
                    self._places[digest] = self._folder / name, number * length

    def has(self, name: str, file: StoredFile, length: int) -> bool:
        """Whether a whole file is here, under the name that it had."""
        version = self._version
        if version is None or version.files.get(name) != file or version.part_bytes != length:
            return False
        known = self._folder / name
        return is_own_file(known) and known.stat().st_size == file.size

    def link(self, name: str, file: StoredFile, length: int, path: Path) -> bool:
        """Give a whole file that is here another name; ``False`` if it is not here."""
        with suppress(OSError):  # the file system has no such names, or too many
            if self.has(name, file, length):
                os.link(self._folder / name, path, follow_symlinks=False)
                return True
        return False

    def part(self, digest: str, size: int) -> bytes | None:
        """A part that is here, if it is still the one that it was."""
        if digest not in self._places:
            return None
        path, start = self._places[digest]
        with suppress(OSError), path.open("rb") as file:
            file.seek(start)
            data = file.read(size)
            if digest_of(data) == digest:
                return data
        return None


def _described(folder: Path) -> tuple[Version, Pointer]:
    path = folder / FROZEN
    if not is_own_file(path):
        raise CorruptStoreError(f"{path} is missing")
    with path.open("rb") as file:
        data = file.read(MOST_VERSION)
    version = Version.parsed(data, str(path))
    return version, replace(Pointer.to(version), digest=digest_of(data), size=len(data))


def _write_parts(path: Path, file: StoredFile, length: int, part: Part) -> None:
    """Write a file of its parts, each compared with its digest.

    Raises:
        CorruptStoreError: One is another.
    """
    with path.open("xb") as out:
        left = file.size
        for digest in file.parts:
            size = min(left, length)
            data = part(digest, size)
            if len(data) != size or digest_of(data) != digest:
                raise CorruptStoreError(
                    f"{path.name}: a part is damaged ({digest[:16]}…); publish the space again "
                    "with --check"
                )
            out.write(data)
            left -= size
        if file.size > length:  # the catalogue and the index; a picture is compared when it is read
            out.flush()
            os.fsync(out.fileno())
    path.chmod(0o444)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    path.chmod(0o444)
