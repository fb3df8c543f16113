"""`LLMExtractor`: any LlamaIndex LLM, asked for entities and relations."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM

from unisem.graph.extraction.extractor import PROMPT, GraphExtractor


class LLMExtractor(GraphExtractor):
    """Asks an LLM which things a text is about, each text in a message of its own.

    Texts are fenced, as everything that a model is shown. See docs/guides/graph_sources.md.

    Args:
        llm: Any LLM.
        name: What to call it; kept answers are told apart by it. The model's own name by default.
        types: The types of relations that are wanted; any if empty.
        prompt: What it is asked.
        concurrency: Texts that are asked about at once.

    Raises:
        TypeError: It is no LLM.
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        llm: LLM,
        *,
        name: str | None = None,
        types: Sequence[str] = (),
        prompt: str = PROMPT,
        concurrency: int = 4,
    ) -> None:
        if not isinstance(llm, LLM):
            raise TypeError(f"llm must be a LlamaIndex LLM, not {type(llm).__name__}")
        super().__init__(
            name or llm.metadata.model_name,
            llm.class_name(),
            types=types,
            prompt=prompt,
            concurrency=concurrency,
        )
        self._llm = llm

    def ask(self, prompt: str) -> str:
        """Chat with the model: one message."""
        message = ChatMessage(role=MessageRole.USER, content=prompt)
        return self._llm.chat([message]).message.content or ""
