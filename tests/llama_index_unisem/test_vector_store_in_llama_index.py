"""`UniSemVectorStore` under LlamaIndex's own indexes and pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.indices.vector_store.retrievers import VectorIndexRetriever
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, ImageNode, QueryBundle, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llama_index_unisem import UniSemEmbedding, UniSemVectorStore


@pytest.fixture
def store() -> UniSemVectorStore:
    return UniSemVectorStore()


def sources(store: UniSemVectorStore) -> list[str]:
    return sorted({node.ref_doc_id or node.node_id for node in store.get_nodes()})


def documents(*names: str, **metadata: Any) -> list[Document]:
    return [Document(id_=name, text=f"a {name} card", metadata=metadata) for name in names]


def ids(nodes: Any) -> list[str]:
    return [node.node_id for node in nodes]


async def both(retriever: Any, query: Any) -> list[str]:
    found = ids(retriever.retrieve(query))
    assert ids(await retriever.aretrieve(query)) == found
    return found


async def test_vector_store_index(store: UniSemVectorStore, embedding: UniSemEmbedding) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    assert index.as_retriever().retrieve("red") == [], "nothing yet"
    for document in documents("red", "green"):
        index.insert(document)
    await index.ainsert_nodes([TextNode(id_="blue", text="a blue card", metadata={"year": 2024})])
    assert sources(store) == ["blue", "green", "red"]
    assert await both(index.as_retriever(similarity_top_k=1), "blue") == ["blue"]
    only = MetadataFilters(filters=[MetadataFilter(key="year", value=2024)])
    assert await both(index.as_retriever(filters=only, similarity_top_k=9), "red") == ["blue"]
    words = index.as_retriever(vector_store_query_mode="text_search", similarity_top_k=9)
    assert await both(words, "blue") == ["blue"]
    for mode in ("hybrid", "mmr", "svm"):
        retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=1)
        assert await both(retriever, "blue") == ["blue"]
    close = index.as_retriever(
        vector_store_query_mode="mmr",
        similarity_top_k=2,
        vector_store_kwargs={"mmr_threshold": 1.0},
    )
    assert (await both(close, "blue"))[0] == "blue"
    index.delete_ref_doc("red")
    await index.adelete_ref_doc("green")
    assert sources(store) == ["blue"]
    index.delete_nodes(["blue"])
    assert sources(store) == []


def test_refresh(store: UniSemVectorStore, embedding: UniSemEmbedding) -> None:
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(
        documents("red", "green"), storage_context=context, embed_model=embedding
    )
    changed = [
        Document(id_="red", text="a black card"), *documents("green"), *documents("blue"),
    ]  # fmt: skip
    for document in documents("red", "green"):
        index.docstore.set_document_hash(document.id_, document.hash)
    assert index.refresh_ref_docs(changed) == [True, False, True]
    assert sources(store) == ["blue", "green", "red"]
    assert sorted(node.get_content() for node in store.get_nodes()) == [
        "a black card", "a blue card", "a green card",
    ]  # fmt: skip


async def test_pictures_and_texts_in_one_stock_index(
    store: UniSemVectorStore, embedding: UniSemEmbedding, cards: Path
) -> None:
    """The index's own retriever asks for pictures only, once it has any."""
    nodes = [
        TextNode(id_="about", text="red paper"),
        ImageNode(id_="red", text="a red card", image_path=str(cards / "red.png")),
        ImageNode(id_="blue", text="a blue card", image_path=str(cards / "blue.png")),
    ]
    context = StorageContext.from_defaults(vector_store=store)
    made = VectorStoreIndex(embedding(nodes), storage_context=context, embed_model=embedding)
    assert "about" not in await both(made.as_retriever(similarity_top_k=9), "red")
    everything = VectorIndexRetriever(made, similarity_top_k=9)
    assert set(await both(everything, "red")) == {"about", "red", "blue"}
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    retriever = index.as_retriever(similarity_top_k=9)
    assert set(await both(retriever, "red")) == {"about", "red", "blue"}
    assert (await both(retriever, "a blue card"))[0] == "blue"
    picture = embedding.get_image_embedding(cards / "blue.png")
    bundle = QueryBundle("", embedding=picture)
    assert (await both(retriever, bundle))[0] == "blue"
    found = retriever.retrieve("a blue card")[0].node
    assert isinstance(found, ImageNode)
    assert (found.text, found.image_path) == ("a blue card", str(cards / "blue.png"))


async def test_multi_modal_index_over_two_views(
    store: UniSemVectorStore, embedding: UniSemEmbedding, cards: Path
) -> None:
    context = StorageContext.from_defaults(
        vector_store=store.view("text"), image_store=store.view("image")
    )
    nodes = [
        TextNode(id_="about", text="cards are made of paper"),
        *(
            ImageNode(id_=colour, text=f"a {colour} card", image_path=str(cards / f"{colour}.png"))
            for colour in ("red", "green", "blue")
        ),
        ImageNode(id_="bare", image_path=str(cards / "black.png"), metadata={"not": "skipped"}),
    ]
    index = MultiModalVectorStoreIndex(
        nodes, storage_context=context, embed_model=embedding, image_embed_model=embedding
    )
    assert len(store.get_nodes()) == 5
    kinds = [set(found or {}) for found in store.client.vectors(["about", "red", "bare"])]
    assert kinds == [{"text"}, {"text", "image"}, {"image"}]
    retriever = index.as_retriever(similarity_top_k=2, image_similarity_top_k=2)
    assert ids(retriever.text_retrieve("paper cards"))[0] == "about"
    assert ids(retriever.text_to_image_retrieve("green"))[0] == "green"
    assert ids(retriever.image_to_image_retrieve(str(cards / "blue.png")))[0] == "blue"
    assert ids(await retriever.atext_to_image_retrieve("black"))[0] == "bare"
    assert (await both(retriever, "red"))[0] == "red"
    both_views = retriever.retrieve("red")
    assert {found.node_id for found in both_views} >= {"red"}
    index.delete_nodes(["red"])
    assert "red" not in {found.node_id for found in retriever.retrieve("red")}, (
        "the index deletes from the text store only; a view deletes the node whole"
    )


@pytest.mark.parametrize(
    ("strategy", "left"),
    [
        (DocstoreStrategy.UPSERTS, ["blue", "green", "red"]),
        (DocstoreStrategy.UPSERTS_AND_DELETE, ["blue", "red"]),
        (DocstoreStrategy.DUPLICATES_ONLY, ["blue", "green", "red"]),
    ],
)
@pytest.mark.parametrize("splitter", [True, False])
@pytest.mark.parametrize("wait", ["sync", "async"])
async def test_ingestion_pipeline(
    store: UniSemVectorStore,
    embedding: UniSemEmbedding,
    strategy: DocstoreStrategy,
    left: list[str],
    splitter: bool,
    wait: str,
) -> None:
    steps = [SentenceSplitter(), embedding] if splitter else [embedding]
    pipeline = IngestionPipeline(
        transformations=steps,
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
        disable_cache=True,
    )

    async def run(given: list[Document]) -> None:
        if wait == "async":
            await pipeline.arun(documents=given)
        else:
            pipeline.run(documents=given)

    await run(documents("red", "green"))
    await run(documents("red", "green"))
    assert len(store.get_nodes()) == 2
    await run([Document(id_="red", text="now a white card"), *documents("blue")])
    assert sources(store) == left
    texts = [node.get_content() for node in store.get_nodes()]
    assert "now a white card" in texts
    if strategy != DocstoreStrategy.DUPLICATES_ONLY:
        assert "a red card" not in texts


async def test_pictures_through_a_pipeline(
    store: UniSemVectorStore, embedding: UniSemEmbedding, cards: Path
) -> None:
    nodes = [
        ImageNode(id_=colour, text=f"a {colour} card", image_path=str(cards / f"{colour}.png"))
        for colour in ("red", "blue")
    ]
    IngestionPipeline(transformations=[embedding], vector_store=store, disable_cache=True).run(
        nodes=nodes
    )
    assert [set(kinds or {}) for kinds in store.client.vectors(["red", "blue"])] == [
        {"image", "text"}, {"image", "text"},
    ]  # fmt: skip
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    assert await both(index.as_retriever(similarity_top_k=1), "blue") == ["blue"]
