"""`PatientProtocol`: a connection on which a request begins in time, or that is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """Waits so long for the head of a request, byte by byte or not, and then hangs up.

    uvicorn bounds how long a connection may be idle between two requests, and the service how long
    a body may take; without this a head could be sent for ever. It is h11's protocol, as httptools
    drops a body that comes with ``Upgrade: h2c``, as Java's clients send it.
    """

    seconds = 30.0
    _hurry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._hurry is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._stop()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._hurry = self.loop.call_later(self.seconds, self._hang_up)

    def _stop(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _hang_up(self) -> None:
        cycle = self.cycle
        if (cycle is None or cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def protocol_within(seconds: float) -> type[asyncio.Protocol]:
    """The protocol that waits so long for a head."""
    return type("PatientProtocol", (PatientProtocol,), {"seconds": seconds})
