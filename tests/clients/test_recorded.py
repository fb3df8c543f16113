"""Requests of other clients, as they were recorded: the service answers what those clients read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.live import serving
from tests.clients.recorded import Recorded
from unisem import SemanticSpace
from unisem.service.http.app import create_app


@pytest.fixture
def service(card_space: SemanticSpace) -> Iterator[str]:
    with serving(create_app({"cards": card_space})) as url:
        yield url


def test_who_asks_for_http_2_keeps_the_body(service: str, card_space: SemanticSpace) -> None:
    asking = Recorded.named("langchain4j_text")
    assert asking.headers["Upgrade"] == "h2c"
    status, found = asking.to("/v1/spaces/cards/search", {"text": "a red card"}).sent(service)
    assert status == 200
    expected = [hit.record.id for hit in card_space.search(text="a red card")]
    assert [hit["record"]["id"] for hit in found["hits"]] == expected
