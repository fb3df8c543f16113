"""`ChatModelExtractor`: any LangChain chat model, asked for entities and relations."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from unisem.graph.extraction.extractor import PROMPT, GraphExtractor


class ChatModelExtractor(GraphExtractor):
    """Asks a chat model which things a text is about, each text in a message of its own.

    Setup:
        ``pip install "unisem[langchain]"``, and the package of your model.

    Key init args:
        model: A chat model.
        name: What to call it; kept answers are told apart by it. The model's own name by default.
        types: The types of relations that are wanted; any if empty.
        prompt: What it is asked.
        concurrency: Texts that are asked about at once.

    Instantiate:
        ```python
        from langchain_unisem import ChatModelExtractor

        extractor = ChatModelExtractor(llm, types=["broader", "part of"])
        ```

    Texts are fenced, as everything that a model is shown. See docs/guides/graph_sources.md.

    Raises:
        TypeError: The model is no chat model.
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str | None = None,
        types: Sequence[str] = (),
        prompt: str = PROMPT,
        concurrency: int = 4,
    ) -> None:
        if not isinstance(model, BaseChatModel):
            raise TypeError(f"model must be a LangChain chat model, not {type(model).__name__}")
        found = getattr(model, "model_name", None) or getattr(model, "model", None)
        super().__init__(
            name or (found if isinstance(found, str) else type(model).__name__),
            type(model).__name__,
            types=types,
            prompt=prompt,
            concurrency=concurrency,
        )
        self._model = model

    def ask(self, prompt: str) -> str:
        """Invoke the model with the prompt."""
        return str(self._model.invoke([HumanMessage(prompt)]).text)
