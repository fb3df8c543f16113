"""`UniSemRetriever`: a semantic space as a LangChain retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, Self, Unpack, cast, get_args

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, Field, InstanceOf, field_validator, model_validator

from langchain_unisem.documents import found_to_document, hit_to_document, relevance
from langchain_unisem.filters import to_filter
from langchain_unisem.metadata import DETAILS_KEY, SCORE_KEY
from langchain_unisem.queries import ImageQuery, image_of, text_of
from langchain_unisem.vectorstores.options import (
    CommonOptions,
    DocumentFilter,
    check_share,
    holds,
    narrowed,
    refuse_unknown,
    search,
)
from unisem.filters import matches
from unisem.records import Modality, Record
from unisem.rerank import Reranker
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode
from unisem.search.reranking import Reranking
from unisem.space import SemanticSpace
from unisem.stores.selection import Match

SearchType = Literal["similarity", "mmr", "similarity_score_threshold", "keyword", "hybrid"]
"""By meaning; by meaning and varied; by meaning and good enough; by the words; by both."""


class SearchOptions(CommonOptions, total=False):
    """What one call may set; each replaces the retriever's own setting."""

    search_type: SearchType
    k: int
    lambda_mult: float
    reranker: Reranker | Reranking | None


class UniSemRetriever(BaseRetriever):
    """Find texts, pictures and captioned pictures of one space in one ranked list.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: The `unisem.SemanticSpace` to search.
        k: How many documents at most; exactly ``min(k, matching records)`` come back.
        search_type: ``"similarity"``, ``"mmr"``, ``"similarity_score_threshold"``,
            ``"keyword"`` or ``"hybrid"``.
        filter: A dictionary such as ``{"year": {"$gte": 2020}}``, a `unisem.filters.Filter`, an
            expression of `langchain_core.structured_query`, or a function that is shown documents.
        modality: ``"image"`` for records with a picture, ``"text"`` for those without.
        match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, fused vectors of
            ``"both"``, or ``"any"``.
        text_weight: Share of the text, from 0 to 1, in a query of text and picture.
        score_threshold: The least relevance, (1 + cosine) / 2, of a hit by vector.
        min_relevance: The least probability that one is relevant; of a calibrated space.
        lambda_mult: For ``"mmr"``: from 0, only diversity after the first, to 1, only relevance.
        fetch_k: How many candidates ``"mmr"``, ``"hybrid"`` and a reranker choose from.
        fusion: How the two lists of ``"hybrid"`` become one.
        reranker: A `unisem.rerank.Reranker` that orders the candidates anew, or a
            `unisem.search.Reranking` of one, which also says what is judged and for how long.
        duplicates: Of records with the ``"same"`` picture only the best is found, and the ids of
            the others are ``copies`` in ``metadata["unisem"]``; with ``"near"`` also of those that
            look nearly the same; with ``"keep"`` all are found.
        neighbors: How many records before and after each hit come with it, by its links; ``k``
            does not count them.
        graph: A `unisem.search.GraphExpansion`: how the space's knowledge graph takes part. The
            way to a document is in ``metadata["unisem"]``, and tools show it to the model.
        scores: ``False`` leaves out what only one search says of a document, so that a record is
            the same document for every query, and LangChain's unions of results know it.
        unique_key: Metadata key for a string that no other document has, which
            ``EnsembleRetriever(id_key=…)`` needs where texts are alike or pictures have none.

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
        retriever.invoke("XJ-9000", search_type="keyword")
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
    ``metadata["relevance_score"]`` (from 0 to 1, or the reranker's score; none for keywords and
    hybrid searches) and the details of the search in ``metadata["unisem"]``; see
    docs/guides/langchain_rag.md.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    space: SemanticSpace
    k: int = Field(default=4, ge=0, strict=True)
    search_type: SearchType = "similarity"
    filter: DocumentFilter | None = None
    modality: Modality | None = None
    match: Match = "any"
    text_weight: float = Field(default=0.5, ge=0, le=1)
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    min_relevance: float | None = Field(default=None, ge=0, le=1)
    lambda_mult: float = Field(default=0.5, ge=0, le=1)
    fetch_k: int | None = Field(default=None, ge=1, strict=True)
    fusion: Fusion | None = None
    reranker: Reranker | InstanceOf[Reranking] | None = None
    duplicates: Duplicates = "same"
    neighbors: int = Field(default=0, ge=0, strict=True)
    graph: InstanceOf[GraphExpansion] | None = None
    scores: bool = True
    unique_key: str | None = None

    @field_validator("filter", mode="plain")
    @classmethod
    def _translate(cls, value: DocumentFilter | None) -> DocumentFilter | None:
        return value if callable(value) else to_filter(value)

    @field_validator("unique_key")
    @classmethod
    def _check_key(cls, value: str | None) -> str | None:
        if value in ("", DETAILS_KEY, SCORE_KEY):
            raise ValueError(f"unique_key must be a metadata key of its own, not {value!r}")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_options(self._settings)
        return self

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

    def records(self, ids: Sequence[str]) -> list[Record | None]:
        """Return the record of each id, in order, if this retriever could find it.

        Returns:
            ``None`` where there is no such record, or the retriever's own `filter` and `modality`
            leave it out: what may not be found may not be looked up either. A neighbour may be of
            any modality.
        """
        found = self.space.get(list(ids))
        return [record if record and self._allows(record) else None for record in found]

    def within(self, condition: DocumentFilter) -> Self:
        """Return this retriever with a filter that must hold beside its own."""
        return self.model_copy(update={"filter": narrowed(self.filter, condition)})

    def _allows(self, record: Record) -> bool:
        if not self.neighbors and self.modality not in (None, record.modality):
            return False
        if callable(self.filter):
            return holds(self.filter, record)
        condition = to_filter(self.filter)
        return condition is None or matches(condition, record.metadata)

    @property
    def _settings(self) -> SearchOptions:
        names = SearchOptions.__annotations__.keys() - {"image"}
        return cast(SearchOptions, {name: getattr(self, name) for name in names})

    def _search(self, text: str, options: SearchOptions) -> list[Document]:
        chosen: dict[str, Any] = {**self._settings, **options}
        _check_options(cast(SearchOptions, chosen))
        search_type = chosen.pop("search_type")
        reranker = chosen.pop("reranker")
        lambda_mult = chosen.pop("lambda_mult")
        mode = _mode_of(search_type)
        hits = search(
            self.space,
            text,
            chosen.pop("k"),
            {**chosen, "mode": mode},
            lambda_mult=lambda_mult if search_type == "mmr" else None,
            reranker=reranker,
        )
        if not self.scores:
            return [found_to_document(hit.record, self.unique_key) for hit in hits]
        scale = relevance if mode == "vector" else None
        key = self.unique_key
        if reranker is None:
            return [hit_to_document(hit, scale, key, search_type=search_type) for hit in hits]
        said = {"search_type": search_type, "reranker": reranker.name}
        return [hit_to_document(hit, float, key, **said) for hit in hits]

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


def _check_options(options: SearchOptions) -> None:
    """Check what only these names can say well; the core checks the rest.

    Raises:
        TypeError: An option is unknown.
        ValueError: A type of search is unknown, lacks its threshold, or has one that it cannot
            use; ``lambda_mult`` is out of range.
    """
    refuse_unknown(options, ["search_type", "k", *SearchOptions.__annotations__])
    search_type = options.get("search_type", "similarity")
    if search_type not in get_args(SearchType):
        known = ", ".join(f'"{name}"' for name in get_args(SearchType))
        raise ValueError(f"search_type must be one of {known}, not {search_type!r}")
    threshold = options.get("score_threshold")
    if search_type == "similarity_score_threshold" and threshold is None:
        raise ValueError(
            'search_type "similarity_score_threshold" needs score_threshold, a number from 0 to 1'
        )
    if _mode_of(search_type) != "vector" and threshold is not None:
        raise ValueError(
            f'search_type "{search_type}" has no relevance from 0 to 1; '
            "leave score_threshold out, or set it to None"
        )
    check_share(options.get("lambda_mult", 0.5), "lambda_mult")


def _mode_of(search_type: SearchType) -> Mode:
    """How the core is to search."""
    return search_type if search_type in ("keyword", "hybrid") else "vector"
