"""`UniSemQueryEngineTool`: a query engine's answer, with the sources and pictures it is from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ContentBlock, TextBlock
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    StreamingResponse,
)
from llama_index.core.tools.query_engine import QueryEngineTool
from llama_index.core.tools.types import ToolMetadata, ToolOutput

from llama_index_unisem.tools.results import result_blocks
from unisem.images.for_models import ImageLimits
from unisem.images.library import listed_folders

_DESCRIPTION = (
    "Ask a question about a collection of texts and pictures. Returns an answer, and the texts "
    "and pictures that it is from, each with an id to cite."
)


class UniSemQueryEngineTool(QueryEngineTool):
    """LlamaIndex's query engine tool, whose output keeps the sources and their pictures.

    ``raw_output`` is the engine's response. A streaming engine's answer is read to its end.
    """

    def __init__(
        self,
        query_engine: BaseQueryEngine,
        metadata: ToolMetadata | None = None,
        resolve_input_errors: bool = True,
        *,
        name: str | None = None,
        description: str | None = None,
        return_direct: bool = False,
        image_limits: ImageLimits | None = None,
        image_roots: Sequence[str] = (),
    ) -> None:
        """Wrap an engine.

        Args:
            query_engine: Any engine; with ``multimodal=True`` it sees pictures itself.
            metadata: The tool's name, description and schema, as LlamaIndex's own takes them.
            resolve_input_errors: As in LlamaIndex's own.
            name: The tool's name, instead of ``metadata``.
            description: What the model is told about the tool; say what the collection holds.
            return_direct: As in LlamaIndex's ``ToolMetadata``.
            image_limits: How many of the sources' pictures are returned, how large.
            image_roots: Where pictures of other retrievers' nodes may lie.

        Raises:
            ValueError: ``metadata``, and a part of it again.
        """
        if metadata is not None and (name, description, return_direct) != (None, None, False):
            raise ValueError("give metadata, or name, description and return_direct")
        described = metadata or ToolMetadata(
            name="answer" if name is None else name,
            description=_DESCRIPTION if description is None else description,
            return_direct=return_direct,
        )
        super().__init__(query_engine, described, resolve_input_errors)
        self._limits = image_limits or ImageLimits()
        self._roots = tuple(map(str, listed_folders(image_roots)))

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Ask; the question is the first argument, or ``input``."""
        question = self._get_query_str(*args, **kwargs)
        response = self._query_engine.query(question)
        if isinstance(response, StreamingResponse):
            response = response.get_response()
        return self._output(question, response)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """As `call`, leaving the event loop free."""
        question = self._get_query_str(*args, **kwargs)
        response = await self._query_engine.aquery(question)
        if isinstance(response, AsyncStreamingResponse):
            response = await response.get_response()
        elif isinstance(response, StreamingResponse):
            response = await asyncio.to_thread(response.get_response)
        return await asyncio.to_thread(self._output, question, response)

    def _output(self, question: str, response: RESPONSE_TYPE) -> ToolOutput:
        sources = [source.node for source in response.source_nodes]
        blocks: list[ContentBlock] = [TextBlock(text=f"{response}\n")]
        if sources:
            blocks.extend(result_blocks(sources, self._limits, self._roots))
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            blocks=blocks,
            raw_input={"input": question},
            raw_output=response,
        )
