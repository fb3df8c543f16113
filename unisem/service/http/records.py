"""Routes that give, list, add, change and remove records."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from unisem.errors import FilterError
from unisem.images.decoding import inspect_image
from unisem.records import Record
from unisem.service.http.access import (
    RecordId,
    TheService,
    View,
    awaited,
    committed,
    wire_record,
    written,
)
from unisem.service.http.uploads import upload_route
from unisem.service.refusal import RefusedError, too_many
from unisem.service.settings import ServiceSettings
from unisem.stores.selection import Selection
from unisem.wire.answers import Added, Deleted, Drawn, Got, Listing, WireDrawing, WireLabel
from unisem.wire.filters import filter_of
from unisem.wire.record import WireRecord
from unisem.wire.requests import Deletion, NewRecords, RecordIds, Update

router = APIRouter(tags=["records"])
uploads = APIRouter(route_class=upload_route("records"), tags=["records"])
_ROOT = "/v1/spaces/{space}/records"


@router.get(_ROOT, summary="List records", response_model=Listing)
async def list_records(
    request: Request,
    view: View,
    service: TheService,
    limit: Annotated[int, Query(description="How many records at most.", ge=1)] = 50,
    cursor: Annotated[str | None, Query(description="The `cursor` of the page before.")] = None,
    filter: Annotated[
        str | None, Query(description="A filter as JSON.", examples=['{"field": "year", …}'])
    ] = None,
) -> Response:
    """Records page by page, in an order that stays while others are written."""
    if limit > service.settings.records:
        raise too_many("limit", service.settings.records, "limit")
    selection = Selection(filter=None if filter is None else filter_of(_tree(filter)))
    reading = view.read(lambda: view.page(selection, cursor, limit))
    ((records, after),) = await awaited(reading, service)
    return await written(
        lambda: Listing(records=[wire_record(request, view, it) for it in records], cursor=after)
    )


@uploads.post(_ROOT, summary="Add records")
async def add_records(new: NewRecords, view: View, service: TheService) -> Added:
    """Embed and store records, all of them or none; an id that exists is replaced.

    As multipart/form-data the JSON is the field `records`, and the files `image` are the pictures
    of those records that have none, in order.
    """
    records = await run_in_threadpool(_taken, new, service.settings)
    (ids,) = await committed(view.add(records), service)
    return Added(ids=ids)


@router.get(f"{_ROOT}/{{record_id}}/graph", summary="Draw what is known of a record")
async def draw_record(record_id: RecordId, view: View, service: TheService) -> Drawn:
    """The things that the record is about, by the space's knowledge graph, and their relations."""
    (found,) = await awaited(view.read(lambda: view.drawing(record_id)), service)
    if found is None:
        return Drawn(drawing=None)
    parts = asdict(found) | {"lines": list(found.lines)}
    labels = [WireLabel(**asdict(label)) for label in found.labels]
    return Drawn(drawing=WireDrawing(**parts | {"labels": labels}))


@router.post(f"{_ROOT}/get", summary="Give records by id", response_model=Got)
async def get_records(
    wanted: RecordIds, request: Request, view: View, service: TheService
) -> Response:
    """The record of each id, in order; `null` where there is none."""
    if len(wanted.ids) > service.settings.k:
        raise too_many("the number of ids", service.settings.k, "ids")
    (found,) = await awaited(view.read(lambda: view.get(wanted.ids)), service)

    def got() -> Got:
        return Got(records=[None if it is None else wire_record(request, view, it) for it in found])

    return await written(got)


@router.post(f"{_ROOT}/delete", summary="Remove records")
async def delete_records(which: Deletion, view: View, service: TheService) -> Deleted:
    """Remove the records for which all that is given holds; unknown ids are no error."""
    condition = None if which.filter is None else filter_of(which.filter)
    (count,) = await committed(view.delete(which.ids, which.source_ids, condition), service)
    return Deleted(deleted=count)


@router.get(f"{_ROOT}/{{record_id}}", summary="Give a record")
def get_record(record_id: RecordId, request: Request, view: View) -> WireRecord:
    """One record."""
    return wire_record(request, view, view.record(record_id))


@router.delete(f"{_ROOT}/{{record_id}}", summary="Remove a record")
async def delete_record(record_id: RecordId, view: View, service: TheService) -> Deleted:
    """Remove one record."""
    (count,) = await committed(view.delete([record_id]), service)
    if not count:
        raise RefusedError(
            404, "there is no such record", field="id", remedy="search for what there is"
        )
    return Deleted(deleted=count)


@router.patch(f"{_ROOT}/{{record_id}}", summary="Replace a record's metadata")
async def update_record(
    record_id: RecordId, change: Update, request: Request, view: View, service: TheService
) -> WireRecord:
    """Replace a record's metadata, whole, without embedding anything."""
    (record,) = await committed(view.update(record_id, change.metadata), service)
    return wire_record(request, view, record)


def _taken(new: NewRecords, settings: ServiceSettings) -> list[Record]:
    """The records that are meant, within the limits."""
    if len(new.records) > settings.records:
        raise too_many("the number of records", settings.records, "records")
    if sum(record.image is not None for record in new.records) > settings.images:
        raise too_many("the number of pictures", settings.images, "records")
    records = [record.to_core() for record in new.records]
    for position, record in enumerate(records):
        if record.image is not None and record.image.data is not None:
            info = inspect_image(record.image.data, f"records.{position}.image")
            if info.width * info.height > settings.pixels:
                where = f"records.{position}.image"
                raise too_many("the pixels of a picture", settings.pixels, where)
    return records


def _tree(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FilterError("filter is not JSON") from None
