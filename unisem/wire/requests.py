"""What is sent beside one query: many queries, records to add, to remove, to change."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from unisem.wire.base import Items, WireModel
from unisem.wire.filters import WireFilter
from unisem.wire.query import WireQuery
from unisem.wire.record import NewRecord


class Queries(WireModel):
    """Several queries, answered in order."""

    queries: Items[WireQuery] = Field(description="The queries.")


class NewRecords(WireModel):
    """Records to add, all of them or none."""

    records: Items[NewRecord] = Field(description="The records.", min_length=1)


class RecordIds(WireModel):
    """Which records to give."""

    ids: Items[str] = Field(description="Their ids, in order.", examples=[["a", "b"]])


class Deletion(WireModel):
    """Which records to remove: those for which all that is given holds."""

    ids: Items[str] | None = Field(None, description="One of these ids.")
    source_ids: Items[str] | None = Field(None, description="Cut from one of these sources.")
    filter: WireFilter | None = Field(None, description="A condition on metadata.")


class Update(WireModel):
    """New metadata of a record; nothing is embedded anew."""

    metadata: dict[str, Any] = Field(
        description="The new metadata, whole.", examples=[{"year": 2025}]
    )
