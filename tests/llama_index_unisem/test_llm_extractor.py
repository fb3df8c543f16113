"""`LLMExtractor`: what an LLM is asked, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM

from llama_index_unisem import LLMExtractor
from unisem.errors import GraphError


class Saying(MockLLM):
    """Answers with one relation, whatever it is asked."""

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        assert "a fork by a knife</result>" in (messages[0].content or "")
        answer = '{"relations": [["fork", "lies by", "knife"]]}'
        return ChatResponse(message=ChatMessage(content=answer))


def test_an_llm_s_answer_is_read() -> None:
    (found,) = LLMExtractor(Saying(), name="fake").extract(["a fork by a knife"])
    assert not isinstance(found, GraphError)
    assert found.relations == (("fork", "lies by", "knife"),)


def test_what_is_no_llm_is_refused() -> None:
    with pytest.raises(TypeError, match="LlamaIndex LLM, not str"):
        LLMExtractor("gpt")  # type: ignore[arg-type]
