"""What a route is given: who asks, and the space as they see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Annotated, TypeVar, cast
from urllib.parse import quote, unquote

from fastapi import Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from unisem.records import Record
from unisem.service.http.guard import PRINCIPAL
from unisem.service.principals import Principal
from unisem.service.refusal import RefusedError
from unisem.service.service import Service
from unisem.service.view import SpaceView
from unisem.stores.hits import Hit
from unisem.wire.base import WireModel
from unisem.wire.hit import WireHit
from unisem.wire.record import WireRecord

_Result = TypeVar("_Result")


def service_of(request: Request) -> Service:
    """The service behind an app."""
    return cast(Service, request.app.state.service)


def principal_of(request: Request) -> Principal:
    """Who asks, as the `Guard` knows it."""
    return cast(Principal, request.scope[PRINCIPAL])


def decoded(segment: str) -> str:
    """What a segment of the path says; it is routed as it was sent, encoded.

    Raises:
        RefusedError: It is not UTF-8 (404: nothing has such a name).
    """
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise RefusedError(404, "the path is not percent-encoded UTF-8") from None


async def _view(
    request: Request,
    space: Annotated[str, Path(description="The space's name.", examples=["photos"])],
) -> AsyncIterator[SpaceView]:
    with service_of(request).held(decoded(space), principal_of(request)) as view:
        yield view


def _record_id(
    record_id: Annotated[
        str,
        Path(
            description="The record's id, percent-encoded: one segment, `/` as `%2F`.",
            examples=["cards%2Fred.png"],
        ),
    ],
) -> str:
    return decoded(record_id)


TheService = Annotated[Service, Depends(service_of)]
ThePrincipal = Annotated[Principal, Depends(principal_of)]
View = Annotated[SpaceView, Depends(_view)]
RecordId = Annotated[str, Depends(_record_id)]


async def awaited(future: Future[list[_Result]], service: Service) -> list[_Result]:
    """What a future gives.

    Raises:
        RefusedError: It takes longer than the service allows (503); what has not begun is given up.
    """
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), service.settings.seconds)
    except TimeoutError:
        raise RefusedError(
            503, "this takes too long now", remedy="try again later", retry_after=5
        ) from None


async def committed(future: Future[list[_Result]], service: Service) -> list[_Result]:
    """What a future of a write gives.

    Raises:
        RefusedError: It takes longer than the service allows (503). If it has begun it goes on, so
            nobody is told to try again.
    """
    try:
        return await awaited(future, service)
    except RefusedError as error:
        if error.retry_after is None or future.cancel():
            raise
        if future.done():
            return future.result()
        raise RefusedError(
            503,
            "this takes too long now; it has begun and may still be done",
            remedy="look whether it was before you send it again",
        ) from None


async def written(make: Callable[[], WireModel]) -> Response:
    """An answer that may be long, made and written while others are answered."""
    content = await run_in_threadpool(lambda: make().model_dump_json().encode())
    return Response(content, media_type="application/json")


def wire_record(request: Request, view: SpaceView, record: Record) -> WireRecord:
    """A record as the view's principal is told of it."""
    return WireRecord.of(view.told(record), _image_url(request, view, record.id))


def wire_hit(request: Request, view: SpaceView, hit: Hit) -> WireHit:
    """A hit, likewise."""
    told = replace(
        hit, record=view.told(hit.record), copies=tuple(view.told(copy) for copy in hit.copies)
    )
    return WireHit.of(told, lambda record: _image_url(request, view, record.id))


def _image_url(request: Request, view: SpaceView, record_id: str) -> str:
    """Where a record's picture is, from the service's root."""
    base = request.scope.get("root_path", "")
    space, name = quote(view.name, safe=""), quote(record_id, safe="")
    return f"{base}/v1/spaces/{space}/records/{name}/image"
