"""Whole chains: question in, what arrives at a model over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_openai import ChatOpenAI
from PIL import Image

from langchain_unisem import ImageQuery, MultimodalPrompt, UniSemRetriever
from tests.support.chat_server import ChatServer, chat_server
from tests.support.pictures import solid
from unisem import SemanticSpace


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(["The red one, see [1]."]) as running:
        yield running


@pytest.fixture
def chain(card_space: SemanticSpace, server: ChatServer) -> Runnable[Any, str]:
    retriever = UniSemRetriever(space=card_space, k=3)
    prompt = ChatPromptTemplate([("system", "Be brief."), MultimodalPrompt(space=card_space)])
    llm = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")  # type: ignore[arg-type]
    inputs = {"context": retriever, "question": RunnablePassthrough()}
    return inputs | prompt | llm | StrOutputParser()


def check(server: ChatServer, space: SemanticSpace, cards: Path, question: str) -> None:
    """The last request holds the question, the captions found, and those files' pixels."""
    hits = space.search(text=question, k=3)
    text = server.text()
    assert f"Question: {question}" in text
    assert "Be brief." in text
    for number, hit in enumerate(hits, 1):
        assert f"[{number}] <result>{hit.record.text}</result>" in text
    files = [cards / str(hit.record.metadata["file_name"]) for hit in hits if hit.record.image]
    arrived = server.images()
    assert len(arrived) == len(files) >= 1
    for image, file in zip(arrived, files, strict=True):
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(file).convert("RGB")))
    roles = [message["role"] for message in server.requests[-1]["messages"]]
    assert roles == ["system", "user"]


@pytest.mark.parametrize("question", ["Which is a red card?", "What about {blue} paper?"])
async def test_what_arrives(
    chain: Runnable[Any, str],
    server: ChatServer,
    card_space: SemanticSpace,
    cards: Path,
    question: str,
) -> None:
    assert chain.invoke(question) == "The red one, see [1]."
    check(server, card_space, cards, question)
    assert await chain.ainvoke(question) == "The red one, see [1]."
    check(server, card_space, cards, question)
    assert server.requests[0] == server.requests[1]
    assert "".join(chain.stream(question)) == "The red one, see [1]."
    check(server, card_space, cards, question)


async def test_question_about_a_picture(
    chain: Runnable[Any, str], server: ChatServer, card_space: SemanticSpace
) -> None:
    mine = solid("blue", (21, 21))
    query = ImageQuery(mine, "Do I have this card?")
    await chain.ainvoke(query)
    found = card_space.search(text=query.text, image=mine, k=3)
    assert [f"<result>{hit.record.text}</result>" in server.text() for hit in found] == [True] * 3
    assert "Question: Do I have this card?" in server.text()
    assert np.array_equal(np.asarray(server.images()[-1]), np.asarray(mine))
    assert len(server.images()) == 1 + sum(hit.record.image is not None for hit in found)


async def test_batches(chain: Runnable[Any, str], server: ChatServer) -> None:
    questions = ["red?", "blue?", "green?"]
    assert chain.batch(questions) == ["The red one, see [1]."] * 3
    assert await chain.abatch(questions) == ["The red one, see [1]."] * 3
    asked = [server.parts(number, "text")[-1]["text"] for number in range(6)]
    assert sorted(asked) == sorted(f"Question: {question}" for question in questions * 2)
