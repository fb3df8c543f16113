"""A filter that a server is bound to: no call sees, adds or widens beyond it."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.service.mcp.conftest import Connect
from tests.support.pictures import solid
from unisem import Record, SemanticSpace
from unisem.filters import Field

MINE = Field("owner") == "ada"
WIDER: list[dict[str, Any]] = [
    {"field": "owner", "operator": "eq", "value": "bob"},
    {"or": [{"field": "owner", "operator": "eq", "value": "bob"}, {"and": []}]},
    {"not": {"field": "owner", "operator": "eq", "value": "ada"}},
    {"not": {"not": {"and": []}}},
    {"field": "owner", "operator": "exists"},
]


@pytest.fixture
def shared(space: SemanticSpace) -> SemanticSpace:
    """A space of two owners, whose records are each other's neighbours."""
    space.add(
        [
            Record(
                id=f"{owner}-{n}",
                text=f"card {n} of {owner}",
                image=solid("red") if n % 2 else None,
                metadata={"owner": owner, "n": n},
                links={"next": f"{other}-{n}", "previous": f"{owner}-{n - 1}"},
            )
            for owner, other in (("ada", "bob"), ("bob", "ada"))
            for n in range(4)
        ]
    )
    return space


def found(result: Any) -> set[str]:
    assert not result.is_error, result.content
    content = result.structured_content
    return {it["id"] for it in content.get("results", content.get("records"))}


async def test_no_search_finds_what_is_somebody_elses(
    connect: Connect, shared: SemanticSpace
) -> None:
    searches: list[dict[str, Any]] = [
        {"text": "card of bob", "k": 20},
        {"text": "bob", "mode": "keyword", "k": 20},
        {"text": "bob", "mode": "hybrid", "k": 20},
        {"text": "card", "neighbors": 5, "k": 20},
        {"like": "ada-1", "k": 20},
        *({"text": "card", "filter": wider, "k": 20} for wider in WIDER),
    ]
    async with connect(MINE, shared) as client:
        answers = [await client.call_tool("search", search) for search in searches]
        hidden = await client.call_tool("search", {"like": "bob-1"})
        narrowed = await client.call_tool(
            "search", {"text": "card", "filter": {"field": "n", "operator": "ge", "value": 2}}
        )
    for answer in answers:
        assert all(name.startswith("ada-") for name in found(answer))
        assert "bob-" not in answer.model_dump_json()
    assert hidden.is_error
    assert found(narrowed) == {"ada-2", "ada-3"}


async def test_nothing_tells_what_is_hidden_from_what_is_not_there(
    connect: Connect, shared: SemanticSpace
) -> None:
    async with connect(MINE, shared) as client:
        for tool in ("show", "neighbors"):
            hidden = await client.call_tool(tool, {"id": "bob-1"})
            missing = await client.call_tool(tool, {"id": "eve-1"})
            assert hidden.is_error
            assert hidden.content[0].text.replace("bob", "eve") == missing.content[0].text
        for aspect in ("", "/image"):
            said = []
            for name in ("bob-1", "eve-1"):
                with pytest.raises(MCPError) as error:
                    await client.read_resource(f"unisem://toy/records/{name}{aspect}")
                said.append(str(error.value))
            assert said[0] == said[1]
        around = await client.call_tool("neighbors", {"id": "ada-2", "count": 5})
        listed = [it.uri for it in (await client.list_resources()).resources]
    assert found(around) == {"ada-0", "ada-1", "ada-2"}
    assert len(listed) == 4
    assert "bob" not in str(listed)


async def test_what_is_added_is_within_the_bound(connect: Connect, shared: SemanticSpace) -> None:
    bound = MINE & (Field("year") >= 2020)
    async with connect(bound, shared, writable=True) as client:
        filled = await client.call_tool("add", {"text": "new", "metadata": {"year": 2024}})
        refused = [
            await client.call_tool("add", {"text": "new", "metadata": metadata})
            for metadata in ({}, {"year": 1999}, {"year": 2024, "owner": "bob"})
        ]
        seen = await client.call_tool("search", {"text": "new", "k": 1})
    assert not filled.is_error
    added = filled.structured_content["id"]
    (record,) = shared.get([added])
    assert record is not None
    assert dict(record.metadata) == {"owner": "ada", "year": 2024}
    assert found(seen) == {added}
    assert all(it.is_error for it in refused)
    assert len(shared) == 9
