"""`Recorded`: a request of another client, as it goes over the wire."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Recorded:
    """A request: its first line, its headers, its body as text."""

    request: str
    headers: dict[str, str]
    body: str

    @classmethod
    def named(cls, name: str) -> Self:
        """The request of a file in ``fixtures``."""
        return cls(**json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")))

    def to(self, path: str, body: Any) -> Self:
        """The same client's request of another path."""
        return replace(self, request=f"POST {path} HTTP/1.1", body=json.dumps(body))

    def sent(self, url: str) -> tuple[int, Any]:
        """Send it; gives the status and the JSON that comes back.

        The bytes are those that were recorded, but for the name of the host and the length.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        body = self.body.encode()
        own = {"Host": parts.netloc, "Content-Length": str(len(body))}
        lines = [f"{name}: {value}" for name, value in (self.headers | own).items()]
        head = "\r\n".join([self.request, *lines, "", ""]).encode()
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            connection.sendall(head + body)
            answer = http.client.HTTPResponse(connection, method="POST")
            answer.begin()
            return answer.status, json.loads(answer.read())
