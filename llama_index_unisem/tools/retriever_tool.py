"""`UniSemRetrieverTool`: a space that an agent searches, and whose pictures it sees."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.tools.types import AsyncBaseTool, ToolMetadata, ToolOutput

from llama_index_unisem.retrievers.bundles import ImageQueryBundle
from llama_index_unisem.retrievers.retriever import UniSemRetriever
from llama_index_unisem.tools.arguments import SearchArguments, arguments_for, parsed
from llama_index_unisem.tools.references import look_in
from llama_index_unisem.tools.results import result_blocks
from unisem.images.for_models import ImageLimits
from unisem.images.library import listed_folders

_DESCRIPTION = (
    "Search a collection of texts and pictures by words, by a picture found before, or by both. "
    "Returns the best texts, captions and pictures, each with an id to cite."
)


class UniSemRetrieverTool(AsyncBaseTool):
    """Search a space by words, by a picture found before, or by both.

    The model's query is embedded as it wrote it. What the model asks for narrows the retriever's
    own settings and never widens them: its filters, ids and modality hold for every call, and for
    the picture that the model names, too.

    >>> from unisem import Record, SemanticSpace
    >>> with SemanticSpace.open(None) as space:
    ...     _ = space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    ...     tool = UniSemRetrieverTool(UniSemRetriever(space=space))
    ...     print(tool(query="a big cat", top_k=1).blocks[1].text.strip())
    <result id="a">a tiger</result>
    """

    def __init__(
        self,
        retriever: UniSemRetriever,
        *,
        name: str = "search",
        description: str = _DESCRIPTION,
        max_top_k: int = 20,
        filter_fields: Mapping[str, str] | None = None,
        node_postprocessors: Sequence[BaseNodePostprocessor] = (),
        image_limits: ImageLimits | None = None,
        image_roots: Sequence[str] = (),
        return_direct: bool = False,
    ) -> None:
        """Check the settings; nothing is searched.

        Args:
            retriever: What searches; its ``similarity_top_k`` is the number of results where the
                model names none.
            name: The tool's name.
            description: What the model is told about the tool; say what the collection holds.
            max_top_k: How many results the model may ask for.
            filter_fields: The metadata fields that the model may filter by, and what they mean;
                ``{}`` for no filters. ``None`` lets it name any field, which it must guess.
            node_postprocessors: What the results go through, in order.
            image_limits: How many pictures one call may return, how large; the retriever's own
                if ``None``.
            image_roots: Where pictures of nodes that a postprocessor brought from elsewhere may
                lie.
            return_direct: As in LlamaIndex's ``ToolMetadata``.

        Raises:
            TypeError: ``retriever`` is no `UniSemRetriever`.
            ValueError: ``max_top_k`` is less than what the retriever finds by itself, or 1.
        """
        if not isinstance(retriever, UniSemRetriever):
            raise TypeError(
                f"retriever must be a UniSemRetriever, not {type(retriever).__name__}; "
                "for example UniSemRetriever(space=space)"
            )
        if max_top_k < 1:
            raise ValueError(f"max_top_k must be at least 1, not {max_top_k}")
        settings = retriever.settings
        self._retriever = retriever
        self._postprocessors = tuple(node_postprocessors)
        self._limits = image_limits or retriever.image_limits
        self._roots = tuple(map(str, listed_folders(image_roots)))
        self._schema = arguments_for(
            default_k=min(max(settings.k, 1), max_top_k),
            max_k=max_top_k,
            fields=filter_fields,
            modality=settings.selection.modality,
        )
        self._metadata = ToolMetadata(
            name=name,
            description=description,
            fn_schema=self._schema,
            return_direct=return_direct,
        )
        look_in(retriever)

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema, as the model is told them."""
        return self._metadata

    @property
    def retriever(self) -> UniSemRetriever:
        """What searches."""
        return self._retriever

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Search.

        Args:
            *args: The query, if it is not given by name.
            **kwargs: `SearchArguments`.

        Returns:
            Blocks of texts and pictures; ``raw_output`` is the list of ``NodeWithScore``.

        Raises:
            ValueError: An argument is wrong; an agent passes the message on to its model.
        """
        asked = self._asked(args, kwargs)
        bundle = self._bundle(asked)
        nodes = self._narrowed(asked).retrieve(bundle)
        for postprocessor in self._postprocessors:
            nodes = postprocessor.postprocess_nodes(nodes, query_bundle=bundle)
        return self._output(asked, nodes)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """As `call`, leaving the event loop free."""
        asked = self._asked(args, kwargs)
        bundle = await asyncio.to_thread(self._bundle, asked)
        nodes = await self._narrowed(asked).aretrieve(bundle)
        for postprocessor in self._postprocessors:
            nodes = await postprocessor.apostprocess_nodes(nodes, query_bundle=bundle)
        return await asyncio.to_thread(self._output, asked, nodes)

    def _asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SearchArguments:
        if len(args) > 1 or (args and "query" in kwargs):
            raise TypeError("a search takes one query; give the other arguments by name")
        asked = parsed(self._schema, {"query": args[0], **kwargs} if args else kwargs)
        if not asked.query.strip() and asked.image is None:
            raise ValueError("the search was not made: query is empty, and there is no image")
        return asked

    def _narrowed(self, asked: SearchArguments) -> UniSemRetriever:
        return self._retriever.narrowed(
            similarity_top_k=asked.top_k, filters=asked.condition, modality=asked.modality
        )

    def _bundle(self, asked: SearchArguments) -> QueryBundle:
        if asked.image is None:
            return QueryBundle(asked.query)
        selection = self._retriever.settings.selection
        if selection.ids is None or asked.image in selection.ids:
            chosen = replace(selection, ids=(asked.image,), modality=None)
            for record in self._retriever.space.store.select(chosen):
                if record.image is not None:
                    words = asked.query if asked.query.strip() else ""
                    return ImageQueryBundle(words, image=record.image)
        raise ValueError(
            f"the search was not made: image: there is no picture with the id {asked.image!r}; "
            "give the id of a result that has a picture"
        )

    def _output(self, asked: SearchArguments, nodes: list[NodeWithScore]) -> ToolOutput:
        return ToolOutput(
            tool_name=self._metadata.get_name(),
            blocks=result_blocks([hit.node for hit in nodes], self._limits, self._roots),
            raw_input=asked.model_dump(),
            raw_output=nodes,
        )
