"""One of several processes that serve: a reader behind the port, or the one that writes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from unisem.errors import UniSemError
from unisem.service.http.deployment import Deployment
from unisem.service.http.server import serve_app

FAILED = 3
"""Exit code of a process that cannot even begin; another try would not do better."""


def read(descriptor: int, writer: Path | None, deployment: Deployment) -> None:
    """Serve behind a socket that was inherited, and leave writing to the writer."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=descriptor))
        app = deployment.app(stack, writer)
        serve_app(app, listener)


def write(place: Path, deployment: Deployment) -> None:
    """Serve behind a Unix socket of this name, which only this user can reach."""
    with ExitStack() as stack:
        app = deployment.app(stack)
        place.unlink(missing_ok=True)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(place))
        listener.listen()
        serve_app(app, listener)


def main() -> None:
    """Read from standard input what to serve; its end is the end of whoever started this."""
    role, place, writer = sys.argv[1:]
    deployment = Deployment.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if role == "write":
            write(Path(writer), deployment)
        else:
            read(int(place), Path(writer) if writer else None, deployment)
    except UniSemError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(FAILED)


def _end_with_parent() -> None:
    while sys.stdin.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
