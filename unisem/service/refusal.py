"""`RefusedError`: a request that the service does not do."""

from __future__ import annotations

from unisem.errors import UniSemError


class RefusedError(UniSemError):
    """What is wrong with which part of a request, fit for whoever sent it.

    Attributes:
        status: The HTTP status that says it.
        detail: What is wrong.
        field: Which part of the request.
        remedy: What to do.
        retry_after: Seconds after which it may go better.
        code: A word for it, for OpenAI's clients.
        kind: The name of the error of the core that it was, if it was one.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        retry_after: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail if remedy is None else f"{detail}; {remedy}")
        self.status = status
        self.detail = detail
        self.field = field
        self.remedy = remedy
        self.retry_after = retry_after
        self.code = code
        self.kind: str | None = None


def busy() -> RefusedError:
    """More requests than may wait."""
    return RefusedError(
        429, "too many requests wait", remedy="try again in a second", retry_after=1
    )


def too_many(what: str, most: int, field: str) -> RefusedError:
    """More of something than a limit allows."""
    return RefusedError(
        422, f"{what} must be at most {most:,}", field=field, remedy="ask for less at a time"
    )
