"""`create_app`: the service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from unisem import __version__
from unisem.exchange.replicas.replica import Published, first_versions
from unisem.rerank.base import Reranker
from unisem.search.reranking import Reranking
from unisem.service.http import (
    embedding,
    images,
    labelling,
    operations,
    records,
    searching,
    spaces,
    store_routes,
)
from unisem.service.http.forwarding import Forwarding
from unisem.service.http.guard import Guard
from unisem.service.http.metrics import Measured, Metrics
from unisem.service.http.problems import handle_errors
from unisem.service.page import page_router
from unisem.service.principals import Tokens
from unisem.service.refreshing import Refresher
from unisem.service.service import Service
from unisem.service.settings import ServiceSettings
from unisem.space import SemanticSpace
from unisem.wire.problem import Problem

_ABOUT = """One semantic space for text and images, over HTTP. Whatever goes wrong is answered as
`application/problem+json` (RFC 9457); on the paths that OpenAI's and Jina's clients know, as
OpenAI's errors."""


_PROBLEM = {"application/problem+json": {"schema": Problem.model_json_schema()}}


def create_app(
    spaces_by_name: Mapping[str, SemanticSpace],
    settings: ServiceSettings | None = None,
    *,
    rerankers: Mapping[str, Reranker | Reranking] | None = None,
    tokens: Tokens | None = None,
    writer: Path | None = None,
    secret: bytes | None = None,
    replicas: Mapping[str, Published] | None = None,
    refresh: float = 60.0,
) -> FastAPI:
    """Serve spaces.

    Args:
        spaces_by_name: By their names in URLs; whoever opened them closes them.
        settings: The limits.
        rerankers: Rerankers that queries may ask for, by name.
        tokens: Who may ask; anyone, if ``None``, which is for a service that only this machine can
            reach.
        writer: The Unix socket of the process that writes, if this one only reads.
        secret: As of `Service`.
        replicas: Published spaces by their names in URLs; the newest versions are opened here.
        refresh: Seconds between two looks whether newer versions are published.

    Raises:
        UniSemError: A published space cannot be had or opened.
    """
    published = replicas or {}
    opened = first_versions(published)
    service = Service(
        spaces_by_name,
        settings,
        rerankers=rerankers,
        tokens=tokens,
        secret=secret,
        replicas=opened,
    )
    refresher = Refresher(service, published, opened, refresh)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(_warm(app, service))
        refresher.start()
        yield
        app.state.is_ready = False
        await warming
        await run_in_threadpool(refresher.close)
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="UniSem",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={
            "4XX": {"description": "What is wrong with the request.", "content": _PROBLEM},
            "5XX": {"description": "What is wrong here.", "content": _PROBLEM},
        },
    )
    app.state.service = service
    app.state.refresher = refresher
    app.state.is_ready = False
    app.state.metrics = Metrics(service)
    app.router.redirect_slashes = False
    handle_errors(app)
    if writer is not None:
        app.add_middleware(Forwarding, writer=writer, settings=service.settings)
    app.add_middleware(Guard, settings=service.settings, who=service.principal)
    app.add_middleware(Measured, metrics=app.state.metrics)
    groups = (spaces, searching, records, images, embedding, labelling, store_routes, operations)
    for group in groups:
        app.include_router(group.router)
    for group in (searching, records):
        app.include_router(group.uploads)
    app.include_router(page_router())
    return app


async def _warm(app: FastAPI, service: Service) -> None:
    await run_in_threadpool(service.warm)
    app.state.is_ready = True
