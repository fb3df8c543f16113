"""Fixtures of the LangChain tests."""

from __future__ import annotations

import pytest

from langchain_unisem import UniSemRetriever
from unisem import SemanticSpace


@pytest.fixture
def retriever(card_space: SemanticSpace) -> UniSemRetriever:
    return UniSemRetriever(space=card_space)
