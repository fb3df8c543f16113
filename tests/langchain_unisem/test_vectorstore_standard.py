"""LangChain's vector store suite, nothing skipped, nothing overridden, on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_unisem import EmbeddingsEncoder, UniSemVectorStore
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.stores.faiss import FaissKind, FaissStore


class TestInMemory(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        with UniSemVectorStore(embedding=self.get_embeddings()) as store:
            yield store


class TestOnDisk(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        with UniSemVectorStore(embedding=self.get_embeddings(), path=tmp_path / "s") as store:
            yield store


class TestSpace(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, space: SemanticSpace) -> VectorStore:
        assert isinstance(space.encoder, ToyEncoder)
        return UniSemVectorStore(space=space)


class Indexed(UniSemVectorStore):
    """Builds its index anew after every write, so that every search goes through it."""

    def _add(self, records: list[Record]) -> list[str]:
        ids = super()._add(records)
        self._index()
        return ids

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        done = super().delete(ids, **kwargs)
        self._index()
        return done

    def _index(self) -> None:
        self.space.compact()
        assert isinstance(self.space.store, FaissStore)
        if len(self):
            assert self.space.store.index_kind == self.wanted

    wanted: str


class _KindOfIndex(VectorStoreIntegrationTests):
    kind: Literal["flat", "hnsw", "ivf_pq"]

    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        encoder = EmbeddingsEncoder(self.get_embeddings())
        with SemanticSpace.open(
            tmp_path / "s", encoder=encoder, store=FaissKind(self.kind)
        ) as space:
            store = Indexed(space=space)
            store.wanted = self.kind
            yield store


class TestFlat(_KindOfIndex):
    kind = "flat"


@pytest.mark.slow
class TestHnsw(_KindOfIndex):
    kind = "hnsw"


class TestIvfPQ(_KindOfIndex):
    kind = "ivf_pq"
