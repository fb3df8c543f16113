"""`serve_app`: an application behind a socket, until it is told to stop."""

from __future__ import annotations

import errno
import ipaddress
import logging
import math
import signal
import socket
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from unisem.errors import UniSemError
from unisem.service.http.connection import protocol_within
from unisem.service.settings import ServiceSettings

_BACKLOG = 2048
_KEEP_ALIVE = 15  # seconds


def serve_app(app: FastAPI, listener: socket.socket) -> None:
    """Serve an application of `create_app`, as `serve` does."""
    serve(app, app.state.service.settings, listener)


def serve(app: ASGIApp, settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; what has been asked by then is still answered."""
    # uvicorn raises the signal again that it was stopped by; there is still something to close.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with suppress(KeyboardInterrupt):
            server_of(app, settings).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


def local_names(listener: socket.socket) -> tuple[str, ...] | None:
    """What a socket that only this machine can reach may be called; ``None`` for any other."""
    address = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    if not address.is_loopback:
        return None
    bound = f"[{address}]" if address.version == 6 else str(address)
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", bound)))


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UniSemError: None can be had there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        taken = "; name another --port, or 0" if error.errno == errno.EADDRINUSE else ""
        why = f"cannot listen at {host} port {port} ({error.strerror})"
        raise UniSemError(f"{why}{taken}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of what listens."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def server_of(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Server:
    """What serves an application, within the limits."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            ws="none",
            http=protocol_within(settings.seconds),
            lifespan="on",
            limit_concurrency=settings.connections,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=last_answers(settings),
            proxy_headers=False,
        )
    )


def last_answers(settings: ServiceSettings) -> int:
    """Seconds after which all that was asked has been answered, be it that it takes too long."""
    return math.ceil(settings.seconds) + 1


def _is_news(record: logging.LogRecord) -> bool:
    """Java's clients ask for HTTP/2 with every connection, and do without it as well."""
    return not str(record.msg).startswith(("Unsupported upgrade", "No supported WebSocket"))
