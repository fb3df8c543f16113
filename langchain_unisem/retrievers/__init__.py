"""Retrievers: a semantic space as LangChain's retriever."""

from langchain_unisem.retrievers.unisem import SearchOptions, UniSemRetriever

__all__ = ["SearchOptions", "UniSemRetriever"]
