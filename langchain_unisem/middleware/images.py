"""`ImageMiddleware`: shows an agent's model the pictures that its tools have found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, Literal, get_args

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.messages.content import ContentBlock

from langchain_unisem.messages import image_block, text_block
from langchain_unisem.middleware.mentions import Mention, Results, mentioned
from langchain_unisem.tools import UniSemInlineRetrievalTool, UniSemRetrievalTool
from langchain_unisem.tools.user_images import SOURCE, is_users
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, ModelImage, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.contents import image_found
from unisem.presentation.conversation import ABOVE, forgotten, header, label, newest

Place = Literal["after_results", "in_question"]
"""A message of their own after the results, or the end of the message that the user asked with."""

_WHERE: dict[Place, str] = {"after_results": "above", "in_question": "below"}


class ImageMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Show the model the pictures that `UniSemRetrievalTool` found, right before it is called.

    The agent's state holds ids only. For each call of the model, and for that call alone, the
    pictures are read and put into a user's message after the results that mention them: after all
    of them, as the answers to parallel tool calls must follow each other, and in a message of
    their own, as chat completions take no pictures in the messages of tools. Mistral's interface
    and the chat templates of open models take no user's message there: for these
    ``place="in_question"`` puts the pictures at the end of the message that the user asked with.

    The newest pictures are shown first if there are more than the limits allow, each picture once.
    What cannot be shown is said in words, and the reason is logged. As long as the limits hold
    and no turn grows too old, each request begins with the one before, so that prompt caches work.

    Setup:
        ``pip install "unisem[langchain]" langchain``

    Key init args:
        tools: The tools whose pictures are shown.
        limits: How many pictures of how many pixels and bytes a request may have; `ImageLimits`
            by default.
        turns: In how many of the user's turns pictures are shown, counted from the latest; ``None``
            for all of them.
        place: ``"after_results"`` or ``"in_question"``.

    Instantiate:
        ```python
        from langchain.agents import create_agent

        from langchain_unisem import UniSemRetrievalTool
        from langchain_unisem.middleware import ImageMiddleware

        tool = UniSemRetrievalTool(retriever=retriever)
        agent = create_agent(model, tools=[tool], middleware=[ImageMiddleware(tool)])
        ```

    Put it last in the list, so that no other middleware traces or counts what it adds. In a graph
    of your own call `with_images` on the messages that go to the model.

    Raises:
        TypeError: One of the tools is no `UniSemRetrievalTool`, or shows its pictures itself.
        ValueError: There is no tool, two have one name, or ``turns`` is less than 1.
    """

    def __init__(
        self,
        *tools: UniSemRetrievalTool,
        limits: ImageLimits | None = None,
        turns: int | None = 2,
        place: Place = "after_results",
    ) -> None:
        super().__init__()
        _check(tools, turns)
        if place not in get_args(Place):
            raise ValueError(f'place must be "after_results" or "in_question", not {place!r}')
        self._place = place
        self._searches = {tool.name: tool for tool in tools}
        self._limits = limits or ImageLimits()
        self._turns = turns
        # An agent calls its model several times a turn, and shows it the same pictures each time.
        read = partial(
            image_for_model,
            side=self._limits.side,
            max_bytes=self._limits.share,
            regions=self._limits.regions,
        )
        self._read = lru_cache(2 * self._limits.count)(read)

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Call the model with the pictures."""
        messages = self.with_images(request.messages, _context_of(request))
        return handler(request.override(messages=messages))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`; the pictures are read in a thread."""
        messages = await asyncio.to_thread(self.with_images, request.messages, _context_of(request))
        return await handler(request.override(messages=messages))

    def with_images(
        self, messages: Sequence[AnyMessage], context: object = None
    ) -> list[AnyMessage]:
        """Return a conversation with its pictures; the one that is given stays as it is.

        Args:
            messages: The conversation.
            context: The run's context, which a tool's ``request_filter`` needs.

        Raises:
            ValueError: As `UniSemRetrievalTool.retriever_for`.
        """
        found = mentioned(messages, self._searches)
        recent = [results for results in found if self._is_recent(results)]
        pictures = self._choose(recent, context)
        shown: set[tuple[str, str]] = set()
        blocks: list[list[ContentBlock]] = []
        for results in found:
            if self._is_recent(results):
                blocks.append(self._blocks(results.mentions, pictures, shown))
            else:
                blocks.append([text_block(forgotten(_WHERE[self._place]))])
        if self._place == "in_question":
            return _in_questions(messages, found, blocks)
        whole: list[AnyMessage] = []
        start = 0
        for results, own in zip(found, blocks, strict=True):
            whole += [*messages[start : results.end], _message(own)]
            start = results.end
        return [*whole, *messages[start:]]

    def _blocks(
        self,
        mentions: Iterable[Mention],
        pictures: dict[Mention, ModelImage | str],
        shown: set[tuple[str, str]],
    ) -> list[ContentBlock]:
        blocks: list[ContentBlock] = [text_block(header(_WHERE[self._place]))]
        for mention in mentions:
            known = mention.id, mention.sha256
            picture = ABOVE if known in shown else pictures[mention]
            if isinstance(picture, str):
                blocks.append(text_block(f"{label(mention.id)} this picture {picture}."))
            else:
                blocks += [text_block(label(mention.id)), image_block(picture)]
                shown.add(known)
        return blocks

    def _is_recent(self, results: Results) -> bool:
        return self._turns is None or results.turn < self._turns

    def _choose(
        self, recent: Sequence[Results], context: object
    ) -> dict[Mention, ModelImage | str]:
        """Each picture, or why it is not shown, in words that go on from "this picture …"."""
        places = self._places({m for results in recent for m in results.mentions}, context)

        def read(mention: Mention) -> ModelImage:
            place = places[mention]
            if isinstance(place, str):
                raise ImageError(mention.id, place)
            return self._read(place)

        return newest([results.mentions for results in recent], self._limits.count, read)

    def _places(
        self, mentions: Iterable[Mention], context: object
    ) -> dict[Mention, ImageRef | str]:
        """Look the records up, in the space of the tool that found them and within its filters."""
        found: dict[Mention, ImageRef | str] = {}
        for name, tool in self._searches.items():
            own = [mention for mention in mentions if mention.tool == name]
            if own:
                records = tool.retriever_for(context).records([mention.id for mention in own])
                for mention, record in zip(own, records, strict=True):
                    found[mention] = image_found(record, mention.sha256)
        return found


def _message(blocks: list[ContentBlock]) -> HumanMessage:
    return HumanMessage(content_blocks=blocks, additional_kwargs={"lc_source": SOURCE})


def _in_questions(
    messages: Sequence[AnyMessage],
    found: Sequence[Results],
    blocks: Sequence[list[ContentBlock]],
) -> list[AnyMessage]:
    """Add each result's blocks to the last message of the user before it."""
    whole = list(messages)
    first: list[ContentBlock] = []
    for results, own in zip(found, blocks, strict=True):
        asked = (place for place in reversed(range(results.end)) if is_users(messages[place]))
        place = next(asked, None)
        if place is None:
            first += own
            continue
        content = whole[place].content
        before = [text_block(content)] if isinstance(content, str) else content
        added = {"content": [*(before if content else []), *own]}
        whole[place] = whole[place].model_copy(update=added)
    start = next((n for n, it in enumerate(whole) if not isinstance(it, SystemMessage)), 0)
    return [*whole[:start], *([_message(first)] if first else []), *whole[start:]]


def _context_of(request: ModelRequest[Any]) -> object:
    return getattr(request.runtime, "context", None)


def _check(tools: Sequence[object], turns: object) -> None:
    if not tools:
        raise ValueError("name the tools whose pictures are to be shown: ImageMiddleware(tool)")
    names = set()
    for tool in tools:
        if isinstance(tool, UniSemInlineRetrievalTool):
            raise TypeError(f"{tool.name!r} shows its pictures itself; it needs no middleware")
        if not isinstance(tool, UniSemRetrievalTool):
            raise TypeError(f"pass UniSemRetrievalTool, not {type(tool).__name__}")
        if tool.name in names:
            raise ValueError(f"two tools have the name {tool.name!r}; give one another name=")
        names.add(tool.name)
    if turns is not None and (not isinstance(turns, int) or isinstance(turns, bool) or turns < 1):
        raise ValueError(f"turns must be a whole number of at least 1, or None, not {turns!r}")
