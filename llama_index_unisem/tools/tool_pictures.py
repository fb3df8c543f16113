"""`ToolPictures`: a chat model that sees the pictures which its tools return.

The chat-completions interface takes text only in a tool's message, and LlamaIndex's ``OpenAI`` and
its kin leave pictures out of it without a word. Here they are sent in a user's message right after
the tools' messages, where the interface takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    ContentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.llm import LLM

from llama_index_unisem.tools.results import ResultImageBlock
from unisem.presentation.fence import RULES, quoted

_HEADER = f"Pictures that the tools above returned. {RULES}\n"


class ToolPictures(LLM):
    """What to put before a chat model's class that speaks chat completions.

    ```python
    class PictureOpenAI(ToolPictures, OpenAI):
        '''OpenAI, shown the pictures of tool results.'''

    llm = PictureOpenAI(model="gpt-4o")
    agent = FunctionAgent(tools=[UniSemRetrieverTool(retriever)], llm=llm)
    ```

    Nothing else of the model changes: memory and events keep the tool's message as it is, with
    its pictures. Models whose integration passes on pictures of tool messages (``OpenAIResponses``)
    need it not.
    """

    max_tool_pictures: int = Field(
        default=16,
        ge=0,
        description="Pictures of tool results in one request; the newest results'.",
    )

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As the model's own."""
        return super().chat(self._seen(messages), **kwargs)  # type: ignore[safe-super]

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """As the model's own."""
        return super().stream_chat(self._seen(messages), **kwargs)  # type: ignore[safe-super]

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As the model's own."""
        return await super().achat(self._seen(messages), **kwargs)  # type: ignore[safe-super]

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """As the model's own."""
        return await super().astream_chat(  # type: ignore[safe-super]
            self._seen(messages), **kwargs
        )

    def _seen(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        return list(pictures_after_tools(messages, self.max_tool_pictures))


def pictures_after_tools(messages: Sequence[ChatMessage], most: int) -> Iterator[ChatMessage]:
    """Yield the messages, the pictures of tools' messages moved into a user's message after them.

    Pictures are numbered through the conversation, the same picture by the same number; where one
    was stands its number. It is sent once. The messages given are left as they are.

    Args:
        messages: A conversation.
        most: Pictures at most: the newest results' first, and of one result the first.
    """
    chosen = _chosen(messages, most)
    numbers: dict[str, int] = {}
    sent: set[str] = set()
    for role, run in groupby(messages, key=lambda message: message.role):
        if role != MessageRole.TOOL:
            yield from run
            continue
        earlier = sent.copy()
        moved: list[ContentBlock] = []
        for message in run:
            blocks: list[ContentBlock] = []
            for block in message.blocks:
                if not isinstance(block, ImageBlock):
                    blocks.append(block)
                    continue
                key = _key(block)
                number = numbers.setdefault(key, len(numbers) + 1)
                place = "shown above" if key in earlier else "shown below"
                if key not in chosen:
                    place = "left out"
                elif key not in sent:
                    sent.add(key)
                    moved += [TextBlock(text=_label(number, block)), block]
                blocks.append(TextBlock(text=f"(Picture {number} is {place}.)\n"))
            yield message.model_copy(update={"blocks": blocks})
        if moved:
            yield ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text=_HEADER), *moved])


def _chosen(messages: Sequence[ChatMessage], most: int) -> set[str]:
    """The keys of the pictures that are sent."""
    chosen: set[str] = set()
    for message in reversed(messages):
        if message.role == MessageRole.TOOL:
            for block in message.blocks:
                if isinstance(block, ImageBlock) and len(chosen) < most:
                    chosen.add(_key(block))
    return chosen


def _key(block: ImageBlock) -> str:
    """What two blocks of the same picture have in common."""
    if isinstance(block.image, bytes):
        return sha256(block.image).hexdigest()
    return f"{block.path} {block.url} {id(block.image) if block.image else ''}"


def _label(number: int, block: ImageBlock) -> str:
    name = block.result_id if isinstance(block, ResultImageBlock) else None
    return f"Picture {number}:\n" if name is None else f"Picture {number}, of {quoted(name)}:\n"
