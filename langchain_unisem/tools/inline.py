"""`UniSemInlineRetrievalTool`: the search tool whose answer holds the pictures themselves."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages.content import ContentBlock
from pydantic import ConfigDict

from langchain_unisem.messages import image_block, text_block
from langchain_unisem.retrievers import UniSemRetriever
from langchain_unisem.tools.results import HEADER, Result
from langchain_unisem.tools.retrieval import ToolContent, UniSemRetrievalTool
from unisem.images.for_models import ImageLimits
from unisem.presentation.contents import as_found, contents

_ORDER = " A picture belongs to the result before it."


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
        blocks: list[ContentBlock] = [text_block(HEADER + _ORDER)]
        records = [
            as_found(record, None if result.image is None else result.image["sha256"])
            for result, record in zip(
                results, retriever.records([result.id for result in results]), strict=True
            )
        ]
        shown = contents([record for record in records if record is not None], self.limits)
        for result, record in zip(results, records, strict=True):
            text = result.as_text()
            content = None if record is None else next(shown)
            if result.image is not None and content is None:
                text += " (its picture has been deleted or replaced)"
            elif content is not None and content.omitted is not None:
                text += f" (its picture {content.omitted})"
            blocks.append(text_block(text))
            if content is not None and content.image is not None:
                blocks.append(image_block(content.image))
        return blocks
