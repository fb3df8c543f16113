"""`ImageQuery`: pictures as chats have them, in every format, and what is refused."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from langchain_core.messages import HumanMessage

from langchain_unisem import ImageQuery, UniSemRetriever
from tests.support.pictures import encoded, solid
from unisem import SemanticSpace
from unisem.errors import ImageError

PICTURE = encoded(solid("blue"))
BASE64 = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{BASE64}"

BLOCKS: dict[str, dict[str, Any]] = {
    "standard": {"type": "image", "base64": BASE64, "mime_type": "image/png"},
    "standard, URL": {"type": "image", "url": URL},
    "earlier LangChain": {"type": "image", "source_type": "base64", "data": BASE64},
    "chat completions": {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
    "a bare URL": {"type": "image_url", "image_url": URL},
    "responses": {"type": "input_image", "image_url": URL},
    "Anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": BASE64},
    },
    "Google": {"type": "media", "mime_type": "image/png", "data": BASE64},
    "Bedrock": {"image": {"format": "png", "source": {"bytes": PICTURE}}},
    "a file": {"type": "file", "base64": BASE64, "mime_type": "image/png"},
}


def nested(depth: int) -> dict[str, Any]:
    """A block whose bytes lie deep."""
    block: dict[str, Any] = {"base64": BASE64}
    for _ in range(depth):
        block = {"type": "image", "source": block}
    return block


@pytest.mark.parametrize("name", BLOCKS)
def test_content_blocks(card_space: SemanticSpace, name: str) -> None:
    block = BLOCKS[name]
    retriever = UniSemRetriever(space=card_space, k=1)
    message = HumanMessage([{"type": "text", "text": "one"}, block, "two"])
    for query, words in (
        (ImageQuery(block), None),
        (ImageQuery(block, "blue"), "blue"),
        (ImageQuery.from_message([block]), None),
        (ImageQuery.from_message(message), "one\ntwo"),
        (ImageQuery.from_message({"role": "user", "content": message.content}), "one\ntwo"),
        (ImageQuery.from_message(block), None),
    ):
        assert query.image.read_bytes() == PICTURE
        assert query.text == words
        assert BASE64[:20] not in repr(query)
    assert retriever.invoke(ImageQuery(block))[0].id == "cards/blue.png"


def test_standard_content_of_a_message() -> None:
    blocks: Any = [{"type": "text", "text": "which?"}, BLOCKS["standard"]]
    query = ImageQuery.from_message(HumanMessage(content_blocks=blocks))
    assert (query.image.read_bytes(), query.text) == (PICTURE, "which?")


@pytest.mark.parametrize(
    "url", [URL, URL.replace("data:image", "DATA:IMAGE"), "data:image/png," + quote(PICTURE)]
)
def test_data_urls(url: str) -> None:
    assert ImageQuery(url).image.read_bytes() == PICTURE


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (nested(5000), "has no bytes"),
        ("data:image/png;base64,%%%", "is damaged"),
        ("data:image/png", "has no comma"),
        ({"type": "image", "base64": "%%%"}, "is damaged"),
        ({"type": "image", "url": "http://127.0.0.1:9/x.png"}, "is a URL; UniSem fetches nothing"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "is a URL"),
        ({"type": "image", "url": "/etc/passwd"}, "is a URL"),
        ({"type": "image", "file_id": "file-1"}, "has no bytes"),
        ({"type": "image"}, "has no bytes"),
        ({"type": "text", "text": "x"}, "is no picture"),
        ({"type": "file", "base64": BASE64, "mime_type": "application/pdf"}, "is no picture"),
        ({}, "is no picture"),
    ],
)
def test_what_is_refused(image: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        ImageQuery(image)


@pytest.mark.parametrize("content", ["words", [], [{"type": "text", "text": "words"}]])
def test_a_message_has_one_picture(content: Any) -> None:
    with pytest.raises(ValueError, match="this message none"):
        ImageQuery.from_message(HumanMessage(content))
    two = [BLOCKS["standard"], BLOCKS["Anthropic"], *content]
    with pytest.raises(ValueError, match="this message 2"):
        ImageQuery.from_message(HumanMessage(two))
