"""Records as resources: listed within bounds, read, and nothing but records."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from tests.service.mcp.conftest import Connect
from tests.support.pictures import solid
from unisem import Record, SemanticSpace
from unisem.service.mcp.addresses import Addresses, name_of

ODD = ["a/b c?d#e%f", "../../etc/passwd", "..", "ümläut\n<tag>", "record/image", "a" * 500]


async def pages(client: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page = await client.list_resources(cursor=cursor)
        found.append([resource.uri for resource in page.resources])
        if (cursor := page.next_cursor) is None:
            return found


async def test_records_are_listed_page_by_page_once_each(
    connect: Connect, space: SemanticSpace
) -> None:
    space.add([Record(id=f"{n:03}", text=f"text {n}") for n in range(25)])
    async with connect(space=space, page=10) as client:
        found = await pages(client)
    assert [len(page) for page in found] == [10, 10, 5]
    assert len({uri for page in found for uri in page}) == 25
    async with connect(space=space, page=10, listed=15) as client:
        assert [len(page) for page in await pages(client)] == [10, 5]
    async with connect(space=space, page=25) as client:
        assert [len(page) for page in await pages(client)] == [25]


@pytest.mark.parametrize("cursor", ["", "x", "9", "-1:a", "99999999999:a", "0:?", "²:a"])
@pytest.mark.usefixtures("card_space")
async def test_a_cursor_of_somebody_elses_gives_nothing(connect: Connect, cursor: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as error:
            await client.list_resources(cursor=cursor)
    assert error.value.code == INVALID_PARAMS


@pytest.mark.usefixtures("card_space")
async def test_a_record_is_read_as_words_and_picture(connect: Connect, cards: Path) -> None:
    async with connect() as client:
        record = (await client.read_resource("unisem://toy/records/cards%2Fred.png")).contents
        text = (await client.read_resource("unisem://toy/records/cards%2Fabout.txt")).contents
        templates = (await client.list_resource_templates()).resource_templates
    words, picture = record
    assert '<result id="cards/red.png" picture="40x30"' in words.text
    assert base64.b64decode(picture.blob) == (cards / "red.png").read_bytes()
    assert picture.uri == "unisem://toy/records/cards%2Fred.png/image"
    assert [it.mime_type for it in text] == ["text/plain"]
    assert [it.uri_template for it in templates] == [
        "unisem://toy/records/{id}",
        "unisem://toy/records/{id}/image",
    ]


async def test_any_id_can_be_read(connect: Connect, space: SemanticSpace) -> None:
    space.add([Record(id=name, text=f"text of {name}", image=solid("red")) for name in ODD])
    async with connect(space=space) as client:
        (uris,) = await pages(client)
        read = [(await client.read_resource(uri)).contents[0].text for uri in uris]
        shown = [(await client.call_tool("show", {"id": name})).structured_content for name in ODD]
    assert {text.partition(">text of ")[2].partition("</result>")[0] for text in read} >= {
        "..",
        ODD[0],
    }
    assert len(set(read)) == len(ODD)
    assert [it["records"][0]["id"] for it in shown] == ODD


@pytest.mark.parametrize(
    "uri",
    [
        "unisem://toy/records/nothing",
        "unisem://toy/records/nothing/image",
        "unisem://toy/records/cards%2Fabout.txt/image",  # which has none
        "unisem://toy/records/",
        "unisem://toy/records/cards/red.png",
        "unisem://toy/records/cards%2Fred.png/page",
        "unisem://toy/records/cards%2Fred.png?size=1",
        "unisem://toy/records/%ff",
        "unisem://toy/records/..%2F..%2Fetc%2Fpasswd",
        "unisem://other/records/cards%2Fred.png",
        "unisem://toy.evil/records/cards%2Fred.png",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "",
    ],
)
@pytest.mark.usefixtures("card_space")
async def test_nothing_else_is_a_resource(connect: Connect, uri: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as error:
            await client.read_resource(uri)
    assert error.value.code == INVALID_PARAMS


@pytest.mark.usefixtures("card_space")
async def test_only_the_picture_with_the_records_digest_is_read(
    connect: Connect, cards: Path
) -> None:
    solid("blue").save(cards / "red.png")
    uri = "unisem://toy/records/cards%2Fred.png"
    async with connect() as client:
        assert len((await client.read_resource(uri)).contents) == 1  # its words
        with pytest.raises(MCPError, match="has changed since it was indexed") as error:
            await client.read_resource(f"{uri}/image")
    assert str(cards) not in str(error.value.error)


@pytest.mark.usefixtures("card_space")
async def test_an_original_larger_than_the_limit_is_left_to_show(
    connect: Connect, cards: Path
) -> None:
    size = (cards / "red.png").stat().st_size
    async with connect(original_bytes=size - 1) as client:
        with pytest.raises(MCPError, match="show gives a smaller copy"):
            await client.read_resource("unisem://toy/records/cards%2Fred.png/image")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/srv/photos.unisem", "photos"),
        ("photos", "photos"),
        ("/srv/My photos (2024).unisem", "My-photos-2024"),
        ("/srv/фото.unisem", "space"),
        ("http://host:8000/v1/spaces/photos", "photos"),
    ],
)
def test_a_space_is_called_by_its_last_name(place: str, name: str) -> None:
    here = Addresses.of(name_of(place))
    assert here.name == name
    assert here.named(here.uri("a/ü", "image")) == ("a/ü", "image")
    assert here.named(here.uri("a").replace(name, name.lower(), 1)) == ("a", "record")
