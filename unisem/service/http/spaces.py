"""Routes that say what there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fastapi import APIRouter

from unisem.records import Record
from unisem.service.fields import fields_in
from unisem.service.http.access import ThePrincipal, TheService, View, awaited
from unisem.service.view import SpaceView
from unisem.stores.selection import EVERYTHING, Selection
from unisem.wire.answers import Fields, SpaceEntry, SpaceLimits, SpaceList, SpaceStats, SpaceVersion

router = APIRouter(tags=["spaces"])
_LOOKED_AT, _AT_ONCE = 10_000, 1000  # records that `fields` looks at


@router.get("/v1/spaces", summary="List the spaces")
def list_spaces(service: TheService, principal: ThePrincipal) -> SpaceList:
    """The spaces that there are for you."""
    limits = SpaceLimits(k=service.settings.k, records=service.settings.records)
    with service.views(principal) as views:
        return SpaceList(
            spaces=[
                SpaceEntry(
                    name=view.name,
                    records=view.count(),
                    encoder=view.encoder,
                    writable=view.writable,
                    graph=view.has_graph,
                    limits=limits,
                )
                for view in views
            ]
        )


@router.get("/v1/spaces/{space}/stats", summary="Say what a space holds")
def space_stats(view: View, service: TheService) -> SpaceStats:
    """Counts, the encoder, and what may be asked for."""
    images = view.count(Selection(modality="image"))
    texts = view.count(Selection(modality="text"))
    return SpaceStats(
        name=view.name,
        records=images + texts,
        modalities={"image": images, "text": texts},
        encoder=view.encoder,
        fingerprint=view.fingerprint,
        dimension=view.dimension,
        options=view.options,
        calibrated=view.is_calibrated,
        rerankers=service.rerankers,
        writable=view.writable,
        version=_version(view),
    )


def _version(view: SpaceView) -> SpaceVersion | None:
    version = view.version
    if version is None:
        return None
    return SpaceVersion(number=version.number, published=version.published)


@router.get("/v1/spaces/{space}/fields", summary="Say which metadata there are")
async def space_fields(view: View, service: TheService) -> Fields:
    """The commonest metadata fields with their kinds and values, to filter by."""

    def records() -> Iterator[Record]:
        listed, cursor = view.page(EVERYTHING, None, _AT_ONCE)
        yield from listed
        while cursor is not None:
            listed, cursor = view.page(EVERYTHING, cursor, _AT_ONCE)
            yield from listed

    reading = view.read(lambda: fields_in(islice(records(), _LOOKED_AT)))
    (found,) = await awaited(reading, service)
    return found
