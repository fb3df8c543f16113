"""`unisem mcp` as a process: the official client over the standard streams and over HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from typer.testing import CliRunner

from tests.service.mcp.served import over_http, over_streams
from tests.support.pictures import colour_folder
from unisem import SemanticSpace
from unisem.cli.app import application

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def cards_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A space of cards with the encoder that is shipped."""
    folder = tmp_path_factory.mktemp("served")
    with SemanticSpace.open(folder / "cards.unisem") as space:
        space.add_folder(colour_folder(folder / "cards"), recognizer=None)
    return folder / "cards.unisem"


@pytest.fixture(scope="module")
def url(cards_space: Path) -> Iterator[str]:
    with over_http(cards_space) as address:
        yield address


@pytest.fixture(params=["streams", "http"])
def reached(request: pytest.FixtureRequest, cards_space: Path) -> Any:
    if request.param == "streams":
        return over_streams(cards_space)
    return request.getfixturevalue("url")


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
async def test_a_client_lists_calls_reads_and_errs(
    reached: Any, cards_space: Path, mode: Any
) -> None:
    async with Client(reached, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("search", {"text": "a red card", "k": 1})
        uri = result.structured_content["results"][0]["image"]["uri"]
        (picture,) = (await client.read_resource(uri)).contents
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        wrong = await client.call_tool("search", {"text": "red", "k": 1000})
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("file:///etc/passwd")
        many = await asyncio.gather(
            *(client.call_tool("search", {"text": f"card {n}"}) for n in range(20))
        )
    assert tools == ["search", "show", "neighbors"]
    assert result.structured_content["results"][0]["id"] == "cards/red.png"
    assert base64.b64decode(picture.blob) == (cards_space.parent / "cards/red.png").read_bytes()
    assert len(listed) == 7
    assert len(templates) == 2
    assert wrong.is_error
    assert not any(answer.is_error for answer in many)
    with SemanticSpace.open(cards_space) as space:
        (hit,) = space.search(text="a red card", k=1)
    assert result.structured_content["results"][0]["score"] == hit.score


async def test_calls_that_are_given_up_leave_the_server_well(reached: Any) -> None:
    async with Client(reached) as client:
        calls = [
            asyncio.create_task(client.call_tool("search", {"text": f"card {n}"}))
            for n in range(10)
        ]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        after = await client.call_tool("search", {"text": "a red card", "k": 1})
    assert all(isinstance(end, asyncio.CancelledError) for end in ends[::2])
    assert not any(end.is_error for end in ends[1::2])
    assert not after.is_error


async def test_options_reach_the_server(cards_space: Path) -> None:
    options = ["--no-images", "--no-links", "--max-k", "3", "--filter", "file_name = blue.png"]
    server = over_streams(cards_space, *options, "--about", "Cards of one colour.")
    async with Client(server) as client:
        assert "Cards of one colour." in client.instructions
        result = await client.call_tool("search", {"text": "a red card", "k": 3})
        refused = await client.call_tool("search", {"text": "a red card", "k": 4})
    assert [it["id"] for it in result.structured_content["results"]] == ["cards/blue.png"]
    assert {block.type for block in result.content} == {"text"}
    assert refused.is_error


async def test_what_is_added_over_streams_is_seen_over_http(tmp_path: Path) -> None:
    place = tmp_path / "notes.unisem"
    SemanticSpace.open(place).close()
    with over_http(place) as address:
        async with Client(over_streams(place, "--writable")) as writer, Client(address) as reader:
            added = await writer.call_tool("add", {"text": "The key is under the mat."})
            found = await reader.call_tool("search", {"text": "where is the key?"})
            with pytest.raises(MCPError, match="no such tool"):
                await reader.call_tool("add", {"text": "no"})
    assert found.structured_content["results"][0]["id"] == added.structured_content["id"]


def test_lines_that_are_no_messages_cost_nothing_and_the_end_is_the_end(cards_space: Path) -> None:
    client = {"name": "t", "version": "1"}
    info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    command = [sys.executable, "-m", "unisem", "mcp", str(cards_space)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:

        def said(line: str) -> None:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

        def asked(number: int, method: str, **params: Any) -> dict[str, Any]:
            assert process.stdout is not None
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            said(json.dumps(message))
            while (answer := json.loads(process.stdout.readline())).get("id") != number:
                assert "error" in answer
            return answer

        said("no json")
        said("[1, 2]")
        assert "unisem" in str(asked(1, "initialize", **info)["result"]["serverInfo"])
        said(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        assert "error" in asked(2, "tools/destroy")
        assert asked(3, "ping")["result"] == {}
        rest, problems = process.communicate(timeout=120)
    assert process.returncode == 0, problems
    assert rest == ""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),  # a name that was made to point here
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Accept": "text/html"}, 406),
    ],
)
def test_pages_of_other_sites_reach_nothing(url: str, headers: dict[str, str], status: int) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = httpx.post(url, json=body, headers=HEADERS | headers)
    assert answer.status_code == status, answer.text


def test_a_body_over_the_limit_is_refused_and_paths_are_nothing(url: str) -> None:
    assert httpx.post(url, content=b"x" * (33 << 20), headers=HEADERS).status_code == 413
    for path in ("", "/", "/mcp/../etc/passwd", "/records"):
        assert httpx.get(url.removesuffix("/mcp") + path).status_code == 404
    answer = httpx.post(url, content=b"{", headers=HEADERS)
    assert answer.status_code == 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_command_refuses_what_it_cannot_serve(tmp_path: Path, cards_space: Path) -> None:
    def said(*arguments: object) -> str:
        result = CliRunner().invoke(application("mcp"), [str(it) for it in ("mcp", *arguments)])
        assert result.exit_code
        return " ".join(result.output.split())

    assert "no space at" in said(tmp_path / "none.unisem")
    assert "is no condition" in said(cards_space, "--filter", "owner")
