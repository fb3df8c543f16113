"""`LLMCaptioner`: any LlamaIndex LLM that sees pictures, as a `Captioner`."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms import LLM

from unisem.captioners.chat_model import PROMPT, ChatCaptioner
from unisem.images.for_models import ModelImage


class LLMCaptioner(ChatCaptioner):
    """Asks an LLM that sees to describe pictures, each in a message of its own.

    Pictures go as image blocks with their bytes, made small. See docs/guides/captions.md.

    Args:
        llm: An LLM whose ``chat`` takes messages with pictures.
        name: What to call it; captions are marked with it, and kept captions are told apart by
            it. The model's own name by default.
        prompt: What it is asked.
        side: Pixels that a sent picture's longer side may have.
        concurrency: Pictures that are asked about at once.

    Raises:
        TypeError: It is no LLM.
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        llm: LLM,
        *,
        name: str | None = None,
        prompt: str = PROMPT,
        side: int = 512,
        concurrency: int = 4,
    ) -> None:
        if not isinstance(llm, LLM):
            raise TypeError(f"llm must be a LlamaIndex LLM, not {type(llm).__name__}")
        super().__init__(
            name or llm.metadata.model_name,
            llm.class_name(),
            prompt=prompt,
            side=side,
            concurrency=concurrency,
        )
        self._llm = llm

    def ask(self, prompt: str, image: ModelImage) -> str:
        """Chat with the model: one message with the prompt and the picture."""
        picture = ImageBlock(image=image.data, image_mimetype=image.mime_type)
        message = ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text=prompt), picture])
        return self._llm.chat([message]).message.content or ""
