"""`UniSemIndex`: documents and nodes come, change, go, and are found again after a restart."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import (
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    Document,
    ImageNode,
    MediaResource,
    Node,
    QueryBundle,
    TextNode,
)
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_unisem import TextsOnly, UniSemEmbedding, UniSemImageReader, UniSemIndex
from llama_index_unisem import UniSemVectorStore as Store
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.images.reference import ImageRef


@pytest.fixture
def index(embedding: UniSemEmbedding) -> UniSemIndex:
    return UniSemIndex(
        embed_model=embedding, transformations=[SentenceSplitter(chunk_size=60, chunk_overlap=0)]
    )


def documents(cards: Path) -> dict[str, Document]:
    return {document.id_: document for document in UniSemImageReader(cards).load_data()}


def ids(index: UniSemIndex) -> set[str]:
    return {node.ref_doc_id or node.node_id for node in index.vector_store.get_nodes()}


def best(index: UniSemIndex, query: str) -> str | None:
    return index.as_retriever(similarity_top_k=1).retrieve(query)[0].node.ref_doc_id


def test_from_documents_leads_splitters_round_pictures(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    (cards / "about.txt").write_text("Cards are made of paper. " * 40)
    (cards / "red.txt").write_text("This caption of a red card is long. " * 40)
    splitter = SentenceSplitter(chunk_size=60, chunk_overlap=0)
    index = UniSemIndex.from_documents(
        UniSemImageReader(cards).load_data(), embed_model=embedding, transformations=[splitter]
    )
    nodes = index.vector_store.get_nodes()
    pictures = [node for node in nodes if isinstance(node, ImageNode)]
    assert len(pictures) == 6
    assert {node.node_id for node in pictures} == {node.ref_doc_id for node in pictures}
    assert len(nodes) - 6 >= 4, "the text is split"
    assert {node.ref_doc_id for node in nodes if node not in pictures} == {"cards/about.txt"}
    for node in pictures:
        vectors = index.vector_store.client.vectors([node.node_id])[0]
        assert vectors is not None
        expected = ToyEncoder().encode_images([str(node.image_path)])[0]
        np.testing.assert_array_equal(np.ravel(vectors["image"]), expected)


@pytest.mark.parametrize("wait", ["sync", "async"])
async def test_insert_refresh_update_and_delete(index: UniSemIndex, cards: Path, wait: str) -> None:
    async def call(name: str, *given: Any, **options: Any) -> Any:
        if wait == "sync":
            return getattr(index, name)(*given, **options)
        return await getattr(index, f"a{name}")(*given, **options)

    given = documents(cards)
    await call("insert", given["cards/red.png"])
    assert ids(index) == {"cards/red.png"}
    assert await call("refresh_ref_docs", list(given.values())) == [
        name != "cards/red.png" for name in given
    ]
    assert ids(index) == set(given)
    assert not any(await call("refresh_ref_docs", list(documents(cards).values())))

    solid("white").save(cards / "red.png")
    changed = documents(cards)
    expected = [name == "cards/red.png" for name in changed]
    assert await call("refresh_ref_docs", list(changed.values())) == expected
    assert len(index.vector_store.client) == 7
    one, other = index.as_retriever(similarity_top_k=2).retrieve("white")
    assert one.score > 0.9 > other.score  # two files are one white picture now
    assert index.as_retriever(similarity_top_k=1).retrieve("red")[0].score < 0.9

    text = given["cards/about.txt"]
    text.set_content("a violet card")
    await call("update_ref_doc", text)
    assert best(index, "violet") == "cards/about.txt"
    assert len(index.vector_store.client) == 7

    for stay in (True, False):
        await call("delete_ref_doc", "cards/blue.png", delete_from_docstore=not stay)
        assert "cards/blue.png" not in ids(index)
        refreshed = await call("refresh_ref_docs", [changed["cards/blue.png"]])
        assert refreshed == [True], "what was deleted is not unchanged"
        assert "cards/blue.png" in ids(index)
    await call("delete_ref_doc", "never heard of it")
    await call("delete_nodes", ["cards/green.png", "unknown"])
    assert ids(index) == set(given) - {"cards/green.png"}


def test_deleted_documents_come_back_where_the_stock_index_calls_them_unchanged(
    embedding: UniSemEmbedding,
) -> None:
    document = Document(id_="d", text="a red card")
    for kind, expected in ((VectorStoreIndex, [False]), (UniSemIndex, [True])):
        context = StorageContext.from_defaults(vector_store=Store())
        index = kind.from_documents([document], storage_context=context, embed_model=embedding)
        index.delete_ref_doc("d", delete_from_docstore=True)
        assert index.refresh_ref_docs([document]) == expected


def test_documents_count_as_indexed_only_when_they_are(cards: Path) -> None:
    class Broken(ToyEncoder):
        def encode_texts(self, *given: Any, **options: Any) -> Any:
            raise OSError("no memory")

    docstore = SimpleDocumentStore()
    context = StorageContext.from_defaults(vector_store=Store(), docstore=docstore)
    with pytest.raises(OSError, match="no memory"):
        UniSemIndex.from_documents(
            [Document(id_="d", text="x")],
            storage_context=context,
            embed_model=UniSemEmbedding(encoder=Broken()),
        )
    assert docstore.get_document_hash("d") is None


def test_ref_doc_info_is_known_though_the_store_keeps_the_text(
    index: UniSemIndex, cards: Path
) -> None:
    (cards / "about.txt").write_text("Cards are made of paper. " * 40)
    index.refresh_ref_docs(list(documents(cards).values()))
    index.insert_nodes([TextNode(id_="alone", text="of no document")])
    found = index.ref_doc_info
    assert set(found) == set(documents(cards))
    assert found["cards/red.png"].node_ids == ["cards/red.png"]
    assert found["cards/red.png"].metadata["file_name"] == "red.png"
    stored = index.vector_store.get_nodes(found["cards/about.txt"].node_ids)
    assert len(stored) > 1
    assert {node.ref_doc_id for node in stored} == {"cards/about.txt"}


def test_an_index_in_a_directory_is_found_again(
    embedding: UniSemEmbedding, cards: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "cards.unisem") as store:
        context = StorageContext.from_defaults(vector_store=store)
        UniSemIndex.from_documents(
            UniSemImageReader(cards).load_data(), storage_context=context, embed_model=embedding
        )
    with Store(tmp_path / "cards.unisem") as store:
        index = UniSemIndex.from_vector_store(store, embed_model=embedding)
        assert best(index, "a blue card") == "cards/blue.png"
        assert len(index.as_retriever(similarity_top_k=99).retrieve("x")) == 7


@pytest.mark.parametrize("override", [False, True])
def test_persist_and_load_index_from_storage(
    embedding: UniSemEmbedding, cards: Path, tmp_path: Path, override: bool
) -> None:
    index = UniSemIndex.from_documents(
        UniSemImageReader(cards).load_data(), embed_model=embedding, store_nodes_override=override
    )
    assert len(index.index_struct.nodes_dict) == (7 if override else 0)
    assert len(index.docstore.docs) == (7 if override else 0)
    index.set_index_id("cards")
    index.storage_context.persist(str(tmp_path / "storage"))
    expected = [
        (hit.node_id, hit.score)
        for hit in index.as_retriever(similarity_top_k=9).retrieve("a blue card")
    ]

    store = Store.from_persist_dir(str(tmp_path / "storage"))
    context = StorageContext.from_defaults(
        vector_store=store, persist_dir=str(tmp_path / "storage")
    )
    again = load_index_from_storage(
        context, index_id="cards", embed_model=embedding, store_nodes_override=override
    )
    assert type(again) is UniSemIndex
    assert again.index_struct == index.index_struct
    results = again.as_retriever(similarity_top_k=9).retrieve("a blue card")
    assert [(hit.node_id, hit.score) for hit in results] == expected
    assert not any(again.refresh_ref_docs(UniSemImageReader(cards).load_data())), (
        "hashes came along"
    )
    again.delete_ref_doc("cards/red.png", delete_from_docstore=True)
    assert "cards/red.png" not in again.index_struct.nodes_dict
    assert "cards/red.png" not in again.docstore.docs
    again.delete_nodes(["cards/blue.png"], delete_from_docstore=True)
    assert "cards/blue.png" not in again.docstore.docs
    assert len(again.docstore.docs) == (5 if override else 0)
    store.close()


async def test_async_calls_open_no_picture_on_the_event_loop(
    embedding: UniSemEmbedding, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(call: Any) -> Any:
        def noting(*args: Any, **options: Any) -> Any:
            threads.append(threading.get_ident())
            return call(*args, **options)

        return noting

    for name in ("open", "read_bytes", "inspected"):
        monkeypatch.setattr(ImageRef, name, noted(getattr(ImageRef, name)))
    (cards / "bad.png").write_bytes(b"no picture")
    index = UniSemIndex(embed_model=embedding)
    await index.ainsert_nodes(
        [ImageNode(id_=name, image_path=str(cards / f"{name}.png")) for name in ("red", "bad")]
    )
    picture = QueryBundle("", image_path=str(cards / "red.png"))
    assert [hit.node_id for hit in await index.as_retriever().aretrieve(picture)] == ["red"]
    assert len(threads) > 3
    assert threading.get_ident() not in threads


async def test_an_index_in_memory_is_pickled_with_its_nodes(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    nodes = [
        TextNode(id_="about", text="cards are made of paper"),
        ImageNode(id_="red", image_path=str(cards / "red.png")),
    ]
    index = UniSemIndex(nodes, embed_model=embedding)
    twin = pickle.loads(pickle.dumps(index))
    before = [(hit.node_id, hit.score) for hit in index.as_retriever().retrieve("red")]
    assert [(hit.node_id, hit.score) for hit in twin.as_retriever().retrieve("red")] == before
    twin.insert_nodes([TextNode(id_="new", text="violet")])
    twin.delete_nodes(["red"])
    assert [hit.node_id for hit in twin.as_retriever().retrieve("violet")] == ["new", "about"]
    assert [(hit.node_id, hit.score) for hit in index.as_retriever().retrieve("red")] == before


def test_whoever_has_a_store_can_load_the_index(embedding: UniSemEmbedding, tmp_path: Path) -> None:
    index = UniSemIndex([TextNode(text="x")], embed_model=embedding)
    index.storage_context.persist(str(tmp_path / "storage"))
    program = (
        "from llama_index.core import StorageContext, load_index_from_storage\n"
        "from llama_index_unisem import UniSemVectorStore\n"
        f"folder = {str(tmp_path / 'storage')!r}\n"
        "store = UniSemVectorStore.from_persist_dir(folder)\n"
        "context = StorageContext.from_defaults(vector_store=store, persist_dir=folder)\n"
        "print(type(load_index_from_storage(context)).__name__)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "UniSemIndex", result.stderr


async def test_delete_nodes_and_adelete_ref_doc_reach_pictures_where_the_two_store_index_forgets(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    nodes = [
        ImageNode(id_=colour, image_path=str(cards / f"{colour}.png"))
        for colour in ("red", "green", "blue")
    ]
    index = UniSemIndex(nodes, embed_model=embedding)
    index.delete_nodes(["red"])
    await index.adelete_nodes(["green"])
    assert ids(index) == {"blue"}
    whole = Document(id_="d", image_resource=MediaResource(path=cards / "red.png"))
    index.insert(whole)
    await index.adelete_ref_doc("d")
    index.insert_nodes([whole])
    await index.adelete_ref_doc("d")
    assert ids(index) == {"blue"}


def test_an_image_only_insert_leaves_texts_findable_where_the_two_store_index_disables_them(
    index: UniSemIndex, cards: Path
) -> None:
    index.insert_nodes([TextNode(id_="t", text="paper")])
    index.insert_nodes([ImageNode(id_="red", image_path=str(cards / "red.png"))])
    assert index.as_retriever().retrieve("paper")[0].node_id == "t"


def test_a_node_with_a_picture_resource_is_kept_where_the_two_store_index_drops_it(
    index: UniSemIndex, cards: Path
) -> None:
    node = Node(id_="n", image_resource=MediaResource(path=cards / "red.png"))
    index.insert_nodes([node])
    assert index.as_retriever().retrieve("red")[0].node_id == "n"


def test_batches_are_stored_as_they_are_embedded(
    embedding: UniSemEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    add = Store.add

    def counted(self: Store, nodes: Any, **options: Any) -> Any:
        sizes.append(len(nodes))
        return add(self, nodes, **options)

    monkeypatch.setattr(Store, "add", counted)
    nodes = [TextNode(text=f"text {number}") for number in range(5)]
    UniSemIndex(nodes, embed_model=embedding, insert_batch_size=2)
    assert sizes == [2, 2, 1]


def test_pictures_outside_a_spaces_folders_are_refused(
    space: SemanticSpace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "red.png"
    solid("red").save(elsewhere)
    index = UniSemIndex(space=space)
    index.insert_nodes([ImageNode(id_="red", image_path=str(elsewhere))])
    assert len(space) == 0
    (skipped,) = index.skipped  # as any picture that cannot be used; the call's others are stored
    assert skipped.name == "red"
    assert "outside the allowed folders" in skipped.reason


def test_transformations_are_wrapped_once(index: UniSemIndex, embedding: UniSemEmbedding) -> None:
    steps = index._transformations
    assert [type(step) for step in steps] == [TextsOnly]
    again = UniSemIndex(embed_model=embedding, transformations=[*steps, embedding])
    assert again._transformations == [*steps, embedding]
