"""`ServiceSettings`: the limits of a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a request may cost, and how many may wait.

    Attributes:
        read_only: Nothing may be added, changed or removed.
        hosts: What the ``Host`` header may say, without port; ``None`` for anything.
        body_bytes: Bytes of a request's body.
        values: Values of a request's JSON: an object, a list, each of their items.
        text: Characters of a query's text.
        conditions: Comparisons of a filter; those of one field that ask for one of several values
            are one.
        images: Pictures of a request.
        pixels: Pixels of a picture that is sent.
        k: Hits of a query, and neighbours of each.
        fetch_k: Candidates of a query.
        queries: Queries of a batch search.
        hits: Hits of all queries of a batch, or of all vectors of a search, neighbours
            included; and how many copies these tell of.
        records: Records of a request that adds, and of a page of a listing.
        inputs: Texts and pictures of a request for embeddings, documents of one for reranking.
        batch: Queries, or inputs, that are computed together.
        queue: Requests that wait for a space, or for an encoder; further ones get 429, and so does
            whatever is asked while as many and a batch are under way.
        seconds: How long a request may take to arrive, and how long an answer may take.
        connections: Connections that are open at a time; further ones get 503.

    Raises:
        ValueError: A limit is not more than 0.
    """

    read_only: bool = False
    hosts: tuple[str, ...] | None = None
    body_bytes: int = 32 << 20
    values: int = 250_000
    text: int = 100_000
    conditions: int = 256
    images: int = 16
    pixels: int = 50_000_000
    k: int = 1000
    fetch_k: int = 10_000
    queries: int = 64
    hits: int = 64_000
    records: int = 256
    inputs: int = 256
    batch: int = 64
    queue: int = 256
    seconds: float = 30.0
    connections: int = 1000

    def __post_init__(self) -> None:
        if self.hosts is not None:  # which are compared in small letters
            object.__setattr__(self, "hosts", tuple(map(str.lower, self.hosts)))
        for name in LIMITS:
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)!r}")

    @classmethod
    def limited(
        cls,
        limits: Mapping[str, float],
        *,
        read_only: bool = False,
        hosts: tuple[str, ...] | None = None,
    ) -> Self:
        """Settings with some of `LIMITS` changed.

        Raises:
            ValueError: A limit is not more than 0.
        """
        changed: dict[str, Any] = {name: LIMITS[name](value) for name, value in limits.items()}
        return replace(cls(read_only=read_only, hosts=hosts), **changed)


LIMITS: dict[str, type[int] | type[float]] = {
    field.name: {"int": int, "float": float}[str(field.type)]
    for field in fields(ServiceSettings)
    if field.type in ("int", "float")
}
"""The limits by name, each with what it is."""
