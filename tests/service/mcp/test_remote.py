"""A space that a service keeps, served to an assistant here: the same answers, to the bit."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from mcp.client import Client

from tests.clients.live import serving
from tests.service.mcp.served import over_streams
from tests.support.pictures import encoded, solid
from unisem import SemanticSpace
from unisem.cli.filtering import parse_filters
from unisem.service.http.app import create_app
from unisem.service.mcp import McpService, McpSettings

BOUND = "file_name != green.png"
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
    card_space: SemanticSpace, tmp_path: Path
) -> None:
    bound = parse_filters([BOUND])
    near = McpService(card_space, McpSettings(writable=True), bound=bound)
    with serving(create_app({"toy": card_space})) as url:
        server = over_streams(Path("toy"), "--service", url, "--writable", "--filter", BOUND)
        async with Client(server) as far, Client(near.server) as client:
            answers = [await far.call_tool(*call) for call in CALLS]
            expected = [await client.call_tool(*call) for call in CALLS]
            picture = await far.read_resource("unisem://toy/records/cards%2Fred.png/image")
            listed = (await far.list_resources()).resources
            added = await far.call_tool("add", {"text": "a new idea"})
    near.close()
    for call, answer, wanted in zip(CALLS, answers, expected, strict=True):
        assert answer.content == wanted.content, call
        assert answer.structured_content == wanted.structured_content, call
    assert base64.b64decode(picture.contents[0].blob) == (tmp_path / "cards/red.png").read_bytes()
    assert len(listed) == 6
    assert card_space.get([added.structured_content["id"]])[0] is not None
    assert str(tmp_path) not in str(answers)
