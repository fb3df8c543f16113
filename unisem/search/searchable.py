"""`Searchable`: what answers queries, and the ways to ask it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from unisem.filters import Filter
from unisem.images.reference import ImageSource
from unisem.records import Modality
from unisem.rerank.base import Reranker
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion, RankFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.reranking import Reranking
from unisem.stores.hits import Hit
from unisem.stores.selection import Match, Selection


class Searchable(ABC):
    """Answers queries: a space does, and the `Searcher` behind it."""

    @abstractmethod
    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """Run many queries in less time than one by one; each one's hits, in order.

        Returns:
            For each query its hits, best first; with diversity, in the order they were chosen.
        """

    @abstractmethod
    def iterate(self, query: Query) -> Iterator[Hit]:
        """As `search_iterator`, of one `Query`.

        Raises:
            ValueError: It asks for what is known only once all hits are.
        """

    def search(
        self,
        text: str | None = None,
        image: ImageSource | None = None,
        *,
        k: int = 5,
        filter: Filter | None = None,
        modality: Modality | None = None,
        ids: Sequence[str] | None = None,
        source_ids: Sequence[str] | None = None,
        match: Match = "any",
        text_weight: float = 0.5,
        mode: Mode = "vector",
        fusion: Fusion | None = None,
        min_score: float | None = None,
        min_relevance: float | None = None,
        diversity: float | None = None,
        reranker: Reranker | Reranking | None = None,
        fetch_k: int | None = None,
        duplicates: Duplicates = "same",
        neighbors: int = 0,
        graph: GraphExpansion | None = None,
    ) -> list[Hit]:
        """Find the records nearest to a text, a picture, or both.

        Args:
            text: Text as written; a string that looks like a path or URL is still text.
            image: A path, bytes, a Pillow picture or an `ImageRef`.
            k: At most how many hits; exactly ``min(k, matching records)`` come back, records
                with the same picture counting once.
            filter: Condition on metadata, for example ``Field("year") >= 2020``.
            modality: ``"image"`` for records with a picture, ``"text"`` for those without.
            ids: Only these records.
            source_ids: Only records cut from these sources.
            match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, fused vectors of
                ``"both"``, or ``"any"``.
            text_weight: Share of the text, if both are given.
            mode: ``"vector"`` by meaning, ``"keyword"`` by the text's words, ``"hybrid"`` both.
            fusion: How a hybrid search's lists become one; `RankFusion` if ``None``.
            min_score: The least cosine of a hit by vector.
            min_relevance: The least probability that one is relevant; of a calibrated space.
            diversity: From 0, the best hits, to 1, the least alike.
            reranker: What orders the candidates anew; with more to say, a `Reranking` of it.
            fetch_k: How many candidates hybrid search, reranker and diversity choose from.
            duplicates: Of records with the ``"same"`` picture, byte for byte, the best is a hit and
                tells of the others; with ``"near"`` also of those that look nearly the same; with
                ``"keep"`` every record is a hit.
            neighbors: How many records before and after each hit come with it, by its links;
                ``k`` does not count them.
            graph: How the space's knowledge graph takes part; see `GraphExpansion`.

        Returns:
            Hits, best first, ties by id; with diversity, in the order they were chosen.

        Raises:
            ImageError: The query's picture cannot be used.
            ValueError: What is given suits not the mode or the calibration, or is out of range.
        """
        query = Query(
            text=text,
            image=image,
            text_weight=text_weight,
            k=k,
            selection=Selection(ids, source_ids, filter, modality),
            match=match,
            mode=mode,
            fusion=RankFusion() if fusion is None else fusion,
            min_score=min_score,
            min_relevance=min_relevance,
            diversity=diversity,
            reranker=reranker,
            fetch_k=fetch_k,
            duplicates=duplicates,
            neighbors=neighbors,
            graph=graph,
        )
        return self.search_query(query)

    def search_query(self, query: Query) -> list[Hit]:
        """Run one `Query`."""
        return self.search_many([query])[0]

    def search_iterator(
        self,
        text: str | None = None,
        image: ImageSource | None = None,
        *,
        k: int,
        filter: Filter | None = None,
        modality: Modality | None = None,
        ids: Sequence[str] | None = None,
        source_ids: Sequence[str] | None = None,
        match: Match = "any",
        text_weight: float = 0.5,
        min_score: float | None = None,
        min_relevance: float | None = None,
        duplicates: Literal["keep", "same"] = "same",
    ) -> Iterator[Hit]:
        """Give what `search` finds, by the same arguments, hit by hit and in the same order.

        For very many of them: the first comes early, and memory holds two numbers for each, the
        records of a page, and the digests of pictures of which there are several. They are ranked
        when the first is asked for; records that are removed or replaced after that are left out.
        Milvus, and a service, give all hits at once.

        Returns:
            Hits, best first, ties by id.

        Raises:
            ImageError: The query's picture cannot be used.
            ValueError: What is given suits not the calibration, or is out of range.
        """
        query = Query(
            text=text,
            image=image,
            text_weight=text_weight,
            k=k,
            selection=Selection(ids, source_ids, filter, modality),
            match=match,
            min_score=min_score,
            min_relevance=min_relevance,
            duplicates=duplicates,
        )
        return self.iterate(query)
