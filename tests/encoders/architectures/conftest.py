"""One checkpoint of each architecture, saved once and loaded once for all of its questions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.encoders.architectures.kinds import ARCHITECTURES, Architecture
from unisem import Encoder, load_encoder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of an architecture's checkpoint, not to be written to."""

    @functools.cache
    def saved(name: str) -> Path:
        return ARCHITECTURES[name].save(tmp_path_factory.mktemp("architecture"))

    return saved


@pytest.fixture(scope="session")
def loaded(checkpoint: Callable[[str], Path]) -> Callable[[str], Encoder]:
    """An architecture's encoder, as `load_encoder` gives it."""
    return functools.cache(lambda name: load_encoder(str(checkpoint(name))))


@pytest.fixture(params=ARCHITECTURES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def architecture(name: str) -> Architecture:
    return ARCHITECTURES[name]


@pytest.fixture
def directory(name: str, checkpoint: Callable[[str], Path]) -> Path:
    return checkpoint(name)


@pytest.fixture
def encoder(name: str, loaded: Callable[[str], Encoder]) -> Encoder:
    return loaded(name)
