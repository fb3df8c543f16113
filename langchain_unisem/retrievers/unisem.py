"""`UniSemRetriever`: a semantic space as a LangChain retriever."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict, Unpack

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, Field, field_validator

from langchain_unisem.documents import hit_to_document
from langchain_unisem.filters import FilterLike, to_filter
from langchain_unisem.queries import ImageQuery, image_of, text_of
from unisem.images import ImageSource
from unisem.records import Modality
from unisem.search import Match, Query, Selection
from unisem.space import SemanticSpace


class SearchOptions(TypedDict, total=False):
    """What one call may set; each replaces the retriever's own setting.

    ``image`` is a picture to search with beside the text, or alone if the text is ``""``.
    """

    k: int
    filter: FilterLike | None
    modality: Modality | None
    match: Match
    text_weight: float
    image: ImageSource | None


class UniSemRetriever(BaseRetriever):
    """Find texts, pictures and captioned pictures of one space in one ranked list.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: The `unisem.SemanticSpace` to search.
        k: How many documents at most; exactly ``min(k, matching records)`` come back.
        filter: A dictionary such as ``{"year": {"$gte": 2020}}`` or a `unisem.filters.Filter`.
        modality: ``"image"`` for records with a picture, ``"text"`` for those without.
        match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, or ``"any"``.
        text_weight: Share of the text, from 0 to 1, in a query of text and picture.

    Instantiate:
        ```python
        from langchain_unisem import ImageQuery, UniSemRetriever
        from unisem import SemanticSpace

        retriever = UniSemRetriever(space=SemanticSpace.open("photos.unisem"), k=4)
        ```

    Search:
        ```python
        retriever.invoke("a striped cat")
        retriever.invoke("a striped cat", k=1, modality="image")
        retriever.invoke(ImageQuery("tiger.jpg", text="but white"))
        ```

    Async:
        ```python
        await retriever.ainvoke("a striped cat", k=1)
        ```

    Use within a chain:
        ```python
        prompt = MultimodalPrompt(space=space)
        chain = {"context": retriever, "question": RunnablePassthrough()} | prompt | llm
        ```

    Documents hold the record's id, its text or caption and its metadata, with
    ``metadata["relevance_score"]`` from 0 to 1 and the details of the search in
    ``metadata["unisem"]``; see docs/langchain.md.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    space: SemanticSpace
    k: int = Field(default=4, ge=0, strict=True)
    filter: FilterLike | None = None
    modality: Modality | None = None
    match: Match = "any"
    text_weight: float = Field(default=0.5, ge=0, le=1)

    @field_validator("filter", mode="plain")
    @classmethod
    def _translate(cls, value: FilterLike | None) -> FilterLike | None:
        return to_filter(value)

    def invoke(
        self, input: str | ImageQuery, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Search.

        Args:
            input: Text, or an `ImageQuery` for a picture with or without text.
            config: As for every runnable.
            **kwargs: `SearchOptions`.

        Returns:
            Documents, best first, ties by id.

        Raises:
            ImageError: The query's picture cannot be used.
            FilterError: The filter means nothing.
            TypeError: ``input`` is neither text nor `ImageQuery`, or an option is unknown.
            ValueError: An option is out of range.
        """
        return super().invoke(text_of(input), config, **_image_of(input), **kwargs)

    async def ainvoke(
        self, input: str | ImageQuery, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """As `invoke`, in a thread."""
        return await super().ainvoke(text_of(input), config, **_image_of(input), **kwargs)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        return self._search(query, options)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        return await asyncio.to_thread(self._search, query, options)

    def _search(self, text: str, options: SearchOptions) -> list[Document]:
        if unknown := options.keys() - SearchOptions.__annotations__.keys():
            raise TypeError(
                f"unknown search option {', '.join(sorted(unknown))}; "
                f"known are {', '.join(SearchOptions.__annotations__)}"
            )
        image = options.get("image")
        query = Query(
            text=None if image is not None and not text else text,
            image=image,
            k=options.get("k", self.k),
            match=options.get("match", self.match),
            text_weight=options.get("text_weight", self.text_weight),
            selection=Selection(
                filter=to_filter(options.get("filter", self.filter)),
                modality=options.get("modality", self.modality),
            ),
        )
        return [hit_to_document(hit) for hit in self.space.search_query(query)]

    def _get_ls_params(self, **_kwargs: Any) -> LangSmithRetrieverParams:
        return LangSmithRetrieverParams(
            ls_retriever_name="unisem",
            ls_vector_store_provider="UniSem",
            ls_embedding_provider="UniSem",
            ls_embedding_model=self.space.encoder.name,
        )


def _image_of(query: str | ImageQuery) -> SearchOptions:
    """Pass the picture beside the text: tracers record the text only."""
    image = image_of(query)
    return {} if image is None else {"image": image}
