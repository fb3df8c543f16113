"""`CaptionImages`: which nodes get captions, what may be read for it, and what caches know."""

from __future__ import annotations

import logging
from base64 import b64encode
from pathlib import Path

import pytest
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    TextNode,
)

from llama_index_unisem import CaptionImages
from tests.support.captioners import ColourCaptioner
from tests.support.pictures import encoded, solid
from unisem.captions import MARKS, marks_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        solid(colour).save(folder / f"{colour}.png")
    return folder


def nodes_of(photos: Path) -> list[BaseNode]:
    inline = b64encode(encoded(solid("white"))).decode()
    return [
        TextNode(text="a text"),
        ImageNode(image_path=str(photos / "red.png")),
        ImageNode(image=inline, metadata={"year": 2024}),
        ImageNode(text="mine", image_path=str(photos / "red.png")),
        Node(image_resource=MediaResource(path=photos / "blue.png")),
        ImageDocument(image_path=str(photos / "green.png")),
        Document(image_resource=MediaResource(path=photos / "blue.png")),
        ImageNode(image_url="http://127.0.0.1:9/a.png"),
        ImageNode(image_path=str(photos.parent / "outside.png")),
        TextNode(text=""),
    ]


CAPTIONS = [
    "a text",
    "a red card",
    "a white card",
    "mine",
    "a blue card",
    "a green card",
    "a blue card",
] + [""] * 3


def test_nodes_without_words_get_captions(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    solid("black").save(photos.parent / "outside.png")
    nodes = nodes_of(photos)
    before = [node.to_dict() for node in nodes]
    captioner = ColourCaptioner()
    with caplog.at_level(logging.WARNING):
        found = CaptionImages(captioner, image_roots=[photos])(nodes)
    assert [node.get_content(MetadataMode.NONE) for node in found] == CAPTIONS
    assert [node.to_dict() for node in nodes] == before, "what goes in is not changed"
    assert captioner.asked == 4, "the blue picture is there twice"
    for place in (1, 2, 4, 5, 6):
        node = found[place]
        assert node.node_id == nodes[place].node_id
        assert type(node) is type(nodes[place])
        marks = marks_of(CAPTIONS[place], "colours")
        assert node.metadata == {**nodes[place].metadata, **marks}
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            words = node.get_content(mode)
            assert not any(mark in words for mark in MARKS)
            assert ("year" in words) == (place == 2)
    assert "outside the allowed folders" in caplog.text
    assert "UniSem fetches nothing" in caplog.text


async def test_in_a_thread(photos: Path) -> None:
    nodes = nodes_of(photos)
    captions = CaptionImages(ColourCaptioner(), image_roots=[photos])
    found = await captions.acall(nodes)
    assert [node.to_dict() for node in found] == [node.to_dict() for node in captions(nodes)]


def test_a_pipelines_cache_knows_the_captioner(photos: Path) -> None:
    first = ColourCaptioner()
    pipeline = IngestionPipeline(transformations=[CaptionImages(first, image_roots=[photos])])
    nodes = nodes_of(photos)[:5]
    for _ in range(2):
        found = pipeline.run(nodes=nodes)
        assert [node.get_content(MetadataMode.NONE) for node in found] == CAPTIONS[:5]
    assert first.asked == 3
    hashes = {
        get_transformation_hash(nodes, CaptionImages(captioner, image_roots=[photos]))
        for captioner in (ColourCaptioner(), ColourCaptioner(), ColourCaptioner(name="another"))
    }
    assert len(hashes) == 2
    with pytest.raises(TypeError, match="must be a list"):
        CaptionImages(first, image_roots=str(photos))  # type: ignore[arg-type]
