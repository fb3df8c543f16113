"""Retrievers: a semantic space as LangChain's retriever."""

from langchain_unisem.retrievers.options import SearchOptions, SearchType
from langchain_unisem.retrievers.unisem import UniSemRetriever

__all__ = ["SearchOptions", "SearchType", "UniSemRetriever"]
