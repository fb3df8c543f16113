"""UniSem for LangChain: find texts and pictures in one space, and show both to a chat model.

Names are imported when first used, so ``import langchain_unisem`` costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem._version import __version__ as __version__
from unisem.common.lazy import lazy_names, require

require(__name__, "langchain_core", "unisem[langchain]")

if TYPE_CHECKING:
    from langchain_unisem.caption_images import CaptionImages as CaptionImages
    from langchain_unisem.chat_captioner import ChatModelCaptioner as ChatModelCaptioner
    from langchain_unisem.chat_extractor import ChatModelExtractor as ChatModelExtractor
    from langchain_unisem.document_compressors import UniSemReranker as UniSemReranker
    from langchain_unisem.document_loaders import DocumentBlobParser as DocumentBlobParser
    from langchain_unisem.document_loaders import DocumentLoader as DocumentLoader
    from langchain_unisem.document_loaders import ImageBlobParser as ImageBlobParser
    from langchain_unisem.document_loaders import ImageFolderLoader as ImageFolderLoader
    from langchain_unisem.embeddings import UniSemEmbeddings as UniSemEmbeddings
    from langchain_unisem.image_documents import image_document as image_document
    from langchain_unisem.image_documents import image_key as image_key
    from langchain_unisem.messages import aformat_documents as aformat_documents
    from langchain_unisem.messages import format_documents as format_documents
    from langchain_unisem.parsed_documents import ParsedDocuments as ParsedDocuments
    from langchain_unisem.prompts import MultimodalPrompt as MultimodalPrompt
    from langchain_unisem.queries import ImageQuery as ImageQuery
    from langchain_unisem.record_manager import SpaceRecordManager as SpaceRecordManager
    from langchain_unisem.retrievers import UniSemRetriever as UniSemRetriever
    from langchain_unisem.splitting import TextsOnly as TextsOnly
    from langchain_unisem.structured_queries import UniSemTranslator as UniSemTranslator
    from langchain_unisem.tools import UniSemInlineRetrievalTool as UniSemInlineRetrievalTool
    from langchain_unisem.tools import UniSemRetrievalTool as UniSemRetrievalTool
    from langchain_unisem.vectorstores import EmbeddingsEncoder as EmbeddingsEncoder
    from langchain_unisem.vectorstores import UniSemVectorStore as UniSemVectorStore

__getattr__, __dir__, __all__ = lazy_names(__name__)
