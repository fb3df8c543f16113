"""`WireQuery`: what is asked, as JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from unisem.images.reference import ImageRef
from unisem.records import Modality, Vector
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion, RankFusion, WeightedFusion
from unisem.search.graph_expansion import MOST_STEPS, Expansion, GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.reranking import Reranking
from unisem.stores.graph import HEAVIEST, LIGHTEST
from unisem.stores.selection import Match, Selection
from unisem.wire.base import Items, WireModel
from unisem.wire.filters import WireFilter, filter_of, wire_filter
from unisem.wire.pictures import WirePicture, data_uri, picture_of

_KINDS = Literal["text", "image", "both"]
_Factor = Annotated[float, Field(ge=LIGHTEST, le=HEAVIEST)]


class WireRankFusion(WireModel):
    """Reciprocal rank fusion of a hybrid search's two lists."""

    kind: Literal["rank"]
    k: float = Field(60.0, description="Larger values let lower ranks count for more.", ge=0)


class WireWeightedFusion(WireModel):
    """Weighted sum of a hybrid search's scores, each list's brought to 0 .. 1."""

    kind: Literal["weighted"]
    vector: float = Field(0.5, description="The share of the vector's list.", ge=0, le=1)


WireFusion = Annotated[WireRankFusion | WireWeightedFusion, Field(discriminator="kind")]


class WireGraph(WireModel):
    """How a space's knowledge graph takes part in a search."""

    method: Expansion = Field(
        "pagerank", description="Walk from what a query names, or look for its narrower terms, too."
    )
    depth: int = Field(2, description="Relations away from the query.", ge=1, le=MOST_STEPS)
    types: Annotated[dict[str, _Factor], Field(max_length=100)] | None = Field(
        None, description="Only relations of these types, with what their weights count."
    )
    damping: float = Field(
        0.5, description="The share of steps that go on instead of starting over.", ge=0, lt=1
    )
    limit: int = Field(32, description="Neighbours of an entity at most.", ge=1, le=1000)
    seed_hits: int = Field(
        5, description="How many of the first hits say where to begin, too.", ge=0, le=100
    )
    terms: int = Field(64, description="Narrower terms at most.", ge=1, le=256)
    fusion: WireFusion | None = Field(
        None, description="How the query's list and the graph's become one; by weight if left out."
    )

    @classmethod
    def of(cls, how: GraphExpansion) -> Self:
        """Write an expansion.

        Raises:
            ValueError: A fusion that has no form on the wire.
        """
        names = ("method", "depth", "damping", "limit", "seed_hits", "terms")
        parts = {name: getattr(how, name) for name in names}
        fusion = None if how.fusion is None else _wire_fusion(how.fusion)
        return cls(**parts, types=how.type_weights, fusion=fusion)

    def to_core(self) -> GraphExpansion:
        """Rebuild the expansion.

        Raises:
            ValueError: A part is out of its range.
        """
        names = ("method", "depth", "types", "damping", "limit", "seed_hits", "terms")
        parts = {name: getattr(self, name) for name in names}
        if self.fusion is not None:
            parts["fusion"] = _fusion(self.fusion)
        return GraphExpansion(**parts)


class WireQuery(WireModel):
    """What to look for: a text, a picture, both, a ready vector, or more like a record."""

    text: str | None = Field(None, description="Text as written.", examples=["a big striped cat"])
    image: WirePicture | None = Field(None, description="A picture, as a data URI.")
    vector: str | None = Field(
        None,
        description="A ready vector in the space's own coordinates: base64 of little-endian "
        "float32, as the embeddings of `/v1/embeddings` are with `encoding_format` base64.",
    )
    vector_kind: _KINDS = Field(
        "text", description="What a ready vector was made of, which a calibration has to know."
    )
    like: str | None = Field(
        None,
        description="An id: more like this record. Its picture, or else its text, is the query, "
        "and the record itself is left out.",
    )
    text_weight: float = Field(0.5, description="Share of the text beside a picture.", ge=0, le=1)
    k: int = Field(5, description="How many hits at most.", ge=0)
    filter: WireFilter | None = Field(None, description="A condition on metadata.")
    modality: Modality | None = Field(
        None, description="Only records with a picture (`image`), or only those without (`text`)."
    )
    ids: Items[str] | None = Field(None, description="Only these records.")
    source_ids: Items[str] | None = Field(
        None, description="Only records cut from one of these sources."
    )
    match: Match = Field("any", description="Which of a record's vectors are compared.")
    mode: Mode = Field("vector", description="By meaning, by the words of the text, or by both.")
    fusion: WireFusion | None = Field(
        None, description="How a hybrid search's two lists become one; by rank if left out."
    )
    min_score: float | None = Field(
        None, description="The least cosine of a hit by vector.", allow_inf_nan=False
    )
    min_relevance: float | None = Field(
        None,
        description="The least probability that a hit by vector is relevant; of a calibrated "
        "space.",
        ge=0,
        le=1,
    )
    diversity: float | None = Field(
        None, description="From 0, the best hits, to 1, the least alike.", ge=0, le=1
    )
    rerank: Literal[True] | str | None = Field(
        None,
        description="Order the candidates anew by a reranker that the service was started with: "
        "its name, or `true` for the first.",
    )
    search_weight: float | None = Field(
        None,
        description="With `rerank`: the share of the search's own score in the order, from 0, the "
        "reranker's alone, to 1; its calibration says it if left out.",
        ge=0,
        le=1,
    )
    fetch_k: int | None = Field(
        None, description="How many candidates fusion, reranker and diversity choose from.", ge=0
    )
    fetch_vectors: int | None = Field(
        None, description="How many of them by vector exactly, in a hybrid search.", ge=0
    )
    fetch_words: int | None = Field(
        None, description="How many of them by keyword exactly, in a hybrid search.", ge=0
    )
    digests: Items[str] | None = Field(
        None, description="Only records with a picture of one of these SHA-256 digests, in hex."
    )
    duplicates: Duplicates = Field(
        "same",
        description="Of records with the same picture, byte for byte, the best is a hit and tells "
        "of the others; of those nearly the same, too (`near`); or every record is one (`keep`).",
    )
    neighbors: int = Field(
        0, description="How many records before and after each hit come with it.", ge=0
    )
    graph: WireGraph | None = Field(
        None, description="How the space's knowledge graph takes part; not at all if left out."
    )

    @classmethod
    def of(cls, query: Query, rerank: Literal[True] | str | None = None) -> Self:
        """Write a query.

        Args:
            query: The query; its reranker stays here.
            rerank: The service's reranker that takes its place.

        Raises:
            ImageError: The picture cannot be read.
            ValueError: A fusion that has no form on the wire.
        """
        image, selection = query.image, query.selection
        assert image is None or isinstance(image, ImageRef)  # a `Query` makes it one
        return cls(
            text=query.text,
            image=None if image is None else data_uri(image.read_verified(), image.name),
            vector=None if query.vector is None else vector_text(query.vector),
            vector_kind=query.vector_kind,
            like=None,
            text_weight=float(query.text_weight),
            k=query.k,
            filter=None if selection.filter is None else wire_filter(selection.filter),
            modality=selection.modality,
            ids=None if selection.ids is None else list(selection.ids),
            source_ids=None if selection.source_ids is None else list(selection.source_ids),
            match=query.match,
            mode=query.mode,
            fusion=_wire_fusion(query.fusion),
            min_score=query.min_score,
            min_relevance=query.min_relevance,
            diversity=query.diversity,
            rerank=rerank,
            search_weight=None,
            fetch_k=query.fetch_k,
            fetch_vectors=query.fetch_vectors,
            fetch_words=query.fetch_words,
            digests=None if selection.digests is None else list(selection.digests),
            duplicates=query.duplicates,
            neighbors=query.neighbors,
            graph=None if query.graph is None else WireGraph.of(query.graph),
        )

    def to_core(self, reranking: Callable[[Literal[True] | str], Reranking] | None = None) -> Query:
        """Rebuild the query; `like` is for whoever has the records.

        Args:
            reranking: Gives the reranker of a name; without it none can be asked for.

        Raises:
            ImageError: The picture is no data URI.
            FilterError: As `filter_of`.
            ValueError: What is given does not go together, or a vector is no base64.
        """
        chosen = None
        if self.rerank is not None:
            if reranking is None:
                raise ValueError("rerank: there is no reranker here")
            chosen = reranking(self.rerank)
            if self.search_weight is not None:
                chosen = chosen.weighted(self.search_weight)
        elif self.search_weight is not None:
            raise ValueError("search_weight: say what reranks with rerank")
        return Query(
            text=self.text,
            image=None if self.image is None else picture_of(self.image),
            vector=None if self.vector is None else vector_of(self.vector),
            vector_kind=self.vector_kind,
            text_weight=self.text_weight,
            k=self.k,
            selection=self.selection(),
            match=self.match,
            mode=self.mode,
            fusion=_fusion(self.fusion),
            min_score=self.min_score,
            min_relevance=self.min_relevance,
            diversity=self.diversity,
            reranker=chosen,
            fetch_k=self.fetch_k,
            fetch_vectors=self.fetch_vectors,
            fetch_words=self.fetch_words,
            duplicates=self.duplicates,
            neighbors=self.neighbors,
            graph=None if self.graph is None else self.graph.to_core(),
        )

    def selection(self) -> Selection:
        """Which records may be found."""
        condition = None if self.filter is None else filter_of(self.filter)
        return Selection(self.ids, self.source_ids, condition, self.modality, self.digests)


def vector_text(vector: Any) -> str:
    """A vector as base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode("ascii")


def vector_of(text: str) -> Vector:
    """Read `vector_text`.

    Raises:
        ValueError: It is not that.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("vector must be base64 of little-endian float32") from None
    if not data or len(data) % 4:
        raise ValueError("vector must be base64 of little-endian float32, four bytes a number")
    return np.frombuffer(data, "<f4").astype(np.float32)


def _fusion(fusion: WireRankFusion | WireWeightedFusion | None) -> Fusion:
    match fusion:
        case None:
            return RankFusion()
        case WireRankFusion():
            return RankFusion(fusion.k)
        case WireWeightedFusion():
            return WeightedFusion(fusion.vector)


def _wire_fusion(fusion: Fusion) -> WireRankFusion | WireWeightedFusion:
    match fusion:
        case RankFusion(k):
            return WireRankFusion(kind="rank", k=float(k))
        case WeightedFusion(vector):
            return WireWeightedFusion(kind="weighted", vector=float(vector))
    raise ValueError(
        f"{type(fusion).__name__} cannot be sent to a service; use RankFusion or WeightedFusion"
    )
