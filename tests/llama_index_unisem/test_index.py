"""`UniSemIndex`: what its plain retriever and engines find and show."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.embeddings import MockEmbedding, MultiModalEmbedding
from llama_index.core.indices.multi_modal import MultiModalVectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import (
    BaseNode,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    QueryBundle,
    TextNode,
)
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore
from llama_index.llms.openai import OpenAI
from PIL import Image

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore
from llama_index_unisem.nodes import UniSemImageNode
from llama_index_unisem.retrievers.bundles import ImageQueryBundle
from tests.support.chat_server import ChatServer, chat_server
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import EncoderMismatchError, ImageError
from unisem.filters import Field

ALL = {"about", "red", "green", "blue", "yellow", "black"}
_llm: dict[str, Any] = {"model": "gpt-4o", "api_key": "x", "max_retries": 0}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "_embed_model", None)
    monkeypatch.setattr(Settings, "_llm", MockLLM())


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(["The red one."]) as running:
        yield running


def mixed(cards: Path) -> list[BaseNode]:
    """A text, and pictures in every form, with a caption and without."""
    inline = base64.b64encode((cards / "green.png").read_bytes()).decode()
    return [
        TextNode(id_="about", text="cards are made of paper", metadata={"year": 1999}),
        ImageNode(id_="red", text="a red card", image_path=str(cards / "red.png")),
        ImageNode(id_="green", image=inline, metadata={"year": 2024}),
        Node(
            id_="blue",
            text_resource=MediaResource(text="a blue card"),
            image_resource=MediaResource(path=cards / "blue.png"),
            metadata={"year": 2024, "hidden": "secret"},
            excluded_llm_metadata_keys=["hidden"],
        ),
        Node(id_="yellow", image_resource=MediaResource(path=cards / "yellow.png")),
        ImageDocument(id_="black", image_path=str(cards / "black.png")),
    ]


@pytest.fixture
def index(embedding: UniSemEmbedding, cards: Path) -> UniSemIndex:
    return UniSemIndex(mixed(cards), embed_model=embedding)


async def found(retriever: Any, query: Any) -> list[tuple[str, float]]:
    """Ids and scores, the same sync and async, the query left as it was."""
    before = copy.deepcopy(query)
    results = [(hit.node_id, hit.score) for hit in retriever.retrieve(query)]
    assert [(hit.node_id, hit.score) for hit in await retriever.aretrieve(query)] == results
    assert query == before
    return results


def cosines(encoder: ToyEncoder, vector: np.ndarray, cards: Path) -> dict[str, float]:
    """The oracle: the best cosine over what is known of each node."""
    known: dict[str, list[np.ndarray]] = {
        "about": list(encoder.encode_texts(["year: 1999\n\ncards are made of paper"])),
    }
    for colour in ("red", "green", "blue", "yellow", "black"):
        known[colour] = list(encoder.encode_images([cards / f"{colour}.png"]))
    for colour in ("red", "blue"):
        known[colour] += list(encoder.encode_texts([f"a {colour} card"]))
    return {name: max(float(row @ vector) for row in rows) for name, rows in known.items()}


@pytest.mark.parametrize("use_async", [False, True])
async def test_mixed_content_is_one_ranked_list(
    embedding: UniSemEmbedding, encoder: ToyEncoder, cards: Path, use_async: bool
) -> None:
    nodes = mixed(cards)
    if use_async:
        index = UniSemIndex(embed_model=embedding)
        await index.ainsert_nodes(nodes)
    else:
        index = UniSemIndex(nodes, embed_model=embedding)
    assert all(node.embedding is None for node in nodes), "the caller's nodes are left alone"
    assert nodes[3].text_resource.embeddings is None  # type: ignore[attr-defined]
    for words in ("a green card", "paper", "black"):
        expected = cosines(encoder, encoder.encode_texts([words], role="query")[0], cards)
        results = await found(index.as_retriever(similarity_top_k=9), words)
        assert {name for name, _ in results} == ALL
        assert [score for _, score in results] == sorted((s for _, s in results), reverse=True)
        assert dict(results) == pytest.approx(expected, abs=1e-5)


def test_built_by_use_async_is_the_same(embedding: UniSemEmbedding, cards: Path) -> None:
    plain = UniSemIndex(mixed(cards), embed_model=embedding)
    other = UniSemIndex(mixed(cards), embed_model=embedding, use_async=True)
    results = [
        [(hit.node_id, hit.score) for hit in one.as_retriever(similarity_top_k=9).retrieve("red")]
        for one in (plain, other)
    ]
    assert results[0] == results[1]
    assert len(results[0]) == 6


def test_build_index_from_nodes_keeps_pictures_without_text_which_the_stock_index_drops(
    embedding: UniSemEmbedding, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = ImageNode(id_="bare", image_path=str(cards / "red.png"))
    stock = VectorStoreIndex([bare], embed_model=embedding)
    assert stock.as_retriever().retrieve("red") == []
    assert "skipping" in capsys.readouterr().out
    index = UniSemIndex([bare, TextNode(id_="empty", text="")], embed_model=embedding)
    assert [hit.node_id for hit in index.as_retriever().retrieve("red")] == ["bare"]
    assert [(skipped.name, skipped.reason) for skipped in index.skipped] == [
        ("empty", "has neither text nor picture")
    ]
    assert capsys.readouterr().out == ""


async def test_as_retriever_finds_texts_where_the_stock_index_asks_for_pictures_only(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    store = UniSemVectorStore()
    context = StorageContext.from_defaults(vector_store=store)
    nodes = embedding([TextNode(id_="t", text="red"), *mixed(cards)[1:2]])
    stock = VectorStoreIndex(nodes, storage_context=context, embed_model=embedding)
    assert [hit.node_id for hit in stock.as_retriever(similarity_top_k=9).retrieve("red")] == [
        "red"
    ]
    index = UniSemIndex(
        nodes,
        storage_context=StorageContext.from_defaults(vector_store=UniSemVectorStore()),
        embed_model=embedding,
    )
    for ids in ({}, {"node_ids": None}, {"node_ids": []}):
        retriever = index.as_retriever(similarity_top_k=9, **ids)
        assert {name for name, _ in await found(retriever, "red")} == {"t", "red"}


async def test_one_score_for_a_captioned_picture_where_the_two_store_index_reports_the_worse(
    embedding: UniSemEmbedding, index: UniSemIndex, cards: Path
) -> None:
    """§2: deduplication keeps the text store's hit, whatever the picture's score is."""
    picture = embedding.get_image_embedding(cards / "blue.png")
    node = ImageNode(id_="blue", text="something else", image_path=str(cards / "blue.png"))
    two = MultiModalVectorStoreIndex([node], embed_model=embedding, image_embed_model=embedding)
    bundle = QueryBundle("blue", embedding=picture)
    stock = two.as_retriever().retrieve(copy.deepcopy(bundle))
    assert len(stock) == 1
    assert stock[0].score is not None
    assert stock[0].score < 0.9
    ours = UniSemIndex([node], embed_model=embedding)
    assert (await found(ours.as_retriever(), bundle))[0][1] == pytest.approx(1, abs=1e-6)


# -- queries -----------------------------------------------------------------------------------


async def test_a_picture_as_query(index: UniSemIndex, encoder: ToyEncoder, cards: Path) -> None:
    retriever = index.as_retriever(similarity_top_k=9)
    expected = cosines(encoder, encoder.encode_images([cards / "yellow.png"])[0], cards)
    alone = await found(retriever, QueryBundle("", image_path=str(cards / "yellow.png")))
    assert dict(alone) == pytest.approx(expected, abs=1e-5)
    assert alone[0][0] == "yellow"
    pasted = retriever.retrieve(ImageQueryBundle(image=(cards / "yellow.png").read_bytes()))
    assert [(hit.node_id, hit.score) for hit in pasted] == alone


async def test_text_and_picture_by_weight(
    index: UniSemIndex, encoder: ToyEncoder, cards: Path
) -> None:
    query = QueryBundle("paper", image_path=str(cards / "red.png"))
    text = encoder.encode_texts(["paper"], role="query")[0]
    image = encoder.encode_images([cards / "red.png"])[0]
    for weight in (0.0, 0.3, 1.0):
        mixture = weight * text + (1 - weight) * image
        retriever = index.as_retriever(similarity_top_k=9, text_weight=weight)
        expected = cosines(encoder, mixture / np.linalg.norm(mixture), cards)
        assert dict(await found(retriever, query)) == pytest.approx(expected, abs=1e-5)


async def test_an_embedding_stands_for_the_query(index: UniSemIndex, cards: Path) -> None:
    vector = index.as_retriever()._embed_model.get_query_embedding("black")
    retriever = index.as_retriever(similarity_top_k=1)
    assert (await found(retriever, QueryBundle("red", embedding=vector)))[0][0] == "black"


async def test_several_embedding_strings_are_averaged(
    index: UniSemIndex, encoder: ToyEncoder, cards: Path
) -> None:
    rows = encoder.encode_texts(["paper", "black"], role="query")
    mean = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    bundle = QueryBundle("red", custom_embedding_strs=["paper", "black"])
    results = await found(index.as_retriever(similarity_top_k=9), bundle)
    assert dict(results) == pytest.approx(cosines(encoder, mean, cards), abs=1e-5)


async def test_restrictions_and_modes(index: UniSemIndex) -> None:
    def names(**options: Any) -> Any:
        return index.as_retriever(similarity_top_k=9, **options)

    year = MetadataFilters(filters=[MetadataFilter(key="year", value=2024)])
    assert {n for n, _ in await found(names(filters=year), "red")} == {"green", "blue"}
    assert {n for n, _ in await found(names(filters=Field("year") < 2000), "red")} == {"about"}
    assert {n for n, _ in await found(names(node_ids=["red", "about"]), "x")} == {"red", "about"}
    assert {n for n, _ in await found(names(modality="text"), "red")} == {"about"}
    assert {n for n, _ in await found(names(modality="image"), "paper")} == ALL - {"about"}
    words = names(vector_store_query_mode="text_search")
    assert [n for n, _ in await found(words, "blue")] == ["blue"]
    for mode in ("hybrid", "mmr"):
        retriever = names(vector_store_query_mode=mode, modality="image")
        results = await found(retriever, "blue card")
        assert results[0][0] == "blue"
        assert "about" not in dict(results)
    vectors = names(vector_store_query_mode="hybrid", alpha=1.0)
    assert (await found(vectors, "blue card"))[0][0] == "blue"
    assert len(await found(index.as_retriever(), "red")) == 2, "LlamaIndex's default"
    assert await found(index.as_retriever(similarity_top_k=0), "red") == []


async def test_doc_ids(embedding: UniSemEmbedding, cards: Path) -> None:
    documents = [
        ImageDocument(id_=f"doc-{c}", image_path=str(cards / f"{c}.png")) for c in ("red", "blue")
    ]
    index = UniSemIndex.from_documents(documents, embed_model=embedding)
    retriever = index.as_retriever(doc_ids=["doc-blue"])
    hits = retriever.retrieve("red")
    assert [hit.node.ref_doc_id for hit in hits] == ["doc-blue"]


@pytest.mark.parametrize(
    ("options", "query", "error", "message"),
    [
        ({"similarity_top_k": -1}, "", ValueError, "must not be negative"),
        ({"similarity_top_k": "3"}, "", ValueError, "must be a whole number"),
        ({"modality": "video"}, "", ValueError, 'modality must be "text", "image" or None'),
        ({"text_weight": 2}, "", ValueError, "text_weight must be between 0 and 1"),
        ({"node_ids": "red"}, "", TypeError, r"node_ids must be a list of ids, for example"),
        ({"vector_store_query_mode": "nearest"}, "", ValueError, "nearest"),
        ({}, "", ValueError, "the query is empty"),
        ({}, QueryBundle("", image_path="gone.png"), ImageError, "gone.png: does not exist"),
        ({}, QueryBundle("", image_path="http://a/b.png"), ImageError, "UniSem fetches nothing"),
        (
            {"vector_store_query_mode": "text_search"},
            QueryBundle("red", image_path="red.png"),
            ValueError,
            "looks for words, and the query has a picture",
        ),
    ],
)
async def test_bad_input(
    index: UniSemIndex, options: dict[str, Any], query: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        index.as_retriever(**options).retrieve(query)
    with pytest.raises(error, match=message):
        await index.as_retriever(**options).aretrieve(query)


async def test_objects_are_followed(embedding: UniSemEmbedding, cards: Path) -> None:
    inner = UniSemIndex(mixed(cards), embed_model=embedding).as_retriever(similarity_top_k=1)
    node = IndexNode(text="about colours", index_id="colours", obj=inner)
    outer = UniSemIndex(objects=[node], embed_model=embedding)
    assert [name for name, _ in await found(outer.as_retriever(), "black")] == ["black"]
    added = UniSemIndex(embed_model=embedding)
    added.insert_nodes([IndexNode(text="about colours", index_id="colours", obj=inner)])
    assert [name for name, _ in await found(added.as_retriever(), "black")] == ["black"]


# -- what a model is shown ---------------------------------------------------------------------


def test_as_query_engine_sends_captions_and_pictures(
    index: UniSemIndex, server: ChatServer, cards: Path
) -> None:
    engine = index.as_query_engine(llm=OpenAI(api_base=server.url, **_llm), similarity_top_k=6)
    response = engine.query("Which card is red?")
    assert str(response) == "The red one."
    assert len(server.requests) == 1
    parts = [part for part in server.parts() if part["type"] in ("text", "image_url")]
    captions = [after["text"] for before, after in pairwise(parts) if before["type"] == "image_url"]
    order = [hit.node_id for hit in response.source_nodes if hit.node_id != "about"]
    assert [text.split('"')[1] for text in captions] == order
    for name, picture in zip(order, server.images(), strict=True):
        original = np.asarray(Image.open(cards / f"{name}.png").convert("RGB"))
        np.testing.assert_array_equal(np.asarray(picture), original)
    text = server.text()
    for expected in ("a red card", "a blue card", "cards are made of paper", "year: 2024"):
        assert expected in text
    assert "secret" not in text, "excluded_llm_metadata_keys"


async def test_streaming_and_async_engines_see_pictures(
    index: UniSemIndex, server: ChatServer
) -> None:
    llm = OpenAI(api_base=server.url, **_llm)
    streamed: Any = index.as_query_engine(llm=llm, streaming=True).query("red")
    assert "".join(streamed.response_gen) == "The red one."
    assert len(server.images()) >= 1
    await index.as_query_engine(llm=llm).aquery("red")
    assert len(server.images()) >= 1


def test_a_model_for_text_gets_text(index: UniSemIndex, server: ChatServer) -> None:
    assert "a red card" in str(index.as_query_engine().query("red")), "MockLLM repeats the prompt"
    llm = OpenAI(api_base=server.url, **_llm)
    index.as_query_engine(llm=llm, multimodal=False).query("red")
    assert server.images() == []
    assert "a red card" in server.text()


def test_a_template_for_texts_is_refused_and_not_ignored(
    index: UniSemIndex, server: ChatServer
) -> None:
    llm = OpenAI(api_base=server.url, **_llm)
    template = PromptTemplate("Say {query_str} of {context_str}")
    with pytest.raises(ValueError, match="chat_content_qa_template"):
        index.as_query_engine(llm=llm, text_qa_template=template)
    with pytest.raises(ValueError, match="chat_content_qa_template"):
        index.as_query_engine(llm=llm, text_qa_template=template, multimodal=True)
    index.as_query_engine(llm=llm, text_qa_template=template, multimodal=False).query("red")
    assert "Say red of" in server.text()


def test_a_missing_picture_costs_its_own_place(
    embedding: UniSemEmbedding, server: ChatServer, cards: Path
) -> None:
    index = UniSemIndex(mixed(cards), embed_model=embedding)
    (cards / "red.png").unlink()
    llm = OpenAI(api_base=server.url, **_llm)
    index.as_query_engine(llm=llm, similarity_top_k=6).query("red")
    assert len(server.images()) == 4
    assert "(its picture does not exist)" in server.text()
    assert "a red card" in server.text()


def test_a_picture_that_is_only_a_url_is_not_fetched(
    embedding: UniSemEmbedding, server: ChatServer
) -> None:
    node = ImageNode(id_="far", text="a far card", image_url="http://127.0.0.1:9/x.png")
    index = UniSemIndex(embed_model=embedding)
    index.insert_nodes([node])
    index.insert_nodes([ImageNode(id_="bare", image_url="http://127.0.0.1:9/y.png")])
    assert [skipped.name for skipped in index.skipped] == ["bare"]
    (found,) = index.as_retriever().retrieve("a far card")
    assert isinstance(found.node, ImageNode)
    assert (found.node_id, found.node.text) == ("far", "a far card")
    assert found.node.image_url == node.image_url
    index.as_query_engine(llm=OpenAI(api_base=server.url, **_llm)).query("far")
    assert "(its picture is not a file on this machine)" in server.text()
    assert "a far card" in server.text()


def test_retrieved_pictures_keep_what_the_node_had(index: UniSemIndex, cards: Path) -> None:
    hits = {hit.node_id: hit.node for hit in index.as_retriever(similarity_top_k=9).retrieve("x")}
    blue = hits["blue"]
    assert isinstance(blue, UniSemImageNode)
    assert blue.text == "a blue card"
    assert blue.metadata == {"year": 2024, "hidden": "secret"}
    assert blue.excluded_llm_metadata_keys == ["hidden"]
    assert blue.image_path == str(cards / "blue.png")
    assert isinstance(hits["green"], UniSemImageNode)
    assert hits["green"].resolve_image().read() == (cards / "green.png").read_bytes()
    assert isinstance(hits["about"], TextNode)
    assert not isinstance(hits["about"], ImageNode)


@pytest.mark.parametrize("mode", [ChatMode.BEST, ChatMode.CONTEXT, ChatMode.CONDENSE_QUESTION])
async def test_chat_engines(index: UniSemIndex, server: ChatServer, mode: ChatMode) -> None:
    llm = OpenAI(api_base=server.url, **_llm)
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, similarity_top_k=6)
    assert str(engine.chat("Which card is red?")) == "The red one."
    assert str(await engine.achat("And which is blue?")) == "The red one."
    assert "a red card" in "".join(server.text(n) for n in range(len(server.requests)))
    assert bool(server.images()) == (mode != ChatMode.SIMPLE)


# -- over a space ------------------------------------------------------------------------------


async def test_over_a_space_it_finds_what_the_space_finds(
    card_space: SemanticSpace, cards: Path
) -> None:
    index = UniSemIndex(space=card_space)
    for query in ("a red card", "paper"):
        expected = [(hit.record.id, hit.score) for hit in card_space.search(query, k=4)]
        assert await found(index.as_retriever(similarity_top_k=4), query) == expected
    picture = QueryBundle("", image_path=str(cards / "blue.png"))
    assert (await found(index.as_retriever(), picture))[0][0] == "cards/blue.png"
    index.insert_nodes([TextNode(id_="new", text="a violet card")])
    assert card_space.search("violet", k=1)[0].record.id == "new"
    from_store = UniSemIndex.from_vector_store(UniSemVectorStore(space=card_space))
    assert (await found(from_store.as_retriever(), "violet"))[0][0] == "new"


def test_a_space_and_something_that_does_not_go_with_it(
    card_space: SemanticSpace, embedding: UniSemEmbedding
) -> None:
    other = StorageContext.from_defaults(vector_store=UniSemVectorStore())
    with pytest.raises(ValueError, match="give a space, or a storage_context"):
        UniSemIndex(space=card_space, storage_context=other)
    with pytest.raises(EncoderMismatchError, match="Leave embed_model out"):
        UniSemIndex(space=card_space, embed_model=UniSemEmbedding(encoder=ToyEncoder(seed=1)))
    assert UniSemIndex(space=card_space, embed_model=embedding).space is card_space
    same = StorageContext.from_defaults(vector_store=UniSemVectorStore(space=card_space))
    assert UniSemIndex(space=card_space, storage_context=same).space is card_space


# -- stores and embeddings ---------------------------------------------------------------------


def test_only_a_unisem_vector_store_will_do(embedding: UniSemEmbedding) -> None:
    filled = SimpleVectorStore()
    filled.add([TextNode(text="x", embedding=[1.0])])
    with pytest.raises(TypeError, match="not in SimpleVectorStore"):
        UniSemIndex(storage_context=StorageContext.from_defaults(vector_store=filled))
    context = StorageContext.from_defaults()
    index = UniSemIndex([TextNode(text="x")], storage_context=context, embed_model=embedding)
    assert context.vector_store is index.vector_store


def test_the_embedding_is_the_programs_or_the_embedded_one(
    embedding: UniSemEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert UniSemIndex().as_retriever()._embed_model.model_name == "mini"
    Settings.embed_model = embedding
    assert UniSemIndex().as_retriever()._embed_model is embedding


class OtherModel(MultiModalEmbedding):
    """Somebody else's, which takes paths and ``BytesIO`` only."""

    def _image(self, source: Any) -> list[float]:
        picture = Image.open(source)
        return [float(value) for value in ToyEncoder().encode_images([picture])[0]]

    def _get_image_embedding(self, img_file_path: Any) -> list[float]:
        return self._image(img_file_path)

    async def _aget_image_embedding(self, img_file_path: Any) -> list[float]:
        return self._image(img_file_path)

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(value) for value in ToyEncoder().encode_texts([text])[0]]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@pytest.mark.parametrize("use_async", [False, True])
async def test_any_multi_modal_embedding(index: UniSemIndex, cards: Path, use_async: bool) -> None:
    other = UniSemIndex(mixed(cards), embed_model=OtherModel(), use_async=use_async)
    for query in ("blue", QueryBundle("", image_path=str(cards / "black.png"))):
        expected = dict(await found(index.as_retriever(similarity_top_k=9), query))
        results = await found(other.as_retriever(similarity_top_k=9), query)
        assert dict(results) == pytest.approx(expected, abs=1e-5)
    pasted = ImageQueryBundle(image=solid("black"))
    assert other.as_retriever().retrieve(pasted)[0].node_id == "black"


async def test_an_embedding_for_texts_embeds_captions(cards: Path) -> None:
    nodes = mixed(cards)
    index = UniSemIndex(nodes[:2], embed_model=MockEmbedding(embed_dim=4))
    assert len(await found(index.as_retriever(), "red")) == 2
    with pytest.raises(ValueError, match=r"MockEmbedding embeds texts only, and node 'yellow'"):
        index.insert_nodes([nodes[4]])
    with pytest.raises(ValueError, match="MockEmbedding embeds texts only"):
        await index.ainsert_nodes([nodes[4]])
    with pytest.raises(ValueError, match=r"the query has a picture, and MockEmbedding"):
        index.as_retriever().retrieve(QueryBundle("", image_path="red.png"))
    assert len(index.vector_store.client) == 2


async def test_a_bad_picture_is_left_out_and_named(embedding: UniSemEmbedding, cards: Path) -> None:
    (cards / "bad.png").write_bytes((cards / "red.png").read_bytes()[:60])
    bad = [
        ImageNode(id_="damaged", image_path=str(cards / "bad.png")),
        ImageNode(id_="gone", text="a gone card", image_path=str(cards / "gone.png")),
    ]
    for use_async in (False, True):
        index = UniSemIndex([*mixed(cards), *bad], embed_model=embedding, use_async=use_async)
        assert {name for name, _ in await found(index.as_retriever(similarity_top_k=9), "x")} == ALL
        assert [skipped.name for skipped in index.skipped] == ["damaged", "gone"]
        assert "does not exist" in index.skipped[1].reason


@pytest.mark.parametrize("mode", ["context", "condense_plus_context", "best"])
async def test_a_chat_shows_captions_beside_their_pictures(
    index: UniSemIndex, server: ChatServer, mode: str
) -> None:
    for call in ("chat", "achat"):
        before = len(server.requests)
        engine = index.as_chat_engine(
            chat_mode=mode, llm=OpenAI(api_base=server.url, **_llm), similarity_top_k=1
        )
        answer = getattr(engine, call)("a blue card")
        answer = await answer if call == "achat" else answer
        assert [hit.node_id for hit in answer.source_nodes] == ["blue"]
        assert len(server.images(before)) == 1
        text = server.text(before)
        assert '<result id="blue">' in text
        assert "a blue card</result> (its picture is number 1 above)" in text


def test_unknown_options_are_refused(index: UniSemIndex) -> None:
    model = MockLLM()
    for call in (
        lambda: index.as_retriever(filter=None),
        lambda: index.as_query_engine(llm=model, filter=None),
        lambda: index.as_chat_engine(llm=model, filter=None),
        lambda: index.as_chat_engine("context", llm=model, filter=None),
        lambda: index.as_chat_engine("condense_question", llm=model, filter=None),
        lambda: index.as_chat_engine("simple", llm=model, filter=None),
        lambda: UniSemIndex([], filter=None),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match="filter"):
            call()
