"""Values as JSON, one definition for the service and for its clients; needs only pydantic."""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names, require

require("unisem.wire", "pydantic", "unisem[client]")

if TYPE_CHECKING:
    from unisem.wire.answers import Added as Added
    from unisem.wire.answers import Deleted as Deleted
    from unisem.wire.answers import Fields as Fields
    from unisem.wire.answers import Found as Found
    from unisem.wire.answers import FoundMany as FoundMany
    from unisem.wire.answers import Got as Got
    from unisem.wire.answers import Listing as Listing
    from unisem.wire.answers import SpaceList as SpaceList
    from unisem.wire.answers import SpaceStats as SpaceStats
    from unisem.wire.filters import WireFilter as WireFilter
    from unisem.wire.filters import filter_of as filter_of
    from unisem.wire.filters import wire_filter as wire_filter
    from unisem.wire.hit import WireHit as WireHit
    from unisem.wire.pictures import data_uri as data_uri
    from unisem.wire.pictures import picture_of as picture_of
    from unisem.wire.problem import Problem as Problem
    from unisem.wire.query import WireQuery as WireQuery
    from unisem.wire.record import NewRecord as NewRecord
    from unisem.wire.record import WireImage as WireImage
    from unisem.wire.record import WireRecord as WireRecord
    from unisem.wire.requests import Deletion as Deletion
    from unisem.wire.requests import NewRecords as NewRecords
    from unisem.wire.requests import Queries as Queries
    from unisem.wire.requests import RecordIds as RecordIds
    from unisem.wire.requests import Update as Update

__getattr__, __dir__, __all__ = lazy_names(__name__)
