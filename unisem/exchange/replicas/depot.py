"""`Depot`: a place where spaces are published: named files, whole or absent."""

from __future__ import annotations

import os
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from unisem.common.atomic_files import publish
from unisem.common.filelock import FileLock
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError

LOCK = "publishing.lock"


class Depot(ABC):
    """Files by names with slashes, written whole, replaced at once.

    Args:
        name: What errors call the place.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self, name: str, most: int) -> bytes | None:
        """A file's content, ``None`` if there is no such file.

        Raises:
            CorruptStoreError: It is longer than ``most`` bytes, or no file.
            StoreError: The place cannot be reached.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all, in place of one that has the name.

        Raises:
            StoreError: The place cannot be reached, or refuses.
        """

    @abstractmethod
    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all files in a folder and below, by name.

        Raises:
            StoreError: The place cannot be reached.
        """

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Remove files; one that is not there is no error.

        Raises:
            StoreError: The place cannot be reached, or refuses.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[Callable[[], None]]:
        """Nobody else publishes meanwhile; gives what is called now and then to make sure of it.

        Raises:
            StoreLockedError: Somebody else does.
            StoreError: The place cannot be reached, or refuses.
        """


class DirectoryDepot(Depot):
    """A directory, of this machine or mounted from another.

    Args:
        folder: Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def read(self, name: str, most: int) -> bytes | None:
        """See `Depot`; links are not followed."""
        path = self._folder / name
        try:
            with open(path, "rb", opener=_open_a_file) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise CorruptStoreError(f"{path} is no file; publish the space again")
                data = file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error})") from error
        return within(data, most, str(path))

    def write(self, name: str, data: bytes) -> None:
        """See `Depot`."""
        path = self._folder / name
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                publish(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error})") from error

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Depot`; also what was being written when a process was killed."""
        found = {}
        for parent, _, names in os.walk(self._folder / folder):
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):
                    found[path.relative_to(self._folder).as_posix()] = path.lstat().st_size
        return found

    def remove(self, names: Iterable[str]) -> None:
        """See `Depot`."""
        try:
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error}") from error

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """See `Depot`; the system lets go of the lock when the process ends, however it ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / LOCK)
        except BlockingIOError:
            raise StoreLockedError(
                f"another process is publishing to {self._folder}; wait until it is done"
            ) from None
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written ({error})") from error
        with lock:
            yield lambda: None


def within(data: bytes, most: int, name: str) -> bytes:
    """Data of a file, of which one byte more than ``most`` was asked for.

    Raises:
        CorruptStoreError: It has that.
    """
    if len(data) > most:
        raise CorruptStoreError(f"{name} is longer than it should be; publish the space again")
    return data


def _open_a_file(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
