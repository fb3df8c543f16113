"""Over HTTP with tokens: who is not known gets nothing, and a token's filter is added to all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from typer.testing import CliRunner

from tests.service.mcp.served import over_http
from unisem import Record, SemanticSpace
from unisem.cli.app import application

TOKENS = {name: f"{name}-{'0' * 20}" for name in ("reader", "writer", "bob", "elsewhere")}
FILE = """
[[tokens]]
token = "{reader}"

[[tokens]]
token = "{writer}"
scope = "write"
spaces = ["notes"]

[[tokens]]
token = "{bob}"
scope = "write"
filter = {{ field = "owner", operator = "eq", value = "bob" }}

[[tokens]]
token = "{elsewhere}"
spaces = ["others"]
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the notes of two people, for those who have a token."""
    folder = tmp_path_factory.mktemp("tokens")
    with SemanticSpace.open(folder / "notes.unisem") as space:
        space.add(
            Record(
                id=f"{owner}-{n}", text=f"note {n} of {owner}", metadata={"owner": owner, "n": n}
            )
            for owner in ("ada", "bob")
            for n in range(3)
        )
    tokens = folder / "tokens.toml"
    tokens.write_text(FILE.format(**TOKENS))
    tokens.chmod(0o600)
    options = ["--writable", "--token-file", str(tokens), "--filter", "n <= 1"]
    with over_http(folder / "notes.unisem", *options) as address:
        yield address


@asynccontextmanager
async def asking(url: str, name: str, mode: Any = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {TOKENS[name]}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def found(result: Any) -> set[str]:
    """Ids of the notes that were there at the beginning."""
    assert not result.is_error, result.content
    return {it["id"] for it in result.structured_content["results"] if "-" in it["id"]}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_token_sees_what_its_filter_and_the_servers_let_through(
    url: str, mode: Any
) -> None:
    asked = {"text": "note", "k": 20}
    async with asking(url, "reader", mode) as client:
        assert found(await client.call_tool("search", asked)) == {
            "ada-0",
            "ada-1",
            "bob-0",
            "bob-1",
        }
        assert [tool.name for tool in (await client.list_tools()).tools][-1] == "neighbors"
    async with asking(url, "bob", mode) as client:
        assert found(await client.call_tool("search", asked)) == {"bob-0", "bob-1"}
        wide = {**asked, "filter": {"field": "owner", "operator": "exists"}}
        assert found(await client.call_tool("search", wide)) == {"bob-0", "bob-1"}
        assert (await client.call_tool("show", {"id": "ada-0"})).is_error
        assert "ada" not in (await client.list_resources()).model_dump_json()
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("unisem://notes/records/ada-0")


async def test_who_may_write_adds_within_the_filter(url: str) -> None:
    new = {"text": "a new idea", "metadata": {"n": 1}}
    async with asking(url, "reader") as client:
        with pytest.raises(MCPError, match="no such tool"):
            await client.call_tool("add", new)
    async with asking(url, "bob") as client:
        added = await client.call_tool("add", new)
        assert (await client.call_tool("add", {"text": "a", "metadata": {"n": 2}})).is_error
        forged = {"text": "a", "metadata": {"n": 1, "owner": "ada"}}
        assert (await client.call_tool("add", forged)).is_error
    async with asking(url, "writer") as client:
        record = await client.call_tool("show", {"id": added.structured_content["id"]})
    assert record.structured_content["records"][0]["metadata"] == {"n": 1, "owner": "bob"}


@pytest.mark.parametrize("protocol", ["2026-07-28", "2025-11-25", None])
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer", 401),
        ("Bearer nobody-00000000000000000000", 401),
        (f"Basic {TOKENS['reader']}", 401),
        (f"Bearer {TOKENS['elsewhere']}", 404),
    ],
)
def test_who_is_not_known_gets_nothing(
    url: str, authorization: str | None, status: int, protocol: str | None
) -> None:
    headers = {"Accept": "application/json, text/event-stream"}
    if authorization is not None:
        headers["Authorization"] = authorization
    if protocol is not None:
        headers["MCP-Protocol-Version"] = protocol
    for method in ("tools/list", "initialize", "server/discover", "ping"):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        answer = httpx2.post(url, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert "note" not in answer.text
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_tokens_are_for_requests_and_other_machines_need_them(tmp_path: Path) -> None:
    place, tokens = tmp_path / "s.unisem", tmp_path / "tokens.toml"
    SemanticSpace.open(place).close()

    def said(*arguments: object) -> str:
        result = CliRunner().invoke(
            application("mcp"), ["mcp", str(place), *(str(it) for it in arguments)]
        )
        assert result.exit_code
        return " ".join(result.output.replace("│", " ").split())

    assert "only requests over HTTP have tokens" in said("--token-file", tokens)
    assert "say who may ask" in said("--http", "--host", "0.0.0.0", "--port", "0")
    assert "cannot be read" in said("--http", "--port", "0", "--token-file", tokens)
