"""`Showing`: records as an assistant is shown them: words and pictures, links, and plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mcp_types import Annotations, ContentBlock, ImageContent, ResourceLink, TextContent

from unisem.captions import MARKS
from unisem.common.json_text import to_json
from unisem.presentation.citation import citation, told, way
from unisem.presentation.contents import Item
from unisem.presentation.fence import quoted
from unisem.presentation.parts import (
    Order,
    Part,
    ShownImage,
    listed,
    whole,
    whole_worded,
    worded,
)
from unisem.records import Record
from unisem.service.mcp.addresses import Addresses
from unisem.service.mcp.answers import record_parts
from unisem.service.mcp.settings import McpSettings

_CUT = " […]"
_IS_CUT = 'A text that ends with "[…]" goes on; show gives more of it.'
_MOST_FIELDS = 50
_LONGEST_NAME = 100  # characters of a link's name
_BESIDE, _ASIDE = 0.8, 0.2  # how important pictures are, and links


@dataclass(frozen=True, slots=True)
class Showing:
    """Translates what the core says into MCP's blocks, and decides nothing else.

    Attributes:
        settings: How much of everything is shown.
        addresses: The records' URIs.
    """

    settings: McpSettings
    addresses: Addresses

    def several(
        self,
        records: Sequence[Record],
        order: Order,
        ways: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> list[ContentBlock]:
        """Several records, each cut to a passage, with small pictures.

        Args:
            records: The records.
            order: Theirs.
            ways: By which way through a knowledge graph some of them were found, by id.
        """
        items = [
            self._item(it, self.settings.passage, self.settings.metadata, ways.get(it.id, ()))
            for it in records
        ]
        parts: list[Part] = [worded(items, order=order)]
        if self.settings.images:
            parts = listed(items, self.settings.thumbnails, by="id", order=order)
        if any(len(record.text or "") > self.settings.passage for record in records):
            parts.append(_IS_CUT)
        return [*_blocks(parts), *self._links(records)]

    def one(self, record: Record) -> list[ContentBlock]:
        """One record: its text, its picture large, and that on its page."""
        if not self.settings.images:
            return [*_blocks([self.words(record)]), *self._links([record])]
        item = self._item(record, self.settings.text, self.settings.text)
        return [*_blocks(whole(item, self.settings.pictures)), *self._links([record])]

    def words(self, record: Record) -> str:
        """One record as text: its text, and how large its picture is."""
        return whole_worded(self._item(record, self.settings.text, self.settings.text))

    def passage(self, record: Record) -> dict[str, Any]:
        """The fields of a `RecordAnswer` that says as much as the words of `several`."""
        return self._answer(record, self.settings.passage, self.settings.metadata)

    def all_of(self, record: Record) -> dict[str, Any]:
        """The fields of a `RecordAnswer` that says as much as the words of `one`."""
        return self._answer(record, self.settings.text, self.settings.text)

    def _answer(self, record: Record, most_text: int, most_metadata: int) -> dict[str, Any]:
        return record_parts(
            record,
            (record.text or "")[:most_text],
            self._told(record, most_metadata),
            self.addresses.uri(record.id),
            self.addresses.uri(record.id, "image"),
        )

    def _item(
        self, record: Record, most_text: int, most_metadata: int, path: Sequence[str] = ()
    ) -> Item:
        item = Item.of(record, self._told(record, most_metadata) | way(path))
        if len(item.text) <= most_text:
            return item
        return replace(item, text=f"{item.text[:most_text]}{_CUT}")

    def _told(self, record: Record, most: int) -> dict[str, Any]:
        """A record's own metadata, field by field while they fit into so many characters."""
        own = record.metadata
        hidden = (*MARKS, "box") if citation(own) else MARKS  # nothing is read from a box
        named = own if self.settings.fields is None else self.settings.fields
        fields = [name for name in named if name not in hidden][:_MOST_FIELDS]
        room, kept = most, dict[str, Any]()
        for name, value in told(own, fields).items():
            size = len(to_json({name: value}))
            if size <= room:
                kept[name] = value
                room -= size
        return kept

    def _links(self, records: Sequence[Record]) -> list[ContentBlock]:
        """Where the pictures' originals are read."""
        if not self.settings.links:
            return []
        return [
            ResourceLink(
                name=quoted(record.id)[:_LONGEST_NAME],
                title="The picture as it is stored",
                uri=self.addresses.uri(record.id, "image"),
                mime_type=record.image.mime_type,
                annotations=Annotations(audience=["user"], priority=_ASIDE),
            )
            for record in records
            if record.image is not None
        ]


def _blocks(parts: Sequence[Part]) -> list[ContentBlock]:
    blocks: list[ContentBlock] = []
    for part in parts:
        if isinstance(part, ShownImage):
            annotations = Annotations(audience=["user", "assistant"], priority=_BESIDE)
            image = part.image
            blocks.append(
                ImageContent(data=image.base64, mime_type=image.mime_type, annotations=annotations)
            )
        else:
            blocks.append(TextContent(text=part))
    return blocks
