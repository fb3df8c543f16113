"""Fixtures of the LangChain tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from langchain_unisem import UniSemRetriever, UniSemVectorStore
from tests.support.text_embeddings import WordEmbeddings
from unisem import SemanticSpace


@pytest.fixture
def retriever(card_space: SemanticSpace) -> UniSemRetriever:
    return UniSemRetriever(space=card_space)


@pytest.fixture
def store() -> Iterator[UniSemVectorStore]:
    """An empty store in memory over text embeddings whose vectors have any length."""
    with UniSemVectorStore(embedding=WordEmbeddings()) as opened:
        yield opened
