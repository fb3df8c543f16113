"""Records over HTTP: given, listed, added, changed, removed; and their pictures."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from fpdf import FPDF

from tests.support.pictures import encoded, noise, solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS
from unisem import ImageRef, Record, SemanticSpace
from unisem.images.region import Region
from unisem.service.http.app import create_app
from unisem.service.settings import ServiceSettings

RECORDS = "/v1/spaces/cards/records"
RED = "cards%2Fred.png"
STRANGE = [
    "a/b",
    "ä ö",
    "100%",
    "%2F",
    "a?b#c",
    "..",
    "a/../b",
    "日本",
    "'\"<script>",
    "a\nb",
    "delete",
]


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("record_id", [name for name in STRANGE if name != ".."])
def test_any_id_can_be_named(client: TestClient, card_space: SemanticSpace, record_id: str) -> None:
    card_space.add([Record(id=record_id, text="strange")])
    url = f"{RECORDS}/{quote(record_id, safe='')}"
    assert client.get(url).json()["id"] == record_id
    assert client.patch(url, json={"metadata": {"a": 1}}).json()["metadata"] == {"a": 1}
    assert client.delete(url).json() == {"deleted": 1}
    assert client.get(url).status_code == 404


def test_ids_that_no_url_can_have_are_given_by_list(
    client: TestClient, card_space: SemanticSpace
) -> None:
    card_space.add([Record(id=name, text="strange") for name in STRANGE])
    found = client.post(f"{RECORDS}/get", json={"ids": [*STRANGE, "nobody"]}).json()["records"]
    assert [it and it["id"] for it in found] == [*STRANGE, None]


def test_a_record_says_all_but_where_its_file_is(
    client: TestClient, card_space: SemanticSpace, tmp_path: Path
) -> None:
    answer = client.get(f"{RECORDS}/{RED}")
    (record,) = card_space.get(["cards/red.png"])
    assert record is not None
    assert record.image is not None
    assert answer.json() == {
        "id": "cards/red.png",
        "text": "a red card",
        "metadata": {"file_name": "red.png", "width": 40, "height": 30},
        "source_id": "cards/red.png",
        "links": {},
        "payload": {"said_by_file": []},
        "image": {
            "sha256": record.image.sha256,
            "mime_type": "image/png",
            "width": 40,
            "height": 30,
            "region": None,
            "look": record.image.look,
            "url": f"{RECORDS}/{RED}/image",
        },
    }
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_a_listing_goes_through_all(
    client: TestClient, card_space: SemanticSpace, limit: int
) -> None:
    ids: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        page = client.get(RECORDS, params=parameters).json()
        ids += [record["id"] for record in page["records"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert ids == [record.id for record in card_space.store.select()]


def test_a_listing_may_be_filtered(client: TestClient) -> None:
    chosen = '{"field": "file_name", "operator": "in", "value": ["red.png", "blue.png"]}'
    page = client.get(RECORDS, params={"filter": chosen}).json()
    assert {record["id"] for record in page["records"]} == {"cards/red.png", "cards/blue.png"}
    assert client.get(RECORDS, params={"filter": "{"}).json()["field"] == "filter"
    assert client.get(RECORDS, params={"cursor": "x"}).json()["field"] == "cursor"
    assert client.get(RECORDS, params={"limit": 100_000}).json()["field"] == "limit"
    assert client.get(RECORDS, params={"limit": 0}).status_code == 422


def test_what_is_added_is_found(client: TestClient, card_space: SemanticSpace) -> None:
    picture = encoded(noise(1))
    new = [
        {"id": "t", "text": "a text", "metadata": {"year": 2024}, "links": {"next": "p"}},
        {"id": "p", "text": "noise", "image": uri(picture), "payload": {"x": [1, None]}},
        {"text": "without id"},
    ]
    answer = client.post(RECORDS, json={"records": new})
    assert answer.status_code == 200, answer.text
    ids = answer.json()["ids"]
    assert ids[:2] == ["t", "p"]
    text, image, other = card_space.get(ids)
    assert text is not None
    assert (text.metadata, text.links) == ({"year": 2024}, {"next": "p"})
    assert image is not None
    assert image.image is not None
    assert image.image.read_verified() == picture
    assert image.payload == {"x": [1, None]}
    assert other is not None
    assert other.text == "without id"


def test_files_may_be_uploaded(client: TestClient, card_space: SemanticSpace) -> None:
    pictures = [encoded(noise(seed)) for seed in (1, 2)]
    body = '{"records": [{"id": "one"}, {"id": "text", "text": "t", "image": "%s"}, {"id": "two"}]}'
    files = [("image", (f"{n}.png", data, "image/png")) for n, data in enumerate(pictures)]
    own = encoded(noise(3))
    answer = client.post(RECORDS, files=files, data={"records": body % uri(own)})
    assert answer.status_code == 200, answer.text
    found = card_space.get(["one", "two", "text"])
    data = [it.image.read_bytes() for it in found if it is not None and it.image is not None]
    assert data == [*pictures, own]
    many = client.post(RECORDS, files=files, data={"records": '{"records": [{"id": "one"}]}'})
    assert many.status_code == 422
    assert client.post(RECORDS, files=files, data={"other": "x"}).json()["field"] == "other"
    assert client.post(RECORDS, files=files, data={"records": "{"}).status_code == 400


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "", "text": "a"},
        {"id": "x"},
        {"id": "x", "text": "a", "metadata": {"a": float("1e400")}},
        {"id": "x", "text": "a", "metadata": {"a": "\0"}},
        {"id": "x", "image": "/etc/passwd"},
        {"id": "x", "image": "http://localhost/a.png"},
        {"id": "x", "image": uri(encoded(solid("red"))[:60])},
        {"id": "x", "text": "a", "extra": 1},
    ],
)
def test_of_a_bad_one_nothing_is_added(
    client: TestClient, card_space: SemanticSpace, bad: dict[str, object]
) -> None:
    before = len(card_space)
    body = json.dumps({"records": [{"id": "good", "text": "a"}, bad]})
    answer = client.post(RECORDS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert len(card_space) == before


def test_removing(client: TestClient, card_space: SemanticSpace) -> None:
    before = len(card_space)
    which = {"ids": ["cards/red.png", "nobody"]}
    assert client.post(f"{RECORDS}/delete", json=which).json() == {"deleted": 1}
    chosen = {"field": "file_name", "operator": "eq", "value": "blue.png"}
    assert client.post(f"{RECORDS}/delete", json={"filter": chosen}).json() == {"deleted": 1}
    for nothing in ({}, {"filter": {"and": []}}, {"filter": {"not": {"or": []}}}):
        assert client.post(f"{RECORDS}/delete", json=nothing).status_code == 422
    assert client.post(f"{RECORDS}/delete", json={"ids": []}).json() == {"deleted": 0}
    assert client.delete(f"{RECORDS}/nobody").status_code == 404
    assert len(card_space) == before - 2


def test_a_picture_is_removed_with_the_words_read_in_it(
    client: TestClient, card_space: SemanticSpace, tmp_path: Path
) -> None:
    card_space.add_folder(
        tmp_path / "cards", recognizer=ColourRecognizer({COLOURS["red"]: ["4711"]})
    )
    assert card_space.get(["cards/red.png#words-1"]) != [None]
    assert client.delete(f"{RECORDS}/{RED}").json() == {"deleted": 2}
    assert card_space.get(["cards/red.png", "cards/red.png#words-1"]) == [None, None]


def test_a_service_for_reading_only(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}, ServiceSettings(read_only=True)))
    before = len(card_space)
    answers = [
        client.post(RECORDS, json={"records": [{"text": "a"}]}),
        client.post(f"{RECORDS}/delete", json={"ids": ["cards/red.png"]}),
        client.delete(f"{RECORDS}/{RED}"),
        client.patch(f"{RECORDS}/{RED}", json={"metadata": {}}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len(card_space) == before
    assert client.get("/v1/spaces").json()["spaces"][0]["writable"] is False


# -- pictures ----------------------------------------------------------------------------------


def test_a_picture_is_the_one_that_was_found(
    client: TestClient, card_space: SemanticSpace, cards: Path
) -> None:
    data = (cards / "red.png").read_bytes()
    answer = client.get(f"{RECORDS}/{RED}/image")
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    assert answer.content == data
    assert (answer.headers["etag"], answer.headers["content-type"]) == (tag, "image/png")
    assert answer.headers["x-content-type-options"] == "nosniff"
    known = client.get(f"{RECORDS}/{RED}/image", headers={"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")
    solid("green").save(cards / "red.png")
    assert client.get(f"{RECORDS}/{RED}/image").status_code == 410
    assert client.get(f"{RECORDS}/cards%2Fabout.txt/image").status_code == 404


def test_what_a_catalogue_says_of_a_type_is_not_believed(
    client: TestClient, card_space: SemanticSpace, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = card_space.get(["cards/red.png"])
    assert record is not None
    assert record.image is not None
    page = b"<script>alert(1)</script>"
    lies = {"mime_type": "text/html"}
    monkeypatch.setattr(
        card_space.store,
        "select",
        lambda selection: iter([record.with_image(replace(record.image, **lies))]),
    )
    assert client.get(f"{RECORDS}/{RED}/image").headers["content-type"] == "image/png"
    (cards / "red.png").write_bytes(page)
    lies["sha256"] = hashlib.sha256(page).hexdigest()
    answer = client.get(f"{RECORDS}/{RED}/image")
    assert answer.status_code == 410
    assert b"<script>" not in answer.content


def test_small_copies(client: TestClient, card_space: SemanticSpace) -> None:
    from io import BytesIO

    from PIL import Image

    card_space.add([Record(id="large", image=encoded(noise(5, (900, 600))))])
    small = client.get(f"{RECORDS}/large/image?size=thumbnail")
    assert small.headers["etag"] == f'"{hashlib.sha256(small.content).hexdigest()}"'
    assert Image.open(BytesIO(small.content)).size == (384, 256)
    assert client.get(f"{RECORDS}/large/image?size=page").status_code == 404
    assert client.get(f"{RECORDS}/large/image?size=huge").status_code == 422


def test_the_same_drawing_on_two_pages_has_each_time_its_own_page(
    client: TestClient, card_space: SemanticSpace, cards: Path
) -> None:
    book = FPDF(unit="pt", format=(200, 200))
    for words in ("the first", "the second"):
        book.add_page()
        book.set_font("helvetica", size=20)
        book.text(20, 150, words)
    book.output(str(cards / "book.pdf"))
    blank = (10, 10, 60, 60)
    for number in (1, 2):
        part = ImageRef(path=cards / "book.pdf", region=Region(page=number, box=blank))
        card_space.add([Record(id=f"figure-{number}", image=part)])
    first, second = (client.get(f"{RECORDS}/figure-{number}/image") for number in (1, 2))
    assert first.content == second.content
    pages = [client.get(f"{RECORDS}/figure-{number}/image?size=page") for number in (1, 2, 1)]
    assert {page.status_code for page in pages} == {200}
    assert pages[0].content != pages[1].content
    assert pages[0].content == pages[2].content


@pytest.mark.parametrize("size", ["original", "thumbnail"])
def test_a_digest_names_the_picture_that_is_wanted(
    client: TestClient, card_space: SemanticSpace, size: str
) -> None:
    address = f"{RECORDS}/{RED}/image?size={size}&sha256="
    digest = client.get(f"{RECORDS}/{RED}").json()["image"]["sha256"]
    assert client.get(address + digest).status_code == 200
    card_space.add([Record(id="cards/red.png", image=solid("blue"))])
    assert client.get(address + digest).status_code == 410
    assert client.get(address + "red").status_code == 422


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=0-999999", slice(None)),
    ],
)
def test_ranges(client: TestClient, cards: Path, wanted: str, part: slice) -> None:
    data = (cards / "red.png").read_bytes()
    answer = client.get(f"{RECORDS}/{RED}/image", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, data[part])
    start = range(len(data))[part].start
    end = start + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(data)}"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("bytes=9999999-", 416),
        ("bytes=5-2", 416),
        ("bytes=-0", 416),
        ("lines=1-2", 200),
        ("x", 200),
    ],
)
def test_ranges_that_are_not_there(client: TestClient, wanted: str, status: int) -> None:
    answer = client.get(f"{RECORDS}/{RED}/image", headers={"Range": wanted})
    assert answer.status_code == status


# -- what there is -----------------------------------------------------------------------------


def test_what_there_is(client: TestClient, card_space: SemanticSpace) -> None:
    (entry,) = client.get("/v1/spaces").json()["spaces"]
    assert entry == {
        "name": "cards",
        "records": 7,
        "encoder": "toy-0",
        "writable": True,
        "graph": False,
        "limits": {"k": 1000, "records": 256},
    }
    stats = client.get("/v1/spaces/cards/stats").json()
    assert stats["modalities"] == {"image": 6, "text": 1}
    assert (stats["dimension"], stats["calibrated"]) == (48, False)
    assert stats["fingerprint"] == card_space.encoder.fingerprint
    assert client.get("/v1/spaces/other/stats").status_code == 404


def test_fields_to_filter_by(client: TestClient, card_space: SemanticSpace) -> None:
    card_space.add(
        Record(
            id=str(n),
            text="t",
            metadata={"year": 2000 + n, "tags": ["a", f"b{n % 2}"], "box": [n, 0.5, 9, 9]},
        )
        for n in range(4)
    )
    fields = {it["name"]: it for it in client.get("/v1/spaces/cards/fields").json()["fields"]}
    year, tags = fields["year"], fields["tags"]
    assert (year["kind"], year["records"], year["least"], year["most"]) == ("number", 4, 2000, 2003)
    assert tags["kind"] == "list"
    assert tags["values"][0] == {"value": "a", "records": 4}
    assert fields["file_name"]["kind"] == "string"
    assert "box" not in fields  # where a passage stands on its page
