"""Retrievers: a semantic space as LangChain's retriever."""

from langchain_unisem.retrievers.unisem import SearchOptions, SearchType, UniSemRetriever

__all__ = ["SearchOptions", "SearchType", "UniSemRetriever"]
