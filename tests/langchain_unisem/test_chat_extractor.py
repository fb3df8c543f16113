"""`ChatModelExtractor`: what a chat model is asked, and what becomes of its answer."""

from __future__ import annotations

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from langchain_unisem import ChatModelExtractor
from unisem.errors import GraphError


def test_a_chat_model_s_answer_is_read() -> None:
    model = FakeListChatModel(responses=['{"relations": [["fork", "lies by", "knife"]]}'])
    extractor = ChatModelExtractor(model, name="fake")
    (found,) = extractor.extract(["a fork by a knife"])
    assert not isinstance(found, GraphError)
    assert found.relations == (("fork", "lies by", "knife"),)
    assert extractor.fingerprint != ChatModelExtractor(model, name="other").fingerprint
    assert extractor.fingerprint != ChatModelExtractor(model, name="fake", types=["a"]).fingerprint


def test_what_is_no_chat_model_is_refused() -> None:
    with pytest.raises(TypeError, match="LangChain chat model, not str"):
        ChatModelExtractor("gpt")  # type: ignore[arg-type]
