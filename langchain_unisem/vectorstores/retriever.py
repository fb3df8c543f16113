"""`UniSemVectorStoreRetriever`: what `UniSemVectorStore.as_retriever` returns."""

from __future__ import annotations

from typing import Any, ClassVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import ConfigDict

from langchain_unisem.queries import ImageQuery, image_of, text_of

MODES = ("keyword", "hybrid")
"""Types of search that LangChain does not know."""


class UniSemVectorStoreRetriever(VectorStoreRetriever):
    """LangChain's retriever of a vector store, with search by keyword, hybrid, and by picture.

    Its own arguments are `search_type` and `search_kwargs`; others are refused, not ignored.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    allowed_search_types: ClassVar[tuple[str, ...]] = (
        *VectorStoreRetriever.allowed_search_types,
        *MODES,
    )

    def invoke(
        self, input: str | ImageQuery, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Search with a text or an `ImageQuery`.

        Keyword arguments replace `search_kwargs`, and `search_type` if that is one of them.
        """
        return super().invoke(text_of(input), config, **_with_image(input, kwargs))

    async def ainvoke(
        self, input: str | ImageQuery, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """As `invoke`, in a thread."""
        return await super().ainvoke(text_of(input), config, **_with_image(input, kwargs))

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self.vectorstore.search(query, **self._options(kwargs))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self.vectorstore.asearch(query, **self._options(kwargs))

    def _options(self, of_the_call: dict[str, Any]) -> dict[str, Any]:
        return {"search_type": self.search_type, **self.search_kwargs, **of_the_call}

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        space = getattr(self.vectorstore, "space", None)
        if space is not None:
            params["ls_embedding_model"] = space.encoder.name
        return params


def _with_image(query: str | ImageQuery, options: dict[str, Any]) -> dict[str, Any]:
    """Pass the picture beside the text: tracers record the text only."""
    image = image_of(query)
    return options if image is None else {**options, "image": image}
