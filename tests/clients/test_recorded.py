"""Requests of other clients, as they were recorded: the service answers what those clients read."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.live import serving
from tests.clients.recorded import Recorded
from tests.support.length_reranker import LengthReranker
from unisem import Encoder, SemanticSpace, load_encoder
from unisem.records import Vector
from unisem.service.http.app import create_app


@pytest.fixture(scope="module")
def mini() -> Encoder:
    return load_encoder("mini")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mini: Encoder) -> Iterator[str]:
    """A service of an empty space of `mini`."""
    folder = tmp_path_factory.mktemp("service")
    with SemanticSpace.open(folder / "photos.unisem", encoder=mini) as space:
        app = create_app({"photos": space}, rerankers={"length": LengthReranker()})
        with serving(app) as url:
            yield url


def numbers(answer: Any) -> Vector:
    """The vectors of an answer, as clients take them: in the order of `data`."""
    assert answer["object"] == "list"
    assert isinstance(answer["model"], str)
    assert [datum["index"] for datum in answer["data"]] == list(range(len(answer["data"])))
    assert {datum["object"] for datum in answer["data"]} == {"embedding"}
    for count in ("prompt_tokens", "total_tokens"):
        assert isinstance(answer["usage"][count], int)
    rows = [datum["embedding"] for datum in answer["data"]]
    if isinstance(rows[0], str):
        return np.array([np.frombuffer(base64.b64decode(row), "<f4") for row in rows], np.float32)
    return np.array(rows, np.float32)


def test_who_asks_for_http_2_keeps_the_body(service: str, caplog: pytest.LogCaptureFixture) -> None:
    asking = Recorded.named("langchain4j_text")
    assert asking.headers["Upgrade"] == "h2c"
    status, found = asking.to("/v1/spaces/photos/search", {"text": "a red card"}).sent(service)
    assert (status, found) == (200, {"hits": []})
    said = [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert not said  # every connection of theirs asks so


def test_langchain4j_embeds_texts_and_pictures(service: str, mini: Encoder) -> None:
    asking = Recorded.named("langchain4j_clip")
    text, image = json.loads(asking.body)["input"]
    status, answer = asking.sent(service)
    assert status == 200, answer
    assert answer["model"] == "mini-clip"
    picture = base64.b64decode(image["image"].partition(",")[2])
    expected = [*mini.encode_texts([text["text"]]), *mini.encode_images([picture])]
    assert np.array_equal(numbers(answer), np.array(expected))


def test_the_name_for_langchain4j_is_listed(service: str) -> None:
    with urllib.request.urlopen(f"{service}/v1/models") as answer:
        names = [model["id"] for model in json.load(answer)["data"]]
    assert "mini" in names
    assert any("clip" in name for name in names)


@pytest.mark.parametrize("name", ["langchain4j_text", "spring_ai_2", "spring_ai_1"])
def test_texts_are_embedded(service: str, mini: Encoder, name: str) -> None:
    asking = Recorded.named(name)
    asked = json.loads(asking.body)
    status, answer = asking.sent(service)
    assert status == 200, answer
    assert answer["model"] == "mini"
    written = str if asked.get("encoding_format") == "base64" else list
    assert all(isinstance(datum["embedding"], written) for datum in answer["data"])
    assert np.array_equal(numbers(answer), mini.encode_texts(asked["input"]))


def test_a_picture_by_url_is_refused_and_not_fetched(service: str) -> None:
    status, answer = Recorded.named("langchain4j_url").sent(service)
    assert 400 <= status < 500
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert "no URL is fetched" in answer["error"]["message"].replace("No", "no")


def test_langchain4j_reranks(service: str) -> None:
    asking = Recorded.named("langchain4j_rerank")
    documents = json.loads(asking.body)["documents"]
    for path in ("/v1/rerank", "/rerank"):  # by base URL with and without `v1/`
        status, answer = asking.to(path, json.loads(asking.body)).sent(service)
        assert status == 200, answer
        scores = {result["index"]: result["relevance_score"] for result in answer["results"]}
        assert [scores[place] for place in range(len(documents))] == [
            -float(len(text)) for text in documents
        ]
        assert isinstance(answer["usage"]["total_tokens"], int)
        assert all("document" not in result for result in answer["results"])


def test_other_dimensions_are_refused_in_words(service: str) -> None:
    status, answer = Recorded.named("spring_ai_2_dimensions").sent(service)
    assert status == 400
    assert answer["error"]["param"] == "dimensions"
    assert "384" in answer["error"]["message"]


def test_an_unknown_model_is_named(service: str) -> None:
    asking = Recorded.named("spring_ai_2")
    body = json.loads(asking.body) | {"model": "text-embedding-ada-002"}  # Spring AI's default
    status, answer = asking.to("/v1/embeddings", body).sent(service)
    assert status in (400, 404)
    assert answer["error"]["param"] == "model"
    assert "mini" in answer["error"]["message"]


def test_the_fixtures_say_where_they_are_from() -> None:
    folder = Path(__file__).parent / "fixtures"
    page = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.json"):
        assert f"`{path.name}`" in page
