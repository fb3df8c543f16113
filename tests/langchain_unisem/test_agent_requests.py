"""What comes to an agent's tool with each request: the user's picture, and who asks."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.tools import ToolException
from langchain_openai import ChatOpenAI

from langchain_unisem import UniSemInlineRetrievalTool, UniSemRetrievalTool, UniSemRetriever
from langchain_unisem.middleware import ImageMiddleware
from langchain_unisem.tools.user_images import sent_image
from tests.support.chat_rules import broken_rule
from tests.support.chat_server import chat_server
from tests.support.pictures import encoded, solid
from unisem import Record, SemanticSpace
from unisem.filters import And, Field
from unisem.presentation import quoted

NAME = "unisem_search"


def block(colour: str) -> dict[str, Any]:
    data = base64.b64encode(encoded(solid(colour))).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def run(
    tool: UniSemRetrievalTool, calls: list[dict[str, Any]], messages: list[Any], **options: Any
) -> tuple[list[AnyMessage], list[str]]:
    """Let an agent's model make these calls; returns the state and the pictures it was shown."""
    replies: list[Any] = [[(NAME, arguments) for arguments in calls], "Done."]
    shows = [] if isinstance(tool, UniSemInlineRetrievalTool) else [ImageMiddleware(tool)]
    rule = None if isinstance(tool, UniSemInlineRetrievalTool) else broken_rule
    with chat_server(replies, rule=rule) as server:
        model = ChatOpenAI(model="m", base_url=server.url, api_key="none", max_retries=0)  # type: ignore[arg-type]
        agent: Any = create_agent(model, tools=[tool], middleware=shows)
        state = agent.invoke({"messages": messages}, **options)["messages"]
        offered = server.requests[0]["tools"][0]["function"]["parameters"]["properties"]
        assert "runtime" not in offered
        sizes = [str(image.getpixel((2, 2))) for image in server.images(-1)]
    return state, sizes


def found(state: list[AnyMessage]) -> list[str]:
    return [i["id"] for m in state if isinstance(m, ToolMessage) for i in m.artifact or []]


class TestUsersPicture:
    def test_it_is_searched_with(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space, k=1))
        asked = HumanMessage([{"type": "text", "text": "Have I this card?"}, block("blue")])
        state, _ = run(tool, [{"query": "", "like": "@user"}], [asked])
        assert found(state) == ["cards/blue.png"]
        assert "base64" not in str(state[1:])

    def test_which_of_several(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space, k=1))
        asked = [
            HumanMessage([block("red"), block("green")]),
            AIMessage("Well."),
            HumanMessage([block("blue")]),
            AIMessage("Well."),
            HumanMessage("Which of mine is it?"),
        ]
        calls = [{"query": "", "like": like} for like in ("@user", "@user:2", "@user:3")]
        state, _ = run(tool, calls, asked)
        assert found(state) == ["cards/blue.png", "cards/green.png", "cards/red.png"]
        state, _ = run(tool, [{"query": "", "like": "@user:4"}], asked)
        (answer,) = [m for m in state if isinstance(m, ToolMessage)]
        assert (answer.status, answer.artifact) == ("error", None)
        assert "has sent 3 pictures" in answer.text

    def test_with_words_and_within_the_filter(self, card_space: SemanticSpace) -> None:
        retriever = UniSemRetriever(
            space=card_space, k=9, filter={"file_name": {"$ne": "blue.png"}}
        )
        tool = UniSemRetrievalTool(retriever=retriever)
        state, _ = run(
            tool, [{"query": "a red card", "like": "@user"}], [HumanMessage([block("blue")])]
        )
        assert "cards/blue.png" not in found(state) != []

    async def test_outside_of_an_agent_there_is_none(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
        call = ToolCall(type="tool_call", id="1", name=NAME, args={"query": "", "like": "@user"})
        for message in (tool.invoke(call), await tool.ainvoke(call)):
            assert message.status == "error"
            assert "has sent no pictures" in message.content

    def test_pictures_are_not_fetched(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
        url = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}
        runtime = SimpleNamespace(state={"messages": [HumanMessage([url])]}, context=None)
        args = {"query": "", "like": "@user", "runtime": runtime}
        answer = tool.invoke(ToolCall(type="tool_call", id="1", name=NAME, args=args))
        assert answer.status == "error"
        assert "is a URL" in answer.text

    @pytest.mark.parametrize(
        "state", [None, {}, {"messages": None}, [], object(), {"messages": [3]}]
    )
    def test_any_state(self, state: Any) -> None:
        with pytest.raises(ToolException, match="no pictures"):
            sent_image(state, 1)


@pytest.fixture
def shared(space: SemanticSpace) -> SemanticSpace:
    """Two users' pictures."""
    space.add(
        Record(
            id=f"{owner}/{colour}",
            text=f"a {colour} card",
            image=encoded(solid(colour)),
            metadata={"owner": owner, "year": year},
        )
        for owner in ("ada", "bob")
        for year, colour in enumerate(("red", "blue"), 2020)
    )
    return space


class TestRequestFilter:
    FILTERS = (
        lambda context: {"owner": context["user"]},
        lambda context: Field("owner") == context["user"],
        lambda context: lambda document: document.metadata["owner"] == context["user"],
    )

    @pytest.mark.parametrize("kind", [UniSemRetrievalTool, UniSemInlineRetrievalTool])
    @pytest.mark.parametrize("request_filter", FILTERS)
    def test_holds_whatever_the_model_asks(
        self, shared: SemanticSpace, kind: type[UniSemRetrievalTool], request_filter: Any
    ) -> None:
        tool = kind(
            retriever=UniSemRetriever(space=shared, k=9, filter={"year": {"$gte": 2020}}),
            fields={"owner": "whose it is", "year": "a number"},
            request_filter=request_filter,
        )
        calls: list[dict[str, Any]] = [
            {"query": "red"},
            {"query": "red", "filter": {"owner": "bob"}},
            {"query": "red", "filter": {"$or": [{"owner": "bob"}, {"year": 2020}]}},
            {"query": "", "like": "bob/red"},
            {"query": "", "like": "ada/red"},
        ]
        state, shown = run(tool, calls, [HumanMessage("?")], context={"user": "ada"})
        assert set(found(state)) == {"ada/red", "ada/blue"}
        answers = [m for m in state if isinstance(m, ToolMessage)]
        assert [len(m.artifact or []) for m in answers] == [2, 0, 1, 0, 1]
        assert len(shown) >= 2
        state, _ = run(tool, calls[:1], [HumanMessage("?")], context={"user": "bob"})
        assert set(found(state)) == {"bob/red", "bob/blue"}

    def test_pictures_of_a_forged_state_are_not_shown(self, shared: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=shared), request_filter=self.FILTERS[0]
        )
        open_tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=shared, k=9, duplicates="keep")
        )
        call = ToolCall(type="tool_call", id="1", name=NAME, args={"query": "red"})
        messages = [HumanMessage("?"), AIMessage("", tool_calls=[call]), open_tool.invoke(call)]
        shows = ImageMiddleware(tool)
        text = str(shows.with_images(messages, {"user": "ada"})[-1].content)
        assert f"{quoted('bob/red')}: this picture has been deleted." in text
        assert f"{quoted('ada/red')}: this" not in text
        with pytest.raises(ValueError, match="there is no context"):
            shows.with_images(messages)

    def test_without_a_context_nothing_is_searched(self, shared: SemanticSpace) -> None:
        retriever = UniSemRetriever(space=shared)
        tool = UniSemRetrievalTool(retriever=retriever, request_filter=self.FILTERS[0])
        with pytest.raises(ValueError, match="there is no context"):
            tool.invoke({"query": "red"})
        for nothing in (None, {}, Field("a").exists() & ~Field("a").exists()):
            empty = UniSemRetrievalTool(
                retriever=retriever, request_filter=lambda context, it=nothing: it
            )
            if nothing is None or nothing == {}:
                with pytest.raises(ValueError, match="gave no condition"):
                    empty.retriever_for({"user": "ada"})
            else:
                assert empty.retriever_for({"user": "ada"}).invoke("red") == []

    def test_somebody_who_may_find_everything(self, shared: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=shared, k=99, duplicates="keep"),
            request_filter=lambda context: And(()),
        )
        assert len(tool.retriever_for({"user": "root"}).invoke("red")) == len(shared)

    @pytest.mark.parametrize(
        "condition",
        [
            And((And(()),)),
            {"$not": {"$not": {}}},
            {"$or": [{"user": "ada"}, {}]},
            {"user": {"$nin": []}},
            {"user": {}},
            "ada",
            7,
        ],
    )
    def test_what_allows_everything_or_is_none_is_its_authors_error(
        self, shared: SemanticSpace, condition: Any
    ) -> None:
        tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=shared), request_filter=lambda context: condition
        )
        with pytest.raises(ValueError, match="filter"):
            tool._run("red", runtime=SimpleNamespace(context={"user": "ada"}, state={}))


class TestInTheQuestion:
    """For interfaces that take no user's message right after a tool's."""

    def conversation(self, tool: UniSemRetrievalTool, *questions: Any) -> list[AnyMessage]:
        messages: list[AnyMessage] = []
        for n, question in enumerate(questions):
            args = {"query": ("red", "blue")[n % 2], "k": 1}
            call = ToolCall(type="tool_call", id=f"{n}", name=tool.name, args=args)
            messages += [HumanMessage(question), AIMessage("", tool_calls=[call])]
            messages += [tool.invoke(call), AIMessage("So.")]
        return messages[:-1]

    @pytest.mark.parametrize(
        "question", ["which?", [{"type": "text", "text": "which?"}, block("red")]]
    )
    def test_roles_alternate(self, card_space: SemanticSpace, question: Any) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
        asked = self.conversation(tool, question, question)
        whole = ImageMiddleware(tool, place="in_question").with_images(asked)
        assert [m.type for m in whole] == [m.type for m in asked]
        assert whole[1:4] == asked[1:4]
        for place, name in ((0, "red"), (4, "blue")):
            content: Any = whole[place].content
            before = [{"type": "text", "text": question}] if isinstance(question, str) else question
            assert content[: len(before)] == before
            assert "results below" in content[len(before)]["text"]
            assert content[len(before) + 1]["text"] == f'"cards/{name}.png":'
            assert content[len(before) + 2]["type"] == "image"
            assert len(content) == len(before) + 3
        assert asked == self.conversation(tool, question, question)

    def test_old_turns_and_no_question(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
        shows = ImageMiddleware(tool, place="in_question", turns=1)
        old, *_, new, _, _ = shows.with_images(self.conversation(tool, "a", "b"))
        assert "not shown any more" in str(old.content)
        assert "'type': 'image'" not in str(old.content)
        assert "'type': 'image'" in str(new.content)
        system = SystemMessage("Help.")
        bare = [system, *self.conversation(tool, "a")[1:]]
        whole = ImageMiddleware(tool, place="in_question").with_images(bare)
        assert [m.type for m in whole] == ["system", "human", "ai", "tool"]

    def test_bad_place(self, card_space: SemanticSpace) -> None:
        tool = UniSemRetrievalTool(retriever=UniSemRetriever(space=card_space))
        with pytest.raises(ValueError, match='place must be "after_results"'):
            ImageMiddleware(tool, place="before")  # type: ignore[arg-type]
