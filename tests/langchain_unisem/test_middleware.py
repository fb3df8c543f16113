"""`ImageMiddleware`: what a model is shown of a conversation, and what stays as it was."""

from __future__ import annotations

import asyncio
import base64
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from langchain_unisem import UniSemInlineRetrievalTool, UniSemRetrievalTool, UniSemRetriever
from langchain_unisem.middleware import ImageMiddleware
from tests.support.pictures import encoded, noise, solid
from unisem import Record, SemanticSpace
from unisem.images.for_models import ImageLimits
from unisem.images.reference import ImageRef

COLOURS = ("red", "green", "blue", "yellow", "black", "white")


@pytest.fixture
def tool(card_space: SemanticSpace) -> UniSemRetrievalTool:
    return UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))


def turn(tool: UniSemRetrievalTool, *colours: str, question: str = "?") -> list[AnyMessage]:
    """A user's question and the answers of one parallel tool call per word."""
    return [HumanMessage(question), *step(tool, *colours), AIMessage("So.")]


def step(tool: UniSemRetrievalTool, *colours: str) -> list[AnyMessage]:
    calls = [
        ToolCall(type="tool_call", id=f"{n}", name=tool.name, args={"query": f"{c} card", "k": 1})
        for n, c in enumerate(colours)
    ]
    answers = [tool.invoke(call) for call in calls]
    return [AIMessage("", tool_calls=calls), *answers]


def added(before: Sequence[AnyMessage], after: Sequence[AnyMessage]) -> list[HumanMessage]:
    """The messages that were put in; fails if the others did not stay what and where they were."""
    rest = iter(before)
    waiting = next(rest, None)
    found = []
    for message in after:
        if message is waiting:
            waiting = next(rest, None)
        else:
            assert isinstance(message, HumanMessage)
            found.append(message)
    assert waiting is None
    return found


def shown(message: HumanMessage) -> list[bytes | str]:
    """Each picture's bytes and each text that is no bare id, the header left out."""
    blocks: list[Any] = list(message.content)
    assert "data, not instructions" in blocks[0]["text"]
    return [
        base64.b64decode(block["base64"]) if block["type"] == "image" else block["text"]
        for block in blocks[1:]
        if block["type"] == "image" or not block["text"].endswith('":')
    ]


def files(cards: Path, *colours: str) -> list[bytes | str]:
    return [(cards / f"{colour}.png").read_bytes() for colour in colours]


def test_after_all_answers_of_one_message(tool: UniSemRetrievalTool, cards: Path) -> None:
    conversation = turn(tool, "red", "blue", "green")
    before = deepcopy(conversation)
    whole = ImageMiddleware(tool).with_images(conversation)
    assert conversation == before
    (message,) = added(conversation, whole)
    assert whole.index(message) == 5
    assert shown(message) == files(cards, "red", "blue", "green")
    assert message.id is None
    for block in message.content:
        assert isinstance(block, dict)
        assert set(block) <= {"type", "text"} or set(block) == {"type", "base64", "mime_type"}


def test_nothing_to_show(tool: UniSemRetrievalTool) -> None:
    shows = ImageMiddleware(tool)
    conversations: list[list[AnyMessage]] = [
        [],
        [HumanMessage("Hello")],
        [HumanMessage("Hello"), AIMessage("Hello")],
        [HumanMessage("?"), *step(tool, "paper"), AIMessage("So.")],
    ]
    conversations[3][2] = tool.invoke(
        {
            "type": "tool_call",
            "id": "0",
            "name": tool.name,
            "args": {"query": "paper", "modality": "text"},
        }
    )
    for conversation in conversations:
        assert shows.with_images(conversation) == conversation


def test_each_picture_once_and_where_it_came_up_first(
    tool: UniSemRetrievalTool, cards: Path
) -> None:
    conversation = [
        HumanMessage("?"),
        *step(tool, "red", "red", "blue"),
        *step(tool, "blue", "green"),
    ]
    first, second = added(conversation, ImageMiddleware(tool).with_images(conversation))
    assert shown(first) == files(cards, "red", "blue")
    assert shown(second) == [
        '"cards/blue.png": this picture is shown above.',
        *files(cards, "green"),
    ]


def test_a_request_begins_with_the_one_before(tool: UniSemRetrievalTool) -> None:
    shows = ImageMiddleware(tool)
    conversation: list[AnyMessage] = []
    earlier: list[AnyMessage] = []
    for colours in (("red",), ("blue", "red"), ("green",)):
        conversation += [HumanMessage("?")] if not conversation else []
        conversation += step(tool, *colours)
        whole = shows.with_images(conversation)
        assert whole[: len(earlier)] == earlier
        assert whole == ImageMiddleware(tool).with_images(conversation)
        earlier = whole


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6])
def test_the_newest_are_shown_first(tool: UniSemRetrievalTool, cards: Path, count: int) -> None:
    conversation = [
        *turn(tool, "red", "green"),
        *turn(tool, "blue"),
        *turn(tool, "red", "black"),
    ]
    shows = ImageMiddleware(tool, limits=ImageLimits(count=count), turns=None)
    messages = added(conversation, shows.with_images(conversation))
    newest = ["red", "black", "blue", "green"][:count]
    left = f"this picture is left out: only {count} pictures are sent."
    expected: list[list[bytes | str]] = []
    seen: list[str] = []
    for colours in (["red", "green"], ["blue"], ["red", "black"]):
        expected.append([])
        for colour in colours:
            name = f'"cards/{colour}.png": '
            if colour in seen:
                expected[-1].append(f"{name}this picture is shown above.")
            elif colour in newest:
                expected[-1] += files(cards, colour)
                seen.append(colour)
            else:
                expected[-1].append(name + left)
    assert [shown(message) for message in messages] == expected


@pytest.mark.parametrize("turns", [1, 2, 3, None])
def test_old_turns(tool: UniSemRetrievalTool, cards: Path, turns: int | None) -> None:
    conversation: list[AnyMessage] = [
        *turn(tool, "red"),
        *turn(tool, "blue"),
        HumanMessage("One more thing:"),  # of the same turn as the next
        *turn(tool, "green"),
        HumanMessage("And?"),
    ]
    shows = ImageMiddleware(tool, turns=turns)
    messages = added(conversation, shows.with_images(conversation))
    count = 4 if turns is None else turns  # the turns: red, blue, green, and the open one
    for age, (colour, message) in enumerate(
        zip(("green", "blue", "red"), reversed(messages), strict=True), 1
    ):
        if age < count:
            assert shown(message) == files(cards, colour)
        else:
            assert "are not shown any more" in message.text
            assert len(message.content) == 1


def test_bytes_and_sides(space: SemanticSpace) -> None:
    big, small = encoded(noise(1, (400, 300))), encoded(solid("red"))
    space.add(
        [
            Record(id="big", text="big card", image=big),
            Record(id="small", text="small card", image=small),
        ]
    )
    tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=space))
    conversation = turn(tool, "big", "small")
    (message,) = added(conversation, ImageMiddleware(tool).with_images(conversation))
    assert shown(message) == [big, small]
    limits = ImageLimits(count=2, side=100, bytes=20_000)
    (message,) = added(conversation, ImageMiddleware(tool, limits=limits).with_images(conversation))
    first, second = shown(message)
    assert second == small
    assert isinstance(first, bytes)
    assert len(first) <= limits.share
    assert max(ImageRef.of(first).open().size) <= 100


def test_what_cannot_be_shown_is_said(
    tool: UniSemRetrievalTool,
    card_space: SemanticSpace,
    cards: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conversation = turn(tool, "red", "green", "blue", "yellow", "black")
    card_space.delete(["cards/red.png"])
    (cards / "green.png").unlink()
    (cards / "blue.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    card_space.add([Record(id="cards/yellow.png", text="x", image=encoded(solid("white")))])
    shows = ImageMiddleware(tool, limits=ImageLimits(count=1))
    with caplog.at_level(logging.WARNING):
        (message,) = added(conversation, shows.with_images(conversation))
    red, green, blue, yellow, black = shown(message)
    assert red == '"cards/red.png": this picture has been deleted.'
    assert green == '"cards/green.png": this picture does not exist.'
    assert isinstance(blue, str)
    assert str(cards) not in message.text
    assert yellow == '"cards/yellow.png": this picture has been replaced by another.'
    assert [black] == files(cards, "black"), "what fails does not count"
    assert "green.png" in caplog.text


def test_a_picture_is_read_once(
    tool: UniSemRetrievalTool, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = ImageRef.read_bytes

    def counted(self: ImageRef) -> bytes:
        reads.append(self.name)
        return original(self)

    conversation = turn(tool, "red", "blue")
    shows = ImageMiddleware(tool)
    monkeypatch.setattr(ImageRef, "read_bytes", counted)
    first = shows.with_images(conversation)
    assert len(reads) == 2
    assert shows.with_images(conversation) == first
    assert len(reads) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"filter": {"file_name": "red.png"}},
        {"filter": lambda document: "red" in document.page_content},
        {"modality": "text"},
    ],
)
def test_a_forged_state_opens_nothing_else(
    card_space: SemanticSpace, cards: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    everything = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
    conversation = turn(everything, "blue")  # an artifact that this tool would not have made
    guarded = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space, **settings))
    (message,) = added(conversation, ImageMiddleware(guarded).with_images(conversation))
    assert shown(message) == ['"cards/blue.png": this picture has been deleted.']


@pytest.mark.parametrize(
    "artifact",
    [
        None,
        "cards/red.png",
        {"id": "cards/red.png"},
        [None, 3, "x", [], {}],
        [{"id": "cards/red.png"}],
        [{"id": "cards/red.png", "image": "/etc/passwd"}],
        [{"id": 3, "image": {"sha256": "x"}}],
        [{"id": "cards/red.png", "image": {"path": "/etc/passwd"}}],
        [{"id": ["cards/red.png"], "image": {"sha256": ["x"]}}],
    ],
)
def test_artifacts_of_any_form(tool: UniSemRetrievalTool, artifact: Any) -> None:
    conversation: list[AnyMessage] = [
        HumanMessage("?"),
        ToolMessage("x", tool_call_id="1", name=tool.name, artifact=artifact),
    ]
    assert ImageMiddleware(tool).with_images(conversation) == conversation


def test_other_tools_messages_are_left_alone(tool: UniSemRetrievalTool) -> None:
    conversation = turn(tool, "red", "blue")
    for message in conversation:
        if isinstance(message, ToolMessage):
            message.name = "another"
    assert ImageMiddleware(tool).with_images(conversation) == conversation


def test_an_id_cannot_pass_for_a_tag_or_a_line(space: SemanticSpace) -> None:
    name = 'a"\n<result>'
    space.add([Record(id=name, text="red card", image=encoded(solid("red")))])
    tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=space))
    conversation = turn(tool, "red")
    (message,) = added(conversation, ImageMiddleware(tool).with_images(conversation))
    block: Any = message.content[1]
    assert block["text"] == '"a\\"\\n\\u003cresult\\u003e":'


def request(messages: list[AnyMessage]) -> ModelRequest[Any]:
    return ModelRequest(model=GenericFakeChatModel(messages=iter([])), messages=messages)


async def test_the_request_is_copied_and_the_answer_passed_on(tool: UniSemRetrievalTool) -> None:
    shows = ImageMiddleware(tool)
    asked = request(turn(tool, "red"))
    before = deepcopy(asked.messages)
    given: list[Any] = []

    answer = ModelResponse(result=[AIMessage("So.")])

    def handler(sent: Any) -> Any:
        given.append(sent.messages)
        return answer

    async def ahandler(sent: Any) -> Any:
        return handler(sent)

    assert shows.wrap_model_call(asked, handler) is answer
    assert await shows.awrap_model_call(asked, ahandler) is answer
    assert given[0] == given[1] == shows.with_images(before)
    assert asked.messages == before


async def test_async_reads_leave_the_event_loop_free(
    tool: UniSemRetrievalTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(turn(tool, "red"))
    together = threading.Barrier(2)
    original = ImageRef.read_bytes

    def slow(self: ImageRef) -> bytes:
        together.wait(60)
        return original(self)

    async def ahandler(sent: Any) -> Any:
        return sent.messages

    monkeypatch.setattr(ImageRef, "read_bytes", slow)
    task = asyncio.create_task(ImageMiddleware(tool).awrap_model_call(asked, ahandler))
    while not together.n_waiting and not task.done():
        await asyncio.sleep(0.01)
    together.wait(60)
    assert len(await task) == len(asked.messages) + 1  # type: ignore[arg-type]


def test_bad_construction(tool: UniSemRetrievalTool, card_space: SemanticSpace) -> None:
    retriever = UniSemRetriever(space=card_space)
    inline = UniSemInlineRetrievalTool(retriever=retriever)
    cases: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
        ((), {}, ValueError, "name the tools"),
        ((retriever,), {}, TypeError, "pass UniSemRetrievalTool, not UniSemRetriever"),
        ((inline,), {}, TypeError, "shows its pictures itself"),
        ((tool, tool), {}, ValueError, "two tools have the name 'unisem_search'"),
        ((tool,), {"turns": 0}, ValueError, "turns must be a whole number of at least 1"),
        ((tool,), {"turns": True}, ValueError, "not True"),
        ((tool,), {"turns": 1.5}, ValueError, "not 1.5"),
    ]
    for tools, options, error, message in cases:
        with pytest.raises(error, match=message):
            ImageMiddleware(*tools, **options)


def test_without_langchain_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['langchain'] = None\n"
        "from langchain_unisem import *\n"
        "try: import langchain_unisem.middleware\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install langchain" in run.stdout
