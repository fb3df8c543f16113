"""Searching: what is asked, how candidates become hits, and in which order."""

from unisem.records import EmbeddedRecord
from unisem.search.duplicates import Duplicates
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.rerank_calibration import RerankCalibration
from unisem.search.reranking import Reranking, RerankReport
from unisem.stores.hits import Hit
from unisem.stores.selection import Match, Selection

__all__ = [
    "Duplicates",
    "EmbeddedRecord",
    "GraphExpansion",
    "Hit",
    "Match",
    "Mode",
    "Query",
    "RerankCalibration",
    "RerankReport",
    "Reranking",
    "Selection",
]
