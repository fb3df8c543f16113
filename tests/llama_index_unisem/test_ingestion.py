"""Pictures and texts through `IngestionPipeline`: splitters, caches, upserts, processes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    TextNode,
)
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_unisem import TextsOnly, UniSemEmbedding, UniSemImageReader, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder

LONG = ("Cards are made of paper. " * 40).strip()


@pytest.fixture
def store() -> UniSemVectorStore:
    return UniSemVectorStore()


@pytest.fixture
def folder(cards: Path) -> Path:
    """The cards, one without a caption, and a text that needs several chunks."""
    (cards / "green.txt").unlink()
    (cards / "about.txt").write_text(LONG)
    return cards


def splitter(size: int = 60) -> SentenceSplitter:
    return SentenceSplitter(chunk_size=size, chunk_overlap=0)


def pipeline(
    embedding: UniSemEmbedding, store: UniSemVectorStore | None, **options: Any
) -> IngestionPipeline:
    steps = options.pop("transformations", [TextsOnly(splitter()), embedding])
    return IngestionPipeline(transformations=steps, vector_store=store, **options)


def check(store: UniSemVectorStore, folder: Path, colours: set[str]) -> None:
    """Each picture once, with the vectors of its pixels and of its caption; and the text."""
    encoder = ToyEncoder()
    nodes = store.get_nodes()
    pictures = {node.metadata["file_name"]: node for node in nodes if isinstance(node, ImageNode)}
    assert set(pictures) == {f"{colour}.png" for colour in colours}
    chunks = [node.get_content() for node in nodes if not isinstance(node, ImageNode)]
    assert len(chunks) > 1
    assert " ".join(chunks) == LONG
    for colour in colours:
        node = pictures[f"{colour}.png"]
        vectors = store.client.vectors([node.node_id])[0]
        assert vectors is not None
        expected = {"image": encoder.encode_images([folder / f"{colour}.png"])[0]}
        if node.text:
            expected["text"] = encoder.encode_texts([node.text])[0]
        assert set(vectors) == set(expected)
        for kind, vector in expected.items():
            np.testing.assert_array_equal(np.ravel(vectors[kind]), vector)


# -- splitters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["sync", "async"])
@pytest.mark.parametrize("disable_cache", [False, True])
@pytest.mark.parametrize("wrapped", [True, False])
async def test_pictures_survive_a_splitter(
    embedding: UniSemEmbedding,
    store: UniSemVectorStore,
    folder: Path,
    wait: str,
    disable_cache: bool,
    wrapped: bool,
) -> None:
    """The reader's documents do so even with the splitter by itself."""
    steps = [TextsOnly(splitter()) if wrapped else splitter(), embedding]
    line = pipeline(embedding, store, transformations=steps, disable_cache=disable_cache)
    documents = UniSemImageReader(folder).load_data()
    nodes = (
        line.run(documents=documents) if wait == "sync" else await line.arun(documents=documents)
    )
    check(store, folder, set(COLOURS))
    assert {node.ref_doc_id for node in nodes} == {document.id_ for document in documents}


def test_sentence_splitter_loses_or_refuses_pictures_and_texts_only_does_not(
    embedding: UniSemEmbedding, folder: Path
) -> None:
    red = MediaResource(path=folder / "red.png")
    caption = MediaResource(text=LONG)
    document = Document(id_="d", image_resource=red, text_resource=caption)
    node = Node(id_="n", image_resource=red)
    assert all(type(found) is TextNode for found in splitter()([document]))
    with pytest.raises(ValueError, match="Unknown document type"):
        splitter()([node])
    two = splitter()([ImageDocument(id_="i", text=LONG, image_path=str(folder / "red.png"))])
    assert len(two) > 1, "one picture becomes several"

    found = TextsOnly(splitter())([document, Document(text=LONG), node])
    *texts, first, second = found
    assert len(texts) == len(splitter().split_text(LONG))
    assert isinstance(first, ImageNode)
    assert (first.node_id, first.ref_doc_id, first.text) == ("d", "d", LONG)
    assert first.image_path == str(folder / "red.png")
    assert second is node


def test_texts_only_keeps_all_that_a_document_has(folder: Path) -> None:
    before = Document(text="before", id_="b")
    document = ImageDocument(
        id_="d",
        text="a caption",
        image=b"QUJD".decode(),
        image_mimetype="image/png",
        metadata={"year": 2024, "hidden": 1},
        excluded_embed_metadata_keys=["year"],
        excluded_llm_metadata_keys=["hidden"],
        text_template="{content}|{metadata_str}",
        metadata_separator=";",
        relationships={NodeRelationship.PREVIOUS: before.as_related_node_info()},
    )
    document.embedding = [1.0, 2.0]
    document.text_embedding = [3.0, 4.0]
    (node,) = TextsOnly(splitter())([document])
    assert isinstance(node, ImageNode)
    for mode in MetadataMode:
        assert node.get_content(mode) == document.get_content(mode)
    assert (node.image, node.image_mimetype) == ("QUJD", "image/png")
    assert (node.embedding, node.text_embedding) == ([1.0, 2.0], [3.0, 4.0])
    assert node.prev_node is not None
    assert node.prev_node.node_id == "b"
    assert node.metadata is not document.metadata
    assert TextsOnly(splitter())([]) == []


async def test_texts_only_awaits_a_step_that_can_be_awaited(folder: Path) -> None:
    class Marker(SentenceSplitter):
        async def acall(self, nodes: Any, **kwargs: Any) -> Any:
            return [TextNode(text="awaited")]

    found = await TextsOnly(Marker()).acall([Document(text="x")])
    assert [node.get_content() for node in found] == ["awaited"]


def test_a_cache_tells_wrapped_splitters_of_different_settings_apart() -> None:
    nodes = [TextNode(text="x")]
    hashes = {get_transformation_hash(nodes, TextsOnly(splitter(size))) for size in (60, 60, 80)}
    assert len(hashes) == 2
    again = pickle.loads(pickle.dumps(TextsOnly(splitter(80))))
    assert again.transformation.chunk_size == 80
    data = TextsOnly(splitter(80)).to_dict()
    rebuilt = TextsOnly.from_dict(data, transformation=splitter(80))
    assert rebuilt.to_dict() == data


# -- caches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("through_disk", [False, True])
def test_the_cache_never_returns_another_picture(
    encoder: ToyEncoder, folder: Path, tmp_path: Path, through_disk: bool
) -> None:
    """§1.5: nodes are known to it by text and metadata, which for a new picture are the same."""
    embedding = UniSemEmbedding(encoder=encoder)
    cache = IngestionCache()

    def run() -> UniSemVectorStore:
        nonlocal cache
        store = UniSemVectorStore()
        pipeline(embedding, store, cache=cache).run(documents=UniSemImageReader(folder).load_data())
        if through_disk:
            cache.persist(str(tmp_path / "cache.json"))
            cache = IngestionCache.from_persist_path(str(tmp_path / "cache.json"))
        return store

    check(run(), folder, set(COLOURS))
    done = encoder.images_encoded, encoder.texts_encoded
    check(run(), folder, set(COLOURS))
    assert (encoder.images_encoded, encoder.texts_encoded) == done, "all from the cache"
    solid("white", (41, 30)).save(folder / "green.png")
    check(run(), folder, set(COLOURS))
    assert encoder.images_encoded > done[0]
    (folder / "red.txt").write_text("another caption")
    check(run(), folder, set(COLOURS))


def test_two_pictures_of_one_folder_without_captions_do_not_share_a_node(
    embedding: UniSemEmbedding, tmp_path: Path
) -> None:
    cache = IngestionCache()
    for colour in ("red", "blue"):  # the trap needs runs of one picture each, of the same name
        folder = tmp_path / colour / "photos"
        folder.mkdir(parents=True)
        solid(colour).save(folder / "picture.png")
        store = UniSemVectorStore()
        pipeline(embedding, store, cache=cache).run(documents=UniSemImageReader(folder).load_data())
        expected = ToyEncoder().encode_images([folder / "picture.png"])[0]
        vectors = store.client.vectors(["photos/picture.png"])[0]
        assert vectors is not None
        np.testing.assert_array_equal(np.ravel(vectors["image"]), expected)


def test_get_transformation_hash_collides_for_documents_without_a_text_resource(
    folder: Path,
) -> None:
    """Their metadata do not count either; the reader's pictures always have a text resource."""
    hashes = set()
    for digest in ("a", "b"):
        image = MediaResource(path=folder / "green.png")
        document = ImageDocument(image_resource=image, metadata={"sha256": digest})
        hashes.add(get_transformation_hash([document], splitter()))
    assert len(hashes) == 1, "the trap"
    bare = UniSemImageReader(folder).load_data(folder / "green.png")[0]
    assert bare.text == ""
    assert bare.metadata["sha256"] in bare.get_content(MetadataMode.ALL)


# -- document stores ---------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["sync", "async"])
@pytest.mark.parametrize("strategy", list(DocstoreStrategy))
async def test_docstore_strategies(
    encoder: ToyEncoder, folder: Path, tmp_path: Path, strategy: DocstoreStrategy, wait: str
) -> None:
    embedding = UniSemEmbedding(encoder=encoder)
    docstore = SimpleDocumentStore()
    with UniSemVectorStore(tmp_path / "cards.unisem") as store:

        async def run() -> set[str]:
            line = pipeline(embedding, store, docstore=docstore, docstore_strategy=strategy)
            documents = UniSemImageReader(folder).load_data()
            nodes = (
                line.run(documents=documents)
                if wait == "sync"
                else (await line.arun(documents=documents))
            )
            return {str(node.ref_doc_id) for node in nodes}

        assert len(await run()) == 7
        check(store, folder, set(COLOURS))
        done = encoder.images_encoded
        assert await run() == set(), "nothing has changed"
        assert encoder.images_encoded == done

        solid("white", (41, 30)).save(folder / "red.png")  # same name, same caption, other bytes
        assert await run() == {"cards/red.png"}
        assert encoder.images_encoded == done + 1
        check(store, folder, set(COLOURS))

        (folder / "blue.txt").write_text("now in navy")
        assert await run() == {"cards/blue.png"}
        check(store, folder, set(COLOURS))

        (folder / "black.png").unlink()
        (folder / "black.txt").unlink()
        await run()
        gone = {"black"} if strategy == DocstoreStrategy.UPSERTS_AND_DELETE else set()
        kept = {node.metadata["file_name"] for node in store.get_nodes()} - {"about.txt"}
        assert kept == {f"{colour}.png" for colour in set(COLOURS) - gone}


def test_a_pipeline_that_was_persisted_goes_on(
    encoder: ToyEncoder, folder: Path, tmp_path: Path
) -> None:
    embedding = UniSemEmbedding(encoder=encoder)
    first = pipeline(
        embedding, UniSemVectorStore(tmp_path / "s.unisem"), docstore=SimpleDocumentStore()
    )
    first.run(documents=UniSemImageReader(folder).load_data())
    first.persist(str(tmp_path / "pipeline"))
    first.vector_store.close()  # type: ignore[union-attr]
    done = encoder.images_encoded
    with UniSemVectorStore(tmp_path / "s.unisem") as store:
        again = pipeline(embedding, store)
        again.load(str(tmp_path / "pipeline"))
        assert again.run(documents=UniSemImageReader(folder).load_data()) == []
        assert encoder.images_encoded == done
        check(store, folder, set(COLOURS))


# -- processes ---------------------------------------------------------------------------------


def test_num_workers(embedding: UniSemEmbedding, store: UniSemVectorStore, folder: Path) -> None:
    """Spawned processes get the steps pickled, and send nodes with both vectors back."""
    line = pipeline(embedding, store)
    line.run(documents=UniSemImageReader(folder).load_data(), num_workers=2)
    check(store, folder, set(COLOURS))


@pytest.mark.slow
def test_num_workers_find_the_embedded_model_by_name(
    store: UniSemVectorStore, folder: Path
) -> None:
    model = UniSemEmbedding(model_name="mini")
    nodes: list[BaseNode] = list(
        pipeline(model, store).run(documents=UniSemImageReader(folder).load_data(), num_workers=2)
    )
    assert len(store.get_nodes()) == len(nodes)
    red = next(node for node in nodes if node.metadata["file_name"] == "red.png")
    expected = model.get_image_embedding(folder / "red.png")
    np.testing.assert_allclose(red.get_embedding(), expected, atol=1e-5)
