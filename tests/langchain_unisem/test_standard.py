"""LangChain's own conformance suites, nothing skipped, nothing overridden."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, RetrieversIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_unisem import UniSemEmbeddings, UniSemRetriever
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _fill(self, card_space: SemanticSpace) -> None:
        self.space = card_space

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return UniSemRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"space": self.space}

    @property
    def retriever_query_example(self) -> str:
        return "a red card"


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return UniSemEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"encoder": ToyEncoder()}


class TestEmbeddingsIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return UniSemEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"encoder": ToyEncoder()}
