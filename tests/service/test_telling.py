"""What the service says of itself, and of what it does not do, is so."""

from __future__ import annotations

import base64
import socket
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from tests.support.length_reranker import LengthReranker
from unisem import SemanticSpace
from unisem.errors import EncoderError, ModalityError, UniSemError
from unisem.service.http.app import create_app
from unisem.service.http.deployment import Deployment
from unisem.service.http.problems import refusal_of
from unisem.service.http.server import last_answers, local_names
from unisem.service.settings import ServiceSettings

SPACE = "/v1/spaces/cards"


def test_what_is_no_calibration_is_refused_without_a_path(client: TestClient) -> None:
    answer = client.post(f"{SPACE}/store/calibrate", json={"data": base64.b64encode(b"x").decode()})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "data is no calibration"
    assert "/tmp" not in answer.text


@pytest.mark.parametrize("mode", ["vector", "keyword"])
def test_like_is_not_left_out_in_silence(client: TestClient, mode: str) -> None:
    liked = "cards/about.txt" if mode == "vector" else "cards/red.png"
    asked = {"like": liked, "text": "red", "mode": mode}
    answer = client.post(f"{SPACE}/search", json=asked)
    assert (answer.status_code, answer.json()["field"]) == (422, "text")


def test_names_are_compared_in_small_letters(card_space: SemanticSpace) -> None:
    settings = ServiceSettings(hosts=("Photos.example.org",))
    client = TestClient(create_app({"cards": card_space}, settings))
    for name in ("photos.example.org", "PHOTOS.example.org:8000"):
        assert client.get("/v1/spaces", headers={"Host": name}).status_code == 200


def test_the_address_that_is_bound_is_a_name() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        assert "127.0.0.2" in (local_names(listener) or ())


def test_fields_of_a_request_for_reranking(card_space: SemanticSpace) -> None:
    asked = {"query": "a", "documents": ["b", {"image": "no picture"}]}
    with_one = TestClient(create_app({"cards": card_space}, rerankers={"length": LengthReranker()}))
    params = []
    for client, body in (
        (with_one, asked),
        (with_one, {**asked, "query": {"image": "no picture"}}),
        (with_one, {**asked, "model": "other"}),
        (TestClient(create_app({"cards": card_space})), asked),
    ):
        answer = client.post("/v1/rerank", json=body)
        assert answer.status_code == 400
        params.append(answer.json()["error"]["param"])
    assert params == ["documents.1.image", "query.image", "model", "model"]
    assert "leave rerank out" not in answer.text


def test_a_model_that_is_not_there_is_no_fault_of_who_asks() -> None:
    assert refusal_of(EncoderError("it does not load")).status == 500
    assert refusal_of(ModalityError("texts only")).status == 422


def test_what_is_asked_may_take_its_time_when_the_service_stops() -> None:
    assert last_answers(ServiceSettings()) == 31
    assert last_answers(ServiceSettings(seconds=90)) == 91


def test_two_rerankers_of_one_name_are_refused() -> None:
    deployment = Deployment({}, rerankers=("one/same", "two/same"))
    with ExitStack() as stack, pytest.raises(UniSemError, match="two rerankers are called same"):
        deployment.app(stack)
