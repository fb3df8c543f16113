"""Tools: a space for an agent to search, and what lets it see the pictures that it finds."""

from llama_index_unisem.tools.arguments import SearchArguments, SearchCondition
from llama_index_unisem.tools.query_engine_tool import UniSemQueryEngineTool
from llama_index_unisem.tools.retriever_tool import UniSemRetrieverTool
from llama_index_unisem.tools.tool_images import ToolImages

__all__ = [
    "SearchArguments",
    "SearchCondition",
    "ToolImages",
    "UniSemQueryEngineTool",
    "UniSemRetrieverTool",
]
