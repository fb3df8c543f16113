"""`Connection`: requests to one space of one service, and what may go wrong with them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from unisem import __version__
from unisem.common.forks import Carried, keep_for_ever
from unisem.errors import ServiceError, StoreError
from unisem.remote.problems import error_of

_Answer = TypeVar("_Answer", bound=BaseModel)

LARGEST = 1 << 30
"""Bytes of an answer, but for pictures; a service that sends more is not read to its end."""

_CONNECT = 10.0  # seconds
_PATIENCE = 30.0  # seconds that a busy service is waited for
_TRIES = 3  # of what may be asked again, where the connection breaks
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger(__name__)


class Connection(Carried):
    """Asks a service for one space. Threads may share it, and a forked child has its own sockets.

    Nothing goes anywhere but to the service's own address: redirects are not followed, and URLs in
    answers are not used. TLS is verified as by httpx.

    Args:
        url: Where the service is, ``https://…`` or ``http://…``.
        token: What it knows the caller by; ``None`` if it asks for none.
        timeout: Seconds that the service may be silent.

    Raises:
        ServiceError: The URL is none of a service.
        ValueError: The token cannot be sent.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        self.url = _checked(url)
        self._headers = {"User-Agent": f"unisem/{__version__}", "Accept": "application/json"}
        if token is not None:
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise ValueError("a token is printable ASCII without spaces")
            self._headers["Authorization"] = f"Bearer {token}"
            self._warn_of_plain_text()
        self._timeout = timeout
        self._client: httpx.Client | None = self._opened()
        self.follow_forks()

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def begin_anew(self) -> None:
        """In a forked child: the sockets are the parent's."""
        if self._client is not None:
            keep_for_ever(self._client)
            self._client = self._opened()

    def ask(
        self,
        answer: type[_Answer],
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        again: bool = True,
    ) -> _Answer:
        """Ask something that is answered by JSON.

        Args:
            answer: What the answer is.
            method: ``GET``, ``POST`` …
            path: From the service's root.
            body: Sent as JSON.
            parameters: Of the query string.
            again: Whether nothing is changed by asking twice.

        Raises:
            UniSemError: What the service says is wrong, as the core's own error of that kind.
            ServiceError: It cannot be reached, is busy, or answers what it should not.
        """
        content = None if body is None else body.model_dump_json().encode()
        data = self.send(method, path, content, parameters=parameters, again=again)
        try:
            return answer.model_validate_json(data)
        except ValidationError as error:
            raise self._strange(error) from error

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        kind: str = "application/json",
        parameters: Mapping[str, str] | None = None,
        most: int = LARGEST,
        again: bool = True,
    ) -> bytes:
        """As `ask`, of bytes, which may be none."""
        waited, tries = 0.0, 0
        while True:
            tries += 1
            try:
                return self._once(method, path, content, kind, parameters, most)
            except _BusyError as busy:
                later = busy.after
                if later is None or waited + later > _PATIENCE or not (again or busy.untouched):
                    raise busy.error from None
                time.sleep(later)
                waited += later
            except httpx.ConnectError as error:  # nothing was sent
                raise ServiceError(
                    f"{self.url} cannot be reached ({error}); is the service running there?"
                ) from error
            except httpx.TransportError as error:
                if not again:
                    raise ServiceError(
                        f"{self.url}: the connection broke ({_words(error)}), and whether it was "
                        "done is not known; look, or do it again"
                    ) from error
                if tries == _TRIES or isinstance(error, httpx.TimeoutException):
                    raise ServiceError(
                        f"{self.url} does not answer ({_words(error)}); try again later"
                    ) from error

    def close(self) -> None:
        """Let go of the sockets; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._client is None

    def _once(
        self,
        method: str,
        path: str,
        content: bytes | None,
        kind: str,
        parameters: Mapping[str, str] | None,
        most: int,
    ) -> bytes:
        if self._client is None:
            raise StoreError(f"{self.url}: this space is closed; connect again")
        headers = None if content is None else {"Content-Type": kind}
        with self._client.stream(
            method, self.url + path, content=content, params=parameters, headers=headers
        ) as response:
            data = self._read(response, most)
            status = response.status_code
            if status < 300:
                return data
            after = response.headers.get("retry-after", "")
        if status < 400:
            raise ServiceError(
                f"{self.url} sends elsewhere (HTTP {status}), and is not followed; give the "
                "address where it is"
            )
        error = error_of(status, data, self.url)
        if status in (429, 503):
            seconds = float(after) if after.isdecimal() else None
            raise _BusyError(error, seconds, untouched=status == 429)
        raise error

    def _read(self, response: httpx.Response, most: int) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > most:
                raise ServiceError(f"{self.url} answers with more than {most:,} bytes")
            parts.append(part)
        return b"".join(parts)

    def _opened(self) -> httpx.Client:
        return httpx.Client(
            headers=self._headers,
            timeout=httpx.Timeout(self._timeout, connect=_CONNECT),
            follow_redirects=False,
        )

    def _strange(self, error: Exception) -> ServiceError:
        return ServiceError(
            f"{self.url} answers what this version of unisem does not understand; is it a service "
            f"of unisem, of the same version? ({' '.join(str(error).split())[:200]})"
        )

    def _warn_of_plain_text(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            _log.warning("%s: the token is sent in plain text; use https://", self.url)


class _BusyError(Exception):
    """The service says that it is busy.

    Attributes:
        error: What to raise if that lasts.
        after: Seconds after which to ask again, if it says so.
        untouched: Whether it has certainly done nothing.
    """

    def __init__(self, error: Exception, after: float | None, *, untouched: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after
        self.untouched = untouched


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _checked(url: str) -> str:
    """A service's URL without a slash at its end."""
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port >= 0
    except (ValueError, TypeError, AttributeError):
        raise ServiceError(f"{url!r:.100} is no URL of a service") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_number:
        raise ServiceError(
            f"{url!r:.100} is no URL of a service; for example http://127.0.0.1:8000"
        )
    if parts.username is not None or parts.password is not None:
        raise ServiceError("a service's URL has no user and password; pass token=…")
    if parts.query or parts.fragment:
        raise ServiceError(f"{url!r:.100}: a service's URL has no query and no fragment")
    return url.rstrip("/")


def _words(error: Any) -> str:
    return str(error) or type(error).__name__
