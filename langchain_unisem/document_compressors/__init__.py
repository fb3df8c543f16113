"""Document compressors: documents in the order of a model that reads each with the query."""

from langchain_unisem.document_compressors.unisem import RerankInput, UniSemReranker

__all__ = ["RerankInput", "UniSemReranker"]
