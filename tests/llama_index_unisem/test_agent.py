"""Agents over real HTTP, against a server that refuses what the chat-completions API refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.tools.types import AsyncBaseTool
from llama_index.llms.openai import OpenAI
from PIL import Image

from llama_index_unisem import (
    ToolImages,
    UniSemQueryEngineTool,
    UniSemRetriever,
    UniSemRetrieverTool,
)
from llama_index_unisem.tools import references
from llama_index_unisem.tools.tool_images import images_after_tools
from tests.support.chat_rules import broken_rule
from tests.support.chat_server import ChatServer, chat_server
from tests.support.pictures import encoded, solid
from tests.support.pictures import noise as drawn
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ImageError
from unisem.filters import Field
from unisem.images.for_models import ImageLimits

QUESTION = "Which card is red?"
SEARCH: list[tuple[str, dict[str, Any]]] = [("search", {"query": "red card", "top_k": 2})]
ANSWER = "It is [cards/red.png]."


class ImageOpenAI(ToolImages, OpenAI):
    """OpenAI's chat completions, shown the pictures of tool results."""


def model(server: ChatServer, **options: Any) -> ImageOpenAI:
    return ImageOpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0, **options)


def search_tool(space: SemanticSpace, **options: Any) -> UniSemRetrieverTool:
    return UniSemRetrieverTool(UniSemRetriever(space), **options)


def check_seen(server: ChatServer, colours: list[str], request: int = -1) -> None:
    """Captions in the tool's message, then each picture, to the pixel, after its id."""
    messages = server.requests[request]["messages"]
    for sent, colour in zip(server.images(request), colours, strict=True):
        np.testing.assert_array_equal(np.asarray(sent), np.asarray(solid(colour)))
    results = "".join(str(m["content"]) for m in messages if m["role"] == "tool")
    shown = [
        part
        for message in messages
        if message["role"] == "user" and isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url" or part["text"].startswith("Picture ")
    ]
    labels = [part["text"] for part in shown[::2]]
    assert all(part["type"] == "image_url" for part in shown[1::2])
    for number, (label, colour) in enumerate(zip(labels, colours, strict=True), 1):
        assert label == f'Picture {number}, of "cards/{colour}.png":\n'
        assert f"a {colour} card</result> (its picture follows)\n(Picture {number} is " in results
        assert f'<result id="cards/{colour}.png">' in results


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_function_agent_sees_and_cites_what_it_finds(
    card_space: SemanticSpace, streaming: bool
) -> None:
    with chat_server([SEARCH, ANSWER], rule=broken_rule) as server:
        agent = FunctionAgent(
            tools=[search_tool(card_space)],
            llm=model(server),
            streaming=streaming,
            system_prompt="Cite ids.",
        )
        running = agent.run(QUESTION)
        deltas = [e.delta async for e in running.stream_events() if isinstance(e, AgentStream)]
        answer = await running
        assert str(answer) == ANSWER
        assert ("".join(deltas) == ANSWER) is streaming
        assert [request["stream"] for request in server.requests] == [streaming] * 2
        best = [hit.record.id for hit in card_space.search("red card", k=2)]
        check_seen(server, [name[6:-4] for name in best])
        (call,) = answer.tool_calls
        assert [hit.node_id for hit in call.tool_output.raw_output] == best
        function = server.requests[0]["tools"][0]["function"]
        assert set(function["parameters"]["properties"]) == {
            *("query", "image", "modality", "top_k", "filter")
        }


async def test_without_tool_pictures_openai_drops_them(card_space: SemanticSpace) -> None:
    """The trap that `ToolImages` is for; captions arrive all the same."""
    with chat_server([SEARCH, ANSWER], rule=broken_rule) as server:
        llm = OpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0)
        await FunctionAgent(tools=[search_tool(card_space)], llm=llm).run(QUESTION)
        assert server.parts(type="image_url") == []
        assert '<result id="cards/red.png">' in server.text()


async def test_a_picture_found_is_searched_in_the_next_step(card_space: SemanticSpace) -> None:
    """Two searches: the second by the first one's picture, which is not sent twice."""
    more = [("search", {"query": "", "image": "cards/red.png", "modality": "image", "top_k": 3})]
    with chat_server([SEARCH, more, ANSWER], rule=broken_rule) as server:
        agent = FunctionAgent(tools=[search_tool(card_space)], llm=model(server))
        await agent.run(QUESTION)
        first = [hit.record.id[6:-4] for hit in card_space.search("red card", k=2)]
        check_seen(server, first, request=1)
        red = card_space.get(["cards/red.png"])[0]
        assert red is not None
        alike = [
            h.record.id[6:-4] for h in card_space.search(image=red.image, k=3, modality="image")
        ]
        check_seen(server, list(dict.fromkeys([*first, *alike])), request=2)
        assert "(Picture 1 is shown above.)" in server.text()


async def test_parallel_calls_and_a_mistake(card_space: SemanticSpace) -> None:
    calls = [
        ("search", {"query": "red card", "top_k": 1}),
        ("search", {"query": "red", "image": "/etc/passwd"}),
        ("search", {"query": "blue card", "top_k": 1, "modality": "image"}),
    ]
    with chat_server([calls, ANSWER], rule=broken_rule) as server:
        tools = [search_tool(card_space)]
        agent = FunctionAgent(tools=tools, llm=model(server), streaming=False)
        answer = await agent.run(QUESTION)
        assert str(answer) == ANSWER
        assert len(server.images()) == 2
        assert "there is no picture with the id '/etc/passwd'" in server.text()
        assert [call.tool_output.is_error for call in answer.tool_calls].count(True) == 1


async def test_a_conversation_goes_on_and_survives_serialisation(
    card_space: SemanticSpace,
) -> None:
    with chat_server([SEARCH, ANSWER, "Still that one."], rule=broken_rule) as server:
        agent = FunctionAgent(tools=[search_tool(card_space)], llm=model(server))
        memory = Memory.from_defaults(token_limit=100_000)
        await agent.run(QUESTION, memory=memory)
        kept = await memory.aget()
        roles = [MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL, MessageRole.ASSISTANT]
        assert [m.role for m in kept] == roles, "no message that LlamaIndex did not put there"
        await agent.run("Are you sure?", memory=memory)
        stored = [ChatMessage.model_validate_json(m.model_dump_json()) for m in kept]
        await agent.run("Are you sure?", chat_history=stored)
        for request in (1, 2, 3):
            assert len(server.images(request)) == 2
            first = np.asarray(server.images(request)[0])
            np.testing.assert_array_equal(first, np.asarray(solid("red")))


async def test_a_forced_tool_is_forced_once(card_space: SemanticSpace) -> None:
    """A picture message ends the conversation with a user's turn; the agent must not restart."""
    with chat_server([SEARCH, ANSWER], rule=broken_rule) as server:
        agent = FunctionAgent(
            tools=[search_tool(card_space)], llm=model(server), initial_tool_choice="search"
        )
        await agent.run(QUESTION)
        assert server.requests[0]["tool_choice"]["function"]["name"] == "search"
        assert server.requests[1]["tool_choice"] == "auto"


async def test_a_query_engine_as_a_tool(card_space: SemanticSpace) -> None:
    with chat_server(
        [[("answer", {"input": QUESTION})], "The red one.", ANSWER], rule=broken_rule
    ) as server:
        llm = model(server)
        engine = RetrieverQueryEngine.from_args(
            UniSemRetriever(card_space, similarity_top_k=2), llm=llm, multimodal=True
        )
        tool = UniSemQueryEngineTool(engine, image_limits=ImageLimits(count=1))
        answer = await FunctionAgent(tools=[tool], llm=llm).run(QUESTION)
        assert str(answer) == ANSWER
        assert f"Query: {QUESTION}" in server.text(1)
        assert "The red one.\n" in server.text()
        check_seen(server, ["red"])
        (call,) = answer.tool_calls
        assert call.tool_output.raw_output.source_nodes[0].node_id == "cards/red.png"


async def test_a_react_agent_reads_captions_and_ids(card_space: SemanticSpace) -> None:
    action = 'Thought: I search.\nAction: search\nAction Input: {"query": "red card", "top_k": 1}\n'
    with chat_server([action, f"Thought: I know.\nAnswer: {ANSWER}"], rule=broken_rule) as server:
        agent = ReActAgent(tools=[search_tool(card_space)], llm=model(server))
        assert str(await agent.run(QUESTION)) == ANSWER
        assert '<result id="cards/red.png">' in server.text()


def conversation(*results: list[str]) -> list[ChatMessage]:
    """Tool messages, each with pictures of these colours, an assistant's between them."""
    messages = [ChatMessage("Which?", role="user")]
    for colours in results:
        messages.append(ChatMessage("call", role="assistant"))
        blocks: list[Any] = [TextBlock(text="found")]
        blocks += [ImageBlock(image=encoded(solid(colour))) for colour in colours]
        messages.append(ChatMessage(role="tool", blocks=blocks))
    return messages


def moved(messages: list[ChatMessage], most: int) -> tuple[list[str], list[int]]:
    """What stands in the tools' messages, and how many pictures follow each."""
    out = list(images_after_tools(messages, ImageLimits(count=most)))
    notes = [b.text for m in out if m.role == "tool" for b in m.blocks if b.text != "found"]  # type: ignore[union-attr]
    assert all(isinstance(b, TextBlock) for m in out if m.role == "tool" for b in m.blocks)
    counts = [
        sum(isinstance(block, ImageBlock) for block in after.blocks) if after.role == "user" else 0
        for before, after in zip(out, [*out[1:], ChatMessage("end", role="assistant")], strict=True)
        if before.role == "tool"
    ]
    return notes, counts


@pytest.mark.parametrize(
    ("results", "most", "notes", "counts"),
    [
        ([["red", "blue"]], 9, ["1 below", "2 below"], [2]),
        ([["red", "blue"]], 1, ["1 below", "2 out"], [1]),
        ([["red"], ["blue", "green"]], 2, ["1 out", "2 below", "3 below"], [0, 2]),
        ([["red"], ["blue", "red"]], 9, ["1 below", "2 below", "1 above"], [1, 1]),
        ([["red", "green"], ["red"]], 1, ["1 below", "2 out", "1 above"], [1, 0]),
        ([["red"], []], 0, ["1 out"], [0, 0]),
        ([], 3, [], []),
    ],
)
def test_which_pictures_are_sent(
    results: list[list[str]], most: int, notes: list[str], counts: list[int]
) -> None:
    messages = conversation(*results)
    before = [message.model_dump() for message in messages]
    out = f"left out: only {most} pictures are sent"
    words = {"below": "shown below", "above": "shown above", "out": out}
    said = [note.split() for note in notes]
    expected = [f"(Picture {number} is {words[place]}.)\n" for number, place in said]
    assert moved(messages, most) == (expected, counts)
    assert [message.model_dump() for message in messages] == before


def test_one_budget_of_bytes_for_all_results(noise: SemanticSpace) -> None:
    """Whether a picture is referred to or lies in the message; a user's own is left alone."""
    tool = UniSemRetrieverTool(UniSemRetriever(noise, similarity_top_k=1))
    blocks = tool(query="noise").blocks
    (record,) = noise.get(['noise "1"'])
    assert record is not None
    assert record.image is not None
    data = record.image.read_bytes()
    other = encoded(drawn(9, (NOISE, NOISE)))
    messages = [
        ChatMessage(role="user", blocks=[ImageBlock(image=data)]),
        ChatMessage(role="tool", blocks=blocks),
        ChatMessage(role="tool", blocks=[ImageBlock(image=other)]),
    ]
    for budget in (20_000, 40_000, 200_000):
        own, *_, moved = images_after_tools(messages, ImageLimits(count=2, bytes=budget))
        assert own.blocks == messages[0].blocks
        sent = [
            block.resolve_image().read() for block in moved.blocks if isinstance(block, ImageBlock)
        ]
        assert len(sent) == 2
        assert sum(map(len, sent)) <= budget
        assert [one in (data, other) for one in sent] == [budget == 200_000] * 2
    words = [
        it.text
        for m in images_after_tools(messages, ImageLimits(bytes=9))
        for it in m.blocks
        if isinstance(it, TextBlock)
    ]
    assert sum("does not fit into 1 bytes" in text for text in words) == 2


def test_other_messages_pass_as_they_are() -> None:
    picture = ImageBlock(image=encoded(solid("red")))
    messages = [
        ChatMessage("system", role="system"),
        ChatMessage(role="user", blocks=[TextBlock(text="this"), picture]),
        ChatMessage("call", role="assistant"),
        ChatMessage("only text", role="tool"),
    ]
    out = list(images_after_tools(messages, ImageLimits(count=3)))
    assert out[:3] == messages[:3]
    assert out[3].blocks == messages[3].blocks
    assert len(out) == 4


def test_tool_pictures_changes_nothing_else(card_space: SemanticSpace) -> None:
    with chat_server(["Hello."]) as server:
        llm = model(server, max_tool_images=3)
        plain = OpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0)
        assert llm.metadata == plain.metadata
        assert llm.class_name() == plain.class_name()
        assert str(llm.chat([ChatMessage("Hi")])) == "assistant: Hello."
        assert next(r.delta for r in llm.stream_chat([ChatMessage("Hi")])) == "Hello."
        assert server.requests[0]["messages"] == [{"role": "user", "content": "Hi"}]
        with pytest.raises(ValueError, match="max_tool_images"):
            model(server, max_tool_images=-1)


NOISE = 120  # pixels of a side; in base64 some 58,000 characters


@pytest.fixture
def noise(tmp_path: Path, encoder: ToyEncoder) -> Iterator[SemanticSpace]:
    """A space of one large picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (NOISE, NOISE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add([Record(id='noise "1"', text="noise", image=tmp_path / "noise.png")])
        yield space


def a_search(space: SemanticSpace) -> AsyncBaseTool:
    return search_tool(space)


def an_engine(space: SemanticSpace) -> AsyncBaseTool:
    retriever = UniSemRetriever(space)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    return UniSemQueryEngineTool(engine, name="search")


CALL: list[tuple[str, dict[str, Any]]] = [("search", {"query": "noise"})]
ASK: list[tuple[str, dict[str, Any]]] = [("search", {"input": "noise"})]


async def asked(server: ChatServer, tool: AsyncBaseTool) -> tuple[list[str], list[str]]:
    """Messages of an agent's memory, and its events, each as JSON."""
    agent = AgentWorkflow.from_tools_or_functions([tool], llm=model(server))
    memory = Memory.from_defaults()
    running = agent.run("What is it?", memory=memory)
    events = [event.model_dump_json() async for event in running.stream_events()]
    await running
    return [message.model_dump_json() for message in memory.get_all()], events


def is_the_noise(server: ChatServer, path: Path) -> bool:
    (sent,) = server.images()
    return bool((np.asarray(sent) == np.asarray(Image.open(path))).all())


@pytest.mark.parametrize(("make", "call"), [(a_search, CALL), (an_engine, ASK)])
async def test_memory_and_events_hold_references(
    noise: SemanticSpace, tmp_path: Path, make: Any, call: Any
) -> None:
    with chat_server([call, ANSWER, ANSWER], rule=broken_rule) as server:
        kept, events = await asked(server, make(noise))
        assert is_the_noise(server, tmp_path / "noise.png")
        assert max(map(len, kept + events)) < 20_000
        assert any("noise" in message for message in kept)
        assert not any(str(tmp_path) in message for message in kept), "where the file is"
        history = [ChatMessage.model_validate_json(message) for message in kept]
        await FunctionAgent(tools=[], llm=model(server)).run("And?", chat_history=history)
        assert is_the_noise(server, tmp_path / "noise.png")


@pytest.fixture
async def history(noise: SemanticSpace, monkeypatch: pytest.MonkeyPatch) -> list[ChatMessage]:
    """A conversation in which the picture was found, as another process would read it."""
    with chat_server([CALL, ANSWER], rule=broken_rule) as server:
        kept, _ = await asked(server, a_search(noise))
    monkeypatch.setattr(references, "_places", references._Places())
    return [ChatMessage.model_validate_json(message) for message in kept]


def shown_later(messages: list[ChatMessage]) -> tuple[int, str]:
    """How many pictures a model is shown, and what it reads."""
    with chat_server([ANSWER]) as server:
        model(server).chat(messages)
        return len(server.images()), server.text()


def test_another_process_finds_the_picture_by_its_tool(
    noise: SemanticSpace, history: list[ChatMessage]
) -> None:
    count, text = shown_later(history)
    assert (count, "(Picture 1 is in none of the spaces" in text) == (0, True)
    elsewhere = UniSemRetriever(noise, filters=Field("tenant") == "another")
    tools = [UniSemRetrieverTool(elsewhere)]
    assert shown_later(history)[0] == 0, "the retriever's own filter holds"
    tools.append(search_tool(noise))
    assert shown_later(history)[0] == 1
    user = ChatMessage(role="user", blocks=[b for m in history for b in m.blocks])
    assert shown_later([user])[0] == 1, "where a memory has moved it"


def test_only_the_picture_that_was_found_is_shown(
    noise: SemanticSpace, history: list[ChatMessage], tmp_path: Path
) -> None:
    tools = [search_tool(noise)]
    (tmp_path / "noise.png").write_bytes(encoded(solid("red")))
    count, text = shown_later(history)
    assert (count, "(Picture 1 has changed since" in text) == (0, True)
    (tmp_path / "noise.png").unlink()
    assert "(Picture 1 does not exist" in shown_later(history)[1]
    noise.add([Record(id='noise "1"', text="red", image=encoded(solid("red")))])
    assert shown_later(history)[0] == 0
    assert tools


@pytest.mark.parametrize(
    "url",
    [
        "unisem-picture:?id=a&sha256=..%2F..%2Fx&side=9&bytes=9",
        "unisem-picture:?id=a&sha256={digest}&side=0&bytes=9",
        "unisem-picture:?id=a&sha256={digest}&side=9",
        "unisem-picture:?id=a&id=b&sha256={digest}&side=9&bytes=9",
        "unisem-picture:",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_reference_of_ours_is_none(url: str) -> None:
    assert references.ToolImageReference.parse(url.format(digest="0" * 64)) is None


async def test_a_result_reads_its_picture_when_it_is_resolved(
    noise: SemanticSpace, tmp_path: Path
) -> None:
    (block,) = (b for b in a_search(noise)(query="noise").blocks if isinstance(b, ImageBlock))
    assert block.resolve_image().read() == (tmp_path / "noise.png").read_bytes()
    assert (
        base64.b64decode(block.resolve_image(as_base64=True).read())
        == (tmp_path / "noise.png").read_bytes()
    )
    (tmp_path / "noise.png").write_bytes(encoded(solid("red")))
    with pytest.raises(ImageError, match="has changed"):
        block.resolve_image()


@pytest.mark.parametrize("regions", ["alone", "on_page"])
def test_a_reference_says_how_a_part_of_a_page_is_shown(regions: str) -> None:
    known = references.ToolImageReference("a b", "0" * 64, 100, 2000, regions)  # type: ignore[arg-type]
    assert references.ToolImageReference.parse(known.url) == known
