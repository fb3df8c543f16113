"""Spaces of Milvus Lite; what needs a server is not tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.milvus_lite import milvus_place
from unisem.images.library import ImageLibrary
from unisem.stores.milvus import MilvusKind, MilvusStore


def opened(place: str, kind: MilvusKind | None = None) -> MilvusStore:
    return (kind or MilvusKind()).open(place, ImageLibrary(None))


@pytest.fixture
def place() -> str:
    return milvus_place()


@pytest.fixture
def store(place: str) -> Iterator[MilvusStore]:
    made = opened(place)
    yield made
    made.close()
