"""`ServiceSettings`: the limits of a service."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a request may cost, and how many may wait.

    Attributes:
        read_only: Nothing may be added, changed or removed.
        hosts: What the ``Host`` header may say, without port; ``None`` for anything.
        body_bytes: Bytes of a request's body.
        images: Pictures of a request.
        pixels: Pixels of a picture that is sent.
        k: Hits of a query, ``neighbors`` of one likewise.
        fetch_k: Candidates of a query.
        queries: Queries of a batch search.
        records: Records of a request that adds, and of a page of a listing.
        inputs: Texts and pictures of a request for embeddings, documents of one for reranking.
        batch: Queries, or inputs, that are computed together.
        queue: Requests that wait for a space, or for an encoder; further ones get 429.
        seconds: How long a request may take to arrive, and how long an answer may take.
        connections: Connections that are open at a time; further ones get 503.
        metrics: Whether ``/metrics`` is there.

    Raises:
        ValueError: A limit is less than 1.
    """

    read_only: bool = False
    hosts: tuple[str, ...] | None = None
    body_bytes: int = 32 << 20
    images: int = 16
    pixels: int = 50_000_000
    k: int = 1000
    fetch_k: int = 10_000
    queries: int = 64
    records: int = 256
    inputs: int = 256
    batch: int = 64
    queue: int = 256
    seconds: float = 30.0
    connections: int = 1000
    metrics: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "float") and not value > 0:
                raise ValueError(f"{field.name} must be more than 0, not {value!r}")
