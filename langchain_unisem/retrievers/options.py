"""What one search of a retriever may be told: `SearchOptions`."""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

from langchain_unisem.vectorstores.options import DocumentFilter, check_share
from unisem.images.reference import ImageSource
from unisem.records import Modality
from unisem.rerank import Reranker
from unisem.search.fusion import Fusion
from unisem.search.query import Mode
from unisem.stores.selection import Match

SearchType = Literal["similarity", "mmr", "similarity_score_threshold", "keyword", "hybrid"]
"""By meaning; by meaning and varied; by meaning and good enough; by the words; by both."""


class SearchOptions(TypedDict, total=False):
    """What one call may set; each replaces the retriever's own setting.

    ``image`` is a picture to search with beside the text, or alone if the text is ``""``.
    """

    search_type: SearchType
    k: int
    filter: DocumentFilter | None
    modality: Modality | None
    match: Match
    text_weight: float
    score_threshold: float | None
    lambda_mult: float
    fetch_k: int | None
    fusion: Fusion | None
    reranker: Reranker | None
    neighbors: int
    image: ImageSource | None


def check_options(options: SearchOptions) -> None:
    """Check what only these names can say well; the core checks the rest.

    Raises:
        TypeError: An option is unknown.
        ValueError: A type of search is unknown, lacks its threshold, or has one that it cannot
            use; ``lambda_mult`` is out of range.
    """
    if unknown := options.keys() - SearchOptions.__annotations__.keys():
        raise TypeError(
            f"unknown search option {', '.join(sorted(unknown))}; "
            f"known are {', '.join(SearchOptions.__annotations__)}"
        )
    search_type = options.get("search_type", "similarity")
    if search_type not in get_args(SearchType):
        known = ", ".join(f'"{name}"' for name in get_args(SearchType))
        raise ValueError(f"search_type must be one of {known}, not {search_type!r}")
    threshold = options.get("score_threshold")
    if search_type == "similarity_score_threshold" and threshold is None:
        raise ValueError(
            'search_type "similarity_score_threshold" needs score_threshold, a number from 0 to 1'
        )
    if mode_of(search_type) != "vector" and threshold is not None:
        raise ValueError(
            f'search_type "{search_type}" has no relevance from 0 to 1; '
            "leave score_threshold out, or set it to None"
        )
    check_share(options.get("lambda_mult", 0.5), "lambda_mult")


def mode_of(search_type: SearchType) -> Mode:
    """How the core is to search."""
    return search_type if search_type in ("keyword", "hybrid") else "vector"
