"""The Java client, compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.java_client import JavaClient, compiled, has_java
from tests.clients.scripted_server import ScriptedServer


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled client, example and driver."""
    if not has_java():
        pytest.skip("no javac here; apt-get install default-jdk-headless")
    return compiled(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def java(classes: Path) -> Iterator[JavaClient]:
    client = JavaClient(classes)
    yield client
    client.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running
