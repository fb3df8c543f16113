"""`MultimodalPrompt`, alone and inside other prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from pydantic import ValidationError

from langchain_unisem import ImageQuery, MultimodalPrompt, UniSemRetriever, format_documents
from tests.support.pictures import solid
from unisem import SemanticSpace
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits


@pytest.fixture
def prompt(card_space: SemanticSpace) -> MultimodalPrompt:
    return MultimodalPrompt(space=card_space)


async def test_one_message(retriever: UniSemRetriever, prompt: MultimodalPrompt) -> None:
    documents = retriever.invoke("a red card")
    values = {"context": documents, "question": "Which {card} is red?"}
    [message] = prompt.invoke(values).to_messages()
    assert isinstance(message, HumanMessage)
    assert message.content == [
        *format_documents(documents, space=retriever.space),
        {"type": "text", "text": "Question: Which {card} is red?"},
    ]
    assert (await prompt.ainvoke(values)).to_messages() == [message]
    assert prompt.format_messages(**values, other=3) == [message]


async def test_inside_a_chat_prompt(retriever: UniSemRetriever, prompt: MultimodalPrompt) -> None:
    outer = ChatPromptTemplate(
        [
            ("system", "Answer in {language}."),
            MessagesPlaceholder("history", optional=True),
            prompt,
        ]
    )
    assert set(outer.input_variables) == {"language", "context", "question"}
    values = {"context": retriever.invoke("red"), "question": "Which?", "language": "French"}
    plain = outer.invoke(values).to_messages()
    assert [type(message) for message in plain] == [SystemMessage, HumanMessage]
    assert plain[0].content == "Answer in French."
    history = [HumanMessage("{hi}"), AIMessage("hello")]
    full = (await outer.ainvoke(values | {"history": history})).to_messages()
    assert full == [plain[0], *history, plain[1]]
    assert (ChatPromptTemplate([("system", "x")]) + prompt).invoke(values).to_messages()[1:] == [
        plain[1]
    ]
    assert "{question}" in outer.pretty_repr()


def test_braces_are_safe(prompt: MultimodalPrompt) -> None:
    caption = "{question} {{x}} {0} %s ${y} {{%raw%}}"
    outer = ChatPromptTemplate([("system", "{language}"), prompt])
    documents = [Document(page_content=caption)]
    values = {"context": documents, "question": caption, "language": "en"}
    [_, message] = outer.invoke(values).to_messages()
    assert f"<result>{caption}</result>" in message.text
    assert f"Question: {caption}" in message.text


def test_question_with_a_picture(prompt: MultimodalPrompt, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    solid("blue", (3000, 10)).save(path)
    for text, words in (("Like this?", "Question: Like this?"), (None, "Question:")):
        [message] = prompt.format_messages(context=[], question=ImageQuery(path, text))
        blocks: list[Any] = message.content_blocks
        assert [block["type"] for block in blocks] == ["text", "text", "image"]
        assert blocks[1]["text"] == f"{words} (with this picture)"
        assert blocks[2]["mime_type"] == "image/png"
    path.unlink()
    with pytest.raises(ImageError, match="does not exist"):
        prompt.format_messages(context=[], question=ImageQuery(path))


def test_limits(card_space: SemanticSpace, retriever: UniSemRetriever) -> None:
    prompt = MultimodalPrompt(space=card_space, limits=ImageLimits(count=1))
    values = {"context": retriever.invoke("red", modality="image"), "question": "?"}
    [message] = prompt.format_messages(**values)
    assert sum(block["type"] == "image" for block in message.content_blocks) == 1


def test_partial(prompt: MultimodalPrompt, retriever: UniSemRetriever) -> None:
    documents = retriever.invoke("red")
    expected = prompt.invoke({"context": documents, "question": "Which?"})
    partial = prompt.partial(question="Which?")
    assert partial.input_variables == ["context"]
    assert partial.invoke({"context": documents}) == expected
    assert prompt.input_variables == ["context", "question"]


def test_input_schema(prompt: MultimodalPrompt) -> None:
    parts = prompt.get_input_jsonschema()["properties"]
    assert parts["context"]["type"] == "array"
    assert "type" not in parts["question"]  # a string or an `ImageQuery`
    assert list(prompt.partial(question="?").get_input_jsonschema()["properties"]) == ["context"]


def test_bad_input(prompt: MultimodalPrompt, card_space: SemanticSpace) -> None:
    with pytest.raises(KeyError, match=r"missing variables \{'context'\}"):
        prompt.invoke({"question": "?"})
    with pytest.raises(TypeError, match="Expected mapping type as input to MultimodalPrompt"):
        prompt.invoke("?")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="documents must be a list"):
        prompt.invoke({"context": "joined text", "question": "?"})
    with pytest.raises(TypeError, match="question must be a string, or an ImageQuery"):
        prompt.invoke({"context": [], "question": {"text": "?"}})
    with pytest.raises(ValidationError, match="Extra inputs"):
        MultimodalPrompt(space=card_space, limit=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="instance of SemanticSpace"):
        MultimodalPrompt(space="photos.unisem")  # type: ignore[arg-type]
