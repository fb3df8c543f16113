"""The Java client against a service that listens: what it finds is what the space finds."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.java_client import JavaClient, JavaError
from tests.clients.live import serving
from tests.support.length_reranker import LengthReranker
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import COLOURS
from unisem import Hit, Record, SemanticSpace
from unisem.filters import Field
from unisem.graph import Mention, Relation
from unisem.search import GraphExpansion
from unisem.search.query import Query
from unisem.service.http.app import create_app
from unisem.wire.filters import wire_filter

STRANGE = [
    "a/b",
    "a?b#c",
    "100%",
    "%2F",
    "ä ö",
    "猫🐈",
    "..",
    ".",
    "a/../b",
    "'\"<b>",
    "a\nb",
    "+&=",
]


@pytest.fixture
def service(card_space: SemanticSpace, java: JavaClient) -> Iterator[str]:
    """A service of the cards, to which the client is connected."""
    app = create_app({"cards": card_space}, rerankers={"by-length": LengthReranker()})
    with serving(app) as url:
        java("connect", url=url)
        yield url


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def plain_record(record: Record) -> dict[str, Any]:
    """As `Driver` writes a record."""
    image = record.image
    return {
        "id": record.id,
        "text": record.text,
        "metadata": dict(record.metadata),
        "source_id": record.source_id,
        "links": dict(record.links),
        "payload": dict(record.payload),
        "sha256": image and image.sha256,
        "mime_type": image and image.mime_type,
        "size": image and [image.width, image.height],
        "page": None,
    }


def plain(hits: list[Hit]) -> list[dict[str, Any]]:
    """As `Driver` writes hits."""
    return [
        {
            "record": plain_record(hit.record),
            "score": hit.score,
            "matched": hit.matched,
            "relevance": hit.relevance,
            "judged": hit.judged,
            "path": list(hit.path),
            "copies": [plain_record(copy) for copy in hit.copies],
        }
        for hit in hits
    ]


RED = encoded(solid((210, 40, 35)))
SEARCHES: list[tuple[dict[str, Any], Callable[[SemanticSpace], list[Hit]]]] = [
    ({"text": "a red card"}, lambda space: space.search(text="a red card")),
    ({"text": "红色的卡片 🎻", "k": 3}, lambda space: space.search(text="红色的卡片 🎻", k=3)),
    (
        {"image": base64_of(RED), "k": 20, "match": "image"},
        lambda space: space.search(image=RED, k=20, match="image"),
    ),
    (
        {"text": "blue", "image": base64_of(RED), "text_weight": 0.3},
        lambda space: space.search(text="blue", image=RED, text_weight=0.3),
    ),
    (
        {"text": "card", "mode": "hybrid", "weighted_fusion": 0.3, "diversity": 0.4},
        lambda space: space.search(text="card", mode="hybrid", fusion=weighted(0.3), diversity=0.4),
    ),
    (
        {"text": "card", "mode": "keyword", "modality": "image", "k": 2},
        lambda space: space.search(text="card", mode="keyword", modality="image", k=2),
    ),
    (
        {"text": "card", "filter": wire_filter(~(Field("file_name") == "red.png"))},
        lambda space: space.search(text="card", filter=~(Field("file_name") == "red.png")),
    ),
]


def test_a_knowledge_graph_takes_part(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    card_space.graph.add(
        relations=[Relation(colour, "broader", "colour") for colour in ("red", "blue")],
        mentions=[Mention("cards/red.png", "red"), Mention("cards/blue.png", "blue")],
    )
    for method in ("pagerank", "taxonomy"):
        expected = plain(card_space.search("colour", graph=GraphExpansion(method=method)))
        assert any(hit["path"] for hit in expected)
        assert java("search", query={"text": "colour", "graph": method}) == expected


@pytest.mark.parametrize("duplicates", ["same", "keep"])
def test_a_hit_tells_of_its_copies(
    java: JavaClient, service: str, card_space: SemanticSpace, duplicates: Any
) -> None:
    card_space.add([Record(id="once more", text="my card", image=RED)])
    card_space.add([Record(id="and again", image=RED)])
    found = card_space.search(image=RED, k=3, match="image", duplicates=duplicates)
    assert any(hit.copies for hit in found) == (duplicates == "same")
    asked = {"image": base64_of(RED), "k": 3, "match": "image", "duplicates": duplicates}
    assert java("search", query=asked) == plain(found)


def weighted(share: float) -> Any:
    from unisem.search.fusion import WeightedFusion

    return WeightedFusion(share)


@pytest.mark.parametrize(("asked", "oracle"), SEARCHES, ids=range(len(SEARCHES)))
def test_it_finds_what_the_space_finds(
    java: JavaClient,
    service: str,
    card_space: SemanticSpace,
    asked: dict[str, Any],
    oracle: Callable[[SemanticSpace], list[Hit]],
) -> None:
    expected = plain(oracle(card_space))
    assert expected
    assert java("search", query=asked) == expected


def test_many_queries_in_one_call(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    texts = [f"a {colour} card" for colour in COLOURS]
    expected = [plain(card_space.search(text=text, k=2)) for text in texts]
    assert java("search_all", queries=[{"text": text, "k": 2} for text in texts]) == expected


def test_a_vector_of_the_service_asks_as_its_text_does(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    vector = card_space.encoder.encode_texts(["a red card"], role="query")[0]
    (expected,) = map(plain, card_space.search_many([Query(vector=vector)]))
    assert java("search", query={"vector": [float(value) for value in vector]}) == expected


def test_vectors_are_the_encoders_to_the_bit(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    texts = ["a red card", "红色 🎻", ""]
    encoder = card_space.encoder
    for role, ours in (("query", "query"), ("passage", "document")):
        expected = encoder.encode_texts(texts, role=ours).tolist()
        assert java("embed_texts", texts=texts, role=role) == expected
    pictures = [RED, encoded(noise(5))]
    found = java("embed_images", images=[base64_of(data) for data in pictures])
    assert found == encoder.encode_images(pictures).tolist()


def test_documents_are_put_in_order(java: JavaClient, service: str) -> None:
    documents = ["a long text", "short", "middling"]
    assert java("rerank", query="q", documents=documents, top=2) == [[1, -5.0], [2, -8.0]]


def test_hits_are_reranked(java: JavaClient, service: str, card_space: SemanticSpace) -> None:
    expected = plain(card_space.search(text="a card", reranker=LengthReranker()))
    assert java("search", query={"text": "a card", "rerank": True}) == expected
    assert java("search", query={"text": "a card", "rerank": "by-length"}) == expected
    with pytest.raises(JavaError) as caught:
        java("search", query={"text": "a card", "rerank": "nobody"})
    assert caught.value.parts["status"] == 422


def test_more_like_a_record(java: JavaClient, service: str) -> None:
    hits = java("search", query={"like": "cards/red.png", "k": 3})
    assert "cards/red.png" not in [hit["record"]["id"] for hit in hits]
    assert len(hits) == 3


def test_records_come_and_go(java: JavaClient, service: str, card_space: SemanticSpace) -> None:
    picture = encoded(noise(3))
    records = [
        {
            "id": name,
            "text": f"number {number} 数",
            "image": base64_of(picture) if number % 2 else None,
            "metadata": {"number": number, "标签": ["a", None, {"b": 2.5}], "large": 2**80},
            "source_id": "odd" if number % 2 else "even",
            "links": {"next": STRANGE[0]},
            "payload": {"x": [1, {"y": True}]},
        }
        for number, name in enumerate(STRANGE)
    ]
    assert java("add", records=records) == STRANGE
    for name in STRANGE:
        (kept,) = card_space.get([name])
        assert kept is not None
        assert java("get", id=name) == plain_record(kept)
    assert java("get", id="nobody") is None

    for name in STRANGE:
        if name in (".", ".."):
            continue  # no URL can have those
        assert java("update", id=name, metadata={"new": name})["metadata"] == {"new": name}
        (kept,) = card_space.get([name])
        assert kept is not None
        assert kept.metadata == {"new": name}
    data, kind, extension = java("image", id="a?b#c", size="original")
    assert (base64.b64decode(data), kind, extension) == (picture, "image/png", "png")
    data, kind, _ = java("image", id="a?b#c", size="thumbnail")
    assert kind.startswith("image/")
    assert data

    assert java("delete_ids", ids=["a/b", "nobody"]) == 1
    assert java("delete_sources", ids=["odd"]) == len(STRANGE) // 2
    condition = wire_filter(Field("new").is_in(STRANGE))
    left = [name for number, name in enumerate(STRANGE) if number % 2 == 0 and name != "a/b"]
    named = [name for name in left if name not in (".", "..")]
    assert java("delete_where", filter=condition) == len(named)
    assert {record.id for record in card_space.store.select()} & set(STRANGE) == set(left) - set(
        named
    )


def test_all_records_are_listed(java: JavaClient, service: str, card_space: SemanticSpace) -> None:
    card_space.add([Record(id=f"r{number}", text=f"text {number}") for number in range(250)])
    everything = [record.id for record in card_space.store.select()]
    assert java("records") == everything
    first, cursor = java("page", limit=7)
    assert [record["id"] for record in first] == everything[:7]
    second, _ = java("page", limit=3, cursor=cursor)
    assert [record["id"] for record in second] == everything[7:10]
    condition = wire_filter(Field("file_name") == "red.png")
    assert java("records", filter=condition) == ["cards/red.png"]


def test_what_the_service_says_of_itself(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    assert java("spaces") == [["cards", len(card_space), card_space.encoder.name, True]]
    stats = java("stats")
    assert stats["records"] == len(card_space)
    assert stats["dimension"] == card_space.encoder.dimension
    (field,) = [one for one in java("fields")["fields"] if one["name"] == "file_name"]
    assert field["records"] == sum("file_name" in it.metadata for it in card_space.store.select())


@pytest.mark.parametrize(
    ("do", "command", "status", "field"),
    [
        ("search", {"query": {"text": "a", "k": -1}}, 422, "k"),
        ("search", {"query": {"text": "a", "min_relevance": 0.5}}, 422, "min_relevance"),
        ("search", {"query": {"image": base64_of(b"no picture")}}, 422, "image"),
        ("update", {"id": "nobody", "metadata": {}}, 404, None),
        ("image", {"id": "cards/about.txt", "size": "original"}, 404, None),
        ("add", {"records": [{"id": "", "text": "a"}]}, 422, None),
    ],
    ids=range(6),
)
def test_what_is_wrong_is_said(
    java: JavaClient, service: str, do: str, command: dict[str, Any], status: int, field: str | None
) -> None:
    with pytest.raises(JavaError) as caught:
        java(do, **command)
    parts = caught.value.parts
    assert parts["status"] == status
    assert parts["detail"]
    if field is not None:
        assert parts["field"] == field


def test_a_space_that_is_not_there(java: JavaClient, service: str) -> None:
    java("connect", url=service, space="nothing")
    for do, command in (("search", {"query": {"text": "a"}}), ("get", {"id": "a"}), ("stats", {})):
        with pytest.raises(JavaError) as caught:
            java(do, **command)
        assert caught.value.parts["status"] == 404


def test_the_example_finds_and_saves_pictures(
    classes: Path, service: str, card_space: SemanticSpace, tmp_path: Path
) -> None:
    photos = tmp_path / "photos" / "2024"
    photos.mkdir(parents=True)
    for number in range(20):
        (photos / f"{number:02}.png").write_bytes(encoded(noise(number)))
    (photos / "09.txt").write_text("有弦的乐器 violin", encoding="utf-8")
    (photos / "bad.JPG").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("not a caption")
    program = ["java", "-cp", str(classes), "ImageRetrieval", service, "cards", str(photos.parent)]
    run = subprocess.run(
        [*program, "有弦的乐器 violin", "2"], cwd=tmp_path, capture_output=True, check=False
    )
    said, skipped = run.stdout.decode(), run.stderr.decode()
    assert run.returncode == 0, skipped
    assert skipped.startswith("skipped 2024/bad.JPG: ")
    assert len(skipped.splitlines()) == 1
    ids = {record.id for record in card_space.store.select()}
    assert {f"2024/{number:02}.png" for number in range(20)} <= ids
    assert "2024/09.png" in said.splitlines()[0]
    assert len(said.splitlines()) == 2
    assert (tmp_path / "found" / "1.png").read_bytes() == (photos / "09.png").read_bytes()
    assert len(list((tmp_path / "found").iterdir())) == 2


def test_many_threads_share_a_client(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    check_many(java, card_space, calls=200, threads=50)


@pytest.mark.slow
def test_a_thousand_calls_at_once(
    java: JavaClient, service: str, card_space: SemanticSpace
) -> None:
    an_hour = 3_600_000  # a starved machine has not answered all within five minutes
    java("connect", url=service, connections=1_000, retries=100, timeout=an_hour)
    check_many(java, card_space, calls=5_000, threads=1_000)


def check_many(java: JavaClient, space: SemanticSpace, calls: int, threads: int) -> None:
    texts = [f"a {colour} card" for colour in COLOURS]
    expected = [[hit.record.id for hit in space.search(text=text, k=3)] for text in texts]
    found = java("search_often", texts=texts, calls=calls, threads=threads)
    assert found == [expected[call % len(texts)] for call in range(calls)]
