"""UniSem: one semantic space for text and images, and retrieval that finds the right picture.

Names are imported when first used, so ``import unisem`` costs milliseconds and no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem._version import __version__ as __version__
from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.captioners import Captioner as Captioner
    from unisem.captioners import load_captioner as load_captioner
    from unisem.encoders import Encoder as Encoder
    from unisem.encoders import load_encoder as load_encoder
    from unisem.images.reference import ImageRef as ImageRef
    from unisem.ingest.ingest_report import IngestReport as IngestReport
    from unisem.records import Record as Record
    from unisem.rerank import Reranker as Reranker
    from unisem.rerank import load_reranker as load_reranker
    from unisem.search.query import Query as Query
    from unisem.space import SemanticSpace as SemanticSpace
    from unisem.stores.hits import Hit as Hit

__getattr__, __dir__, __all__ = lazy_names(__name__)
