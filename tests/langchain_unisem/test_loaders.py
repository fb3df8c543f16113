"""`ImageFolderLoader`: a folder's pictures as documents, and those documents in a store."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from PIL import Image

from langchain_unisem import (
    ImageBlobParser,
    ImageFolderLoader,
    UniSemVectorStore,
    format_documents,
    image_document,
)
from tests.support.pictures import encoded, noise, solid
from tests.support.text_embeddings import PictureEmbeddings, WordEmbeddings
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace
from unisem.common.skipped import Skipped
from unisem.errors import EncoderError, ImageError, RecordError
from unisem.images.reference import ImageRef

OUTSIDE = "leads outside the allowed folder"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Captions by file, by sidecar and none; a picture whose name lies about its type."""
    folder = tmp_path / "photos"
    (folder / "cats").mkdir(parents=True)
    solid("red").save(folder / "tom.jpg", format="JPEG")
    solid("blue").save(folder / "cats" / "tim.png")
    solid("green").save(folder / "lone.png", format="WEBP", lossless=True)
    solid("black").save(folder / "bare.png")
    (folder / "lone.txt").write_text("a lone {green} one\n", encoding="utf-8")
    (folder / "about.txt").write_text("Texts are for other loaders.", encoding="utf-8")
    (folder / "empty.txt").touch()
    rows = [
        {"file_name": "tom.jpg", "text": "Tom, a red cat", "year": 2024, "source": "web"},
        {"file_name": "cats/tim.png", "text": "Tim", "tags": ["blue"], "sha256": "no"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")
    return folder


def by_id(documents: list[Document]) -> dict[str | None, Document]:
    return {document.id: document for document in documents}


def expected(path: Path, mime_type: str, **columns: Any) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    place = {"source": path.as_posix(), "unisem_image": str(path)}
    with Image.open(path) as image:
        size = {"width": image.width, "height": image.height}
    return {**place, "sha256": digest, "mime_type": mime_type, **size, **columns}


async def test_documents(photos: Path) -> None:
    skipped: list[Skipped] = []
    loader = ImageFolderLoader(photos, on_skip=skipped.append)
    documents = loader.load()
    assert by_id(documents) == {
        "photos/tom.jpg": Document(
            id="photos/tom.jpg",
            page_content="Tom, a red cat",
            metadata=expected(
                photos / "tom.jpg",
                "image/jpeg",
                file_name="tom.jpg",
                year=2024,
                original_source="web",
            ),
        ),
        "photos/cats/tim.png": Document(
            id="photos/cats/tim.png",
            page_content="Tim",
            metadata=expected(
                photos / "cats" / "tim.png",
                "image/png",
                file_name="cats/tim.png",
                tags=["blue"],
                original_sha256="no",
            ),
        ),
        "photos/lone.png": Document(
            id="photos/lone.png",
            page_content="a lone {green} one",
            metadata=expected(photos / "lone.png", "image/webp", file_name="lone.png"),
        ),
        "photos/bare.png": Document(
            id="photos/bare.png",
            page_content="",
            metadata=expected(photos / "bare.png", "image/png", file_name="bare.png"),
        ),
    }
    assert skipped == []
    assert loader.load() == documents
    assert await loader.aload() == documents
    assert [document async for document in loader.alazy_load()] == documents
    assert len(json.dumps([document.model_dump() for document in documents])) < 4000


def test_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.png").write_bytes(encoded(solid("red", (8, 8))))
    read: list[str] = []

    read_bytes = ImageRef.read_bytes

    def counting(image: ImageRef) -> bytes:
        read.append(image.name)
        return read_bytes(image)

    monkeypatch.setattr(ImageRef, "read_bytes", counting)
    documents = ImageFolderLoader(folder).lazy_load()
    assert read == []
    assert next(documents).id == "many/000.png"
    assert 1 <= len(read) <= 64
    documents.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if "unisem-ingest" in thread.name:
            thread.join(60)
    assert not [name for name in threading.enumerate() if "unisem-ingest" in name.name]
    assert len(read) <= 64


@pytest.mark.parametrize("relative", [True, False])
def test_source_is_absolute(photos: Path, relative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    loader = ImageFolderLoader("photos/../photos" if relative else str(photos))
    monkeypatch.chdir("/")
    sources = {document.metadata["source"] for document in loader.lazy_load()}
    assert (photos / "tom.jpg").as_posix() in sources
    assert all(Path(source).is_file() for source in sources)


def spoil(folder: Path) -> dict[str, str]:
    """Add what cannot be loaded; return each one's name and why."""
    whole = encoded(noise(1, (200, 200)))
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "half.jpg").write_bytes(encoded(noise(1, (900, 900)), "JPEG")[:40_000])
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "void.png").touch()
    (folder / "phone.heic").write_bytes(b"x")
    with (folder / "metadata.jsonl").open("a") as file:
        file.write('{"file_name": "gone.png", "text": "gone"}\nnonsense\n')
        file.write('{"file_name": "../secret.png", "text": "a secret"}\n')
    solid("white").save(folder.parent / "secret.png")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    os.mkfifo(folder / "pipe.png")
    return {
        "half.png": "is damaged or truncated",
        "half.jpg": "is damaged or truncated",
        "page.jpg": "is not a picture",
        "void.png": "is empty",
        "phone.heic": "is not a picture",
        "metadata.jsonl: gone.png": "does not exist",
        "metadata.jsonl:4": "is not JSON",
        "metadata.jsonl: ../secret.png": "leads outside the folder",
        "link.png": OUTSIDE,
        "pipe.png": "is not a regular file",
    }


def test_bad_pictures_are_skipped_and_reported(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = ImageFolderLoader(photos).load()
    reasons = spoil(photos)
    skipped: list[Skipped] = []
    assert ImageFolderLoader(photos, on_skip=skipped.append).load() == good
    assert len(skipped) == len(reasons)
    for name, reason in reasons.items():
        (said,) = [item.reason for item in skipped if item.name == f"{photos}/{name}"]
        assert reason in said
    with caplog.at_level(logging.WARNING, "langchain_unisem.document_loaders"):
        assert ImageFolderLoader(photos).load() == good
    assert len(caplog.records) == len(reasons)
    assert f"skipped {photos}/void.png: is empty (0 bytes)" in caplog.messages


def test_strict_by_an_error_of_ones_own(photos: Path) -> None:
    (photos / "void.png").touch()

    def stop(skipped: Skipped) -> None:
        raise RuntimeError(f"stopped at {skipped.name}")

    with pytest.raises(RuntimeError, match=r"stopped at .*void\.png"):
        ImageFolderLoader(photos, on_skip=stop).load()


def test_links(photos: Path) -> None:
    (photos / "again.jpg").symlink_to("tom.jpg")
    (photos / "elsewhere").symlink_to(photos.parent)
    documents = by_id(ImageFolderLoader(photos).load())
    assert len(documents) == 5
    link, file = documents["photos/again.jpg"], documents["photos/tom.jpg"]
    assert link.metadata["sha256"] == file.metadata["sha256"]
    assert link.metadata["source"] == (photos / "again.jpg").as_posix()


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        with pytest.raises(NotADirectoryError, match="is not a folder"):
            ImageFolderLoader(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert ImageFolderLoader(tmp_path / "empty").load() == []


async def test_stored_as_pictures(cards: Path, space: SemanticSpace) -> None:
    """The same records as `add_images` and `add_folder` make of the same folder."""
    documents = ImageFolderLoader(cards).load()
    store = UniSemVectorStore(space=space)
    names = [f"cards/{colour}.png" for colour in sorted(COLOURS)]
    assert store.add_documents(documents) == names
    assert await store.aadd_documents(documents) == names
    assert store.get_by_ids(names) == documents
    with SemanticSpace.open(None, encoder=ToyEncoder(), image_roots=[cards]) as plain:
        plain.add_folder(cards)
        for name in names:
            (record,), (other,) = space.get([name]), plain.get([name])
            assert record
            assert other
            assert record.modality == "image"
            assert record.text == other.text
            assert record.image
            assert other.image
            assert (record.image.path, record.image.sha256) == (
                other.image.path,
                other.image.sha256,
            )
        for query in ({"text": "a green card"}, {"image": solid("blue", (7, 7))}):
            found = space.search(**query, k=6)
            wanted = plain.search(**query, k=6, modality="image")
            assert [(hit.record.id, hit.score, hit.matched) for hit in found] == [
                (hit.record.id, hit.score, hit.matched) for hit in wanted
            ]
    retriever = store.as_retriever(search_kwargs={"k": 1})
    (found_document,) = retriever.invoke("a red card")
    assert found_document == documents[names.index("cards/red.png")]
    blocks = format_documents([found_document], space=space)
    assert [block["type"] for block in blocks] == ["text", "text", "image"]


def test_a_document_that_was_found_stays_a_picture(cards: Path, space: SemanticSpace) -> None:
    store = UniSemVectorStore(space=space)
    store.add_documents(ImageFolderLoader(cards).lazy_load())
    document = store.similarity_search_by_image(cards / "red.png", k=1)[0]
    document.metadata["seen"] = True
    document.page_content = "the red one"
    store.add_documents([document])
    (record,) = space.get([str(document.id)])
    assert record
    assert record.text == "the red one"
    assert record.modality == "image"
    assert record.metadata["seen"] is True
    assert store.similarity_search_by_image(cards / "red.png", k=1)[0] == document


def test_no_caption(photos: Path) -> None:
    with UniSemVectorStore.from_documents(
        ImageFolderLoader(photos).load(), PictureEmbeddings(), image_roots=[photos]
    ) as store:
        (found,) = store.similarity_search("black", k=1)
        assert (found.id, found.page_content) == ("photos/bare.png", "")
        (record,) = store.space.get(["photos/bare.png"])
        assert record
        assert record.text is None


def test_picture_document(cards: Path, space: SemanticSpace) -> None:
    path = cards / "red.png"
    document = image_document(path, caption="mine", metadata={"a": [1]}, id="x")
    assert (document.id, document.page_content) == ("x", "mine")
    assert document.metadata == {
        "a": [1],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "mime_type": "image/png",
        "unisem_image": str(path),
    }
    UniSemVectorStore(space=space).add_documents([document])
    (record,) = space.get(["x"])
    assert record
    assert image_document(record.image, caption="mine", metadata={"a": [1]}, id="x") == document  # type: ignore[arg-type]
    for bad in (encoded(solid("red")), solid("red")):
        with pytest.raises(ImageError, match="has no file; a document only refers to its picture"):
            image_document(bad)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="fetches nothing"):
        image_document("https://example.org/x.png")
    with pytest.raises(ImageError, match="does not exist"):
        image_document(cards / "gone.png")


class TestStrangersDocuments:
    """Metadata may come from anybody; what they can name is what they know already."""

    @pytest.fixture
    def store(self, space: SemanticSpace) -> UniSemVectorStore:
        return UniSemVectorStore(space=space)

    @pytest.mark.parametrize("digest", [None, "", "0" * 63, "G" * 64, 7, "A" * 64])
    def test_without_a_digest(self, store: UniSemVectorStore, cards: Path, digest: Any) -> None:
        document = Document("a", metadata={"unisem_image": str(cards / "red.png")})
        if digest is not None:
            document.metadata["sha256"] = digest
        with pytest.raises(RecordError, match="a picture without its digest"):
            store.add_documents([Document("first"), document])
        assert len(store) == 0

    def test_with_another_digest(self, store: UniSemVectorStore, cards: Path) -> None:
        document = Document("a", metadata={"unisem_image": str(cards / "red.png")})
        document.metadata["sha256"] = "0" * 64
        with pytest.raises(ImageError, match=r"red\.png: has changed since .*; load it again"):
            store.add_documents([Document("first"), document])
        assert len(store) == 0

    def test_outside_the_allowed_folders(
        self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, encoder: ToyEncoder
    ) -> None:
        far = tmp_path_factory.mktemp("far")
        solid("red").save(far / "red.png")
        (tmp_path / "link.png").symlink_to(far / "red.png")
        with UniSemVectorStore(space=SemanticSpace.open(tmp_path / "s", encoder=encoder)) as store:
            for path in (far / "red.png", tmp_path / "link.png"):
                document = image_document(path)
                with pytest.raises(ImageError, match="outside the allowed folders"):
                    store.add_documents([document])
            store.space.image_library.allow(far)
            assert store.add_documents([image_document(far / "red.png", id="a")]) == ["a"]
            store.space.close()

    @pytest.mark.parametrize("place", [7, "", ["x"], {"path": "x"}])
    def test_no_path(self, store: UniSemVectorStore, place: Any) -> None:
        document = Document("a", metadata={"unisem_image": place, "sha256": "0" * 64})
        with pytest.raises(RecordError, match=r"metadata\['unisem_image'\] must be a path"):
            store.add_documents([document])

    def test_a_path_elsewhere_in_metadata_is_data(
        self, store: UniSemVectorStore, cards: Path, encoder: ToyEncoder
    ) -> None:
        path = str(cards / "red.png")
        metadata = {"source": path, "path": path, "image": path, "mime_type": "image/png"}
        store.add_documents([Document(path, id="a", metadata=metadata)])
        store.add_texts(["b"], [image_document(path).metadata], ids=["b"])
        assert [record.modality for record in store.space.get(["a", "b"]) if record] == ["text"] * 2
        assert encoder.images_encoded == 0

    def test_gone_and_changed(self, store: UniSemVectorStore, cards: Path) -> None:
        documents = ImageFolderLoader(cards).load()
        solid("blue", (9, 9)).save(cards / "green.png")
        with pytest.raises(ImageError, match=r"green\.png: has changed since its document"):
            store.add_documents(documents)
        (cards / "green.png").unlink()
        with pytest.raises(ImageError, match=r"green\.png: does not exist"):
            store.add_documents(documents)
        assert len(store) == 0
        assert len(store.add_documents(ImageFolderLoader(cards).load())) == 5


def test_text_embeddings_say_that_they_cannot(cards: Path) -> None:
    documents = ImageFolderLoader(cards).load()
    with UniSemVectorStore(embedding=WordEmbeddings(), image_roots=[cards]) as store:
        with pytest.raises(EncoderError, match="embeds no pictures"):
            store.add_documents(documents)
        for document in documents:
            del document.metadata["unisem_image"]  # the captions alone
        store.add_documents(documents)
        assert store.similarity_search("a red card", k=1)[0].id == "cards/red.png"


def test_last_of_an_id_counts(cards: Path, space: SemanticSpace) -> None:
    red = image_document(cards / "red.png", id="a")
    blue = image_document(cards / "blue.png", id="a")
    store = UniSemVectorStore(space=space)
    assert store.add_documents([red, Document("t", id="a"), blue]) == ["a"] * 3
    assert store.get_by_ids(["a"]) == [blue]
    assert store.add_documents([blue, Document("t", id="a")]) == ["a"] * 2
    (record,) = space.get(["a"])
    assert record
    assert record.modality == "text"


def test_a_reference_given_by_name_is_read_anew(cards: Path, space: SemanticSpace) -> None:
    store = UniSemVectorStore(space=space)
    store.add_images([cards / "red.png"], ids=["a"])
    (record,) = space.get(["a"])
    assert record
    assert record.image
    solid("blue", (9, 9)).save(cards / "red.png")
    store.add_images([record.image], ids=["a"])
    (again,) = space.get(["a"])
    assert again
    assert again.image
    assert again.image.sha256 != record.image.sha256
    assert store.similarity_search_by_image(solid("blue"), k=1)[0].id == "a"


def test_tables_and_captions_as_people_have_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png", "d.PNG", "e.png"):
        solid("red").save(folder / name)
    table = 'file_name;text;zip\na.png;"one; a";01234\nb.png;two;1\nc.png;"never closed\nx.png;;\n'
    (folder / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + table.encode())
    (folder / "d.PNG.TXT").write_text("four")
    (folder / "e.txt").write_bytes("пять".encode("cp1251"))
    (folder / "self.png").symlink_to("self.png")
    (folder / "a.mov").touch()
    skipped: list[Skipped] = []
    documents = by_id(ImageFolderLoader(folder, on_skip=skipped.append).load())
    assert {name: document.page_content for name, document in documents.items()} == {
        "photos/a.png": "one; a",
        "photos/b.png": "two",
        "photos/c.png": "",
        "photos/d.PNG": "four",
        "photos/e.png": "",
    }
    assert documents["photos/a.png"].metadata["zip"] == "01234"
    assert documents["photos/b.png"].metadata["zip"] == "1"
    assert {item.name.removeprefix(f"{folder}/") for item in skipped} == {
        "metadata.csv:5",
        "e.txt",
        "self.png",
        "*.mov",
    }


def test_a_blob_s_caption_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        solid("red").save(tmp_path / name)
    (tmp_path / "a.png.TXT").write_text("one")
    (tmp_path / "b.txt").write_bytes("два".encode("cp1251"))
    skipped: list[Skipped] = []
    parser = ImageBlobParser(on_skip=skipped.append)
    texts = [parser.parse(Blob.from_path(tmp_path / name))[0] for name in ("a.png", "b.png")]
    assert [document.page_content for document in texts] == ["one", ""]
    assert [item.name for item in skipped] == [str(tmp_path / "b.txt")]
