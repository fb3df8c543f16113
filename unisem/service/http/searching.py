"""Routes that search."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from unisem.images.decoding import inspect_image
from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.search.query import Query
from unisem.service.http.access import TheService, View, awaited, wire_hit, written
from unisem.service.http.uploads import upload_route
from unisem.service.likeness import likeness
from unisem.service.refusal import RefusedError, too_many
from unisem.service.service import Service
from unisem.service.settings import ServiceSettings
from unisem.service.view import SpaceView
from unisem.stores.hits import Hit
from unisem.wire.answers import Found, FoundMany
from unisem.wire.pictures import data_uri
from unisem.wire.query import WireQuery
from unisem.wire.requests import Queries

router = APIRouter(tags=["search"])
uploads = APIRouter(route_class=upload_route("query"), tags=["search"])


@uploads.post(
    "/v1/spaces/{space}/search",
    summary="Find records by text, picture, or both",
    response_model=Found,
)
async def search(query: WireQuery, request: Request, view: View, service: TheService) -> Response:
    """The records nearest to a text, a picture, both, a vector, or another record.

    As multipart/form-data the query is the field `query` and its picture the file `image`.
    """
    asked = await run_in_threadpool(_asked, query, view, service)
    found = await awaited(view.search([asked]), service)
    _check_copies(found, service.settings, "k")
    (hits,) = found
    return await written(lambda: _found(request, view, query, hits))


@router.post(
    "/v1/spaces/{space}/search/batch",
    summary="Run several queries at once",
    response_model=FoundMany,
)
async def search_batch(
    batch: Queries, request: Request, view: View, service: TheService
) -> Response:
    """What each query finds, in order, in less time than one by one."""
    if len(batch.queries) > service.settings.queries:
        raise too_many("the number of queries", service.settings.queries, "queries")
    if sum(query.image is not None for query in batch.queries) > service.settings.images:
        raise too_many("the number of pictures", service.settings.images, "queries")
    for query in batch.queries:  # what is wrong with one is said before what is wrong with all
        _check(query, service.settings)
    if sum(query.k * (1 + query.neighbors) for query in batch.queries) > service.settings.hits:
        raise too_many(
            "k times one more than neighbors, of all queries,", service.settings.hits, "queries"
        )
    asked = await run_in_threadpool(
        lambda: [_asked(query, view, service) for query in batch.queries]
    )
    found = await awaited(view.search(asked), service)
    _check_copies(found, service.settings, "queries")
    return await written(
        lambda: FoundMany.model_construct(
            results=[
                _found(request, view, query, hits)
                for query, hits in zip(batch.queries, found, strict=True)
            ]
        )
    )


def _found(request: Request, view: SpaceView, query: WireQuery, hits: list[Hit]) -> Found:
    if query.like is not None:
        hits = [hit for hit in hits if not hit.stands_for(query.like)][: query.k]
    return Found.model_construct(hits=[wire_hit(request, view, hit) for hit in hits])


def _asked(query: WireQuery, view: SpaceView, service: Service) -> Query:
    """The query that is meant, within the limits."""
    _check(query, service.settings)
    meant = query if query.like is None else _like(query, view.record(query.like))
    core = meant.to_core(service.reranking)
    if isinstance(core.image, ImageRef) and core.image.data is not None:
        info = inspect_image(core.image.data, "image")
        if query.like is None and info.width * info.height > service.settings.pixels:
            raise too_many("the pixels of a picture", service.settings.pixels, "image")
    return core


def _like(query: WireQuery, record: Record) -> WireQuery:
    """More like a record: its picture, or else its text, asks for one hit more than wanted."""
    for name in ("image", "vector", "neighbors"):
        if getattr(query, name):
            raise RefusedError(422, f"like goes without {name}", field=name, remedy="leave one out")
    text, image = likeness(record, query.text, query.mode)
    uri = None if image is None else data_uri(image.read_verified())
    return query.model_copy(update={"like": None, "k": query.k + 1, "text": text, "image": uri})


def _check_copies(found: list[list[Hit]], settings: ServiceSettings, field: str) -> None:
    """Refuse an answer of too many copies, which are known only now."""
    if sum(len(hit.copies) for hits in found for hit in hits) > settings.hits:
        raise RefusedError(
            422,
            f"copies that hits tell of must be at most {settings.hits:,}",
            field=field,
            remedy='ask for fewer at a time, or with duplicates "keep", which tells of no copies',
        )


def _check(query: WireQuery, settings: ServiceSettings) -> None:
    if len(query.text or "") > settings.text:
        raise too_many("the characters of text", settings.text, "text")
    for name in ("k", "neighbors"):
        if getattr(query, name) > settings.k:
            raise too_many(name, settings.k, name)
    if query.k * (1 + query.neighbors) > settings.fetch_k:
        raise too_many("k times one more than neighbors", settings.fetch_k, "neighbors")
    if query.diversity and (query.fetch_k or 0) > 4 * settings.k:  # each is compared with each
        raise too_many("fetch_k with diversity", 4 * settings.k, "fetch_k")
    if query.rerank is not None and (query.fetch_k or 4 * query.k) > settings.inputs:
        raise too_many("what is reranked (fetch_k, or four times k)", settings.inputs, "fetch_k")
    for name in ("fetch_k", "fetch_vectors", "fetch_words"):
        if (getattr(query, name) or 0) > settings.fetch_k:
            raise too_many(name, settings.fetch_k, name)
