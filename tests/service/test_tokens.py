"""Who may ask, and what they see: no request gets beyond its token."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pictures import colour_folder, encoded, solid
from unisem import Record, SemanticSpace
from unisem.errors import UniSemError
from unisem.filters import Field
from unisem.service.cursors import Cursors
from unisem.service.http.app import create_app
from unisem.service.http.deployment import Deployment
from unisem.service.principals import Principal, Tokens
from unisem.wire.store import WireRows

ALL, READ, RED, NOWHERE = (f"{name}-token-0123456789" for name in ("all", "read", "red", "nowhere"))
SPACE = "/v1/spaces/cards"
TEAM = {"field": "team", "operator": "eq", "value": "red"}
OTHERS = {"field": "team", "operator": "ne", "value": "red"}


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def teams(space: SemanticSpace) -> SemanticSpace:
    """Records of two teams, linked to each other."""
    space.add(
        Record(
            id=f"{team}-{n}",
            text=f"card {n}",
            metadata={"team": team, "n": n, f"only-{team}": team},
            source_id=f"{team}.txt",
            links={"next": f"{other}-{n}"},
        )
        for team, other in (("red", "blue"), ("blue", "red"))
        for n in range(4)
    )
    return space


@pytest.fixture
def asked(teams: SemanticSpace) -> Iterator[TestClient]:
    tokens = Tokens(
        {
            digest(ALL): Principal("write"),
            digest(READ): Principal("read"),
            digest(RED): Principal("write", frozenset({"cards"}), Field("team") == "red"),
            digest(NOWHERE): Principal("write", frozenset({"other"})),
        }
    )
    with TestClient(create_app({"cards": teams}, tokens=tokens)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


ROUTES = [
    ("GET", "/v1/spaces"),
    ("GET", f"{SPACE}/stats"),
    ("GET", f"{SPACE}/fields"),
    ("GET", f"{SPACE}/records"),
    ("GET", f"{SPACE}/records/red-1"),
    ("GET", f"{SPACE}/records/red-1/image"),
    ("GET", f"{SPACE}/records/red-1/graph"),
    ("POST", f"{SPACE}/search"),
    ("POST", f"{SPACE}/search/batch"),
    ("POST", f"{SPACE}/records"),
    ("POST", f"{SPACE}/records/get"),
    ("POST", f"{SPACE}/records/delete"),
    *(("POST", f"{SPACE}/label/{what}") for what in ("next", "answer", "undo")),
    ("DELETE", f"{SPACE}/records/red-1"),
    ("PATCH", f"{SPACE}/records/red-1"),
    ("GET", f"{SPACE}/store"),
    *(
        ("POST", f"{SPACE}/store/{path}")
        for path in (
            *("page", "vectors", "search", "words", "add", "delete", "update"),
            *("calibration", "calibrate", "embed", "whole"),
        )
    ),
    ("GET", "/v1/models"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/rerank"),
    ("POST", "/rerank"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(
    "header", [None, "Bearer ", "Bearer wrong-token-0123456789", f"Basic {ALL}", ALL, "Bearer \xe9"]
)
def test_nobody_is_let_in_without_a_token(
    asked: TestClient, teams: SemanticSpace, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for method, path in ROUTES:
        answer = asked.request(method, path, headers=headers, json={"text": "a"})
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer", (method, path)
        assert len(teams) == 8, (method, path)
        assert "red-1" not in answer.text, (method, path)


def test_every_route_is_in_the_list(asked: TestClient) -> None:
    schema = asked.get("/openapi.json").json()
    open_to_all = {("GET", "/health"), ("GET", "/ready")}
    known = {
        (method.upper(), path.replace("{space}", "cards").replace("{record_id}", "red-1"))
        for path, methods in schema["paths"].items()
        for method in methods
    }
    assert known - open_to_all <= set(ROUTES)


def test_a_token_for_reading_writes_nothing(asked: TestClient, teams: SemanticSpace) -> None:
    headers = bearer(READ)
    assert asked.post(f"{SPACE}/search", headers=headers, json={"text": "a"}).status_code == 200
    answers = [
        asked.post(f"{SPACE}/records", headers=headers, json={"records": [{"text": "a"}]}),
        asked.post(f"{SPACE}/records/delete", headers=headers, json={"ids": ["red-1"]}),
        asked.delete(f"{SPACE}/records/red-1", headers=headers),
        asked.patch(f"{SPACE}/records/red-1", headers=headers, json={"metadata": {}}),
        asked.post(f"{SPACE}/label/next", headers=headers, json={"who": "anna"}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len(teams) == 8
    assert asked.get("/v1/spaces", headers=headers).json()["spaces"][0]["writable"] is False


def test_other_spaces_are_not_there(asked: TestClient) -> None:
    assert asked.get("/v1/spaces", headers=bearer(NOWHERE)).json() == {"spaces": []}
    assert asked.get(f"{SPACE}/stats", headers=bearer(NOWHERE)).status_code == 404
    missing = asked.get("/v1/spaces/none/stats", headers=bearer(ALL)).json()
    assert missing == asked.get(f"{SPACE}/stats", headers=bearer(NOWHERE)).json()
    assert asked.get("/v1/models", headers=bearer(NOWHERE)).json()["data"] == []


EVASIONS: list[dict[str, Any]] = [
    {},
    {"filter": OTHERS},
    {"filter": {"or": [TEAM, OTHERS]}},
    {"filter": {"not": TEAM}},
    {"filter": {"or": [{"and": []}, TEAM]}},
    {"filter": {"and": []}},
    {"ids": ["blue-1", "red-1"]},
    {"source_ids": ["blue.txt"]},
    {"mode": "keyword"},
    {"mode": "hybrid"},
    {"neighbors": 5},
    {"k": 1000, "diversity": 1.0},
    {"modality": "text", "match": "text"},
]


@pytest.mark.parametrize("more", EVASIONS)
def test_a_filter_cannot_be_widened(asked: TestClient, more: dict[str, Any]) -> None:
    headers = bearer(RED)
    body = {"text": "card", "k": 100} | more
    answer = asked.post(f"{SPACE}/search", headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    assert {hit["record"]["metadata"]["team"] for hit in answer.json()["hits"]} <= {"red"}
    batch = asked.post(f"{SPACE}/search/batch", headers=headers, json={"queries": [body]})
    assert batch.json()["results"] == [answer.json()]


def test_what_is_outside_is_nowhere(asked: TestClient, teams: SemanticSpace) -> None:
    headers = bearer(RED)

    def same(method: str, path: str, **options: Any) -> None:
        there, missing = (
            asked.request(method, path.format(name), headers=headers, **options)
            for name in ("blue-1", "nothing")
        )
        assert there.status_code == missing.status_code == 404
        assert there.json() == missing.json()

    record = f"{SPACE}/records/{{}}"
    same("GET", record)
    same("GET", f"{record}/image")
    same("DELETE", record)
    same("PATCH", record, json={"metadata": {"team": "red"}})
    like = asked.post(f"{SPACE}/search", headers=headers, json={"like": "blue-1"})
    assert like.status_code == 404
    got = asked.post(f"{SPACE}/records/get", headers=headers, json={"ids": ["blue-1", "red-1"]})
    assert [it and it["id"] for it in got.json()["records"]] == [None, "red-1"]
    page = asked.get(f"{SPACE}/records", headers=headers, params={"filter": json.dumps(OTHERS)})
    assert page.json()["records"] == []
    assert asked.get(f"{SPACE}/stats", headers=headers).json()["records"] == 4
    assert asked.get("/v1/spaces", headers=headers).json()["spaces"][0]["records"] == 4
    assert "blue" not in asked.get(f"{SPACE}/fields", headers=headers).text
    assert asked.get("/metrics", headers=headers).status_code == 403
    assert len(teams) == 8


def test_nothing_outside_is_removed_or_replaced(asked: TestClient, teams: SemanticSpace) -> None:
    headers = bearer(RED)
    before = {record.id: record for record in teams.store.select()}

    def deleted(body: Any) -> int:
        answer = asked.post(f"{SPACE}/records/delete", headers=headers, json=body)
        return int(answer.json()["deleted"])

    assert deleted({"ids": ["blue-1"]}) == 0
    assert deleted({"source_ids": ["blue.txt"]}) == 0
    assert deleted({"filter": OTHERS}) == 0
    assert deleted({"ids": ["blue-1", "red-3"]}) == 1
    mine = {"id": "blue-1", "text": "mine now", "metadata": {"team": "red"}}
    taken = asked.post(f"{SPACE}/records", headers=headers, json={"records": [mine]})
    assert taken.status_code == 409
    assert "blue-1" not in taken.text
    stray = {"id": "x", "text": "a", "metadata": {"team": "blue"}}
    for record in (stray, {"id": "x", "text": "a"}):
        answer = asked.post(f"{SPACE}/records", headers=headers, json={"records": [record]})
        assert answer.status_code == 403
    moved = {"metadata": {"team": "blue"}}
    assert asked.patch(f"{SPACE}/records/red-1", headers=headers, json=moved).status_code == 403
    now = {record.id: record for record in teams.store.select()}
    assert now == {name: it for name, it in before.items() if name != "red-3"}
    fine = {"id": "x", "text": "a", "metadata": {"team": "red"}}
    assert asked.post(f"{SPACE}/records", headers=headers, json={"records": [fine]}).is_success


def test_a_pictures_links_remove_nothing_outside(asked: TestClient, teams: SemanticSpace) -> None:
    headers = bearer(RED)
    theirs = {"image": "blue-picture"}, {"words_read_in": "ab"}
    own = {"image": "picture"}, {"words_read_in": "ab"}
    for name, team, (links, payload) in (("blue-w", "blue", theirs), ("red-w", "red", own)):
        words = Record(id=name, text="w", metadata={"team": team}, links=links, payload=payload)
        teams.add([words])
    uri = "data:image/png;base64," + base64.b64encode(encoded(solid("red"))).decode()
    picture = {"id": "picture", "image": uri, "metadata": {"team": "red"}}
    picture["links"] = {"words": "blue-w", "words:2": "red-w", "words:3": "blue-1"}
    body = {"records": [picture]}
    assert asked.post(f"{SPACE}/records", headers=headers, json=body).is_success
    gone = asked.delete(f"{SPACE}/records/picture", headers=headers)
    assert gone.json() == {"deleted": 2}
    blue_words, blue, red_words = teams.get(["blue-w", "blue-1", "red-w"])
    assert blue_words is not None
    assert blue is not None
    assert red_words is None


def test_where_a_listing_goes_on_says_nothing_of_others(
    asked: TestClient, teams: SemanticSpace
) -> None:
    def cursor(path: str, token: str = RED) -> str:
        body = {"selection": {}, "limit": 1}
        answer = (
            asked.get(f"{SPACE}/records", headers=bearer(token), params={"limit": 1})
            if path == "records"
            else asked.post(f"{SPACE}/store/page", headers=bearer(token), json=body)
        )
        return str(answer.json()["cursor"])

    for path in ("records", "store/page"):
        before = cursor(path)
        teams.add([Record(text="x", metadata={"team": "blue"}) for _ in range(300)])
        teams.add([Record(text="x", metadata={"team": "red"})])
        after = cursor(path)
        assert before != after  # a row that was not there when the listing began
        assert len(before) == len(after)
        for one in (before, after):
            data = base64.urlsafe_b64decode(one)
            assert len(set(data)) > len(data) // 2  # as of any bytes
    for other in (before[:-8] + "AAAAAAA=", "A" * 200, "", before + "AAAA"):
        answer = asked.get(f"{SPACE}/records", headers=bearer(RED), params={"cursor": other})
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


def test_processes_that_serve_alike_go_on_for_each_other(teams: SemanticSpace) -> None:
    first, second, stranger = (
        TestClient(create_app({"cards": teams, "more": teams}, secret=secret))
        for secret in (b"s" * 32, b"s" * 32, None)
    )
    page = first.get(f"{SPACE}/records", params={"limit": 5}).json()
    rest = {"limit": 5, "cursor": page["cursor"]}
    assert len(second.get(f"{SPACE}/records", params=rest).json()["records"]) == 3
    assert second.get("/v1/spaces/more/records", params=rest).status_code == 422
    assert stranger.get(f"{SPACE}/records", params=rest).status_code == 422
    deployment = Deployment({})
    assert Deployment.from_json(deployment.to_json()) == deployment
    assert deployment.secret not in repr(deployment)


@given(st.text(max_size=200), st.binary(min_size=32, max_size=32))
def test_a_cursor_comes_back(text: str, secret: bytes) -> None:
    cursors = Cursors(secret, "place")
    assert cursors.shown(cursors.hidden(text)) == text


@pytest.fixture
def elsewhere(teams: SemanticSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that does not lie beside the space, whose cards are of the red team."""
    folder = colour_folder(tmp_path_factory.mktemp("secret") / "cards")
    teams.add_folder(folder)
    there = Record(id="mail", text="a letter", source_id="C:\\Users\\ada\\mail.txt")
    teams.add([there])
    red = {record.id: {"team": "red"} for record in teams.store.select() if record.id[:3] != "blu"}
    teams.update(red)
    return folder


def test_strangers_are_not_told_where_files_lie(asked: TestClient, elsewhere: Path) -> None:
    def post(path: str, body: Any, token: str) -> Any:
        answer = asked.post(f"{SPACE}/{path}", headers=bearer(token), json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    ids = ["cards/red.png", "mail"]
    rows = WireRows.of(np.ones((1, 48), np.float32)).model_dump()
    for token in (READ, RED):
        answers = [
            post("search", {"text": "card", "k": 50}, token),
            post("search/batch", {"queries": [{"text": "red", "mode": "keyword"}]}, token),
            post("search", {"text": "card", "k": 1, "neighbors": 2}, token),
            post("records/get", {"ids": ids}, token),
            post("store/page", {"selection": {}, "limit": 50, "with_vectors": True}, token),
            post("store/search", {"vectors": rows, "k": 50, "selection": {}}, token),
            post("store/words", {"text": "red", "k": 50, "selection": {}}, token),
            asked.get(f"{SPACE}/records", headers=bearer(token)).json(),
            asked.get(f"{SPACE}/records/cards%2Fred.png", headers=bearer(token)).json(),
            asked.get(f"{SPACE}/fields", headers=bearer(token)).json(),
        ]
        assert "secret" not in json.dumps(answers)
        card, mail = answers[3]["records"]
        assert card["source_id"] == "cards/red.png"
        assert mail["source_id"] == ("mail.txt" if token == READ else "C:\\Users\\ada\\mail.txt")
        named = {"text": "card", "source_ids": ["cards/red.png"], "k": 50}
        found = [hit["record"]["id"] for hit in post("search", named, token)["hits"]]
        assert found == ["cards/red.png"]
    whole = str(elsewhere / "red.png")
    for name in (whole, "cards/../cards/red.png", "C:\\Users\\ada\\mail.txt"):
        guessed = {"text": "card", "source_ids": [name], "k": 50}
        assert post("search", guessed, READ)["hits"] == []
    assert post("records/get", {"ids": ids}, ALL)["records"][0]["source_id"] == whole
    assert post("search", {"text": "x", "source_ids": [whole]}, ALL)["hits"]


def test_a_source_stays_though_its_name_was_told_otherwise(
    asked: TestClient, elsewhere: Path, teams: SemanticSpace
) -> None:
    told = asked.get(f"{SPACE}/records/cards%2Fabout.txt", headers=bearer(RED)).json()
    assert told["source_id"] == "cards/about.txt"
    del told["image"]
    items = {"items": [told | {"vectors": vectors_in(teams, "cards/about.txt")}]}
    for path, body in (("records", {"records": [told]}), ("store/add", items)):
        answer = asked.post(f"{SPACE}/{path}", headers=bearer(RED), json=body)
        assert answer.status_code == 200, answer.text
        (record,) = teams.get(["cards/about.txt"])
        assert record is not None
        assert record.source_id == str(elsewhere / "about.txt")
    gone = {"source_ids": ["cards/about.txt"]}
    answer = asked.post(f"{SPACE}/records/delete", headers=bearer(RED), json=gone)
    assert answer.json() == {"deleted": 1}


# -- for clients that work over the store --------------------------------------------------------


def vectors_in(teams: SemanticSpace, name: str) -> dict[str, Any]:
    (vectors,) = teams.store.vectors([name])
    assert vectors is not None
    return {kind: WireRows.of(rows).model_dump() for kind, rows in vectors.items()}


def test_a_store_has_what_its_token_sees(asked: TestClient, teams: SemanticSpace) -> None:
    headers = bearer(RED)

    def post(path: str, body: Any) -> Any:
        answer = asked.post(f"{SPACE}/store/{path}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    rows = WireRows.of(teams.encoder.encode_texts(["card"])).model_dump()
    for selection in ({}, {"filter": OTHERS}, {"ids": ["blue-1", "red-1"]}, {"modality": "text"}):
        page = post("page", {"selection": selection, "limit": 50, "with_vectors": True})
        assert {it["metadata"]["team"] for it in page["records"]} <= {"red"}
        assert page["count"] == len(page["records"]) == len(page["vectors"])
        body = {"k": 50, "selection": selection}
        found = (
            post("search", body | {"vectors": rows})["results"]
            + post("words", body | {"text": "card"})["results"]
        )
        assert {hit["record"]["metadata"]["team"] for hits in found for hit in hits} <= {"red"}
    seen = post("vectors", {"ids": ["blue-1", "red-1"]})["vectors"]
    assert seen == [None, vectors_in(teams, "red-1")]
    assert asked.get(f"{SPACE}/store", headers=headers).json()["records"] == 4
    for path, body in (("calibration", {}), ("calibrate", {"data": None})):
        answer = asked.post(f"{SPACE}/store/{path}", headers=headers, json=body)
        assert answer.status_code == 403


def test_a_store_is_written_to_as_its_token_may(asked: TestClient, teams: SemanticSpace) -> None:
    before = {record.id: record for record in teams.store.select()}
    red = {"metadata": {"team": "red"}, "text": "a", "vectors": vectors_in(teams, "red-1")}

    def status(path: str, body: Any, token: str = RED) -> int:
        return asked.post(f"{SPACE}/store/{path}", headers=bearer(token), json=body).status_code

    assert status("add", {"items": [red | {"id": "blue-1"}]}) == 409
    assert status("add", {"items": [red | {"metadata": {"team": "blue"}}]}) == 403
    kept = red | {"kept": {"of": "blue-1", "sha256": "0" * 64}}
    assert status("add", {"items": [kept]}) == 409
    assert status("update", {"metadata": {"blue-1": {"team": "red"}}}) == 422
    assert status("update", {"metadata": {"red-1": {"team": "blue"}}}) == 403
    assert status("delete", {"ids": ["blue-1"]}) == 200
    for path, body in (
        ("add", {"items": [red]}),
        ("update", {"metadata": {"red-1": {}}}),
        ("delete", {}),
        ("calibrate", {"data": None}),
    ):
        assert status(path, body, READ) == 403
    assert {record.id: record for record in teams.store.select()} == before
    assert status("delete", {}) == 200
    assert {record.id for record in teams.store.select()} == {f"blue-{n}" for n in range(4)}


# -- the file ----------------------------------------------------------------------------------


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_file_of_tokens(tmp_path: Path) -> None:
    toml = f"""
    [[tokens]]
    token = "{ALL}"
    scope = "write"

    [[tokens]]
    sha256 = "{digest(RED).upper()}"
    spaces = ["cards"]
    filter = {{field = "team", operator = "eq", value = "red"}}
    """
    tokens = Tokens.read(written(tmp_path / "tokens.toml", toml))
    assert tokens.find(ALL) == Principal("write")
    bound = Principal("read", frozenset({"cards"}), Field("team") == "red")
    assert tokens.find(RED) == bound
    assert tokens.find("") is tokens.find(digest(RED)) is None
    entries = [{"token": ALL, "scope": "write"}, {"sha256": digest(RED), "spaces": ["cards"]}]
    again = Tokens.read(written(tmp_path / "t.json", json.dumps({"tokens": entries})))
    assert again.find(ALL) == Principal("write")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"token": "short"}, "16 characters"),
        ({"token": "with spaces in it, long"}, "16 characters"),
        ({"token": "schlüssel-schlüssel"}, "ASCII"),
        ({}, "either token or sha256"),
        ({"token": ALL, "sha256": digest(ALL)}, "either token or sha256"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"token": ALL, "scope": "admin"}, "scope"),
        ({"token": ALL, "spaces": "cards"}, "list of names"),
        ({"token": ALL, "filter": {"field": "a"}}, "filter"),
        ({"token": ALL, "filters": {}}, "filters"),
        ("text", "no table"),
    ],
)
def test_what_a_file_of_tokens_cannot_say(tmp_path: Path, entry: Any, words: str) -> None:
    path = written(tmp_path / "t.json", json.dumps({"tokens": [entry]}))
    with pytest.raises(UniSemError, match=words):
        Tokens.read(path)


def test_a_file_of_tokens_is_nobody_elses(tmp_path: Path) -> None:
    open_entry = json.dumps({"tokens": [{"token": ALL}]})
    hashed = json.dumps({"tokens": [{"sha256": digest(ALL)}]})
    with pytest.raises(UniSemError, match="read by others"):
        Tokens.read(written(tmp_path / "a.json", open_entry, 0o644))
    with pytest.raises(UniSemError, match="changed by others"):
        Tokens.read(written(tmp_path / "b.json", hashed, 0o666))
    assert Tokens.read(written(tmp_path / "c.json", hashed, 0o644)).find(ALL) is not None
    for text in ("", "{}", '{"tokens": []}', '{"tokens": [], "more": 1}', "[" * 100_000):
        with pytest.raises(UniSemError):
            Tokens.read(written(tmp_path / "d.json", text))
    with pytest.raises(UniSemError, match="cannot be read"):
        Tokens.read(tmp_path / "nowhere.toml")
