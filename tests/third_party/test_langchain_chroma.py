"""UniSem's embeddings and documents inside LangChain's Chroma store."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings
from langchain_chroma import Chroma
from langchain_core.indexing import InMemoryRecordManager, index

from langchain_unisem import (
    ImageFolderLoader,
    ImageQuery,
    UniSemEmbeddings,
    UniSemVectorStore,
    image_key,
)
from langchain_unisem.metadata import own_metadata
from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace

NAMES = sorted(COLOURS)


@pytest.fixture
def chroma(tmp_path: Path, encoder: ToyEncoder) -> Iterator[Chroma]:
    client = chromadb.PersistentClient(
        str(tmp_path / "chroma"), settings=Settings(anonymized_telemetry=False)
    )
    yield Chroma(
        "cards",
        UniSemEmbeddings(encoder=encoder),
        client=client,
        collection_metadata={"hnsw:space": "cosine"},
    )
    client.close()


@pytest.fixture
def filled(chroma: Chroma, cards: Path) -> Chroma:
    uris = [str(cards / f"{name}.png") for name in NAMES]
    assert chroma.add_images(uris, [{"colour": name} for name in NAMES], NAMES) == NAMES
    return chroma


def colours(documents: list[object]) -> list[str]:
    return [document.metadata["colour"] for document in documents]  # type: ignore[attr-defined]


def test_finds_pictures_by_picture(filled: Chroma, tmp_path: Path, cards: Path) -> None:
    for name in NAMES:
        solid(name, (17, 13)).save(tmp_path / "query.png")
        (found,) = filled.similarity_search_by_image(str(tmp_path / "query.png"), k=1)
        assert found.metadata == {"colour": name}
        # Chroma's own way: the bytes lie in the text; with UniSem's store they never do.
        assert base64.b64decode(found.page_content) == (cards / f"{name}.png").read_bytes()
    only = filled.similarity_search_by_image(str(cards / "red.png"), k=1, filter={"colour": "blue"})
    assert colours(only) == ["blue"]


def test_scores_are_the_cosines(filled: Chroma, encoder: ToyEncoder, cards: Path) -> None:
    """Pictures found with words; distances against NumPy."""
    pictures = encoder.encode_images([cards / f"{name}.png" for name in NAMES])
    for query in ("a red card", "blue", "yellow and green"):
        cosines = pictures @ encoder.encode_texts([query], "query")[0]
        found = filled.similarity_search_with_score(query, k=len(NAMES))
        order = [NAMES[position] for position in np.argsort(-cosines)]
        assert colours([document for document, _ in found]) == order
        distances = [distance for _, distance in found]
        assert np.allclose(distances, np.sort(1 - cosines), atol=1e-5)


def test_scores_by_picture(filled: Chroma, cards: Path, card_space: SemanticSpace) -> None:
    """Chroma's ``…_by_image_with_relevance_score`` passes a list where one vector belongs.

    So it fails with any embeddings; a vector of ours does it, and in UniSem's store the method.
    """
    assert filled.embeddings is not None
    path = str(cards / "red.png")
    (vector,) = filled.embeddings.embed_image([path])  # type: ignore[attr-defined]
    ((document, distance),) = filled.similarity_search_by_vector_with_relevance_scores(vector, k=1)
    assert document.metadata == {"colour": "red"}
    assert distance == pytest.approx(0, abs=1e-5)
    store = UniSemVectorStore(space=card_space)
    ((document, score),) = store.similarity_search_with_score(ImageQuery(path), k=1)
    assert own_metadata(document.metadata)["file_name"] == "red.png"
    assert score == pytest.approx(1, abs=1e-5)


def test_the_same_ranking_as_unisems_store(
    filled: Chroma, card_space: SemanticSpace, cards: Path
) -> None:
    store = UniSemVectorStore(space=card_space)
    options = {"modality": "image", "match": "image", "k": len(NAMES)}
    for name in NAMES:
        path = cards / f"{name}.png"
        ours = store.similarity_search_by_image(path, **options)
        theirs = filled.similarity_search_by_image(str(path), k=len(NAMES))
        # Beyond the first, chance decides nothing: both compare the same vectors.
        assert [document.metadata["file_name"][:-4] for document in ours] == colours(theirs)


def test_loaded_documents_are_flat_enough(chroma: Chroma, cards: Path) -> None:
    """Chroma takes scalars only in metadata; captions are searched there, not pictures."""
    manager = InMemoryRecordManager("chroma")
    manager.create_schema()
    loader = ImageFolderLoader(cards)
    for added in (6, 0):
        done = index(
            loader,
            manager,
            chroma,
            cleanup="incremental",
            source_id_key="source",
            key_encoder=image_key,
        )
        assert (done["num_added"], done["num_skipped"]) == (added, 6 - added)
    solid("red", (9, 9)).save(cards / "blue.png")
    done = index(
        loader,
        manager,
        chroma,
        cleanup="incremental",
        source_id_key="source",
        key_encoder=image_key,
    )
    assert done == {"num_added": 1, "num_updated": 0, "num_skipped": 5, "num_deleted": 1}
    (found,) = chroma.similarity_search("a blue card", k=1)
    assert found.page_content == "a blue card"
