"""`FolderWatch`: does something whenever a folder has changed and has come to rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.common.lazy import require
from unisem.errors import UniSemError
from unisem.readers.walking import FileChoice

if TYPE_CHECKING:
    from watchfiles import Change

_LOOK = 2.0  # seconds between two looks at whether the folder is still the same
_LONGEST = 10  # times the quiet that is waited for, while changes go on
_SHARE, _MOST = 2, 10.0  # a run is followed by so many times its own seconds of rest, at most
_IN_ANY_CASE = 600.0  # seconds after which it is done though nothing was told, as by network drives


class FolderWatch:
    """Waits for changes in a folder, and has them taken in together.

    A change is anything that happens to a file that is not left out: programs that save by writing
    beside a file and renaming, thousands of changes at once, a drive that goes and comes back. What
    has changed is not told: whoever is called looks at the whole folder, which costs little where
    files look as they did.

    Args:
        folder: The folder; it may be missing now and then.
        changed: Called in the thread that watches, at the start and after changes.
        missing: Called when the folder has gone; nothing else is until it is back.
        space: A space's directory, which may lie in the folder; what happens there is no change.
        exclude: As of `FolderReader`.
        include: Likewise.
        quiet: Seconds without a change that are waited for.

    Raises:
        MissingImportError: watchfiles is not installed; ``pip install "unisem[watch]"``.
        ValueError: A pattern is none.
    """

    def __init__(
        self,
        folder: Path,
        changed: Callable[[], None],
        *,
        missing: Callable[[], None] = lambda: None,
        space: Path | None = None,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
        quiet: float = 0.5,
    ) -> None:
        require("unisem watch", "watchfiles", "unisem[watch]")
        self._folder = folder.absolute()
        self._changed = changed
        self._missing = missing
        self._space = None if space is None else space.resolve()
        self._choice = FileChoice(exclude, include)
        self._quiet = quiet

    def run(self, stop: threading.Event) -> None:
        """Watch until ``stop`` is set.

        Raises:
            UniSemError: The system watches no more folders; says what to do.
            Exception: Whatever ``changed`` raises.
        """
        is_told = False
        while not stop.is_set():
            if (identity := self._identity()) is None:
                if not is_told:
                    self._missing()
                is_told = True
                stop.wait(_LOOK)
                continue
            is_told = False
            self._watch(identity, stop)

    def _watch(self, identity: tuple[int, int], stop: threading.Event) -> None:
        """Watch as long as the folder is the same one."""
        due = is_first = True  # for what happened before anybody watched
        rested = done = time.monotonic()
        with closing(self._changes(stop)) as told:
            for changes in told:
                now = time.monotonic()
                due = due or bool(changes) or now - done > _IN_ANY_CASE
                if self._identity() != identity:
                    return
                if due and now >= rested and not stop.is_set():
                    due = False
                    self._run()
                    done = time.monotonic()
                    if not is_first:  # which may have embedded thousands
                        rested = done + min(_SHARE * (done - now), _MOST)
                    is_first = False

    def _changes(self, stop: threading.Event) -> Generator[set[tuple[Change, str]], None, None]:
        """What has changed each time that the folder has come to rest; nothing, now and then."""
        from watchfiles import watch

        real = self._folder.resolve()
        try:
            yield from watch(
                real,
                watch_filter=lambda change, path: self._counts(real, change, path),
                step=max(1, round(self._quiet * 1000)),
                debounce=round(_LONGEST * self._quiet * 1000),
                stop_event=stop,
                rust_timeout=round(1000 * min(_LOOK, max(self._quiet, 0.05))),
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
        except FileNotFoundError:  # it went just now
            stop.wait(_LOOK)
        except OSError as error:
            raise UniSemError(
                f"{self._folder} cannot be watched ({error}); where the system watches no more "
                "folders, allow more (sysctl fs.inotify.max_user_watches), or set "
                "WATCHFILES_FORCE_POLLING=1"
            ) from error

    def _run(self) -> None:
        """Have the changes taken in."""
        try:
            self._changed()
        except NotADirectoryError:
            if self._folder.is_dir():
                raise
            return  # it went while it was read

    def _counts(self, folder: Path, change: Change, name: str) -> bool:
        """Whether a change is of a file that is a person's."""
        del change
        path = Path(name)
        if self._space is not None and path.is_relative_to(self._space):
            return False
        if not path.is_relative_to(folder):
            return True
        return not self._choice.leaves_out(path.relative_to(folder))

    def _identity(self) -> tuple[int, int] | None:
        """Which folder it is: another one may be mounted in its place."""
        try:
            status = self._folder.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if self._folder.is_dir() else None
