"""Tools: a semantic space in the hands of an agent."""

from langchain_unisem.tools.inline import UniSemInlineRetrievalTool
from langchain_unisem.tools.retrieval import UniSemRetrievalTool

__all__ = ["UniSemInlineRetrievalTool", "UniSemRetrievalTool"]
