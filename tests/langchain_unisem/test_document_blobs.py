"""`DocumentBlobParser`: files that LangChain yields as blobs, with their figures."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from langchain_core.documents.base import Blob

from langchain_unisem import (
    DocumentBlobParser,
    DocumentLoader,
    ImageFolderLoader,
    UniSemVectorStore,
)
from tests.support.pictures import encoded, solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS
from unisem import SemanticSpace
from unisem.common.skipped import Skipped


@pytest.fixture
def manuals(tmp_path: Path) -> Path:
    """Two manuals of one name in folders of one name; the second has its picture inside."""
    red = base64.b64encode(encoded(solid("red"))).decode()
    for shelf, source in (("1", "cover.png"), ("2", f"data:image/png;base64,{red}")):
        folder = tmp_path / "shelves" / shelf / "manual"
        folder.mkdir(parents=True)
        solid("red").save(folder / "cover.png")
        figure = f"<figure><img src='{source}'><figcaption>Figure 1: red</figcaption></figure>"
        (folder / "page.html").write_text(f"<p>Shelf {shelf}.</p>{figure}<p>End.</p>")
    return tmp_path / "shelves"


def blobs(manuals: Path) -> list[Blob]:
    paths = sorted(manuals.rglob("*.html"))
    return [Blob.from_path(path, metadata={"shelf": n}) for n, path in enumerate(paths, 1)]


def test_a_blob_gives_what_the_loader_gives_of_its_file(manuals: Path) -> None:
    told: list[Skipped] = []
    parser = DocumentBlobParser(on_skip=told.append)
    seen: set[str] = set()
    for number, blob in enumerate(blobs(manuals), 1):
        parsed = parser.parse(blob)
        loaded = DocumentLoader(str(blob.path), on_skip=told.append).load()
        assert len(parsed) == 3
        for document, other in zip(parsed, loaded, strict=True):
            assert document.page_content == other.page_content
            assert document.metadata == {**other.metadata, "shelf": number}
        seen |= {str(document.id) for document in parsed}
    assert len(seen) == 6
    assert all(name.startswith(str(manuals.resolve())) for name in seen)
    assert ["inside the document" in skipped.reason for skipped in told] == [True, True]


def test_a_space_keeps_the_pictures_that_are_inside(manuals: Path, space: SemanticSpace) -> None:
    space.image_library.allow(manuals)
    parser = DocumentBlobParser(space=space)
    documents = [document for blob in blobs(manuals) for document in parser.parse(blob)]
    store = UniSemVectorStore(space=space)
    store.add_documents(documents)
    found = store.similarity_search_by_image(solid("red"), k=2, duplicates="keep")
    assert [document.page_content for document in found] == ["Figure 1: red"] * 2
    assert {document.metadata["shelf"] for document in found} == {1, 2}
    loaded = DocumentLoader(manuals, space=space).load()
    assert sum("unisem_image" in document.metadata for document in loaded) == 3  # and the file


def test_a_link_to_a_folder_gives_the_same_ids(manuals: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(manuals / "1" / "manual")
    parser = DocumentBlobParser()
    straight, linked = (
        [document.id for document in parser.parse(Blob.from_path(folder / "page.html"))]
        for folder in (manuals / "1" / "manual", tmp_path / "linked")
    )
    assert straight == linked
    assert straight[0] == f"{(manuals / '1' / 'manual' / 'page.html').resolve()}#1"


def test_what_cannot_be_parsed(tmp_path: Path) -> None:
    told: list[Skipped] = []
    parser = DocumentBlobParser(on_skip=told.append)
    with pytest.raises(ValueError, match=r"page\.html is in memory.*Blob\.from_path"):
        parser.parse(Blob.from_data("<p>x</p>", path="page.html"))
    (tmp_path / "empty.html").write_bytes(b"")
    assert parser.parse(Blob.from_path(tmp_path / "gone.html")) == []
    assert parser.parse(Blob.from_path(tmp_path / "empty.html")) == []
    assert [Path(item.name).name for item in told] == ["gone.html", "empty.html"]


def test_columns_of_a_table_do_not_say_where_pictures_are(
    cards: Path, space: SemanticSpace, tmp_path: Path
) -> None:
    solid("blue").save(tmp_path / "secret.png")
    row = f"red.png,{tmp_path / 'secret.png'},zzz,{'0' * 64}"
    (cards / "metadata.csv").write_text(f"file_name,unisem_image,unisem_region,sha256\n{row}\n")
    reader = ColourRecognizer({COLOURS["red"]: ["RED"]})
    for loader in (
        ImageFolderLoader(cards, recognizer=reader),
        DocumentLoader(cards, recognizer=reader),
    ):
        documents = [one for one in loader.load() if "red.png" in str(one.metadata["source"])]
        assert len(documents) == 2  # the picture, and its words
        for document in documents:
            assert "secret" not in str(document.metadata.get("unisem_image"))
            assert document.metadata["original_unisem_region"] == "zzz"
        UniSemVectorStore(space=space).add_documents(documents)
