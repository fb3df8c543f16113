"""`ImageBlobParser`: blobs of files and of bytes as documents."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.document_loaders import BlobLoader
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from langchain_unisem import ImageBlobParser, ImageFolderLoader, UniSemVectorStore
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import COLOURS
from unisem import SemanticSpace
from unisem.common.skipped import Skipped


class FolderBlobs(BlobLoader):
    """Every file of a folder, as `FileSystemBlobLoader` has it."""

    def __init__(self, folder: Path, pattern: str = "*") -> None:
        self.paths = sorted(folder.glob(pattern))

    def yield_blobs(self) -> Iterable[Blob]:
        return (Blob.from_path(path) for path in self.paths)


def test_files(cards: Path, space: SemanticSpace) -> None:
    skipped: list[Skipped] = []
    parser = ImageBlobParser(on_skip=skipped.append)
    documents = [
        doc for blob in FolderBlobs(cards).yield_blobs() for doc in parser.lazy_parse(blob)
    ]
    wanted = ImageFolderLoader(cards).load()
    assert [document.page_content for document in documents] == [
        f"a {colour} card" for colour in sorted(COLOURS)
    ]
    for document, other in zip(documents, wanted, strict=True):
        assert document.id == document.metadata["source"] == other.metadata["source"]
        assert document.metadata == {
            name: value for name, value in other.metadata.items() if name != "file_name"
        }
    assert {Path(item.name).name for item in skipped} == {
        "about.txt",
        *(f"{colour}.txt" for colour in COLOURS),
    }
    assert all("is not a picture" in item.reason for item in skipped)
    store = UniSemVectorStore(space=space)
    store.add_documents(documents)
    assert store.similarity_search_by_image(solid("red", (5, 5)), k=1)[0].page_content == (
        "a red card"
    )
    assert {record.modality for record in space.get([str(d.id) for d in documents]) if record} == {
        "image"
    }


def test_bytes_are_kept_by_the_space(space: SemanticSpace) -> None:
    data = encoded(noise(3))
    parser = ImageBlobParser(space=space)
    blob = Blob.from_data(
        data, mime_type="text/plain", path="scan-7", metadata={"caption": "a scan", "page": 7}
    )
    (document,) = parser.parse(blob)
    digest = hashlib.sha256(data).hexdigest()
    place = document.metadata["unisem_image"]
    assert document == Document(
        id="scan-7",
        page_content="a scan",
        metadata={
            "caption": "a scan",
            "page": 7,
            "width": 40,
            "height": 30,
            "source": "scan-7",
            "sha256": digest,
            "mime_type": "image/png",
            "unisem_image": place,
        },
    )
    assert space.path
    assert Path(place).is_relative_to(space.path)
    assert Path(place).read_bytes() == data
    store = UniSemVectorStore(space=space)
    store.add_documents([document])
    (record,) = space.get(["scan-7"])
    assert record
    assert record.image
    assert record.image.read_bytes() == data
    assert store.similarity_search_by_image(data, k=1) == [document]


def test_a_space_in_memory() -> None:
    with SemanticSpace.open(None) as space:
        (document,) = ImageBlobParser(space=space).parse(Blob.from_data(encoded(noise(3))))
        assert document.id == document.metadata["sha256"]
        assert "source" not in document.metadata
        assert Path(document.metadata["unisem_image"]).is_file()


def test_bytes_without_a_space() -> None:
    blob = Blob.from_data(encoded(noise(3)), path="scan-7")
    with pytest.raises(ValueError, match=r"scan-7 is in memory.*ImageBlobParser\(space=…\)"):
        ImageBlobParser().parse(blob)


def test_ids_and_sources(cards: Path) -> None:
    path = str(cards / "red.png")
    metadata: dict[Any, Any] = {"source": "s3://bucket/red.png"}
    (document,) = ImageBlobParser().parse(Blob.from_path(path, metadata=metadata))
    assert document.id == document.metadata["source"] == "s3://bucket/red.png"
    assert document.metadata["unisem_image"] == path
    assert metadata == {"source": "s3://bucket/red.png"}
    (document,) = ImageBlobParser().parse(Blob.from_path(path, metadata={"source": Path("a/b")}))
    assert document.id == document.metadata["source"] == "a/b"
    (document,) = ImageBlobParser().parse(Blob(id="mine", path=path))
    assert (document.id, document.metadata["source"]) == ("mine", path)


def test_relative_paths(cards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cards)
    (document,) = ImageBlobParser().parse(Blob.from_path("red.png"))
    assert document.metadata["source"] == "red.png"
    assert document.metadata["unisem_image"] == str(cards / "red.png")


def test_captions(cards: Path, tmp_path: Path) -> None:
    blob = Blob.from_path(cards / "red.png", metadata={"caption": "from the blob", "alt": "alt"})
    assert ImageBlobParser().parse(blob)[0].page_content == "from the blob"
    named = ImageBlobParser(caption=lambda blob: blob.metadata["alt"])
    assert named.parse(blob)[0].page_content == "alt"
    (tmp_path / "secret.txt").write_text("a secret")
    (cards / "red.txt").unlink()
    (cards / "red.txt").symlink_to(tmp_path / "secret.txt")
    assert ImageBlobParser().parse(Blob.from_path(cards / "red.png"))[0].page_content == ""


def test_bad_blobs(
    cards: Path,
    space: SemanticSpace,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    far = tmp_path_factory.mktemp("far")
    solid("red").save(far / "red.png")
    whole = encoded(noise(1, (200, 200)))
    blobs = {
        "is not a picture": Blob.from_data("a text", path="a"),
        "is empty": Blob.from_data(b"", path="b"),
        "is damaged or truncated": Blob.from_data(whole[:9000], path="c"),
        "does not exist": Blob.from_path(cards / "gone.png"),
        "is outside the allowed folders": Blob.from_path(far / "red.png"),
    }
    skipped: list[Skipped] = []
    parser = ImageBlobParser(space=space, on_skip=skipped.append)
    assert [doc for blob in blobs.values() for doc in parser.lazy_parse(blob)] == []
    assert [item.name for item in skipped] == [blob.source for blob in blobs.values()]
    for item, reason in zip(skipped, blobs, strict=True):
        assert reason in item.reason
    with caplog.at_level(logging.WARNING, "langchain_unisem.document_loaders"):
        assert ImageBlobParser(space=space).parse(blobs["is empty"]) == []
    assert caplog.messages == ["skipped b: is empty (0 bytes)"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_the_community_loader(cards: Path, space: SemanticSpace) -> None:
    """LangChain's own composition, in its retiring package."""
    from langchain_community.document_loaders import FileSystemBlobLoader
    from langchain_community.document_loaders.generic import GenericLoader

    blobs = FileSystemBlobLoader(cards, glob="**/*", suffixes=[".png"])
    loader = GenericLoader(blobs, ImageBlobParser(space=space))
    documents = loader.load()
    assert sorted(document.page_content for document in documents) == [
        f"a {colour} card" for colour in sorted(COLOURS)
    ]
    UniSemVectorStore(space=space).add_documents(documents)
    assert {record.modality for record in space.get([str(d.id) for d in documents]) if record} == {
        "image"
    }
