"""`UniSemEmbedding` in LlamaIndex's ingestion pipelines: pictures get picture vectors."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    TextNode,
)
from llama_index.core.vector_stores import SimpleVectorStore

from llama_index_unisem import UniSemEmbedding, UniSemRetriever
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import ImageError


def picture_nodes(cards: Path) -> dict[str, BaseNode]:
    """Every way in which a LlamaIndex node can carry a picture, of different colours."""
    inline = base64.b64encode((cards / "green.png").read_bytes()).decode()
    return {
        "red": ImageNode(image_path=str(cards / "red.png"), text="a caption"),
        "green": ImageNode(image=inline),
        "blue": Node(
            image_resource=MediaResource(path=cards / "blue.png"),
            text_resource=MediaResource(text="a caption"),
            metadata={"year": 2024},
        ),
        "yellow": Node(image_resource=MediaResource(data=(cards / "yellow.png").read_bytes())),
        "black": ImageDocument(image_path=str(cards / "black.png"), text="a caption"),
        "white": Document(image_resource=MediaResource(path=cards / "white.png")),
    }


def check(nodes: Sequence[BaseNode], cards: Path, colours: list[str]) -> None:
    encoder = ToyEncoder()
    for colour, node in zip(colours, nodes, strict=True):
        expected = encoder.encode_images([cards / f"{colour}.png"])[0]
        np.testing.assert_array_equal(np.float32(node.get_embedding()), expected)
        if not node.get_content(MetadataMode.NONE):
            continue
        caption = encoder.encode_texts(["a caption"])[0]
        if isinstance(node, ImageNode | ImageDocument):
            np.testing.assert_array_equal(np.float32(node.text_embedding), caption)
        if isinstance(node, Node):
            assert node.text_resource is not None
            assert node.text_resource.embeddings is not None
            np.testing.assert_array_equal(
                np.float32(node.text_resource.embeddings["dense"]), caption
            )


async def test_call_embeds_picture_nodes_as_pictures(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    for run in ("run", "arun"):
        by_colour = picture_nodes(cards)
        pipeline = IngestionPipeline(transformations=[embedding], disable_cache=True)
        nodes = list(by_colour.values())
        found = pipeline.run(nodes=nodes) if run == "run" else await pipeline.arun(nodes=nodes)
        check(found, cards, list(by_colour))


async def test_the_trap_itself_llama_index_embeds_their_text(cards: Path) -> None:
    """Why `__call__` is overridden: a picture without caption gets the vector of ''."""

    class Text(MockEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return [float(len(text))]

    node = ImageNode(image_path=str(cards / "red.png"))
    Text(embed_dim=1)([node])
    assert node.embedding == [0.0]


async def test_texts_keep_llama_indexs_convention_and_their_places(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    nodes: list[BaseNode] = [
        TextNode(text="about red", metadata={"year": 2024}),
        ImageNode(image_path=str(cards / "red.png")),
        IndexNode(text="an index", index_id="i"),
        Document(text="about blue"),
        ImageNode(text="a picture that was lost"),
        Node(image_resource=MediaResource()),
    ]
    found = await embedding.acall(nodes, show_progress=True)
    assert [node.node_id for node in found] == [node.node_id for node in nodes]
    for position in (0, 2, 3, 4, 5):
        expected = ToyEncoder().encode_texts([nodes[position].get_content(MetadataMode.EMBED)])[0]
        np.testing.assert_array_equal(np.float32(found[position].get_embedding()), expected)
    assert "year: 2024" in nodes[0].get_content(MetadataMode.EMBED)
    check(found[1:2], cards, ["red"])
    assert list(embedding([])) == []


def test_pipeline_caches_of_different_models_do_not_mix(cards: Path) -> None:
    cache = IngestionCache()
    found = []
    for seed in (0, 1, 0):
        pipeline = IngestionPipeline(
            transformations=[UniSemEmbedding(encoder=ToyEncoder(seed=seed))], cache=cache
        )
        node = ImageNode(image_path=str(cards / "red.png"), metadata={"file_path": "red.png"})
        found += pipeline.run(nodes=[node])
    assert found[0].embedding == found[2].embedding != found[1].embedding


def test_get_transformation_hash_collides_for_pictures_without_text_unless_metadata_differ(
    encoder: ToyEncoder, cards: Path
) -> None:
    def run(metadata: dict[str, Any], colour: str, pipeline: IngestionPipeline) -> BaseNode:
        node = ImageNode(image_path=str(cards / f"{colour}.png"), metadata=metadata)
        return pipeline.run(nodes=[node])[0]

    def pipeline(**options: Any) -> IngestionPipeline:
        return IngestionPipeline(transformations=[UniSemEmbedding(encoder=encoder)], **options)

    trapped = pipeline()
    run({}, "red", trapped)
    assert run({}, "blue", trapped).image_path == str(cards / "red.png")  # type: ignore[attr-defined]

    for safe, key in ((pipeline(), "file_path"), (pipeline(disable_cache=True), "")):
        for colour in ("red", "blue"):
            found = run({key: colour} if key else {}, colour, safe)
            check([found], cards, [colour])


def test_after_a_splitter_with_pictures_round_it(embedding: UniSemEmbedding, cards: Path) -> None:
    splitter = SentenceSplitter(chunk_size=20, chunk_overlap=0)
    texts = splitter([Document(text="Cards are made of paper. " * 10)])
    store = SimpleVectorStore()
    pipeline = IngestionPipeline(transformations=[embedding], vector_store=store)
    pipeline.run(nodes=[*texts, *picture_nodes(cards).values()])
    assert len(store.data.embedding_dict) == len(texts) + 6


def test_inline_bytes_count_before_a_path_as_in_resolve_image(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    inline = base64.b64encode((cards / "green.png").read_bytes()).decode()
    found = embedding([ImageNode(image=inline, image_path=str(cards / "red.png"))])
    check(found, cards, ["green"])


def test_a_retrieved_picture_can_be_embedded_again(card_space: SemanticSpace, cards: Path) -> None:
    found = UniSemRetriever(space=card_space, modality="image", similarity_top_k=1).retrieve("red")
    UniSemEmbedding(encoder=ToyEncoder())([found[0].node])
    expected = ToyEncoder().encode_images([cards / "red.png"])[0]
    np.testing.assert_array_equal(np.float32(found[0].node.get_embedding()), expected)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (ImageNode(image_url="http://127.0.0.1:9/x.png"), "UniSem fetches nothing"),
        (ImageNode(image_path="http://127.0.0.1:9/x.png"), "UniSem fetches nothing"),
        (Node(image_resource=MediaResource(url="http://127.0.0.1:9/x.png")), "fetches nothing"),
        (ImageNode(id_="n", image="%%%"), "node n: has a picture that is not base64"),
        (ImageNode(id_="n", image="é"), "node n: has a picture that is not base64"),
        (ImageNode(image_path="gone.png"), "gone.png: does not exist"),
        (ImageNode(image=base64.b64encode(b"text").decode()), "is not a picture"),
    ],
)
async def test_a_node_whose_picture_cannot_be_used_is_named(
    embedding: UniSemEmbedding, node: BaseNode, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        embedding([node])
    with pytest.raises(ImageError, match=reason):
        await embedding.acall([node])
