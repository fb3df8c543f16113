"""Real agents over HTTP: what each request holds, and what a checkpoint keeps."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from PIL import Image

from langchain_unisem import UniSemInlineRetrievalTool, UniSemRetrievalTool, UniSemRetriever
from langchain_unisem.middleware import ImageMiddleware
from tests.support.chat_rules import broken_rule
from tests.support.chat_server import ChatServer, chat_server
from unisem import SemanticSpace

NAME = "unisem_search"
RED, BLUE = (NAME, {"query": "a red card"}), (NAME, {"query": "a blue card"})
LOOK = "Which card is red?"


@pytest.fixture
def tool(card_space: SemanticSpace) -> UniSemRetrievalTool:
    return UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space, k=2))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.sqlite")


def model(server: ChatServer) -> ChatOpenAI:
    options: dict[str, Any] = {"base_url": server.url, "api_key": "none", "max_retries": 0}
    return ChatOpenAI(model="scripted", **options)


def make(server: ChatServer, tool: UniSemRetrievalTool, checkpointer: Any = None) -> Any:
    shows = [] if isinstance(tool, UniSemInlineRetrievalTool) else [ImageMiddleware(tool)]
    return create_agent(model(server), tools=[tool], middleware=shows, checkpointer=checkpointer)


def ask(question: str) -> Any:
    return {"messages": [{"role": "user", "content": question}]}


def in_thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


def sqlite(file: str) -> Any:
    from langgraph.checkpoint.sqlite import SqliteSaver

    return SqliteSaver.from_conn_string(file)


def sqlite_async(file: str) -> Any:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    return AsyncSqliteSaver.from_conn_string(file)


def kept(file: str) -> bytes:
    """All bytes of a database, those that are not yet in the main file as well."""
    path = Path(file)
    return b"".join(part.read_bytes() for part in path.parent.glob(path.name + "*"))


def traces_of_pictures(stored: bytes, pictures: list[Path]) -> list[str]:
    found = [word for word in ("data:image", "base64", "iVBORw0KGgo") if word.encode() in stored]
    for picture in pictures:
        data = picture.read_bytes()
        middle = base64.b64encode(data)[16:60]
        if data[8:60] in stored or middle in stored:
            found.append(picture.name)
    return found


def roles(server: ChatServer, request: int) -> list[str]:
    return [message["role"] for message in server.requests[request]["messages"]]


def pixels_are(images: list[Image.Image], files: list[Path]) -> bool:
    return len(images) == len(files) and all(
        np.array_equal(np.asarray(image), np.asarray(Image.open(file).convert("RGB")))
        for image, file in zip(images, files, strict=True)
    )


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server([[RED], "It is cards/red.png."], rule=broken_rule) as running:
        yield running


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_the_model_sees_what_its_tool_found(
    server: ChatServer, tool: UniSemRetrievalTool, cards: Path, way: str
) -> None:
    agent = make(server, tool)
    if way == "invoke":
        answer = agent.invoke(ask(LOOK))["messages"][-1].text
    elif way == "ainvoke":
        answer = (await agent.ainvoke(ask(LOOK)))["messages"][-1].text
    else:
        if way == "stream":
            tokens = list(agent.stream(ask(LOOK), stream_mode="messages"))
        else:
            tokens = [part async for part in agent.astream(ask(LOOK), stream_mode="messages")]
        answer = "".join(part.text for part, _ in tokens if not isinstance(part, ToolMessage))
        assert not [part for part, _ in tokens if isinstance(part, HumanMessage)]
        assert "base64" not in str(tokens)
    assert answer == "It is cards/red.png."

    assert roles(server, 0) == ["user"]
    assert roles(server, 1) == ["user", "assistant", "tool", "user"]
    offered = server.requests[0]["tools"][0]["function"]
    assert offered["name"] == NAME
    assert offered["parameters"]["required"] == ["query"]
    told = server.requests[1]["messages"][2]["content"]
    assert '<result id="cards/red.png" picture="40x30">a red card</result>' in told
    shown = server.requests[1]["messages"][3]["content"]
    hits = [hit for hit in tool.retriever.space.search(text="a red card", k=2) if hit.record.image]
    assert [part["text"] for part in shown if part["type"] == "text"][1:] == [
        f'"{hit.record.id}":' for hit in hits
    ]
    assert [part["type"] for part in shown] == ["text", *["text", "image_url"] * len(hits)]
    assert pixels_are(server.images(1), [cards / Path(hit.record.id).name for hit in hits])


def test_parallel_calls_stay_together(
    tool: UniSemRetrievalTool, cards: Path, card_space: SemanticSpace
) -> None:
    with chat_server([[RED, BLUE], "Both."], rule=broken_rule) as server:
        make(server, tool).invoke(ask("Which are red and blue?"))
    assert roles(server, 1) == ["user", "assistant", "tool", "tool", "user"]
    found = [card_space.search(text=text, k=2) for text in ("a red card", "a blue card")]
    ids = list(dict.fromkeys(hit.record.id for hits in found for hit in hits if hit.record.image))
    assert len(ids) < 4, "the two answers have a picture in common, which is sent once"
    assert pixels_are(server.images(1), [cards / Path(name).name for name in ids])


def test_calls_one_after_the_other(tool: UniSemRetrievalTool) -> None:
    with chat_server([[RED], [BLUE], "Both."], rule=broken_rule) as server:
        make(server, tool).invoke(ask("Which are red and blue?"))
    assert roles(server, 2) == ["user", "assistant", "tool", "user", "assistant", "tool", "user"]
    earlier, later = (server.requests[number]["messages"] for number in (1, 2))
    assert later[: len(earlier)] == earlier, "a prompt cache would not hold"


def test_finding_more_like_a_picture(tool: UniSemRetrievalTool, card_space: SemanticSpace) -> None:
    like = (NAME, {"query": "", "like": "cards/red.png", "k": 3})
    with chat_server([[RED], [like], "Here."], rule=broken_rule) as server:
        made = make(server, tool).invoke(ask("What looks like the red one?"))
    record = card_space.get(["cards/red.png"])[0]
    assert record is not None
    nearest = [hit.record.id for hit in card_space.search(image=record.image, k=4)]
    assert nearest[0] == "cards/red.png"
    answers = [message for message in made["messages"] if isinstance(message, ToolMessage)]
    assert [item["id"] for item in answers[-1].artifact] == nearest[1:]


def test_a_models_mistake_comes_back_to_it(tool: UniSemRetrievalTool) -> None:
    wrong = (NAME, {"query": "x", "like": "/etc/passwd"})
    with chat_server([[wrong], [RED], "Red."], rule=broken_rule) as server:
        made = make(server, tool).invoke(ask(LOOK))
    assert "There is no picture with the id '/etc/passwd'" in server.text(1)
    assert roles(server, 1) == ["user", "assistant", "tool"]
    assert made["messages"][-1].text == "Red."


def test_a_checkpoint_holds_no_picture(
    server: ChatServer, tool: UniSemRetrievalTool, cards: Path, file: str
) -> None:
    pictures = sorted(cards.glob("*.png"))
    with sqlite(file) as saver:
        make(server, tool, saver).invoke(ask(LOOK), in_thread("a"))
        assert len(server.images(1)) >= 1
        stored = kept(file)
    assert b"cards/red.png" in stored
    assert traces_of_pictures(stored, pictures) == []
    assert len(server.requests) == 2

    with sqlite(file) as saver:  # as after a restart of the process
        state = make(server, tool, saver).get_state(in_thread("a")).values["messages"]
        assert [type(message) for message in state] == [
            HumanMessage,
            AIMessage,
            ToolMessage,
            AIMessage,
        ]
        assert json.loads(json.dumps(state[2].artifact)) == state[2].artifact
        made = make(server, tool, saver).invoke(ask("And what is on it?"), in_thread("a"))
    assert made["messages"][-1].text == "It is cards/red.png."
    assert roles(server, 2) == ["user", "assistant", "tool", "user", "assistant", "user"]
    assert server.image_bytes(2) == server.image_bytes(1)
    assert server.requests[2]["messages"][:4] == server.requests[1]["messages"]
    assert traces_of_pictures(kept(file), pictures) == []


async def test_a_checkpoint_holds_no_picture_async(
    server: ChatServer, tool: UniSemRetrievalTool, cards: Path, file: str
) -> None:
    async with sqlite_async(file) as saver:
        await make(server, tool, saver).ainvoke(ask(LOOK), in_thread("a"))
    async with sqlite_async(file) as saver:
        agent = make(server, tool, saver)
        tokens = agent.astream(ask("And what is on it?"), in_thread("a"), stream_mode="messages")
        assert "".join([part.text async for part, _ in tokens]) == "It is cards/red.png."
    assert server.image_bytes(2) == server.image_bytes(1)
    assert traces_of_pictures(kept(file), sorted(cards.glob("*.png"))) == []


def test_what_is_gone_by_the_second_turn(
    server: ChatServer, tool: UniSemRetrievalTool, card_space: SemanticSpace, file: str
) -> None:
    with sqlite(file) as saver:
        make(server, tool, saver).invoke(ask(LOOK), in_thread("a"))
        card_space.delete(["cards/red.png"])
        make(server, tool, saver).invoke(ask("And now?"), in_thread("a"))
    assert '"cards/red.png": this picture has been deleted.' in server.text(2)
    assert len(server.images(2)) == len(server.images(1)) - 1


def test_pictures_in_the_tools_message(card_space: SemanticSpace, cards: Path, file: str) -> None:
    inline = UniSemInlineRetrievalTool(
        retriever=UniSemRetriever(space=card_space, k=2, modality="image")
    )
    with chat_server([[RED], "Red."]) as server, sqlite(file) as saver:
        make(server, inline, saver).invoke(ask(LOOK), in_thread("a"))
        assert roles(server, 1) == ["user", "assistant", "tool"]
        content = server.requests[1]["messages"][2]["content"]
        assert [part["type"] for part in content] == ["text", *["text", "image_url"] * 2]
        hits = card_space.search(text="a red card", k=2, modality="image")
        assert pixels_are(server.images(1), [cards / Path(hit.record.id).name for hit in hits])
        stored = kept(file)
    pictures = [cards / Path(hit.record.id).name for hit in hits]
    assert traces_of_pictures(stored, pictures)[-2:] == [path.name for path in pictures]


def test_chat_completions_refuse_pictures_in_the_tools_message(card_space: SemanticSpace) -> None:
    inline = UniSemInlineRetrievalTool(retriever=UniSemRetriever(space=card_space, k=2))
    with (
        chat_server([[RED], "Red."], rule=broken_rule) as server,
        pytest.raises(openai.BadRequestError, match="may not have a part of type 'image_url'"),
    ):
        make(server, inline).invoke(ask(LOOK))


async def test_in_a_graph_of_ones_own(
    server: ChatServer, tool: UniSemRetrievalTool, cards: Path, file: str
) -> None:
    shows, llm = ImageMiddleware(tool), model(server).bind_tools([tool])

    def think(state: MessagesState) -> Any:
        return {"messages": [llm.invoke(shows.with_images(state["messages"]))]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    with sqlite(file) as saver:
        made = graph.compile(checkpointer=saver).invoke(ask(LOOK), in_thread("a"))
    assert made["messages"][-1].text == "It is cards/red.png."
    assert server.image_bytes(1)[0] == (cards / "red.png").read_bytes()
    assert traces_of_pictures(kept(file), sorted(cards.glob("*.png"))) == []


def test_two_tools_of_two_spaces(
    card_space: SemanticSpace, tool: UniSemRetrievalTool, cards: Path, tmp_path: Path
) -> None:
    with SemanticSpace.open(tmp_path / "other.unisem", encoder=card_space.encoder) as other:
        blue = (cards / "blue.png").read_bytes()
        other.add_folder(cards)
        record = other.get(["cards/red.png"])[0]
        assert record is not None
        other.delete(["cards/red.png"])
        other.add([type(record)(id="cards/red.png", text="a red card", image=blue)])
        second = UniSemRetrievalTool(
            name="other_search", retriever=UniSemRetriever(space=other, k=1)
        )
        calls = [RED, ("other_search", {"query": "a red card"})]
        with chat_server([calls, "Both."], rule=broken_rule) as server:
            create_agent(
                model(server),
                tools=[tool, second],
                middleware=[ImageMiddleware(tool, second)],
            ).invoke(ask(LOOK))
    assert server.image_bytes(1)[0] == (cards / "red.png").read_bytes()
    assert server.image_bytes(1)[-1] == blue
