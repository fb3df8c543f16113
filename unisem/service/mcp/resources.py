"""`Resources`: the records of a space as MCP's resources: listed, described and read."""

from __future__ import annotations

import base64
import re

import mcp_types as types
from mcp.shared.exceptions import MCPError

from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.presentation.fence import quoted
from unisem.records import Record
from unisem.service.mcp.addresses import Addresses
from unisem.service.mcp.settings import McpSettings
from unisem.service.mcp.showing import Showing
from unisem.service.refusal import RefusedError
from unisem.service.view import SpaceView
from unisem.stores.selection import EVERYTHING

_CURSOR = re.compile(r"([0-9]{1,8}):(.+)", re.ASCII | re.DOTALL)


class Resources:
    """The records of one space as resources; nothing else is one.

    Args:
        settings: Their bounds.
        showing: How records are shown.
    """

    def __init__(self, settings: McpSettings, showing: Showing) -> None:
        self._settings = settings
        self._showing = showing

    @property
    def _addresses(self) -> Addresses:
        return self._showing.addresses

    @property
    def templates(self) -> list[types.ResourceTemplate]:
        """How records' URIs are made of their ids."""
        templates = self._addresses.templates
        return [
            types.ResourceTemplate(
                name="record",
                title="A record",
                description="The text and the picture of the record that has this id.",
                uri_template=templates["record"],
            ),
            types.ResourceTemplate(
                name="image",
                title="A record's picture",
                description="The picture as it is stored, of the record that has this id.",
                uri_template=templates["image"],
            ),
        ]

    def listed(self, view: SpaceView, cursor: str | None) -> types.ListResourcesResult:
        """A page of the list, up to the settings' number of records on all pages.

        Raises:
            MCPError: The cursor is none of ours.
        """
        try:
            before, after = (0, None) if cursor is None else _place(cursor)
            most = min(self._settings.page, self._settings.listed - before)
            found, following = view.page(EVERYTHING, after, most) if most > 0 else ([], None)
        except (RefusedError, ValueError) as error:
            words = "The cursor is none that was given here."
            raise MCPError(types.INVALID_PARAMS, words) from error
        count = before + len(found)
        goes_on = following is not None and count < self._settings.listed
        return types.ListResourcesResult(
            resources=[self._resource(record) for record in found],
            next_cursor=f"{count}:{following}" if goes_on else None,
        )

    def read(self, view: SpaceView, uri: str) -> types.ReadResourceResult:
        """Read a record, or its picture.

        Raises:
            MCPError: There is nothing of that URI here, or it cannot be read.
        """
        named = self._addresses.named(uri)
        record = None if named is None else view.get([named[0]])[0]
        if named is None or record is None or (named[1] == "image" and record.image is None):
            raise MCPError(
                types.INVALID_PARAMS,
                "There is no such resource. Take the URI of a search's result.",
                {"uri": uri},
            )
        contents: list[types.TextResourceContents | types.BlobResourceContents] = []
        if named[1] == "record":
            words = self._showing.words(record)
            contents.append(types.TextResourceContents(uri=uri, mime_type="text/plain", text=words))
        if record.image is not None and (named[1] == "image" or self._settings.images):
            image_uri = self._addresses.uri(record.id, "image")
            try:
                contents.append(self._picture(record.image, image_uri))
            except ImageError as error:
                if named[1] == "image":
                    raise MCPError(
                        types.INTERNAL_ERROR, f"The picture {error.summary}.", {"uri": uri}
                    ) from error
        return types.ReadResourceResult(contents=contents)

    def _resource(self, record: Record) -> types.Resource:
        image = record.image
        return types.Resource(
            name=quoted(record.id),
            title="A text" if image is None else "A picture",
            uri=self._addresses.uri(record.id),
            mime_type="text/plain" if image is None else image.mime_type,
        )

    def _picture(self, image: ImageRef, uri: str) -> types.BlobResourceContents:
        data = image.read_verified()
        if len(data) > self._settings.original_bytes:
            most = self._settings.original_bytes
            raise ImageError(image.name, f"has more than {most:,} bytes; show gives a smaller copy")
        blob = base64.b64encode(data).decode("ascii")
        return types.BlobResourceContents(uri=uri, mime_type=image.mime_type, blob=blob)


def _place(cursor: str) -> tuple[int, str]:
    """How many records are on the pages before, and where the store goes on."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError("no cursor of ours")
    return int(found[1]), found[2]
