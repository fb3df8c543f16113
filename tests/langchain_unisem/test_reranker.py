"""`UniSemReranker` as a document compressor: order, scores, pictures, and what stays as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.load import dumpd
from pydantic import ValidationError

from langchain_unisem import ImageQuery, UniSemReranker, UniSemRetriever, UniSemVectorStore
from tests.support.checkpoints import save_text_cross_encoder
from tests.support.pictures import solid
from tests.support.rerankers import ColourReranker
from tests.support.text_embeddings import WordEmbeddings
from unisem import Record, SemanticSpace
from unisem.errors import ImageError, RerankerError
from unisem.rerank import load_reranker
from unisem.search import Reranking


def documents() -> list[Document]:
    return [
        Document("nothing at all", id="n", metadata={"year": 1, "tags": ["x"]}),
        Document("a red card and a red tiger", id="c", metadata={"relevance_score": 0.5}),
        Document("red", metadata={"source": "no id"}),
    ]


def shown(found: Sequence[Document]) -> list[tuple[str | None, Any]]:
    return [(document.id, document.metadata.get("relevance_score")) for document in found]


@pytest.fixture
def colours() -> ColourReranker:
    return ColourReranker()


@pytest.fixture
def bare_space(space: SemanticSpace) -> SemanticSpace:
    """Pictures without captions, and a text."""
    pictures = [Record(id=colour, image=solid(colour)) for colour in ("red", "green", "blue")]
    space.add([*pictures, Record(id="note", text="a red note")])
    return space


def test_order_scores_and_ids(colours: ColourReranker) -> None:
    reranker = UniSemReranker(reranker=colours)
    assert isinstance(reranker, BaseDocumentCompressor)
    found = reranker.compress_documents(documents(), "red tiger card")
    assert shown(found) == [("c", 3.0), (None, 1.0), ("n", 0.0)]
    assert [type(document.metadata["relevance_score"]) for document in found] == [float] * 3
    assert [document.page_content for document in found] == [
        document.page_content for document in (documents()[1], documents()[2], documents()[0])
    ]
    assert found[2].metadata == {"year": 1, "tags": ["x"], "relevance_score": 0.0}
    json.dumps([document.metadata for document in found])
    assert reranker.compress_documents([], "red") == []


@pytest.mark.parametrize("top_n", [1, 2, 3, 9])
def test_top_n(colours: ColourReranker, top_n: int) -> None:
    everything = UniSemReranker(reranker=colours).compress_documents(documents(), "red card")
    found = UniSemReranker(reranker=colours, top_n=top_n).compress_documents(
        documents(), "red card"
    )
    assert found == everything[:top_n]


def test_what_goes_in_stays_as_it_is(colours: ColourReranker) -> None:
    given = documents()
    before = deepcopy(given)
    found = UniSemReranker(reranker=colours).compress_documents(tuple(given), "red")
    found[-1].metadata["tags"].append("y")
    assert given == before
    assert not {id(document) for document in found} & {id(document) for document in given}


def test_pictures_are_found_in_the_space_by_id(
    bare_space: SemanticSpace, colours: ColourReranker
) -> None:
    given = UniSemRetriever(space=bare_space, k=4).invoke("note")
    assert given[0].id == "note"
    found = UniSemReranker(reranker=colours, space=bare_space).compress_documents(given, "blue")
    assert shown(found)[0] == ("blue", 10.0)
    without = UniSemReranker(reranker=colours).compress_documents(given, "blue")
    assert shown(without)[0] == ("note", 0.0)  # the only one with words
    store = UniSemVectorStore(space=bare_space)
    found = UniSemReranker(reranker=colours, space=bare_space, top_n=1).compress_documents(
        store.similarity_search("green", k=4), ImageQuery(solid("red"))
    )
    assert shown(found) == [("red", 10.0)]


def test_scores_equal_those_of_a_search(card_space: SemanticSpace, colours: ColourReranker) -> None:
    hits = card_space.search("a red card", k=7, reranker=colours)
    given = UniSemRetriever(space=card_space, k=7).invoke("a red card")
    found = UniSemReranker(reranker=colours, space=card_space).compress_documents(
        given, "a red card"
    )
    assert shown(found) == [(hit.record.id, hit.score) for hit in hits]


def test_a_picture_as_query(bare_space: SemanticSpace, colours: ColourReranker) -> None:
    reranker = UniSemReranker(reranker=colours, space=bare_space)
    given = UniSemRetriever(space=bare_space, k=4).invoke("note")
    found = reranker.compress_documents(given, ImageQuery(solid("blue"), text="note"))
    assert shown(found)[:2] == [("blue", 10.0), ("note", 1.0)]
    reranker.compress_documents(given, ImageQuery(solid("blue")))
    assert [text for text, _, _ in colours.asked] == ["note", None]
    with pytest.raises(ImageError, match="nowhere"):
        reranker.compress_documents(given, ImageQuery("nowhere.png"))
    reader = UniSemReranker(reranker=ColourReranker(sees_images=False), space=bare_space)
    with pytest.raises(RerankerError, match="texts only"):
        reader.compress_documents(given, ImageQuery(solid("blue")))


def test_what_cannot_be_judged_keeps_its_place(bare_space: SemanticSpace) -> None:
    reader = ColourReranker(sees_images=False)
    reranker = UniSemReranker(reranker=reader, space=bare_space)
    given = UniSemRetriever(space=bare_space, k=4).invoke("red")
    given = [document for document in given if document.id != "note"] + [
        document for document in given if document.id == "note"
    ]
    pictures = [document.id for document in given[:3]]
    found = reranker.compress_documents(given, "a red note")
    assert shown(found) == [*((name, 3.0) for name in pictures), ("note", 3.0)]
    said = [document.metadata["unisem"].get("judged") for document in found]
    assert said == [None, None, None, 3.0]
    alone = reranker.compress_documents(given[:3], "a red note")
    assert alone == given[:3]
    assert alone[0] is not given[0]


def test_documents_of_other_stores(colours: ColourReranker, card_space: SemanticSpace) -> None:
    strange = [
        Document("half of a \ud83d character, red", metadata={"any": object}),
        Document("", id="empty"),
        Document("red red card", id=card_space.search("blue", k=1)[0].record.source_id),
    ]
    found = UniSemReranker(reranker=colours, space=card_space).compress_documents(
        strange, "red card"
    )
    assert [document.page_content for document in found] == [
        "red red card",
        "",
        strange[0].page_content,
    ]
    with UniSemVectorStore(embedding=WordEmbeddings()) as store:
        store.add_texts(["a teapot", "a red card"], ids=["1", "2"])
        given = store.similarity_search("teapot", k=2)
    assert shown(UniSemReranker(reranker=colours).compress_documents(given, "red")) == [
        ("2", 1.0),
        ("1", 0.0),
    ]


def test_ties_without_ids_keep_their_order(colours: ColourReranker) -> None:
    given = [Document(f"text {n}") for n in range(12)]
    found = UniSemReranker(reranker=colours).compress_documents(given, "red")
    assert [document.page_content for document in found] == [
        document.page_content for document in given
    ]


async def test_async_leaves_the_event_loop_free(card_space: SemanticSpace) -> None:
    import threading

    started, go = threading.Event(), threading.Event()

    class Slow(ColourReranker):
        def score(self, text: Any, image: Any, records: Any) -> Any:
            started.set()
            assert go.wait(60)
            return super().score(text, image, records)

    reranker = UniSemReranker(reranker=Slow(), space=card_space)
    for call in (
        reranker.acompress_documents(documents(), "red card"),
        reranker.ainvoke({"question": "red card", "context": documents()}),
    ):
        started.clear()
        go.clear()
        task = asyncio.create_task(call)
        while not started.is_set():
            await asyncio.sleep(0.001)
        go.set()  # only a loop that runs on gets here
        assert shown(await task) == shown(reranker.compress_documents(documents(), "red card"))


def test_a_model_by_name(tmp_path: Path) -> None:
    directory = save_text_cross_encoder(tmp_path)
    reranker = UniSemReranker(model=str(directory), device="cpu", top_n=2)
    texts = ["a red tiger", "blue", "white card"]
    found = reranker.compress_documents([Document(text, id=text) for text in texts], "red")
    scores = load_reranker(directory).score("red", None, [Record(text=text) for text in texts])
    best = np.argsort(-scores)[:2]
    assert [document.id for document in found] == [texts[place] for place in best]
    np.testing.assert_allclose(
        [document.metadata["relevance_score"] for document in found], scores[best], atol=1e-6
    )


def test_bad_settings(colours: ColourReranker, tmp_path: Path) -> None:
    for settings, what in (
        ({}, "say which model"),
        ({"reranker": colours, "model": "x"}, "either reranker or model"),
        ({"reranker": colours, "device": "cpu"}, "either reranker or device"),
        ({"reranker": colours, "top_n": 0}, "greater than or equal to 1"),
        ({"reranker": colours, "topn": 2}, "Extra inputs"),
        ({"reranker": colours, "space": "photos.unisem"}, "SemanticSpace"),
    ):
        with pytest.raises(ValidationError, match=what):
            UniSemReranker(**settings)
    with pytest.raises(RerankerError, match="pass an existing directory"):
        UniSemReranker(model=str(tmp_path / "nowhere"))


def test_bad_inputs(colours: ColourReranker) -> None:
    reranker = UniSemReranker(reranker=colours)
    with pytest.raises(TypeError, match="list of langchain_core"):
        reranker.compress_documents(["red"], "red")  # type: ignore[list-item]
    with pytest.raises(TypeError, match="list of langchain_core"):
        reranker.compress_documents(iter(documents()), "red")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a query is a string"):
        reranker.compress_documents(documents(), Path("red.png"))  # type: ignore[arg-type]


def test_it_is_not_written_into_a_chains_file(
    colours: ColourReranker, card_space: SemanticSpace
) -> None:
    reranker = UniSemReranker(reranker=colours, space=card_space)
    assert not reranker.is_lc_serializable()
    assert dumpd(reranker)["type"] == "not_implemented"
    assert reranker.model == "colours"
    assert "space" not in reranker.model_dump()


def test_only_what_is_of_the_modalities_is_judged(
    bare_space: SemanticSpace, colours: ColourReranker
) -> None:
    given = UniSemRetriever(space=bare_space, k=4).invoke("green")
    settings: dict[str, Any] = {"modalities": ["image"], "seconds": 60}
    reranker = UniSemReranker(reranker=colours, space=bare_space, **settings)
    found = reranker.compress_documents(given, "blue")
    records = [hit.record for hit in bare_space.search("green", k=4)]
    expected = Reranking(colours, **settings).rank("blue", None, records)
    assert shown(found) == [(given[one.position].id, one.score) for one in expected]
    note = [document.id for document in given].index("note")
    assert found[note].id == "note"
    assert found[0].id == "blue"
    with pytest.raises(ValueError, match="modalities"):
        UniSemReranker(reranker=colours, modalities=["video"])
