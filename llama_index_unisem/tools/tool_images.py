"""`ToolImages`: a chat model that sees the pictures which its tools return.

The chat-completions interface takes text only in a tool's message, and LlamaIndex's ``OpenAI`` and
its kin leave pictures out of it without a word. Here they are sent in a user's message right after
the tools' messages, where the interface takes them. Tools return references; here, at the last
moment, they are read.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
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

from llama_index_unisem.tools.references import ToolImageReference
from llama_index_unisem.tools.results import ResultImageBlock
from unisem.errors import ImageError
from unisem.images.for_models import MAX_BYTES, ImageLimits, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.conversation import ABOVE, header, label, newest


class ToolImages(LLM):
    """What to put before a chat model's class that speaks chat completions.

    ```python
    class ImageOpenAI(ToolImages, OpenAI):
        '''OpenAI, shown the pictures of tool results.'''

    llm = ImageOpenAI(model="gpt-4o")
    agent = FunctionAgent(tools=[UniSemRetrieverTool(retriever)], llm=llm)
    ```

    Nothing else of the model changes: memory and events keep the tool's message as it is, with
    references to its pictures, also where they are kept as JSON. A model without this class, or
    LlamaIndex's own code, cannot read a reference that has been JSON.
    """

    max_tool_images: int = Field(
        default=16,
        ge=0,
        description="Pictures of tool results in one request; the newest results'.",
    )
    max_tool_image_bytes: int = Field(
        default=MAX_BYTES,
        ge=1,
        description="Bytes of all of them together; each may have an equal share.",
    )

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As the model's own."""
        return super().chat(self._seen(messages), **kwargs)  # type: ignore[safe-super]

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """As the model's own."""
        return super().stream_chat(self._seen(messages), **kwargs)  # type: ignore[safe-super]

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As the model's own."""
        seen = await asyncio.to_thread(self._seen, messages)
        return await super().achat(seen, **kwargs)  # type: ignore[safe-super]

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """As the model's own."""
        seen = await asyncio.to_thread(self._seen, messages)
        return await super().astream_chat(seen, **kwargs)  # type: ignore[safe-super]

    def _seen(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        limits = ImageLimits(count=self.max_tool_images, bytes=self.max_tool_image_bytes)
        return list(images_after_tools(messages, limits))


def images_after_tools(
    messages: Sequence[ChatMessage], limits: ImageLimits
) -> Iterator[ChatMessage]:
    """Yield the messages, the pictures of tools' messages moved into a user's message after them.

    Pictures are numbered through the conversation, the same picture by the same number; where one
    was stands its number. It is sent once. What is referred to is read; where it has gone or
    changed, that is said in its place. The messages given are left as they are.

    Args:
        messages: A conversation.
        limits: Pictures at most, the newest results' first, and of one result the first; and their
            bytes together. A reference may say less of its picture. What is only a path or a URL
            of somebody else's is left as it is.
    """
    results = [
        [block for block in message.blocks if isinstance(block, ImageBlock)]
        for message in messages
        if message.role == MessageRole.TOOL
    ]
    pictures = {_key(block): block for result in reversed(results) for block in reversed(result)}
    read = newest(
        [[_key(block) for block in result] for result in results],
        limits.count,
        lambda key: _read(pictures[key], limits),
    )
    numbers: dict[str, int] = {}
    sent: set[str] = set()
    for role, run in groupby(messages, key=lambda message: message.role):
        if role != MessageRole.TOOL:
            yield from (_without_references(message, limits) for message in run)
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
                picture = read[key]
                if isinstance(picture, str):
                    said = picture
                else:
                    said = ABOVE if key in earlier else "is shown below"
                    if key not in sent:
                        name = label(_result_id(block), number)
                        moved += [TextBlock(text=f"{name}\n"), picture]
                        sent.add(key)
                blocks.append(TextBlock(text=f"(Picture {number} {said}.)\n"))
            yield message.model_copy(update={"blocks": blocks})
        if moved:
            head = TextBlock(text=f"{header('above')}\n")
            yield ChatMessage(role=MessageRole.USER, blocks=[head, *moved])


def _without_references(message: ChatMessage, limits: ImageLimits) -> ChatMessage:
    """Another's message, which has a reference if a memory has put a tool's blocks there."""
    blocks: list[ContentBlock] = []
    for block in message.blocks:
        try:
            if isinstance(block, ImageBlock) and ToolImageReference.parse(block.url) is not None:
                block = _read(block, limits)
            blocks.append(block)
        except ImageError as error:
            blocks.append(TextBlock(text=f"(A picture {error.summary}.)\n"))
    if all(block is kept for block, kept in zip(blocks, message.blocks, strict=True)):
        return message
    return message.model_copy(update={"blocks": blocks})


def _read(block: ImageBlock, limits: ImageLimits) -> ImageBlock:
    """The block with its picture's bytes, no more than its share, if it refers to it or has it.

    Raises:
        ImageError: The picture has gone or changed, or cannot be made so small.
    """
    if (reference := ToolImageReference.parse(block.url)) is not None:
        image = reference.read(limits.share)
    elif isinstance(block.image, bytes) and len(data := b64decode(block.image)) > limits.share:
        image = image_for_model(ImageRef(data=data), max_bytes=limits.share)
    else:
        return block
    return ImageBlock(image=image.data, image_mimetype=image.mime_type, detail=block.detail)


def _key(block: ImageBlock) -> str:
    """What two blocks of the same picture have in common."""
    if (reference := ToolImageReference.parse(block.url)) is not None:
        return reference.sha256
    if isinstance(block.image, bytes):
        return sha256(block.image).hexdigest()
    return f"{block.path} {block.url} {id(block.image) if block.image else ''}"


def _result_id(block: ImageBlock) -> str | None:
    if (reference := ToolImageReference.parse(block.url)) is not None:
        return reference.result_id
    return block.result_id if isinstance(block, ResultImageBlock) else None
