"""Fixtures and helpers for the LlamaIndex adapter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

from llama_index_unisem import UniSemEmbedding
from tests.support.toy import ToyEncoder, _unit
from unisem.encoders import Role
from unisem.records import Vector


class AsymmetricToy(ToyEncoder):
    """A toy that, like E5, embeds a query otherwise than a document of the same text."""

    @property
    def name(self) -> str:
        return "asymmetric-toy"

    def encode_texts(self, texts: Sequence[str], role: Role = "document", **options: Any) -> Vector:
        rows = super().encode_texts(texts, role, **options)
        return rows if role == "document" else _unit(rows + self._word("query:").astype(np.float32))


@pytest.fixture
def embedding(encoder: ToyEncoder) -> UniSemEmbedding:
    return UniSemEmbedding(encoder=encoder)


@pytest.fixture
def events() -> Any:
    """The instrumentation events of the test, in order."""

    class Recorder(BaseEventHandler):
        seen: list[Any] = []

        def handle(self, event: Any, **kwargs: Any) -> None:
            self.seen.append(event)

        def named(self, name: str) -> list[Any]:
            return [event for event in self.seen if re.fullmatch(name, event.class_name())]

    root = get_dispatcher()
    recorder = Recorder(seen=[])
    root.add_event_handler(recorder)
    yield recorder
    root.event_handlers.remove(recorder)
