"""Encoders that are loaded once per test session, and copied by whoever changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.support import tiny_encoder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a BERT + ViT `Router`; ``../parts`` has its networks."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))
