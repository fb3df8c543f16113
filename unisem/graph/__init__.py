"""The knowledge graph: entities and relations over a space's records, linked and walked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.graph.extraction.extractor import GraphExtractor as GraphExtractor
    from unisem.graph.extraction.run import ExtractionReport as ExtractionReport
    from unisem.graph.extraction.run import extract_graph as extract_graph
    from unisem.graph.knowledge_graph import KnowledgeGraph as KnowledgeGraph
    from unisem.graph.knowledge_graph import Neighbour as Neighbour
    from unisem.graph.linking import Link as Link
    from unisem.graph.sources.base import GraphSource as GraphSource
    from unisem.graph.sources.rdf import RdfFile as RdfFile
    from unisem.graph.sources.record_links import RecordLinks as RecordLinks
    from unisem.graph.sources.tables import GraphTable as GraphTable
    from unisem.graph.sources.wordnet import WordNet as WordNet
    from unisem.stores.graph import BROADER as BROADER
    from unisem.stores.graph import NARROWER as NARROWER
    from unisem.stores.graph import Entity as Entity
    from unisem.stores.graph import GraphCounts as GraphCounts
    from unisem.stores.graph import GraphReport as GraphReport
    from unisem.stores.graph import Mention as Mention
    from unisem.stores.graph import Relation as Relation

__getattr__, __dir__, __all__ = lazy_names(__name__)
