"""`Metrics`: what the service counts, for Prometheus."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unisem.service.http.guard import sent_path
from unisem.service.service import Service

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which several processes count together, if they do."""

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
_SPACE = re.compile(
    r"/v1/spaces/[^/]+(?P<group>/(search(/batch)?|stats|fields|records)?)?"
    r"(?P<record>/[^/]+)?(?P<image>/image)?"
)
_STORE = re.compile(
    r"/v1/spaces/[^/]+(?P<rest>/store(/(page|vectors|search|words|add|delete|update|calibration|"
    r"calibrate|embed|whole))?)"
)
_PLAIN = ("/v1/spaces", "/v1/embeddings", "/v1/rerank", "/rerank", "/v1/models", "/mcp", "/")


class Metrics(Collector):
    """Requests, how long they take, what waits, and how many records there are.

    Args:
        service: What waits and how many records there are.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "unisem_requests",
            "Requests that were answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "unisem_request_seconds",
            "How long answers took.",
            ["route"],
            buckets=_BOUNDS,
            registry=self._registry,
        )

    def count(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        route = _route(path)
        known = method in ("GET", "HEAD", "POST", "PATCH", "DELETE")
        self._requests.labels(route, method if known else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All that is counted, by all processes together; what waits is this one's."""
        registry = self._registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(_only(self))

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        records = GaugeMetricFamily("unisem_records", "Records of a space.", labels=["space"])
        queue = GaugeMetricFamily("unisem_queue", "Requests that wait.", labels=["for"])
        version = GaugeMetricFamily(
            "unisem_replica_version", "Version of a replica that is served.", labels=["space"]
        )
        failures = CounterMetricFamily(
            "unisem_replica_failures", "Refreshes of a replica that failed.", labels=["space"]
        )
        with self._service.spaces() as spaces:
            for hosted in spaces:
                records.add_metric([hosted.name], len(hosted.space))
                queue.add_metric([hosted.name], hosted.waiting)
                if hosted.version is not None:
                    version.add_metric([hosted.name], hosted.version.number)
                    failures.add_metric([hosted.name], self._service.failures[hosted.name])
        queue.add_metric(["embeddings"], self._service.waiting_inputs)
        yield from (records, queue, version, failures)


class Measured:
    """Counts what an application answers.

    Args:
        app: The application.
        metrics: Where.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 499  # nobody waits for the answer any more

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - begun
            self._metrics.count(sent_path(scope), scope["method"], status, seconds)


def _only(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _route(path: str) -> str:
    """A path without names, of which there are as many as anybody likes."""
    if path in _PLAIN:
        return path
    if path.startswith("/page/"):
        return "/page"
    if (store := _STORE.fullmatch(path)) is not None:
        return f"/v1/spaces/{{space}}{store['rest']}"
    found = _SPACE.fullmatch(path)
    if found is None or found["group"] is None:
        return "other"
    record = "/{id}" if found["record"] else ""
    return f"/v1/spaces/{{space}}{found['group']}{record}{found['image'] or ''}"
