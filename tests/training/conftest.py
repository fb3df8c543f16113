"""Encoders that are loaded once per test session, and copied by whoever changes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.support import coloured_pairs, tiny_encoder
from unisem.pairs import PairDataset


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a BERT + ViT `Router`; ``../parts`` has its networks."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Results to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return coloured_pairs(tmp_path_factory.mktemp("colours"), 18)
