"""`UniSemInlineRetrievalTool`: the search tool whose answer holds the pictures themselves."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict

from langchain_unisem.messages import blocks_of
from langchain_unisem.retrievers import UniSemRetriever
from langchain_unisem.tools.results import Result
from langchain_unisem.tools.retrieval import ToolContent, UniSemRetrievalTool
from unisem.images.for_models import ImageLimits
from unisem.presentation.parts import listed


class UniSemInlineRetrievalTool(UniSemRetrievalTool):
    """As `UniSemRetrievalTool`, with each picture as an image block of the tool's message.

    It needs no middleware, but a model whose interface accepts pictures in the messages of tools,
    which OpenAI's chat completions do not. The pictures become part of the agent's state, in
    base64: every checkpoint and every trace holds them, for as long as the conversation is kept.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        limits: How many pictures of how many pixels and bytes; `ImageLimits` by default.

    The other arguments are those of `UniSemRetrievalTool`.

    Instantiate:
        ```python
        from langchain_unisem import UniSemInlineRetrievalTool

        tool = UniSemInlineRetrievalTool(retriever=retriever)
        agent = create_agent(model, tools=[tool])
        ```
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    limits: ImageLimits = ImageLimits()

    def _content(self, results: Sequence[Result], retriever: UniSemRetriever) -> ToolContent:
        records = retriever.records([result.id for result in results])
        items = [result.pictured(it) for result, it in zip(results, records, strict=True)]
        return blocks_of(listed(items, self.limits, by="id"))
