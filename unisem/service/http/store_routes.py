"""Routes for clients that search a space's store, embed and add with vectors by themselves."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from unisem.errors import CalibrationError
from unisem.images.decoding import inspect_image
from unisem.images.reference import ImageRef
from unisem.records import Record, Vector, VectorKind
from unisem.service.embedding import Input
from unisem.service.http.access import (
    TheService,
    View,
    awaited,
    committed,
    wire_hit,
    wire_record,
    written,
)
from unisem.service.refusal import RefusedError, too_many
from unisem.service.settings import ServiceSettings
from unisem.service.store_view import StoreView
from unisem.service.view import SpaceView
from unisem.stores.hits import Hit
from unisem.wire.answers import Added, Deleted
from unisem.wire.pictures import picture_of
from unisem.wire.store import (
    CalibrationAnswer,
    CalibrationRequest,
    Embedded,
    EmbeddedItem,
    EmbeddedItems,
    EmbedRequest,
    IdsRequest,
    NewCalibration,
    PageRequest,
    Pairs,
    StoreHits,
    StoreInfo,
    StoreLimits,
    StorePage,
    Texts,
    Updated,
    Updates,
    Vectors,
    VectorsAnswer,
    VectorSearch,
    WholeAnswer,
    WholeRequest,
    WireRows,
    WireSelection,
    WordSearch,
    hits_of,
    vectors_of,
    wire_vectors,
)

router = APIRouter(tags=["store"])
_ROOT = "/v1/spaces/{space}/store"
_ADDED = 16  # times as many records with their vectors as without: nothing is embedded
_NEAREST = 64  # vectors of a search


def _store(view: View) -> StoreView:
    return view.store


Store = Annotated[StoreView, Depends(_store)]


@router.get(_ROOT, summary="Say what a client has to know of a space")
def store_info(view: View, store: Store, service: TheService) -> StoreInfo:
    """Encoder, vectors and limits."""
    settings = service.settings
    return StoreInfo(
        name=view.name,
        records=view.count(),
        encoder=view.encoder,
        fingerprint=view.fingerprint,
        image_fingerprint=store.image_fingerprint,
        model_fingerprint=store.model_fingerprint,
        dimension=view.dimension,
        fuses=service.encoder_of(view).fuses,
        options=view.options,
        stored_dimension=store.stored_dimension,
        writable=view.writable,
        limits=StoreLimits(
            body_bytes=settings.body_bytes,
            values=settings.values,
            images=settings.images,
            pixels=settings.pixels,
            queries=settings.queries,
            vectors=_NEAREST,
            records=min(settings.records, settings.k),
            added=_ADDED * settings.records,
            inputs=settings.inputs,
            hits=settings.hits,
        ),
    )


@router.post(
    f"{_ROOT}/page",
    summary="List selected records, with their vectors if wanted",
    response_model=StorePage,
)
async def page(
    asked: PageRequest, request: Request, view: View, store: Store, service: TheService
) -> Response:
    """Records page by page, in an order that stays while others are written."""
    if asked.limit > service.settings.records:
        raise too_many("limit", service.settings.records, "limit")
    selection = await run_in_threadpool(asked.selection.to_core)

    def job() -> StorePage:
        records, after = view.page(selection, asked.cursor, asked.limit)
        vectors = store.vectors([it.id for it in records]) if asked.with_vectors else None
        return StorePage(
            records=[wire_record(request, view, it) for it in records],
            vectors=None if vectors is None else _wire_vectors(vectors),
            cursor=after,
            count=view.count(selection),
        )

    (found,) = await awaited(view.read(job), service)
    return await written(lambda: found)


@router.post(f"{_ROOT}/vectors", summary="Give records' vectors", response_model=VectorsAnswer)
async def vectors(asked: IdsRequest, view: View, store: Store, service: TheService) -> Response:
    """The raw vectors of each id, in order."""
    _check_count(len(asked.ids), service.settings.k, "ids")
    (found,) = await awaited(view.read(lambda: store.vectors(asked.ids)), service)
    return await written(lambda: VectorsAnswer(vectors=_wire_vectors(found)))


@router.post(
    f"{_ROOT}/search", summary="Find the records nearest to vectors", response_model=StoreHits
)
async def search(
    asked: VectorSearch, request: Request, view: View, store: Store, service: TheService
) -> Response:
    """The best records for each vector."""
    settings = service.settings
    _check_count(asked.k, settings.fetch_k, "k")
    rows = await run_in_threadpool(asked.vectors.to_core)
    _check_count(len(rows), _NEAREST, "vectors")
    if len(rows) * asked.k > settings.hits:
        raise too_many("k times the number of vectors", settings.hits, "k")
    selection = await run_in_threadpool(asked.selection.to_core)
    looking = view.look(lambda: store.search(rows, asked.k, selection, asked.match, asked.asked))
    (found,) = await awaited(looking, service)
    return await written(lambda: _found(request, view, found))


@router.post(
    f"{_ROOT}/words", summary="Find records by the words of a text", response_model=StoreHits
)
async def words(
    asked: WordSearch, request: Request, view: View, store: Store, service: TheService
) -> Response:
    """The best records by keyword."""
    _check_count(asked.k, service.settings.fetch_k, "k")
    if len(asked.text) > (most := service.settings.text):
        raise too_many("the characters of text", most, "text")
    selection = await run_in_threadpool(asked.selection.to_core)
    looking = view.look(lambda: store.search_words(asked.text, asked.k, selection))
    found = await awaited(looking, service)
    return await written(lambda: _found(request, view, found))


@router.post(f"{_ROOT}/add", summary="Add records with their vectors")
async def add(new: EmbeddedItems, store: Store, service: TheService) -> Added:
    """Store records, all of them or none; an id that exists is replaced."""
    items = await run_in_threadpool(_taken, new, service.settings)
    (ids,) = await committed(store.add(items), service)
    return Added(ids=ids)


@router.post(f"{_ROOT}/delete", summary="Remove selected records")
async def delete(selection: WireSelection, store: Store, service: TheService) -> Deleted:
    """Remove the records that are selected, which may be all."""
    (count,) = await committed(store.delete(selection.to_core()), service)
    return Deleted(deleted=count)


@router.post(f"{_ROOT}/update", summary="Replace several records' metadata")
async def update(change: Updates, store: Store, service: TheService) -> Updated:
    """Replace metadata, whole, all or none."""
    (count,) = await committed(store.update(change.metadata), service)
    return Updated(updated=count)


@router.post(f"{_ROOT}/calibration", summary="Give the calibration")
def calibration(asked: CalibrationRequest, store: Store) -> CalibrationAnswer:
    """What makes scores of texts and of pictures comparable, unless it is known."""
    found = store.calibration()
    if found is None:
        return CalibrationAnswer(digest=None, data=None)
    digest, content = found
    data = None if asked.known == digest else base64.b64encode(content).decode("ascii")
    return CalibrationAnswer(digest=digest, data=data)


@router.post(f"{_ROOT}/calibrate", summary="Replace the calibration")
async def calibrate(new: NewCalibration, store: Store, service: TheService) -> CalibrationAnswer:
    """Search by another calibration from now on, or by raw cosines."""
    try:
        data = None if new.data is None else base64.b64decode(new.data, validate=True)
    except (binascii.Error, ValueError):
        raise CalibrationError("data is not base64") from None
    await committed(await run_in_threadpool(store.calibrate, data), service)
    found = await run_in_threadpool(store.calibration)
    return CalibrationAnswer(digest=None if found is None else found[0], data=None)


@router.post(f"{_ROOT}/embed", summary="Embed by the space's encoder")
async def embed(asked: EmbedRequest, view: View, service: TheService) -> Embedded:
    """Unit vectors of texts, of pictures, or of pairs of both."""
    settings = service.settings
    if isinstance(asked, Texts):
        _check_count(len(asked.texts), settings.inputs, "texts")
        inputs = [Input(text, asked.role) for text in asked.texts]
    elif isinstance(asked, Pairs):
        _check_count(len(asked.images), settings.images, "images")
        inputs = await run_in_threadpool(_pairs, asked, settings)
    else:
        _check_count(len(asked.images), settings.images, "images")
        inputs = await run_in_threadpool(
            lambda: [Input(_picture(uri, "images", settings)) for uri in asked.images]
        )
    rows = await awaited(service.encoder_of(view).embed(inputs), service)
    return Embedded(vectors=WireRows.stacked(rows))


@router.post(f"{_ROOT}/whole", summary="Say whether texts are embedded to their end")
def whole(asked: WholeRequest, store: Store, service: TheService) -> WholeAnswer:
    """Whether the encoder reads all of each text."""
    _check_count(len(asked.texts), service.settings.inputs, "texts")
    return WholeAnswer(whole=store.reads_whole(asked.texts))


def _pairs(asked: Pairs, settings: ServiceSettings) -> list[Input]:
    if len(asked.texts) != len(asked.images):
        raise RefusedError(
            422,
            "there is not a picture for each text",
            field="images",
            remedy="send as many texts as pictures",
        )
    return [
        Input(text, asked.role, _picture(uri, "images", settings))
        for text, uri in zip(asked.texts, asked.images, strict=True)
    ]


def _check_count(count: int, most: int, field: str) -> None:
    if count > most:
        raise too_many(field if field == "k" else f"the number of {field}", most, field)


def _wire_vectors(found: list[dict[VectorKind, Vector] | None]) -> list[Vectors | None]:
    return [None if one is None else wire_vectors(one) for one in found]


def _found(request: Request, view: SpaceView, results: list[list[Hit]]) -> StoreHits:
    return hits_of([[wire_hit(request, view, hit) for hit in hits] for hits in results])


def _taken(
    new: EmbeddedItems, settings: ServiceSettings
) -> list[tuple[Record | EmbeddedItem, dict[VectorKind, Vector]]]:
    """What `StoreView.add` takes."""
    _check_count(len(new.items), _ADDED * settings.records, "items")
    taken: list[tuple[Record | EmbeddedItem, dict[VectorKind, Vector]]] = []
    for position, item in enumerate(new.items):
        if item.kept is not None and item.image is not None:
            raise RefusedError(422, "an item has a picture or one that is kept", field="items")
        image: ImageRef | None = None
        if item.image is not None:
            image = ImageRef(data=_picture(item.image, f"items.{position}.image", settings))
        record = item if item.kept is not None else item.record_with(image)
        taken.append((record, vectors_of(item.vectors)))
    return taken


def _picture(uri: str, where: str, settings: ServiceSettings) -> bytes:
    """A picture's bytes, within the limits."""
    data = picture_of(uri, where)
    info = inspect_image(data, where)
    if info.width * info.height > settings.pixels:
        raise too_many("the pixels of a picture", settings.pixels, where)
    return data
