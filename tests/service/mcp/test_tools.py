"""What each tool does and answers, held against the space itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.service.mcp.conftest import Connect
from tests.support.pictures import encoded, solid
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.stores.hits import Hit

pytestmark = pytest.mark.usefixtures("card_space")

RED = encoded(solid("red"))


def ids(result: Any, key: str = "results") -> list[str]:
    assert not result.is_error, result.content
    return [it["id"] for it in result.structured_content[key]]


def told(result: Any) -> str:
    assert result.is_error
    (block,) = result.content
    return block.text


def found(hits: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.record.id, hit.score) for hit in hits]


async def test_tools_say_what_they_do_and_whether_they_write(connect: Connect) -> None:
    async with connect() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["search", "show", "neighbors"]
    for tool in tools.values():
        assert tool.annotations.read_only_hint
        assert not tool.annotations.open_world_hint
        assert tool.title
        assert tool.input_schema["additionalProperties"] is False
        assert all("description" in it for it in tool.input_schema["properties"].values())
        assert tool.output_schema["type"] == "object"
    about = "Playing cards. Search it when the user asks for one."
    async with connect(writable=True, about=about) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert about in client.instructions
    assert tools["search"].description.endswith(about)
    assert not tools["add"].annotations.read_only_hint
    assert not tools["add"].annotations.destructive_hint


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"text": "a red card"}, {"text": "a red card"}),
        ({"text": "a red card", "k": 2}, {"text": "a red card", "k": 2}),
        ({"text": "red", "modality": "image"}, {"text": "red", "modality": "image"}),
        ({"text": "paper", "mode": "keyword"}, {"text": "paper", "mode": "keyword"}),
        ({"text": "red", "mode": "hybrid"}, {"text": "red", "mode": "hybrid"}),
        ({"text": "red", "min_score": 0.5}, {"text": "red", "min_score": 0.5}),
        ({"image": base64.b64encode(RED).decode()}, {"image": RED}),
        (
            {"image": f"data:image/png;base64,{base64.b64encode(RED).decode()}", "text": "blue"},
            {"image": RED, "text": "blue"},
        ),
        (
            {"text": "red", "filter": {"field": "file_name", "operator": "text", "value": "e.png"}},
            {"text": "red", "filter": Field("file_name").matches_text("e.png")},
        ),
        (
            {"text": "red", "k": None, "modality": "", "filter": None, "image": "", "like": ""},
            {"text": "red"},
        ),
    ],
)
async def test_a_search_finds_what_the_space_finds(
    connect: Connect, card_space: SemanticSpace, asked: dict[str, Any], meant: dict[str, Any]
) -> None:
    async with connect() as client:
        result = await client.call_tool("search", asked)
    assert ids(result) == [name for name, _ in found(card_space.search(**meant))]
    scores = [it["score"] for it in result.structured_content["results"]]
    assert scores == [score for _, score in found(card_space.search(**meant))]


async def test_a_search_for_what_is_like_a_result_leaves_that_out(
    connect: Connect, card_space: SemanticSpace
) -> None:
    red = card_space.get(["cards/red.png"])[0]
    assert red is not None
    async with connect() as client:
        like = await client.call_tool("search", {"like": red.id, "k": 2})
        bent = await client.call_tool("search", {"like": red.id, "text": "blue", "k": 2})
        text = await client.call_tool("search", {"like": "cards/about.txt", "k": 1})
    hits = found(card_space.search(image=red.image, k=3))
    assert ids(like) == [name for name, _ in hits if name != red.id][:2]
    hits = found(card_space.search(text="blue", image=red.image, k=3))
    assert ids(bent) == [name for name, _ in hits if name != red.id][:2]
    about = card_space.get(["cards/about.txt"])[0]
    assert about is not None
    assert ids(text) == [card_space.search(text=about.text, k=2)[1].record.id]


async def test_nothing_found_is_no_error(connect: Connect, tmp_path: Path) -> None:
    with SemanticSpace.open(None) as empty:
        async with connect(space=empty) as client:
            result = await client.call_tool("search", {"text": "red"})
    assert not result.is_error
    assert [block.text for block in result.content] == ["The search found nothing."]
    assert result.structured_content["results"] == []


async def test_neighbors_are_shown_in_the_order_of_their_document(
    connect: Connect, space: SemanticSpace
) -> None:
    names = ["a", "b", "c", "d"]
    links = [
        {"previous": before, "next": after}
        for before, after in zip(["", *names], [*names[1:], ""], strict=False)
    ]
    space.add(
        Record(id=name, text=f"part {name}", links={k: v for k, v in link.items() if v})
        for name, link in zip(names, links, strict=True)
    )
    async with connect(space=space) as client:
        around = await client.call_tool("neighbors", {"id": "b"})
        wide = await client.call_tool("neighbors", {"id": "b", "count": 5})
        beside = await client.call_tool("search", {"text": "part c", "k": 1, "neighbors": 1})
    assert ids(around, "records") == ["a", "b", "c"]
    assert ids(wide, "records") == names
    assert around.content[0].text.startswith("Passages and pictures in the order of")
    assert set(ids(beside)) == {"b", "c", "d"}


async def test_what_is_added_is_found_at_once(connect: Connect, card_space: SemanticSpace) -> None:
    before = len(card_space)
    picture = base64.b64encode(encoded(solid((10, 200, 200)))).decode()
    given = {"text": "a turquoise card", "image": picture, "metadata": {"year": 2024}}
    async with connect(writable=True) as client:
        added = await client.call_tool("add", given)
        record_id = added.structured_content["id"]
        result = await client.call_tool("search", {"text": "a turquoise card", "k": 1})
        words = await client.call_tool("add", {"text": "a text"})
    assert ids(result) == [record_id]
    record = card_space.get([record_id])[0]
    assert record is not None
    assert (record.text, dict(record.metadata)) == ("a turquoise card", {"year": 2024})
    assert record.image is not None
    assert record.image.read_verified() == base64.b64decode(picture)
    assert not words.is_error
    assert len(card_space) == before + 2


@pytest.mark.parametrize(
    ("tool", "arguments", "remedy"),
    [
        ("search", {}, 'Say what to look for in "text"'),
        ("search", {"text": "  "}, 'Say what to look for in "text"'),
        ("search", {"text": "red", "k": 21}, "k: must be at most 20"),
        ("search", {"text": "red", "k": 0}, "k: must be at least 1"),
        ("search", {"text": "red", "top": 1}, "top: is not known here; leave it out"),
        ("search", {"text": "red", "neighbors": 6}, "neighbors: must be at most 5"),
        ("search", {"text": "red", "modality": "video"}, "modality: must be 'text' or"),
        ("search", {"text": "r" * 20_001}, "text: must have at most 20,000 characters"),
        ("search", {"text": "red", "filter": {"year": 3}}, 'a filter is {"field"'),
        ("search", {"text": "red", "filter": {"field": "a", "operator": "in", "value": 3}}, "list"),
        ("search", {"image": "aGVsbG8="}, "none of JPEG"),
        ("search", {"image": base64.b64encode(RED).decode(), "mode": "keyword"}, "needs text"),
        ("search", {"text": "red", "mode": "keyword", "min_score": 0.1}, "min_score is a cosine"),
        ("search", {"image": "https://example.org/a.png"}, "no URL is fetched"),
        ("search", {"image": "/etc/passwd"}, "no path is opened"),
        ("search", {"image": "data:text/html,hello"}, "is no data URI"),
        ("search", {"like": "nothing"}, 'There is nothing with the id "nothing" here'),
        ("search", {"like": "cards/about.txt", "text": "red"}, "has no picture that a text could"),
        ("show", {"id": "nothing"}, "Give the id of a result"),
        ("show", {}, "id: is missing; give it"),
        ("neighbors", {"id": "nothing"}, "Give the id of a result"),
        ("add", {}, 'give "text", "image" or both'),
        ("add", {"image": "aGVsbG8="}, "none of JPEG"),
        ("add", {"text": "a", "metadata": {"a\0": 1}}, "NUL"),
    ],
)
async def test_what_a_model_gets_wrong_is_told_to_it_with_the_remedy(
    connect: Connect, card_space: SemanticSpace, tool: str, arguments: dict[str, Any], remedy: str
) -> None:
    before = len(card_space)
    async with connect(writable=True) as client:
        assert remedy in told(await client.call_tool(tool, arguments))
    assert len(card_space) == before


async def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(connect: Connect) -> None:
    async with connect() as client:
        for name in ("delete", "add"):  # nobody may write here
            with pytest.raises(MCPError, match="There is no such tool"):
                await client.call_tool(name, {"text": "a"})


async def test_a_picture_larger_than_the_limit_is_refused(connect: Connect) -> None:
    picture = base64.b64encode(RED).decode()
    async with connect(sent_bytes=len(RED) - 1) as client:
        assert "scale it down" in told(await client.call_tool("search", {"image": picture}))
    async with connect(sent_bytes=len(RED)) as client:
        assert ids(await client.call_tool("search", {"image": picture}))


async def test_no_error_says_where_files_are(
    connect: Connect, card_space: SemanticSpace, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cards / "red.png").unlink()
    async with connect() as client:
        gone = told(await client.call_tool("search", {"like": "cards/red.png"}))
        assert gone == "The picture does not exist."

        def broken(*_: object) -> None:
            raise RuntimeError(f"the disk at {cards} is broken")

        monkeypatch.setattr(card_space.store, "search", broken)
        monkeypatch.setattr(card_space.store, "select", broken)
        for tool, arguments in (("search", {"text": "red"}), ("show", {"id": "a"})):
            assert str(cards) not in told(await client.call_tool(tool, arguments))
