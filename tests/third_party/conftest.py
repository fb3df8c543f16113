"""Whatever stands in this folder has its mark, and the adapters' fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.langchain_unisem.conftest import store
from tests.llama_index_unisem.conftest import embedding, events

__all__ = ["embedding", "events", "store"]

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before those without the mark are chosen
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.third_party)
