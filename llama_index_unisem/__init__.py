"""UniSem for LlamaIndex: an embedding for texts and pictures, a retriever and a vector store.

Names are imported when first used, so that importing the package costs milliseconds and loads
neither torch nor Faiss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem._version import __version__ as __version__
from unisem.common.lazy import lazy_names, require

require(__name__, "llama_index.core", "unisem[llama-index]")

if TYPE_CHECKING:
    from llama_index_unisem.embeddings.embedding import UniSemEmbedding as UniSemEmbedding
    from llama_index_unisem.graph_stores.property_graph import (
        UniSemPropertyGraphStore as UniSemPropertyGraphStore,
    )
    from llama_index_unisem.indices.index import UniSemIndex as UniSemIndex
    from llama_index_unisem.llm_captioner import LLMCaptioner as LLMCaptioner
    from llama_index_unisem.llm_extractor import LLMExtractor as LLMExtractor
    from llama_index_unisem.postprocessors.images_for_llm import ImagesForLLM as ImagesForLLM
    from llama_index_unisem.postprocessors.modality_cutoff import ModalityCutoff as ModalityCutoff
    from llama_index_unisem.postprocessors.reranker import UniSemReranker as UniSemReranker
    from llama_index_unisem.readers.images import UniSemImageReader as UniSemImageReader
    from llama_index_unisem.retrievers.bundles import ImageQueryBundle as ImageQueryBundle
    from llama_index_unisem.retrievers.retriever import UniSemRetriever as UniSemRetriever
    from llama_index_unisem.tools.query_engine_tool import (
        UniSemQueryEngineTool as UniSemQueryEngineTool,
    )
    from llama_index_unisem.tools.retriever_tool import UniSemRetrieverTool as UniSemRetrieverTool
    from llama_index_unisem.tools.tool_images import ToolImages as ToolImages
    from llama_index_unisem.transformations.caption_images import CaptionImages as CaptionImages
    from llama_index_unisem.transformations.parsed_documents import (
        ParsedDocuments as ParsedDocuments,
    )
    from llama_index_unisem.transformations.texts_only import TextsOnly as TextsOnly
    from llama_index_unisem.vector_stores.store import UniSemVectorStore as UniSemVectorStore

__getattr__, __dir__, __all__ = lazy_names(__name__)
