"""`ProcessApart`: a process for a library in native code, which is ended when it takes too long."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import Any

from unisem.common.forks import Carried, undisturbed
from unisem.common.frames import receive, send
from unisem.common.limits import COUNTS_WORK, OVERTIME
from unisem.errors import ImageError

SECONDS = 20.0
"""Of a processor's that a task may take, unless the environment says otherwise."""
MEMORY = 2 << 30
"""Bytes that such a process may have."""

_LONGEST = 86_400  # seconds that may be granted
_PATIENCE = 10  # seconds of the clock for each of a processor's: a busy machine is nobody's fault
_STRIKES = 3  # after which a document is left alone
_REPRIEVE = 600  # seconds after the last of them
_REMEMBERED = 1000  # documents with strikes


class ProcessApart(Carried):
    """Starts when it is first asked, and again after it was ended. One thread's turn at a time.

    A fork's child starts one of its own. It ends with this process, however that ends: its pipe is
    closed then, and what it is in the middle of is bounded.

    Args:
        worker: The module that is run there; it calls `unisem.common.limits.answer_requests`.
        library: What people call what works there.
        variable: The environment variable that grants it more seconds than `SECONDS`.
    """

    def __init__(self, worker: str, library: str, variable: str) -> None:
        self._worker, self._library, self._variable = worker, library, variable
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._held: str | None = None  # digest of the document that it has
        self._strikes: dict[str, tuple[int, float]] = {}
        atexit.register(self.end)
        self.follow_forks()

    def ask(
        self, data: bytes, digest: str, name: str, task: str, *arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Have something done with a document.

        Args:
            data: The document, or the picture.
            digest: Of ``data``.
            name: What to call it in an error.
            task: One that the worker knows.
            arguments: The task's, as JSON can hold them.

        Returns:
            A ``value`` or an ``error``, and the ``seconds`` that it took a processor; pixels.

        Raises:
            ImageError: It takes the library too long or too much memory, or crashes it; or has done
                so three times in the last minutes.
        """
        seconds = self._seconds(name)
        limits = {"seconds": seconds, "clock": seconds * (_PATIENCE if COUNTS_WORK else 1)}
        with self._lock:
            if self.gives_up(digest):
                summary = f"is left alone, as {self._library} was ended over it {_STRIKES} times"
                raise ImageError(name, summary, again=True)
            process = self._started(name)
            began = time.monotonic()
            try:
                if self._held != digest:
                    self._held = None
                    answer = _asked(process, {"task": "open", **limits}, data)
                    if "error" in answer[0]:
                        return answer
                    self._held = digest
                return _asked(process, {"task": task, "arguments": arguments, **limits})
            except (EOFError, OSError):
                status = self._ended(patience=1)
                self._strike(digest)
                late = status == OVERTIME or time.monotonic() - began >= limits["clock"]
                raise self._died(name, status, seconds if late else None) from None
            except BaseException:  # Ctrl-C: what it answers later is nobody's answer
                self._ended()
                raise

    def forgive(self, digest: str) -> None:
        """Forget how often it was ended over a document, as that is read from its beginning."""
        self._strikes.pop(digest, None)

    def gives_up(self, digest: str) -> bool:
        """Whether it was ended over a document too often."""
        count, last = self._strikes.get(digest, (0, 0.0))
        return count >= _STRIKES and time.monotonic() - last < _REPRIEVE

    def end(self) -> None:
        """End the process, if there is one, whatever it is doing."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def begin_anew(self) -> None:
        """See `Carried`."""
        self._lock = threading.Lock()
        process, self._process, self._held = self._process, None, None
        if process is not None:
            process.returncode = 0  # it is no child of this process
            _close(process)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._ended()
        if getattr(sys, "frozen", False):  # its program is no Python; it would start itself
            summary = f"cannot be read: a frozen program cannot start one for {self._library}"
            raise ImageError(name, summary)
        places = [place for place in sys.path if place]
        places.append(str(Path(__file__).parents[2]))  # if it was found by the current folder
        try:
            with undisturbed():
                # Not by `multiprocessing`, which would run the user's own script again. -P: what
                # lies in the current folder is not imported.
                self._process = subprocess.Popen(
                    [get_executable(), "-P", "-m", self._worker, str(MEMORY)],
                    bufsize=0,  # nothing that a fork could copy half written
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))},
                    start_new_session=True,  # Ctrl-C is this process's affair
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            summary = f"cannot be read: the process for {self._library} does not start"
            raise ImageError(name, summary, f" ({error})", again=True) from error
        return self._process

    def _ended(self, patience: float = 0) -> int | None:
        """End the process; its status."""
        process, self._process, self._held = self._process, None, None
        if process is None:
            return None
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)
        return process.returncode

    def _died(self, name: str, status: int | None, seconds: float | None) -> ImageError:
        if seconds is not None:
            summary = f"takes {self._library} longer than {seconds:g} s"
            detail = f"; {self._variable} in the environment may grant it more"
            return ImageError(name, summary, detail, again=True)
        summary = f"crashes {self._library}, or takes more than {MEMORY >> 20:,} MiB of memory"
        detail = f" (status {status}); save it anew with another program"
        return ImageError(name, summary, detail, again=True)

    def _seconds(self, name: str) -> float:
        variable = self._variable
        said = os.environ.get(variable, "")
        try:
            seconds = float(said or SECONDS)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= _LONGEST:
            why = f"cannot be read: {variable} must be 1 to {_LONGEST}, not {said!r}"
            raise ImageError(name, why)
        return seconds

    def _strike(self, digest: str) -> None:
        count, _ = self._strikes.pop(digest, (0, 0.0))
        self._strikes[digest] = count + 1, time.monotonic()
        if len(self._strikes) > _REMEMBERED:
            self._strikes.pop(next(iter(self._strikes)))


def _asked(
    process: subprocess.Popen[bytes], request: dict[str, Any], data: bytes = b""
) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    send(process.stdin, request, data)
    return receive(process.stdout)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
