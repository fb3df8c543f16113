"""What is asked of a space and what comes back: `Query`, `Selection` and `Hit`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from unisem.calibration import QueryKind
from unisem.calibration.kinds import QUERY_KINDS
from unisem.images.reference import ImageRef, ImageSource
from unisem.records import check_unicode
from unisem.rerank.base import Reranker
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion, RankFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.reranking import Reranking
from unisem.stores.selection import EVERYTHING, Match, Selection

Mode = Literal["vector", "keyword", "hybrid"]
"""By meaning, by the words themselves, or by both."""
_LEAST_CANDIDATES = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """What to look for: a text, a picture, both (a composed query), or a ready vector.

    Mode ``"keyword"`` looks for the words of the text and needs nothing else. Mode ``"hybrid"``
    does that and compares vectors as well; it needs a text, and may have a picture, or a ready
    vector, for the vector's part. A reranker looks at text and picture, also where a ready vector
    is compared.

    Attributes:
        text: Text as written; it is never taken for a path or a URL.
        image: A path, bytes, a Pillow picture or an `ImageRef`.
        vector: A ``(d,)`` vector in the space's own coordinates, compared instead of text and
            image. There are none then but for what else uses them: the text for keywords, text
            and image for the reranker.
        vector_kind: What a ready vector was made of, which a calibration has to know.
        text_weight: Share of the text in a composed query, from 0 to 1.
        k: How many records at most.
        selection: Which records may be found.
        match: Which of a record's vectors are compared.
        mode: By ``"vector"``, by ``"keyword"``, or ``"hybrid"``.
        fusion: How the two lists of a hybrid search become one.
        min_score: The least cosine of a hit by vector. Hits by keyword have none, so in a hybrid
            search it does not touch them.
        min_relevance: The least probability that a hit by vector is relevant, from 0 to 1; it
            touches no others likewise. The space's calibration must know it, for every kind of
            vector that is compared.
        diversity: From 0, the best hits, to 1, the least alike; ``None`` is 0 without the work.
            It is ``1 - lambda`` of maximal marginal relevance, see `unisem.search.diversity`.
        reranker: What orders the candidates anew, by looking at query and record together: a
            `Reranker`, or a `Reranking`, which also says what is judged, for how long, and what it
            counts.
        fetch_k: How many candidates are fetched for fusion, for the reranker and for diversity,
            from each list; ``max(50, 4 * k)`` if ``None``, and never fewer than ``k``.
        fetch_vectors: How many by vector exactly, in a hybrid search; by ``fetch_k`` if ``None``.
        fetch_words: How many by keyword exactly, likewise.
        duplicates: Of records whose pictures are the ``"same"``, byte for byte, only the best is a
            hit, which tells of the others as its copies, and the next records take their places.
            With ``"near"`` also of those that look nearly the same, see `unisem.images.looks`; with
            ``"keep"`` every record is a hit.
        neighbors: How many records before and after each hit come with it, by its links; ``k``
            does not count them. See `unisem.search.neighbors` for their order and score.
        graph: How the space's knowledge graph takes part; not at all if ``None``. Its hits have no
            cosine, so `min_score` and `min_relevance` do not touch them.
    """

    text: str | None = None
    image: ImageSource | None = None
    vector: Any = None
    vector_kind: QueryKind = "text"
    text_weight: float = 0.5
    k: int = 5
    selection: Selection = EVERYTHING
    match: Match = "any"
    mode: Mode = "vector"
    fusion: Fusion = field(default_factory=RankFusion)
    min_score: float | None = None
    min_relevance: float | None = None
    diversity: float | None = None
    reranker: Reranker | Reranking | None = None
    fetch_k: int | None = None
    fetch_vectors: int | None = None
    fetch_words: int | None = None
    duplicates: Duplicates = "same"
    neighbors: int = 0
    graph: GraphExpansion | None = None

    def __post_init__(self) -> None:
        self._check_parts()
        if self.text is not None and not isinstance(self.text, str):
            raise TypeError(f"text must be a string, not {type(self.text).__name__}")
        if self.text is not None:
            check_unicode(self.text, "the query's text")
        if self.image is not None:
            object.__setattr__(self, "image", ImageRef.of(self.image))
        _check_count(self.k, "k", 0)
        _check_count(self.neighbors, "neighbors", 0)
        if self.fetch_k is not None:
            _check_count(self.fetch_k, "fetch_k", 1)
        for name, count in (
            ("fetch_vectors", self.fetch_vectors),
            ("fetch_words", self.fetch_words),
        ):
            if count is not None:
                _check_count(count, name, 0)
                if self.mode != "hybrid":
                    raise ValueError(f'{name} is for mode "hybrid"; use fetch_k')
        if not 0 <= self.text_weight <= 1:
            raise ValueError(f"text_weight must be between 0 and 1, not {self.text_weight!r}")
        if self.match not in get_args(Match):
            raise ValueError(f'match must be "any", "text", "image" or "both", not {self.match!r}')
        if self.duplicates not in ("keep", "same", "near"):
            raise ValueError(
                f'duplicates must be "keep", "same" or "near", not {self.duplicates!r}'
            )
        if self.vector_kind not in QUERY_KINDS:
            raise ValueError(
                f'vector_kind must be "text", "image" or "both", not {self.vector_kind!r}'
            )
        if not isinstance(self.fusion, Fusion):
            raise TypeError(f"fusion must be a unisem.search.fusion.Fusion, not {self.fusion!r}")
        if self.graph is not None and not isinstance(self.graph, GraphExpansion):
            raise TypeError(f"graph must be a unisem.search.GraphExpansion, not {self.graph!r}")
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise ValueError(f"diversity must be between 0 and 1, not {self.diversity!r}")
        if self.reranker is not None:
            self._check_reranking(Reranking.of(self.reranker))
        if self.min_score is not None and not -math.inf < self.min_score < math.inf:
            raise ValueError(f"min_score must be a number, not {self.min_score!r}")
        if self.min_relevance is not None and not 0 <= self.min_relevance <= 1:
            raise ValueError(f"min_relevance must be between 0 and 1, not {self.min_relevance!r}")

    def _check_reranking(self, reranking: Reranking) -> None:
        object.__setattr__(self, "reranker", reranking)
        if reranking.mixes and self.mode != "vector":
            raise ValueError(
                "the reranker's calibration, or search_weight, mixes cosines in; search in mode "
                '"vector", or use one without the share of the search'
            )

    def _check_parts(self) -> None:
        """Whether what is given suits the mode."""
        if self.mode not in ("vector", "keyword", "hybrid"):
            raise ValueError(f'mode must be "vector", "keyword" or "hybrid", not {self.mode!r}')
        asks = self.text is not None or self.image is not None
        read = self.reranker is not None  # text and image, beside a vector
        if self.mode == "vector":
            if not asks if self.vector is None else asks and not read:
                raise ValueError("a query needs text, image, or both; or a vector alone")
        elif self.text is None:
            raise ValueError(
                f'a query in mode "{self.mode}" needs text, whose words are looked for'
            )
        elif self.mode == "keyword":
            if self.image is not None or self.vector is not None:
                raise ValueError('mode "keyword" looks for text only; use "hybrid" for more')
            if self.min_score is not None:
                raise ValueError('min_score is a cosine, and mode "keyword" has none')
            if self.min_relevance is not None:
                raise ValueError('min_relevance is of hits by vector, and mode "keyword" has none')
        elif self.image is not None and self.vector is not None and not read:
            raise ValueError("a query has an image or a vector, not both")
        if read and not asks:
            raise ValueError("a reranker looks at the query's text or image; a vector is neither")

    @property
    def kind(self) -> QueryKind:
        """What is compared, as a calibration has to know."""
        if self.vector is not None:
            return self.vector_kind
        if self.image is None:
            return "text"
        if self.text is None or self.text_weight == 0:
            return "image"
        return "text" if self.text_weight == 1 else "both"

    @property
    def candidates(self) -> int:
        """How many hits to fetch from each list, if it has no number of its own."""
        plain = self.mode != "hybrid" and self.diversity is None and self.reranker is None
        plain = plain and self.graph is None
        if not self.k or plain:
            return self.k
        return max(self.k, self.fetch_k or max(_LEAST_CANDIDATES, 4 * self.k))

    @property
    def vector_candidates(self) -> int:
        """How many hits to fetch by vector."""
        return self.candidates if self.fetch_vectors is None else self.fetch_vectors

    @property
    def word_candidates(self) -> int:
        """How many hits to fetch by keyword."""
        return self.candidates if self.fetch_words is None else self.fetch_words


def _check_count(value: object, name: str, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
