"""Routes for whoever runs the service: alive, ready, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from unisem.errors import UniSemError
from unisem.service.http.access import ThePrincipal, TheService
from unisem.service.refusal import RefusedError

router = APIRouter(tags=["operations"])


@router.get("/health", summary="Say whether the process runs")
async def health() -> dict[str, str]:
    """Answers as long as the process runs."""
    return {"status": "ok"}


@router.get("/ready", summary="Say whether questions are answered")
def ready(request: Request, service: TheService) -> dict[str, str]:
    """Whether models are loaded and spaces can be read; 503 if not."""
    if not request.app.state.is_ready:
        raise RefusedError(503, "models are being loaded, or the service stops", retry_after=1)
    try:
        with service.spaces() as spaces:
            for hosted in spaces:
                len(hosted.space)
    except (UniSemError, OSError):
        raise RefusedError(503, "a space cannot be read", retry_after=5) from None
    return {"status": "ok"}


@router.get("/metrics", summary="Give Prometheus what is counted", response_class=Response)
def metrics(request: Request, principal: ThePrincipal) -> Response:
    """Requests, latencies, queues, records; not for tokens that are bound to a part of them."""
    if principal.is_bound:
        raise RefusedError(403, "this token is bound to some records, and the counts are of all")
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
