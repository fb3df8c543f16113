"""`UniSemRetriever` against a brute-force ranking."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from pydantic import ValidationError

from langchain_unisem import ImageQuery, UniSemRetriever, UniSemVectorStore
from langchain_unisem.documents import record_to_document
from tests.support.chains import manual
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import FilterError, ImageError
from unisem.filters import Field


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def brute_force(space: SemanticSpace, query: np.ndarray) -> list[tuple[str, float]]:
    """Every record's best cosine, best first, ties by id."""
    scored = []
    for record in space.store.select():
        vectors = []
        if record.text is not None:
            vectors.append(space.encoder.encode_texts([record.text])[0])
        if record.image is not None:
            vectors.append(space.encoder.encode_images([record.image])[0])
        scored.append((record.id, max(float(vector @ query) for vector in vectors)))
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("query", ["a red card", "blue", "paper", "made of black"])
def test_ranking_and_scores(retriever: UniSemRetriever, query: str) -> None:
    vector = retriever.space.encoder.encode_texts([query], "query")[0]
    expected = brute_force(retriever.space, vector)
    found = retriever.invoke(query, k=50)
    assert ids(found) == [name for name, _ in expected]
    for document, (_, cosine) in zip(found, expected, strict=True):
        score = document.metadata["relevance_score"]
        assert type(score) is float
        assert score == pytest.approx((1 + cosine) / 2, abs=1e-6)
        assert document.metadata["unisem"]["score"] == pytest.approx(cosine, abs=1e-6)


def test_neighbours_come_along_and_can_be_looked_up(space: SemanticSpace) -> None:
    space.add(manual())
    around = ["picture red", "step pour the water", "picture blue"]
    retriever = UniSemRetriever(space=space, k=1, modality="text", neighbors=1)
    store = UniSemVectorStore(space=space)
    assert ids(retriever.invoke("pour the water")) == around
    assert ids(retriever.invoke("pour the water", neighbors=0)) == around[1:2]
    options: dict[str, Any] = {"k": 1, "modality": "text", "neighbors": 1}
    assert ids(store.similarity_search("pour the water", **options)) == around
    assert ids(store.as_retriever(search_kwargs=options).invoke("pour the water")) == around
    record = retriever.records(["picture red"])[0]
    assert record is not None
    assert record.image is not None
    found = retriever.invoke("pour the water", filter=lambda document: document.id != "picture red")
    assert ids(found) == around[1:]
    with pytest.raises(ValidationError):
        UniSemRetriever(space=space, neighbors=-1)


def test_what_a_document_holds(retriever: UniSemRetriever, cards: Path) -> None:
    red = retriever.invoke("a red card", k=1)[0]
    assert (red.id, red.page_content) == ("cards/red.png", "a red card")
    record = retriever.space.get(["cards/red.png"])[0]
    assert record is not None
    assert record.image is not None
    details = red.metadata.pop("unisem")
    assert red.metadata.pop("relevance_score") == pytest.approx(1.0)
    assert red.metadata == dict(record.metadata)
    assert red.metadata == {"file_name": "red.png", "width": 40, "height": 30}
    assert details.pop("score") == pytest.approx(1.0)
    assert details == {
        "id": red.id,
        "modality": "image",
        "matched": "text",
        "source_id": record.source_id,
        "mime_type": "image/png",
        "sha256": record.image.sha256,
        "width": 40,
        "height": 30,
        "search_type": "similarity",
    }
    text = retriever.invoke("paper", k=1)[0]
    assert text.id == "cards/about.txt"
    assert text.metadata["unisem"].keys() == {
        "id",
        "modality",
        "matched",
        "score",
        "source_id",
        "search_type",
    }


def test_documents_are_json_without_pixels(encoder: ToyEncoder) -> None:
    picture = encoded(solid("red"))
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add([Record(id="bare", image=picture, metadata={"tags": ["x"]})])
        retriever = UniSemRetriever(space=space)
        document = retriever.invoke("red")[0]
        assert document.page_content == ""
        assert document.metadata["unisem"]["modality"] == "image"
        assert len(json.dumps(document.model_dump())) < 600
        document.metadata["tags"].append("mine")
        assert retriever.invoke("red")[0].metadata["tags"] == ["x"]


def test_a_document_shares_nothing_with_its_record() -> None:
    record = Record(id="a", text="b", metadata={"tags": ["x"]})
    document = record_to_document(record)
    assert document == Document(id="a", page_content="b", metadata={"tags": ["x"]})
    document.metadata["tags"].append("mine")
    assert record.metadata == {"tags": ["x"]}


def test_relevance_stays_in_range(encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add([Record(id=str(n), text=f"word{n}") for n in range(100)])
        for n in range(0, 100, 7):
            found = UniSemRetriever(space=space, k=100).invoke(f"word{n}")
            assert len(found) == 100
            assert all(0 <= document.metadata["relevance_score"] <= 1 for document in found)


def test_settings_of_the_retriever(card_space: SemanticSpace) -> None:
    every = len(card_space)
    assert len(UniSemRetriever(space=card_space).invoke("red")) == 4
    assert len(UniSemRetriever(space=card_space, k=2).invoke("red")) == 2
    assert UniSemRetriever(space=card_space, k=0).invoke("red") == []
    texts = UniSemRetriever(space=card_space, k=50, modality="text").invoke("red")
    assert ids(texts) == ["cards/about.txt"]
    pictures = UniSemRetriever(space=card_space, k=50, modality="image").invoke("red")
    assert len(pictures) == every - 1
    matched = UniSemRetriever(space=card_space, k=50, match="image").invoke("red")
    assert {document.metadata["unisem"]["matched"] for document in matched} == {"image"}
    one = UniSemRetriever(space=card_space, filter={"file_name": "blue.png"}).invoke("red")
    assert ids(one) == ["cards/blue.png"]


CALLS: list[tuple[dict[str, Any], list[str]]] = [
    ({"k": 1}, ["cards/red.png"]),
    ({"modality": "text"}, ["cards/about.txt"]),
    ({"k": 1, "match": "image"}, ["cards/red.png"]),
    ({"filter": {"file_name": "blue.png"}}, ["cards/blue.png"]),
    ({"filter": Field("file_name") == "blue.png"}, ["cards/blue.png"]),
]


@pytest.mark.parametrize(("options", "expected"), CALLS)
async def test_settings_of_one_call(
    retriever: UniSemRetriever, options: dict[str, Any], expected: list[str]
) -> None:
    assert ids(retriever.invoke("a red card", **options)) == expected
    assert ids(await retriever.ainvoke("a red card", **options)) == expected
    assert ids(retriever.bind(**options).invoke("a red card")) == expected
    assert [ids(found) for found in retriever.batch(["a red card"], **options)] == [expected]
    batch = await retriever.abatch(["a red card"] * 2, **options)
    assert [ids(found) for found in batch] == [expected] * 2


def test_a_call_replaces_the_retrievers_settings(card_space: SemanticSpace) -> None:
    retriever = UniSemRetriever(
        space=card_space, k=1, modality="text", filter={"file_name": "about.txt"}
    )
    assert ids(retriever.invoke("red")) == ["cards/about.txt"]
    assert ids(retriever.invoke("a red card", modality=None, filter=None)) == ["cards/red.png"]
    assert ids(retriever.invoke("red")) == ["cards/about.txt"]


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "pil"])
async def test_picture_query(retriever: UniSemRetriever, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "query.png"
    solid("blue", (25, 25)).save(path)
    image: Any = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "pil": solid("blue", (25, 25)),
    }[kind]
    expected = brute_force(retriever.space, retriever.space.encoder.encode_images([path])[0])
    wanted = [name for name, _ in expected][:4]
    assert wanted[0] == "cards/blue.png"
    assert ids(retriever.invoke(ImageQuery(image))) == wanted
    assert ids(await retriever.ainvoke(ImageQuery(image))) == wanted
    assert ids(retriever.invoke("", image=image)) == wanted
    assert ids(retriever.batch([ImageQuery(image)], k=1)[0]) == wanted[:1]


def test_picture_and_text(retriever: UniSemRetriever) -> None:
    encoder = retriever.space.encoder
    blue = solid("blue", (25, 25))
    for weight in (0.0, 0.3, 1.0):
        text, image = (
            encoder.encode_texts(["a red card"], "query")[0],
            encoder.encode_images([blue])[0],
        )
        vector = weight * text + (1 - weight) * image
        expected = brute_force(retriever.space, vector / np.linalg.norm(vector))
        found = retriever.invoke(ImageQuery(blue, "a red card"), k=50, text_weight=weight)
        assert ids(found) == [name for name, _ in expected]
        assert ids(retriever.invoke("a red card", image=blue, k=50, text_weight=weight)) == ids(
            found
        )


def test_a_string_is_never_opened(retriever: UniSemRetriever, cards: Path) -> None:
    encoder = retriever.space.encoder
    assert isinstance(encoder, ToyEncoder)
    before = encoder.images_encoded
    for text in (str(cards / "red.png"), "http://127.0.0.1:9/x.png", f"file://{cards}/red.png"):
        vector = encoder.encode_texts([text], "query")[0]
        expected = [name for name, _ in brute_force(retriever.space, vector)][:4]
        before = encoder.images_encoded
        assert ids(retriever.invoke(text)) == expected
        assert encoder.images_encoded == before


def test_match_of_one_call(retriever: UniSemRetriever) -> None:
    for match in ("text", "image"):
        found = retriever.invoke("a red card", k=50, match=match, modality="image")
        assert {document.metadata["unisem"]["matched"] for document in found} == {match}


async def test_async_searches_run_side_by_side(
    retriever: UniSemRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SemanticSpace.search_query
    together = threading.Barrier(3)  # two searches and the event loop

    def slow(self: SemanticSpace, query: Any) -> Any:
        together.wait(60)
        return original(self, query)

    monkeypatch.setattr(SemanticSpace, "search_query", slow)
    task = asyncio.gather(retriever.ainvoke("red"), retriever.ainvoke("blue"))
    while together.n_waiting < 2 and not task.done():
        await asyncio.sleep(0.01)
    together.wait(60)
    assert [found[0].page_content for found in await task] == ["a red card", "a blue card"]


def test_bad_construction(card_space: SemanticSpace) -> None:
    for options, message in (
        ({"top_k": 3}, "Extra inputs are not permitted"),
        ({"k": -1}, "greater than or equal to 0"),
        ({"k": "3"}, "valid integer"),
        ({"k": True}, "valid integer"),
        ({"modality": "video"}, "'text' or 'image'"),
        ({"match": "sound"}, "'any', 'text', 'image' or 'both'"),
        ({"text_weight": 2}, "less than or equal to 1"),
        ({"filter": {"a": {"$regex": "x"}}}, "unknown filter operator"),
        ({"filter": "year > 3"}, "must be a dictionary"),
        ({"space": "photos.unisem"}, "instance of SemanticSpace"),
    ):
        with pytest.raises(ValidationError, match=message):
            UniSemRetriever(**({"space": card_space} | options))


CALL_ERRORS: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ("red", {"top_k": 3}, TypeError, "unknown search option top_k; known are search_type, k"),
    ("red", {"k": -1}, ValueError, "k must be a whole number of at least 0, not -1"),
    ("red", {"modality": "video"}, ValueError, 'modality must be "text", "image" or None'),
    ("red", {"filter": {"a": {"$regex": "x"}}}, FilterError, "unknown filter operator"),
    ("red", {"filter": 3}, FilterError, "a filter must be a dictionary or"),
    ("red", {"image": "http://127.0.0.1:9/x.png"}, ImageError, "fetches nothing"),
    (
        {"text": "red"},
        {},
        TypeError,
        "a query is a string, or an ImageQuery for a picture, not dict",
    ),
    (Path("red.png"), {}, TypeError, "ImageQuery for a picture, not"),
    (None, {}, TypeError, "not NoneType"),
]


@pytest.mark.parametrize(("query", "options", "error", "message"), CALL_ERRORS)
async def test_bad_calls(
    retriever: UniSemRetriever,
    query: Any,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        retriever.invoke(query, **options)
    with pytest.raises(error, match=message):
        await retriever.ainvoke(query, **options)


def test_bad_picture_queries(retriever: UniSemRetriever, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="fetches nothing"):
        ImageQuery("https://example.org/x.png")
    with pytest.raises(ImageError, match="is no picture"):
        ImageQuery(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text must be a string, not int"):
        ImageQuery("a.png", text=3)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="does not exist"):
        retriever.invoke(ImageQuery(tmp_path / "gone.png"))
