"""`Tools`: what an assistant may do with a space, and what it is told when it asks wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import mcp_types as types
from pydantic import ValidationError

from unisem.errors import (
    EncoderError,
    FilterError,
    ImageError,
    RecordError,
    StoreError,
    StoreLockedError,
)
from unisem.filters import Filter, fields_of
from unisem.images.decoding import inspect_image
from unisem.presentation.fence import quoted
from unisem.records import Record
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Query
from unisem.service.likeness import likeness
from unisem.service.mcp.answers import (
    AddedAnswer,
    Answer,
    FoundAnswer,
    RecordAnswer,
    RecordsAnswer,
    SearchAnswer,
    found_parts,
)
from unisem.service.mcp.arguments import (
    AddArguments,
    Arguments,
    NeighborsArguments,
    SearchArguments,
    ShowArguments,
    add_arguments,
    neighbors_arguments,
    search_arguments,
    wrong_arguments,
)
from unisem.service.mcp.caller import Caller
from unisem.service.mcp.settings import McpSettings
from unisem.service.mcp.showing import Showing
from unisem.service.refusal import RefusedError
from unisem.stores.selection import Selection
from unisem.wire.filters import filter_of
from unisem.wire.pictures import picture_of

_SEARCH = (
    "Searches a collection of pictures and texts by meaning, by words or by a picture. Returns "
    "captions and texts, each with its id, and small copies of the pictures."
)
_SHOW = (
    "Shows one result of a search: its whole text and its picture, large; of a figure in a "
    "document also its page with a frame around it."
)
_NEIGHBORS = (
    "Shows what stands before and after a result in its document, and the figures and passages "
    "that belong together."
)
_ADD = (
    "Adds a text, a picture, or a picture with its caption to the collection, where searches find "
    "it at once. Nothing that is there is changed. Returns the id that it has got."
)


class ToolError(Exception):
    """What a model can do better next time, in words for it."""


@dataclass(frozen=True, slots=True)
class _Tool:
    """One tool: what is said of it, what it takes and gives, and what it does."""

    title: str
    description: str
    arguments: type[Arguments]
    answer: type[Answer]
    call: Callable[[Caller, Any], types.CallToolResult]
    writes: bool = False

    def described(self, name: str, about: str) -> types.Tool:
        return types.Tool(
            name=name,
            title=self.title,
            description=f"{self.description} {about}".rstrip(),
            input_schema=self.arguments.schema_of(),
            output_schema=self.answer.schema_of(),
            annotations=types.ToolAnnotations(
                title=self.title,
                read_only_hint=not self.writes,
                destructive_hint=False,
                idempotent_hint=not self.writes,
                open_world_hint=False,
            ),
        )


class Tools:
    """The tools of one space.

    Args:
        settings: Their bounds.
        showing: How records are shown.
    """

    def __init__(self, settings: McpSettings, showing: Showing) -> None:
        self._settings = settings
        self._showing = showing
        search, add = search_arguments(settings), add_arguments(settings)
        around = neighbors_arguments(settings)
        self._tools = {
            "search": _Tool("Search", _SEARCH, search, SearchAnswer, self._search),
            "show": _Tool("Show a result", _SHOW, ShowArguments, RecordsAnswer, self._show),
            "neighbors": _Tool(
                "Look around a result", _NEIGHBORS, around, RecordsAnswer, self._neighbors
            ),
            "add": _Tool("Add a record", _ADD, add, AddedAnswer, self._add, writes=True),
        }

    def described(self, *, writable: bool) -> list[types.Tool]:
        """The tools that a caller has."""
        return [
            tool.described(name, self._settings.about)
            for name, tool in self._tools.items()
            if writable or not tool.writes
        ]

    def writes(self, name: str) -> bool:
        """Whether there is a tool of that name that adds something."""
        return name in self._tools and self._tools[name].writes

    def prepared(
        self, name: str, arguments: dict[str, Any], *, writable: bool
    ) -> Callable[[Caller], types.CallToolResult] | None:
        """Check a call, and return what does it; ``None`` if there is no such tool.

        Args:
            name: The tool.
            arguments: As the model has given them.
            writable: Whether the caller may add.

        Raises:
            ToolError: Arguments are wrong.
        """
        tool = self._tools.get(name)
        if tool is None or (tool.writes and not writable):
            return None
        try:
            given = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            wrong = wrong_arguments(error)
            raise ToolError(f"Nothing was done, as arguments are wrong. {wrong}") from None
        return partial(_told_to_the_model, tool.call, given)

    def _search(self, caller: Caller, asked: SearchArguments) -> types.CallToolResult:
        image: Any = None if asked.image is None else self._sent(asked.image)
        condition = None if asked.filter is None else self._condition(asked.filter)
        text, count = asked.text, asked.k
        if asked.like is not None:
            if image is not None:
                raise ToolError('Give "image" or "like", not both.')
            like = _known(caller, asked.like)
            text, image = likeness(like, text, asked.mode)
            count += 1  # it is found first itself, and left out
        if text is None and image is None:
            raise ToolError('Say what to look for in "text", or give "image" or "like".')
        try:
            query = Query(
                text=text,
                image=image,
                k=count,
                selection=Selection(filter=condition, modality=asked.modality),
                mode=asked.mode,
                min_score=asked.min_score,
                neighbors=asked.neighbors,
                graph=None if asked.graph is None else GraphExpansion(method=asked.graph),
            )
        except ValueError as error:  # what is given does not go together
            raise ToolError(f"Nothing was searched: {error}.") from error
        hits = [
            hit
            for hit in caller.view.search([query]).result()[0]
            if asked.like is None or not hit.stands_for(asked.like)
        ]
        if not asked.neighbors:  # which are not counted
            hits = hits[: asked.k]
        answers = [
            FoundAnswer(**self._showing.passage(hit.record), **found_parts(hit)) for hit in hits
        ]
        ways = {hit.record.id: hit.path for hit in hits}
        content = self._showing.several([hit.record for hit in hits], "rank", ways)
        return _result(content, SearchAnswer(results=answers))

    def _show(self, caller: Caller, asked: ShowArguments) -> types.CallToolResult:
        record = _known(caller, asked.id)
        answer = RecordsAnswer(records=[RecordAnswer(**self._showing.all_of(record))])
        return _result(self._showing.one(record), answer)

    def _neighbors(self, caller: Caller, asked: NeighborsArguments) -> types.CallToolResult:
        records = caller.view.around(_known(caller, asked.id), asked.count)
        answers = [RecordAnswer(**self._showing.passage(record)) for record in records]
        content = self._showing.several(records, "document")
        return _result(content, RecordsAnswer(records=answers))

    def _add(self, caller: Caller, asked: AddArguments) -> types.CallToolResult:
        image = None if asked.image is None else self._sent(asked.image)
        if asked.text is None and image is None:
            raise ToolError('Nothing was added: give "text", "image" or both.')
        metadata = {**caller.demanded, **asked.metadata}
        record = Record(text=asked.text, image=image, metadata=metadata)
        caller.view.add([record]).result()
        words = f"Added. Its id is {quoted(record.id)}."
        answer = AddedAnswer(id=record.id, uri=self._showing.addresses.uri(record.id))
        return _result([types.TextContent(text=words)], answer)

    def _condition(self, tree: dict[str, Any]) -> Filter:
        """A filter that looks at nothing that a model is not told."""
        condition, told = filter_of(tree), self._settings.fields
        if told is not None and (hidden := sorted(fields_of(condition) - set(told))):
            raise ToolError(
                f"Nothing was searched: there is no field {', '.join(map(quoted, hidden))} to "
                f"filter by; there are {', '.join(map(quoted, told)) or 'none'}."
            )
        return condition

    def _sent(self, image: str) -> bytes:
        """A picture that a model sends, looked at but not decoded."""
        uri = image if image.startswith("data:") else f"data:;base64,{image}"
        most = self._settings.sent_bytes
        try:
            data = picture_of(uri, "image")
            if len(data) > most:
                raise ImageError("image", f"has more than {most:,} bytes; scale it down")
            inspect_image(data, "image")
        except ImageError as error:
            raise ToolError(
                f'"image" {error.summary}. Give the picture itself, as base64 or as a data URI; no '
                "URL is fetched and no path is opened."
            ) from error
        return data


def _known(caller: Caller, record_id: str) -> Record:
    record = caller.view.get([record_id])[0]
    if record is None:
        raise ToolError(
            f"There is nothing with the id {quoted(record_id)} here. Give the id of a result, as "
            "a search says it."
        )
    return record


def _result(content: list[types.ContentBlock], answer: Answer) -> types.CallToolResult:
    return types.CallToolResult(content=content, structured_content=answer.as_json())


def _told_to_the_model(
    call: Callable[[Caller, Any], types.CallToolResult], given: Arguments, caller: Caller
) -> types.CallToolResult:
    with _told():
        return call(caller, given)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a model can do better next time into a `ToolError`, without any place of a file."""
    try:
        yield
    except ImageError as error:
        raise ToolError(f"The picture {error.summary}.") from error
    except EncoderError as error:
        raise ToolError(
            'This collection cannot be searched in this way; look for words, in "text".'
        ) from error
    except StoreLockedError as error:
        raise ToolError(
            "Nothing was added: another program is writing to this collection. Try again later."
        ) from error
    except StoreError as error:
        raise ToolError("The collection cannot be used just now. Tell the user.") from error
    except (FilterError, RecordError, RefusedError) as error:
        raise ToolError(f"Nothing was done: {error}.") from error
