"""`DocumentCounts`: how many documents there are, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """What documents that were read to their end, now or earlier, have given.

    Attributes:
        documents: How many there are.
        pages: Their pages, of formats that have some, on which something was found.
        figures: Their figures.
        tables: Their tables.
    """

    documents: int = 0
    pages: int = 0
    figures: int = 0
    tables: int = 0

    @classmethod
    def of_one(cls, records: Iterable[Mapping[str, Any]]) -> Self:
        """Count one document, by the metadata of its records; see `unisem.readers.documents`."""
        known = [metadata for metadata in records if "part" not in metadata]
        kinds = [metadata.get("kind") for metadata in known]
        pages = {metadata["page"] for metadata in known if "page" in metadata}
        return cls(1, len(pages), kinds.count("figure"), kinds.count("table"))

    def __add__(self, other: Self) -> Self:
        sums = (getattr(self, it.name) + getattr(other, it.name) for it in fields(self))
        return type(self)(*sums)
