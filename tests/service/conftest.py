"""A space of cards behind the service, asked as a client asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from unisem import SemanticSpace
from unisem.service.http.app import create_app


@pytest.fixture
def client(card_space: SemanticSpace) -> Iterator[TestClient]:
    """Whoever asks the service without a token."""
    with TestClient(create_app({"cards": card_space})) as opened:
        yield opened
