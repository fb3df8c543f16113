"""A space that a service keeps, served to an assistant here: the same answers, to the bit."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from tests.clients.live import serving
from tests.service.mcp.served import over_streams
from tests.support.pictures import encoded, solid
from unisem import SemanticSpace
from unisem.service.http.app import create_app

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("search", {"text": "a red card", "k": 3}),
    ("search", {"image": base64.b64encode(encoded(solid("blue"))).decode(), "k": 2}),
    ("search", {"like": "cards/red.png", "modality": "image"}),
    ("search", {"text": "paper", "mode": "keyword"}),
    ("show", {"id": "cards/red.png"}),
    ("neighbors", {"id": "cards/about.txt"}),
    ("show", {"id": "nothing"}),
]


async def test_a_service_is_asked_as_if_its_space_were_here(
    card_space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--writable", "--filter", "file_name != green.png")
    with serving(create_app({"toy": card_space})) as url:
        server = over_streams(Path("toy"), "--service", url, *options)
        async with Client(server) as far:
            answers = [await far.call_tool(*call) for call in CALLS]
            picture = await far.read_resource("unisem://toy/records/cards%2Fred.png/image")
            listed = (await far.list_resources()).resources
            added = await far.call_tool("add", {"text": "a new idea"})
    from unisem.cli.filtering import parse_filters
    from unisem.service.mcp import McpService, McpSettings

    near = McpService(card_space, McpSettings(writable=True), bound=parse_filters([options[2]]))
    async with Client(near.server) as client:
        for call, answer in zip(CALLS, answers, strict=True):
            assert answer.content == (await client.call_tool(*call)).content, call
            expected = (await client.call_tool(*call)).structured_content
            assert answer.structured_content == expected, call
    near.close()
    assert base64.b64decode(picture.contents[0].blob) == (tmp_path / "cards/red.png").read_bytes()
    assert len(listed) == 6
    assert card_space.get([added.structured_content["id"]])[0] is not None
    assert str(tmp_path) not in str(answers)
