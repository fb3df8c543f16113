"""`CaptionImages`: which documents get captions, and what may be read for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document

from langchain_unisem import CaptionImages, ImageFolderLoader, UniSemVectorStore, image_document
from tests.support.captioners import ColourCaptioner
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.captioners import CachedCaptioner
from unisem.captions import marks_of
from unisem.common.skipped import Skipped


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        solid(colour).save(folder / f"{colour}.png")
    (folder / "red.txt").write_text("mine")
    return folder


@pytest.fixture
def space() -> Iterator[SemanticSpace]:
    with SemanticSpace.open(None, encoder=ToyEncoder()) as opened:
        yield opened


def test_documents_without_words_get_captions(photos: Path) -> None:
    documents = [*ImageFolderLoader(photos).load(), Document("a text"), Document("")]
    before = [document.model_copy(deep=True) for document in documents]
    captioner = ColourCaptioner()
    found = CaptionImages(captioner, image_roots=[photos]).transform_documents(documents)
    texts = [document.page_content for document in found]
    assert texts == ["a blue card", "a green card", "mine", "a text", ""]
    assert documents == before, "what goes in is not changed"
    marks = marks_of("a blue card", "colours")
    assert found[0].metadata == {**before[0].metadata, **marks}
    assert found[0].id == before[0].id
    assert list(found[2:]) == before[2:]
    assert captioner.asked == 2


async def test_in_a_thread(photos: Path) -> None:
    captions = CaptionImages(ColourCaptioner(), image_roots=[photos])
    documents = ImageFolderLoader(photos).load()
    assert await captions.atransform_documents(documents) == captions.transform_documents(documents)


def test_nothing_is_read_that_was_not_named_or_has_changed(photos: Path, tmp_path: Path) -> None:
    solid("white").save(tmp_path / "secret.png")
    documents = [
        image_document(tmp_path / "secret.png", id="outside"),
        image_document(photos / "blue.png", id="changed"),
        image_document(photos / "green.png", id="gone"),
        image_document(photos / "red.png", id="good"),
    ]
    incomplete = documents[3].model_copy(deep=True)
    del incomplete.metadata["sha256"]
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    linked = documents[0].model_copy(deep=True)
    linked.metadata["unisem_image"] = str(photos / "link.png")
    documents += [incomplete, linked]
    solid("black").save(photos / "blue.png")
    (photos / "green.png").unlink()
    skipped: list[Skipped] = []
    captioner = ColourCaptioner()
    captions = CaptionImages(captioner, image_roots=[photos], on_skip=skipped.append)
    found = captions.transform_documents(documents)
    assert [document.page_content for document in found] == ["", "", "", "a red card", "", ""]
    assert captioner.asked == 1
    reasons = [it.reason for it in skipped]
    for reason, words in zip(
        reasons,
        ("outside the allowed", "has changed", "does not exist", "without its digest", "outside"),
        strict=True,
    ):
        assert words in reason
    with pytest.raises(TypeError, match="must be a list"):
        CaptionImages(captioner, image_roots=str(photos))  # type: ignore[arg-type]


def test_a_cache_outlives_the_run(photos: Path, tmp_path: Path, space: SemanticSpace) -> None:
    for asked in (2, 0):
        captioner = ColourCaptioner()
        kept = CachedCaptioner(captioner, tmp_path / "captions.sqlite")
        captions = CaptionImages(kept, image_roots=[photos])
        documents = captions.transform_documents(ImageFolderLoader(photos).load())
        assert captioner.asked == asked
        assert documents[0].page_content == "a blue card"
    space.image_library.allow(photos)
    UniSemVectorStore(space=space).add_documents(list(documents))
    assert space.remove_captions().removed == 2, "a space knows them as its own"
