"""`RemoteDepot`: a place that fsspec reaches: ``s3://``, ``gs://``, ``memory://``."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from unisem.common.lazy import require
from unisem.errors import StoreError, StoreLockedError
from unisem.exchange.replicas.depot import LOCK, Depot, within

_RENEWED = 60.0  # seconds after which who publishes says again that they do
_STALE = 900.0  # seconds of silence after which they are taken to be dead
_MOST_LOCK = 1 << 12


class RemoteDepot(Depot):
    """A place behind a URL; it is reached with what its own library finds of access rights.

    Args:
        url: Of the place.

    Raises:
        StoreError: The library for such URLs is not installed.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            require(url.partition("://")[0] + "://", "fsspec", "unisem[remote]")
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]

            self._files: Any
            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f'{url} cannot be reached: {error}; pip install "unisem[remote]" brings what s3:// '
                "needs, for others see fsspec"
            ) from error
        self._root = str(root).rstrip("/")

    def read(self, name: str, most: int) -> bytes | None:
        """See `Depot`."""
        with self._reaching(name):
            try:
                data = self._files.cat_file(self._path(name), start=0, end=most + 1)
            except FileNotFoundError:
                return None
        return within(bytes(data), most, f"{self.name}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """See `Depot`; whole on object stores, which know nothing else."""
        with self._reaching(name):
            try:
                self._files.pipe_file(self._path(name), data)
            except FileNotFoundError:  # of what has folders
                if not self._files.exists(self._root[:1] + self._root[1:].partition("/")[0]):
                    raise  # a bucket is nothing to be made for a name that may be mistyped
                self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(self._path(name), data)

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Depot`."""
        with self._reaching(folder):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self._root) + 1
        return {path[start:]: int(facts["size"] or 0) for path, facts in found.items()}

    def remove(self, names: Iterable[str]) -> None:
        """See `Depot`."""
        paths = [self._path(name) for name in names]
        if paths:
            with self._reaching(LOCK), suppress(FileNotFoundError):
                self._files.rm(paths)

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """See `Depot`; by a file, as there are no locks.

        It is made only if there is none where the store can do that at once, and read again
        before the pointer is put. A thread renews it, however long nothing is sent; one that
        nobody has renewed for a quarter of an hour is of a process that was killed.
        """
        mine = _Claim(self)
        mine.make()
        done = threading.Event()
        thread = threading.Thread(
            target=mine.keep, args=(done,), name="unisem-publishing", daemon=True
        )
        thread.start()
        try:
            yield mine.renew
        finally:
            done.set()
            thread.join()  # it would say so again after the end
            with suppress(StoreError):
                mine.end()

    def claimed(self) -> dict[str, Any] | None:
        """What the lock says; ``None`` if there is none."""
        data = self.read(LOCK, _MOST_LOCK)
        if data is None:
            return None
        try:
            told: dict[str, Any] = json.loads(data)
            return {"token": str(told["token"]), "who": str(told["who"]), "at": float(told["at"])}
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return {"token": "", "who": "somebody", "at": 0.0}

    def claim(self, data: bytes, *, only_new: bool) -> None:
        """Write the lock; if need be only where there is none.

        Raises:
            FileExistsError: There is one, or perhaps.
            StoreError: The place cannot be reached, or refuses.
        """
        if not only_new:
            self.write(LOCK, data)
            return
        try:
            self._files.pipe_file(self._path(LOCK), data, mode="create")
        except FileNotFoundError:
            self.write(LOCK, data)
        except Exception as error:  # each store says it in its own way
            if self.claimed() is None:
                raise StoreError(f"{self.name} cannot be written ({error})") from error
            raise FileExistsError(LOCK) from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError as error:
            raise StoreError(f"{self.name} is not there ({error})") from error
        except Exception as error:  # each library has its own
            raise StoreError(f"{self.name}/{name} cannot be reached ({error})") from error


class _Claim:
    """One process's word that it is publishing.

    Args:
        depot: Where to.
    """

    def __init__(self, depot: RemoteDepot) -> None:
        self._depot = depot
        self._token = secrets.token_hex(16)
        self._said = 0.0

    def make(self) -> None:
        """Say so first.

        Raises:
            StoreLockedError: Another process is publishing.
        """
        try:
            self._depot.claim(self._text(), only_new=True)
        except FileExistsError:
            told = self._depot.claimed()
            if told is not None and time.time() - told["at"] < _STALE:
                raise StoreLockedError(
                    f"{told['who']} is publishing to {self._depot.name}; wait until it is done. If "
                    f"it was killed, its place is taken after {_STALE / 60:.0f} minutes"
                ) from None
            self._depot.claim(self._text(), only_new=False)
        self._check()

    def renew(self) -> None:
        """Make sure that it holds, and say so again if that was some time ago.

        Raises:
            StoreLockedError: Another process has taken the place meanwhile.
        """
        self._check()
        if time.monotonic() - self._said > _RENEWED:
            self._depot.claim(self._text(), only_new=False)

    def keep(self, done: threading.Event) -> None:
        """Say so again now and then; that it cannot be said is for `renew` to tell."""
        while not done.wait(_RENEWED):
            with suppress(StoreError):
                self.renew()

    def end(self) -> None:
        """Let others publish."""
        self._check()
        self._depot.remove([LOCK])

    def _text(self) -> bytes:
        self._said = time.monotonic()
        who = f"process {os.getpid()} on {socket.gethostname()}"
        return json.dumps({"token": self._token, "who": who, "at": time.time()}).encode()

    def _check(self) -> None:
        told = self._depot.claimed()
        if told is None or told["token"] != self._token:
            raise StoreLockedError(
                f"another process has begun to publish to {self._depot.name}; nothing was changed "
                "for those who read. Publish again when it is done"
            )
