"""`Supervisor`: several processes that read, and one that writes, kept alive."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import unisem
from unisem.errors import UniSemError
from unisem.service.http.deployment import Deployment
from unisem.service.http.metrics import SHARED
from unisem.service.http.server import address_of, last_answers
from unisem.service.http.worker import FAILED

_LOOK = 0.1  # seconds between two looks
_CLOSING = 5.0  # seconds that a process has to close files when all is answered
_SOON, _MOST = 5.0, 5  # a process that ends so soon so often running will not do better
_PROGRAM = "from unisem.service.http.worker import main; main()"


@dataclass
class _Process:
    """A process that is to run.

    Attributes:
        role: ``"read"`` or ``"write"``.
        running: It, as it runs now.
        begun: When it was started.
        failures: How often running it has ended soon.
    """

    role: str
    running: subprocess.Popen[bytes]
    begun: float
    failures: int = 0


class Supervisor:
    """Starts processes that serve alike, and starts one again that has ended.

    Readers accept from one socket. What writes they send to the writer, behind a Unix socket in a
    folder that only this user can enter; it alone holds the spaces' locks. What it has answered is
    committed, so that nothing of that is lost with it, and readers see it at their next search.

    Args:
        deployment: What is served.
        workers: How many processes read.
        told: Called with what a person should know.
    """

    def __init__(
        self, deployment: Deployment, workers: int, *, told: Callable[[str], None]
    ) -> None:
        self._deployment = deployment
        self._workers = workers
        self._told = told
        self._stop = threading.Event()

    def run(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM.

        Raises:
            UniSemError: A process cannot begin, or ends again and again.
        """
        listener.set_inheritable(True)
        before = {number: signal.signal(number, self._end) for number in _STOPPING}
        processes: list[_Process] = []
        try:
            with tempfile.TemporaryDirectory(prefix="unisem-serve-") as folder:
                self._folder, self._listener = Path(folder), listener
                (self._folder / "metrics").mkdir()
                roles = ["read"] * self._workers
                roles += [] if self._deployment.settings.read_only else ["write"]
                try:
                    for role in roles:
                        processes.append(_Process(role, self._started(role), time.monotonic()))
                    self._told(
                        f"serving at {address_of(listener)} with {self._workers} workers; stop "
                        "with Ctrl-C"
                    )
                    while not self._stop.wait(_LOOK):
                        self._look_after(processes)
                finally:
                    answered = time.monotonic() + last_answers(self._deployment.settings)
                    _end(processes, "read", answered + _CLOSING)
                    _end(processes, "write", answered + 2 * _CLOSING)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _look_after(self, processes: list[_Process]) -> None:
        for process in processes:
            code = process.running.poll()
            if code is None:
                continue
            if process.running.stdin is not None:
                process.running.stdin.close()
            if code == FAILED:
                raise UniSemError("a process could not begin; what it said stands above")
            soon = time.monotonic() - process.begun < _SOON
            process.failures = process.failures + 1 if soon else 0
            if process.failures >= _MOST:
                raise UniSemError(f"a process ended {_MOST} times running, at last with {code}")
            self._told(f"a process that was to {process.role} ended with {code}; it starts again")
            process.running = self._started(process.role)
            process.begun = time.monotonic()

    def _started(self, role: str) -> subprocess.Popen[bytes]:
        descriptor = self._listener.fileno()
        writer = self._folder / "writer"
        known = "" if self._deployment.settings.read_only else str(writer)
        home = str(Path(unisem.__file__).parent.parent)
        paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, role, str(descriptor), known],
            stdin=subprocess.PIPE,
            pass_fds=[descriptor] if role == "read" else [],
            start_new_session=True,  # Ctrl-C is for this process, which ends the others in order
            env={**os.environ, "PYTHONPATH": paths, SHARED: str(self._folder / "metrics")},
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is seen soon
            process.stdin.write(self._deployment.to_json().encode() + b"\n")
            process.stdin.flush()
        return process

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stop.set()


_STOPPING = (signal.SIGINT, signal.SIGTERM)


def _end(processes: list[_Process], role: str, deadline: float) -> None:
    """Have processes answer what they were asked, and end, until a time of the monotonic clock."""
    ending = [process.running for process in processes if process.role == role]
    for running in ending:
        running.terminate()
    for running in ending:
        try:
            running.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        if running.stdin is not None:
            with suppress(OSError):
                running.stdin.close()
