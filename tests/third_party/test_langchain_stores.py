"""What the stores that people have now get wrong, one test for each row of the list."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from langchain_unisem import EmbeddingsEncoder, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.text_embeddings import FixedEmbeddings, PictureEmbeddings, WordEmbeddings
from unisem import SemanticSpace
from unisem.errors import CorruptStoreError
from unisem.stores.faiss import FaissKind

COLOURS = ["red", "green", "blue", "white", "black"]


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@pytest.fixture(scope="module")
def thousand() -> UniSemVectorStore:
    texts = [f"{COLOURS[n % 5]} thing {n}" for n in range(1000)]
    metadatas = [{"rare": n % 200 == 7, "number": n} for n in range(1000)]
    names = [f"{n:03}" for n in range(1000)]
    return UniSemVectorStore.from_texts(texts, WordEmbeddings(), metadatas, ids=names)


def test_pickled_docstore(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with UniSemVectorStore.from_texts(["a"], WordEmbeddings(), path=path):
        pass
    (path / "vectors.faiss").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with UniSemVectorStore(embedding=WordEmbeddings(), path=path) as store:  # it is derived
        assert [document.page_content for document in store.similarity_search("a")] == ["a"]
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (path / name).unlink(missing_ok=True)
    (path / "catalog.sqlite").write_bytes(b"\x80\x04" * 5000)
    with pytest.raises(CorruptStoreError):
        UniSemVectorStore(embedding=WordEmbeddings(), path=path)


def test_filter_after_fetch(thousand: UniSemVectorStore) -> None:
    wanted = {"007", "207", "407", "607", "807"}
    for condition in ({"rare": True}, lambda document: document.metadata["rare"]):
        for query in ("red thing 500", "blue", "nothing like it"):
            assert set(ids(thousand.similarity_search(query, k=5, filter=condition))) == wanted
            found = thousand.max_marginal_relevance_search(query, k=5, fetch_k=5, filter=condition)
            assert set(ids(found)) == wanted


def test_index_changed_before_ids_are_checked(store: UniSemVectorStore) -> None:
    store.add_texts(["red", "blue"], ids=["a", "b"])
    with pytest.raises(ValueError, match="got 1 ids for 2 inputs"):
        store.add_texts(["green", "white"], ids=["a"])
    store.add_texts(["green"], ids=["a"])
    assert ids(store.similarity_search("green", k=9)) == ["a", "b"]
    assert [document.page_content for document in store.get_by_ids(["a"])] == ["green"]


def test_no_lock() -> None:
    store = UniSemVectorStore.from_texts(["fixed red"], WordEmbeddings(8), ids=["fixed"])
    stop = threading.Event()

    def read() -> int:
        done = 0
        while not stop.is_set():
            found = store.similarity_search_with_score("fixed red", k=3)
            assert found[0][0].id == "fixed"
            assert all(document.page_content.split()[0] in COLOURS for document, _ in found[1:])
            done += 1
        return done

    def write(writer: int) -> None:
        for n in range(30):
            name = f"{writer}-{n % 3}"
            store.add_texts([f"{COLOURS[n % 5]} {writer} {n}"], ids=[name])
            if n % 4 == 0:
                store.delete([name])

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(3)]
        writers = [pool.submit(write, writer) for writer in range(2)]
        try:
            for writer in writers:
                writer.result(60)
        finally:
            stop.set()
        assert all(reader.result(60) for reader in readers)
    assert len(store) == 1 + 2 * 3 - sum(n % 4 == 0 for n in (27, 28, 29)) * 2


def test_delete_of_missing_ids_raises(store: UniSemVectorStore) -> None:
    store.add_texts(["red", "blue"], ids=["a", "b"])
    assert store.delete(["nobody", "a"]) is True
    assert store.delete(["nobody"]) is True
    assert ids(store.similarity_search("red")) == ["b"]


def test_docstore_copied_on_every_add(store: UniSemVectorStore) -> None:
    embeddings = store.embeddings
    assert isinstance(embeddings, WordEmbeddings)
    store.add_texts([f"number {n}" for n in range(200)])
    embeddings.texts.clear()
    store.add_texts(["one more"])
    assert embeddings.texts == ["one more"]


@pytest.mark.parametrize("kind", ["hnsw", "ivf_pq"])
def test_hnsw_delete(kind: str, thousand: UniSemVectorStore, tmp_path: Path) -> None:
    encoder = EmbeddingsEncoder(WordEmbeddings())
    with SemanticSpace.open(tmp_path / "s", encoder=encoder, store=FaissKind(kind)) as space:
        store = UniSemVectorStore(space=space)
        store.add_documents(thousand.get_by_ids([f"{n:03}" for n in range(1000)]))
        space.compact()
        assert ids(store.similarity_search("red thing 500", k=1)) == ["500"]
        store.delete(["500"])
        assert "500" not in ids(store.similarity_search("red thing 500", k=1000))
        assert len(store.similarity_search("red", k=5, filter={"rare": True})) == 5


def test_inner_product_relevance_inverted() -> None:
    vectors = {"east": [9.0, 0.0], "west": [-0.2, 0.0], "north": [0.0, 3.0]}
    store = UniSemVectorStore.from_texts(list(vectors), FixedEmbeddings(vectors))
    found = store.similarity_search_with_relevance_scores("east")
    assert [(document.page_content, score) for document, score in found] == [
        ("east", 1.0),
        ("north", 0.5),
        ("west", 0.0),
    ]
    best = store.similarity_search_with_relevance_scores("east", score_threshold=0.8)
    assert [document.page_content for document, _ in best] == ["east"]


def test_cosine_over_raw_lengths(thousand: UniSemVectorStore) -> None:
    found = thousand.similarity_search_with_relevance_scores("red red red thing", k=1000)
    scores = [score for _, score in found]
    assert len(scores) == 1000
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_and_drops_its_siblings(thousand: UniSemVectorStore) -> None:
    condition = {"$and": [{"number": {"$gte": 100}}], "number": {"$lt": 103}}
    found = thousand.similarity_search("red", k=9, filter=condition)
    assert sorted(ids(found)) == ["100", "101", "102"]


def test_missing_field_raises(store: UniSemVectorStore) -> None:
    store.add_texts(["red", "blue"], [{"year": 2024}, {}], ids=["a", "b"])
    assert ids(store.similarity_search("blue", filter={"year": {"$gt": 2000}})) == ["a"]


@pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("balance", [0.0, 0.3, 0.5, 1.0])
def test_mmr_with_filter_and_raw_lengths(balance: float, length: float) -> None:
    random = np.random.default_rng(5)
    vectors = {f"t{n}": random.normal(size=5) * (1 + n * length) for n in range(60)}
    embeddings = FixedEmbeddings({text: row.tolist() for text, row in vectors.items()})
    metadatas = [{"even": n % 2 == 0} for n in range(60)]
    store = UniSemVectorStore.from_texts(list(vectors), embeddings, metadatas)
    query = vectors["t7"] * length
    pool = sorted(
        (text for n, text in enumerate(vectors) if n % 2 == 0),
        key=lambda text: -float(vectors[text] @ query / np.linalg.norm(vectors[text])),
    )[:12]
    rows = [vectors[text].tolist() for text in pool]
    chosen = maximal_marginal_relevance(query, rows, lambda_mult=balance, k=6)
    options = {"k": 6, "fetch_k": 12, "lambda_mult": balance, "filter": {"even": True}}
    found = store.max_marginal_relevance_search("t7", **options)
    assert [document.page_content for document in found] == [pool[position] for position in chosen]
    assert ids(store.max_marginal_relevance_search_by_vector(query.tolist(), **options)) == ids(
        found
    )


def test_nothing_to_add(store: UniSemVectorStore) -> None:
    assert store.add_texts([]) == store.add_documents([]) == store.add_images([]) == []
    for empty in (
        UniSemVectorStore.from_texts([], WordEmbeddings()),
        UniSemVectorStore.from_documents([], WordEmbeddings()),
        UniSemVectorStore.from_images([], WordEmbeddings()),
    ):
        assert empty
        assert len(empty) == 0
        assert empty.similarity_search("red") == []
        assert empty.max_marginal_relevance_search("red") == []
        assert empty.add_texts(["red"], ids=["a"]) == ["a"]


def test_results_alias_the_store(store: UniSemVectorStore) -> None:
    metadata = {"id": 7, "tags": ["a"], "nested": {"x": [1]}}
    document = Document("red", id="d", metadata=metadata)
    store.add_documents([document])
    document.metadata["tags"].append("late")
    for _ in range(2):
        (found, score), *_ = store.similarity_search_with_score("red")
        assert type(score) is float
        assert found == Document(
            "red", id="d", metadata={"id": 7, "tags": ["a"], "nested": {"x": [1]}}
        )
        found.metadata["nested"]["x"].append(2)
        found.metadata["new"] = True
        store.get_by_ids(["d"])[0].metadata.clear()
    (_, relevance), *_ = store.similarity_search_with_relevance_scores("red")
    assert type(relevance) is float


async def test_async_add_on_the_event_loop() -> None:
    threads: set[int] = set()

    class Watched(PictureEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            threads.add(threading.get_ident())
            return super().embed_query(text)

    store = await UniSemVectorStore.afrom_texts(["red"], Watched(), ids=["t"])
    picture = solid("blue")
    await store.aadd_texts(["green"])
    await store.aadd_documents([Document("black")])
    await store.aadd_images([picture])
    await store.asimilarity_search("red")
    await store.asimilarity_search_with_score("red")
    await store.asimilarity_search_with_relevance_scores("red", score_threshold=0.1)
    await store.asimilarity_search_by_vector([1.0] * 24)
    await store.asimilarity_search_with_score_by_vector([1.0] * 24)
    await store.asimilarity_search_by_image(picture)
    await store.amax_marginal_relevance_search("red")
    await store.amax_marginal_relevance_search_by_vector([1.0] * 24)
    await store.asearch("red", "hybrid")
    await store.as_retriever(search_type="mmr").ainvoke("red")
    assert len(await store.aget_by_ids(["t", "nobody"])) == 1
    assert await store.adelete(["t"]) is True
    assert threads
    assert threading.get_ident() not in threads
    assert len(store) == 3


async def test_async_calls_together(store: UniSemVectorStore) -> None:
    names = [[f"{n}-{m}" for m in range(5)] for n in range(8)]
    adding = [store.aadd_texts([f"red {name}" for name in group], ids=group) for group in names]
    searching = [store.asimilarity_search("red", k=3) for _ in range(8)]
    done = await asyncio.gather(*adding, *searching)
    assert done[:8] == names
    assert len(store) == 40
    assert len(await store.asimilarity_search("red", k=99)) == 40


def test_no_pictures() -> None:
    store = UniSemVectorStore(embedding=PictureEmbeddings())
    store.add_texts(["a red thing"], ids=["text"])
    store.add_images([solid("red"), solid("blue")], captions=["red", None], ids=["r", "b"])
    assert ids(store.similarity_search("blue", k=1)) == ["b"]
    assert ids(store.similarity_search_by_image(solid("blue", (9, 9)), k=1)) == ["b"]
    assert {document.page_content for document in store.get_by_ids(["r", "b"])} == {"red", ""}
