"""LangChain's own conformance suites for the tools, nothing skipped, nothing overridden."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from langchain_unisem import UniSemInlineRetrievalTool, UniSemRetrievalTool, UniSemRetriever
from tests.support.length_reranker import LengthReranker
from unisem import SemanticSpace


class _OverCards:
    tool_class: type[BaseTool] = UniSemRetrievalTool

    @pytest.fixture(autouse=True)
    def _fill(self, card_space: SemanticSpace) -> None:
        self.retriever = UniSemRetriever(space=card_space)

    @property
    def tool_constructor(self) -> type[BaseTool]:
        return self.tool_class

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"retriever": self.retriever, "fields": {"file_name": "the file"}}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {
            "query": "a red card",
            "k": 2,
            "like": "cards/blue.png",
            "filter": {"file_name": {"$ne": "green.png"}},
        }


class TestToolUnit(_OverCards, ToolsUnitTests):
    pass


class TestToolIntegration(_OverCards, ToolsIntegrationTests):
    pass


class TestInlineToolUnit(_OverCards, ToolsUnitTests):
    tool_class = UniSemInlineRetrievalTool


class TestInlineToolIntegration(_OverCards, ToolsIntegrationTests):
    tool_class = UniSemInlineRetrievalTool


class _RetrieverOverCards:
    settings: dict[str, Any] = {}

    @pytest.fixture(autouse=True)
    def _fill(self, card_space: SemanticSpace) -> None:
        self.space = card_space

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return UniSemRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"space": self.space, **self.settings}

    @property
    def retriever_query_example(self) -> str:
        return "a red card"


class TestVaried(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"search_type": "mmr"}


class TestThreshold(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"search_type": "similarity_score_threshold", "score_threshold": 0}


class TestKeyword(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"search_type": "keyword"}


class TestHybrid(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"search_type": "hybrid"}


class TestReranked(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"reranker": LengthReranker()}


class TestFunction(_RetrieverOverCards, RetrieversIntegrationTests):
    settings = {"filter": lambda document: "card" in document.page_content}
