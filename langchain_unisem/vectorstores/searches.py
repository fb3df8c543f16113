"""`SpaceSearches`: the reading half of LangChain's `VectorStore`, over a semantic space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_unisem.documents import record_to_document, relevance
from langchain_unisem.queries import ImageQuery
from langchain_unisem.vectorstores.options import check_share, search, vector_of
from langchain_unisem.vectorstores.retriever import MODES, UniSemVectorStoreRetriever
from unisem.common.threads import InThread
from unisem.images.reference import ImageSource
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit
from unisem.stores.selection import as_ids


class SpaceSearches(VectorStore):
    """Every search that LangChain knows, and search by picture.

    A ``query`` is a text, or an `ImageQuery`. ``**kwargs`` are the fields of
    `langchain_unisem.vectorstores.options.StoreSearchOptions`; others are refused. The
    asynchronous twins, most of them LangChain's own, run in a thread.
    """

    @property
    @abstractmethod
    def space(self) -> SemanticSpace:
        """Where the documents are, and their pictures."""

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents of these ids, in order, each once; unknown ids are left out."""
        found = self.space.get(list(dict.fromkeys(as_ids(ids) or ())))
        return [record_to_document(record) for record in found if record is not None]

    def similarity_search(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Find the documents nearest to a text or a picture.

        Returns:
            Exactly ``min(k, matching documents)``, best first, ties by id.

        Raises:
            FilterError: The filter means nothing.
            ImageError: The query's picture cannot be used.
            TypeError: ``query`` is neither text nor `ImageQuery`, or an option is unknown.
            ValueError: An option is out of range.
        """
        return _documents(search(self.space, query, k, kwargs))

    def similarity_search_with_score(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with its score, higher is better.

        The score is the cosine, from -1 to 1; with ``mode="keyword"`` it is BM25, and with
        ``mode="hybrid"`` what the fusion gives.
        """
        return _scored(search(self.space, query, k, kwargs), float)

    def similarity_search_with_relevance_scores(
        self, query: str | ImageQuery, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, each with its relevance, ``(1 + cosine) / 2``, from 0 to 1.

        ``score_threshold`` is the least relevance that comes back.

        Raises:
            ValueError: As `similarity_search`, or a mode other than ``"vector"``, whose scores
                have no fixed range.
        """
        if kwargs.get("mode", "vector") != "vector":
            raise ValueError('only mode "vector" has relevance scores from 0 to 1')
        return _scored(search(self.space, query, k, kwargs), relevance)

    asimilarity_search_with_relevance_scores = InThread(
        similarity_search_with_relevance_scores
    ).twin

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Find the documents nearest to a vector of the store's own embeddings.

        Raises:
            StoreError: The vector's dimension is not the store's.
            ValueError: It is no list of numbers, zero or not finite.
        """
        return _documents(self._by_vector(embedding, k, kwargs))

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_by_vector`, each with its cosine."""
        return _scored(self._by_vector(embedding, k, kwargs), float)

    asimilarity_search_with_score_by_vector = InThread(similarity_search_with_score_by_vector).twin

    def similarity_search_by_image(
        self, image: ImageSource, k: int = 4, *, text: str | None = None, **kwargs: Any
    ) -> list[Document]:
        """Find what is nearest to a picture, or to a picture and a text.

        The other searches do the same with ``ImageQuery(image, text)`` as their query.

        Args:
            image: A path, bytes or a Pillow picture; URLs are refused.
            k: As in `similarity_search`.
            text: Words to search with as well; ``text_weight`` is their share.
            **kwargs: As in `similarity_search`.

        Raises:
            ImageError: The picture cannot be used.
            EncoderError: The embeddings know texts only.
        """
        return self.similarity_search(ImageQuery(image, text), k, **kwargs)

    asimilarity_search_by_image = InThread(similarity_search_by_image).twin

    def max_marginal_relevance_search(
        self,
        query: str | ImageQuery,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Find documents that are near and do not all say the same.

        Args:
            query: As in `similarity_search`.
            k: Documents at most.
            fetch_k: Candidates to choose from, never fewer than ``k``; a filter has been applied.
            lambda_mult: From 0, only diversity after the first, to 1, only relevance.
            **kwargs: As in `similarity_search`; ``score_threshold`` cuts the candidates.

        Returns:
            Documents in the order they were chosen.
        """
        kwargs["fetch_k"] = fetch_k
        share = check_share(lambda_mult, "lambda_mult")
        return _documents(search(self.space, query, k, kwargs, lambda_mult=share))

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, for a vector."""
        kwargs["fetch_k"] = fetch_k
        share = check_share(lambda_mult, "lambda_mult")
        return _documents(self._by_vector(embedding, k, kwargs, share))

    def search(self, query: str | ImageQuery, search_type: str, **kwargs: Any) -> list[Document]:
        """Search by type.

        Args:
            query: As in `similarity_search`.
            search_type: ``"similarity"``, ``"mmr"``, ``"similarity_score_threshold"``,
                ``"keyword"`` or ``"hybrid"``.
            **kwargs: What the search of that type takes.

        Raises:
            ValueError: There is no such type, or as `similarity_search`.
        """
        if search_type in MODES:
            return self.similarity_search(query, **({"mode": search_type} | kwargs))
        if search_type not in (known := UniSemVectorStoreRetriever.allowed_search_types):
            names = ", ".join(f'"{name}"' for name in known)
            raise ValueError(f"search_type must be one of {names}, not {search_type!r}")
        return super().search(query, search_type, **kwargs)  # type: ignore[arg-type]

    asearch = InThread(search).twin

    def as_retriever(self, **kwargs: Any) -> UniSemVectorStoreRetriever:
        """Return a retriever over this store.

        Args:
            **kwargs: ``search_type`` as in `search`; ``search_kwargs``, a dictionary of ``k`` and
                whatever that search takes; ``tags``, ``metadata`` and ``name`` as for every
                retriever. A ``k`` beside ``search_kwargs`` is refused: LangChain would ignore it.
        """
        tags = kwargs.pop("tags", None) or self._get_retriever_tags()
        options = dict(kwargs.pop("search_kwargs", None) or {})
        threshold = options.get("score_threshold")
        if isinstance(threshold, int) and not isinstance(threshold, bool):
            options["score_threshold"] = float(threshold)  # LangChain accepts no 0 and no 1
        return UniSemVectorStoreRetriever(
            vectorstore=self, tags=list(tags), search_kwargs=options, **kwargs
        )

    def _by_vector(
        self,
        embedding: list[float],
        k: int,
        options: dict[str, Any],
        lambda_mult: float | None = None,
    ) -> list[Hit]:
        vector = vector_of(embedding)
        return search(self.space, "", k, options, vector=vector, lambda_mult=lambda_mult)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return relevance


def _documents(hits: list[Hit]) -> list[Document]:
    return [record_to_document(hit.record) for hit in hits]


def _scored(hits: list[Hit], scale: Callable[[float], float]) -> list[tuple[Document, float]]:
    return [(record_to_document(hit.record), scale(hit.score)) for hit in hits]
