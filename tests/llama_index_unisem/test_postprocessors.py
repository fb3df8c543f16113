"""`ImagesForLLM` and `ModalityCutoff`."""

from __future__ import annotations

import base64
import logging
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.chat_engine import MultiModalContextChatEngine
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.llms.openai import OpenAI
from PIL import Image

from llama_index_unisem import ImagesForLLM, ModalityCutoff, UniSemRetriever
from llama_index_unisem.nodes import UniSemImageNode
from tests.support.chat_rules import broken_rule
from tests.support.chat_server import chat_server
from tests.support.pictures import encoded, noise, solid
from unisem import SemanticSpace
from unisem.images.for_models import ImageLimits
from unisem.presentation import result


def scored(*nodes: Any) -> list[NodeWithScore]:
    return [NodeWithScore(node=node, score=1 - rank / 10) for rank, node in enumerate(nodes)]


def pixels(node: Any) -> np.ndarray:
    """What the node's one picture block shows."""
    (block,) = [b for b in node.get_content_blocks(MetadataMode.LLM) if isinstance(b, ImageBlock)]
    assert block.path is None
    assert block.url is None
    return np.asarray(Image.open(block.resolve_image()).convert("RGB"))


def texts(node: Any) -> str:
    blocks = node.get_content_blocks(MetadataMode.LLM)
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def stock_nodes(cards: Path) -> list[Any]:
    """The same captioned picture in every form that LlamaIndex has for one."""
    path = str(cards / "red.png")
    data = (cards / "red.png").read_bytes()
    common: dict[str, Any] = {"metadata": {"year": 2024}}
    resource = MediaResource(path=Path(path))
    return [
        ImageNode(text="a red card", image_path=path, **common),
        ImageNode(text="a red card", image=base64.b64encode(data).decode(), **common),
        ImageDocument(text="a red card", image_path=path, **common),
        Document(text="a red card", image_resource=resource, **common),
        Node(text_resource=MediaResource(text="a red card"), image_resource=resource, **common),
        Node(
            text_resource=MediaResource(text="a red card"),
            image_resource=MediaResource(data=base64.b64encode(data)),
            **common,
        ),
    ]


async def test_image_node_get_content_blocks_drops_the_caption(cards: Path) -> None:
    """The trap, and that every form of node comes out with caption, metadata, id and pixels."""
    nodes = stock_nodes(cards)
    assert "a red card" not in texts(nodes[0])
    hits = scored(*nodes)
    before = [hit.model_dump() for hit in hits]
    processor = ImagesForLLM(image_roots=[cards])
    read = processor.postprocess_nodes(hits)
    again = await processor.apostprocess_nodes(hits)
    assert [hit.model_dump() for hit in again] == [hit.model_dump() for hit in read]
    assert [hit.model_dump() for hit in hits] == before, "inputs are left as they are"
    for hit, given in zip(read, hits, strict=True):
        assert (hit.node_id, hit.score) == (given.node_id, given.score)
        node = hit.node
        assert isinstance(node, ImageNode)
        assert node.class_name() == "ImageNode"
        assert (node.text, node.metadata) == ("a red card", {"year": 2024})
        said = given.node.get_content(MetadataMode.LLM)
        assert node.get_content(MetadataMode.LLM) == result(said, id=given.node_id)
        np.testing.assert_array_equal(pixels(node), np.asarray(solid("red")))
        assert texts(node) == (
            f'<result id="{given.node_id}">year: 2024\n\na red card</result> (its picture is above)'
        )


def test_everything_else_of_a_node_is_kept(cards: Path) -> None:
    node = ImageNode(
        id_="n",
        text="a red card",
        image_path=str(cards / "red.png"),
        metadata={"year": 2024, "secret": "x"},
        excluded_llm_metadata_keys=["secret"],
        text_template="{content} ({metadata_str})",
        metadata_template="{key}={value}",
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
    )
    text = TextNode(text="plain")
    read, plain = ImagesForLLM(image_roots=[str(cards)]).postprocess_nodes(scored(node, text))
    assert texts(read.node) == (
        '<result id="n">a red card (year=2024)</result> (its picture is above)'
    )
    assert read.node.ref_doc_id == "doc"
    assert plain.node is text


def test_one_missing_file_costs_its_own_place_only(
    cards: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cards / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    nodes = [
        ImageNode(id_="gone", text="was here", image_path=str(cards / "gone.png")),
        ImageNode(id_="broken", text="cannot be read", image_path=str(cards / "broken.png")),
        ImageNode(id_="url", text="far away", image_url="http://127.0.0.1:9/x.png"),
        ImageNode(id_="base64", text="garbled", image="%%%"),
        ImageNode(id_="good", text="a red card", image_path=str(cards / "red.png")),
    ]
    with caplog.at_level(logging.WARNING):
        read = ImagesForLLM(image_roots=[str(cards)]).postprocess_nodes(scored(*nodes))
    said = {hit.node_id: texts(hit.node) for hit in read}
    assert said.pop("good") == '<result id="good">a red card</result> (its picture is above)'
    assert said["gone"] == '<result id="gone">was here</result> (its picture does not exist)'
    assert "(its picture is a URL; UniSem fetches nothing" in said["url"]
    for node in nodes[:4]:
        assert node.text in said[node.node_id]
        assert "</result> (its picture " in said[node.node_id]
        assert any(repr(node.node_id) in record.getMessage() for record in caplog.records)
    assert str(cards) not in "".join(said.values()), "no paths for the model"


def test_only_allowed_folders_are_read(cards: Path, tmp_path: Path) -> None:
    """Another retriever's paths may come from anybody."""
    outside = tmp_path / "outside.png"
    solid("black").save(outside)
    (cards / "link.png").symlink_to(outside)
    paths = [outside, cards / "link.png", cards / ".." / "outside.png", cards / "red.png"]
    nodes = [ImageNode(text="x", image_path=str(path)) for path in paths]
    nodes.append(ImageNode(text="x", image_path="\0"))

    def sent(roots: list[Any]) -> list[bool]:
        read = ImagesForLLM(image_roots=roots).postprocess_nodes(scored(*nodes))
        return [isinstance(hit.node, ImageNode) for hit in read]

    assert sent([]) == [False] * 5
    assert sent([cards]) == [False, False, False, True, False]
    assert sent([cards, tmp_path]) == [True, True, True, True, False]
    (hit,) = ImagesForLLM().postprocess_nodes(scored(nodes[3]))
    assert "(its picture lies outside the allowed folders)" in texts(hit.node)


def test_a_spaces_own_nodes_need_no_roots(card_space: SemanticSpace) -> None:
    retriever = UniSemRetriever(card_space, modality="image", image_limits=ImageLimits(count=0))
    hits = retriever.retrieve("red")
    assert "is left out" in texts(hits[0].node)
    read = ImagesForLLM().postprocess_nodes(hits)
    np.testing.assert_array_equal(pixels(read[0].node), np.asarray(solid("red")))
    assert len(read) == 4


def test_count_side_and_bytes_are_capped(cards: Path) -> None:
    for seed in range(4):
        noise(seed, (300, 200)).save(cards / f"noise{seed}.png")
    paths = [cards / "missing.png", *(cards / f"noise{seed}.png" for seed in range(4))]
    hits = scored(*(ImageNode(text="x", image_path=str(path)) for path in paths))
    small = ImagesForLLM(image_roots=[cards], max_images=2, max_side=100, max_bytes=40_000)
    read: list[Any] = [hit.node for hit in small.postprocess_nodes(hits)]
    assert [isinstance(node, ImageNode) for node in read] == [False, True, True, False, False]
    assert "is left out: only 2 pictures are sent" in texts(read[3])
    for node in read[1:3]:
        data = base64.b64decode(node.image)
        assert len(data) <= 20_000
        assert max(Image.open(BytesIO(data)).size) <= 100
    assert len(texts(read[0])) > 0
    # The first ones after a reranking, not those that the retriever had ranked first.
    turned: list[Any] = [hit.node for hit in small.postprocess_nodes(hits[::-1])]
    assert [isinstance(node, ImageNode) for node in turned] == [True, True, False, False, False]


def test_serialised_and_back(cards: Path) -> None:
    processor = ImagesForLLM(image_roots=[cards], max_images=3)
    assert ImagesForLLM.from_dict(processor.to_dict()).to_dict() == processor.to_dict()
    assert processor.class_name() == "ImagesForLLM"
    cutoff = ModalityCutoff(text_cutoff=0.4, image_cutoff=0.2)
    assert ModalityCutoff.from_dict(cutoff.to_dict()).to_dict() == cutoff.to_dict()
    for settings in ({"max_images": -1}, {"max_side": 0}, {"max_bytes": 0}, {"image_roots": "x"}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            ImagesForLLM(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", ["query", "aquery"])
async def test_captions_and_pictures_of_a_stock_retriever_arrive(cards: Path, ask: str) -> None:
    """Over HTTP, through a query engine, from a retriever that is not ours."""

    class Stock(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            names = ("red", "blue", "gone")
            return scored(
                *(
                    ImageNode(id_=n, text=f"a {n} card", image_path=str(cards / f"{n}.png"))
                    for n in names
                )
            )

    with chat_server(["[red]."], rule=broken_rule) as server:
        llm = OpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0)
        shows = ImagesForLLM(image_roots=[cards])
        engine = RetrieverQueryEngine.from_args(
            Stock(), llm=llm, multimodal=True, node_postprocessors=[shows]
        )
        answer = engine.query("Which?") if ask == "query" else await engine.aquery("Which?")
        assert [node.node_id for node in answer.source_nodes] == ["red", "blue", "gone"]
        for sent, colour in zip(server.images(), ["red", "blue"], strict=True):
            np.testing.assert_array_equal(np.asarray(sent), np.asarray(solid(colour)))
            assert (
                f'<result id="{colour}">a {colour} card</result> (its picture is above)'
                in server.text()
            )
        assert (
            '<result id="gone">a gone card</result> (its picture does not exist)' in server.text()
        )


KINDS = {
    "text": lambda: TextNode(text="t"),
    "image": lambda: ImageNode(image_path="x.png"),
    "captioned": lambda: ImageNode(text="t", image_path="x.png"),
}


@pytest.mark.parametrize(
    ("settings", "text", "image", "captioned"),
    [
        ({}, None, None, None),
        ({"text_cutoff": 0.5}, 0.5, None, None),
        ({"image_cutoff": 0.3}, None, 0.3, 0.3),
        ({"text_cutoff": 0.4, "image_cutoff": 0.2, "captioned_cutoff": 0.5}, 0.4, 0.2, 0.5),
        ({"captioned_cutoff": 0.2}, None, None, 0.2),
        ({"text_cutoff": -1.0}, -1.0, None, None),
    ],
)
async def test_each_kind_has_its_cutoff(
    settings: Any, text: float | None, image: float | None, captioned: float | None
) -> None:
    processor = ModalityCutoff(**settings)
    scores = [None, 0.1, 0.3, 0.5, float("nan")]
    for kind, cutoff in (("text", text), ("image", image), ("captioned", captioned)):
        hits = [NodeWithScore(node=KINDS[kind](), score=score) for score in scores]
        passed = processor.postprocess_nodes(hits)
        assert await processor.apostprocess_nodes(hits) == passed
        assert len(hits) == len(scores)
        expected = [
            h for h in hits if cutoff is None or (h.score is not None and h.score >= cutoff)
        ]
        assert [hit.node_id for hit in passed] == [hit.node_id for hit in expected]


def test_one_cutoff_for_all_is_similarity_postprocessor() -> None:
    rng = np.random.default_rng(0)
    hits = [
        NodeWithScore(node=make(), score=None if rng.random() < 0.2 else float(rng.random()))
        for _ in range(20)
        for make in KINDS.values()
    ]
    ours = ModalityCutoff(text_cutoff=0.4, image_cutoff=0.4).postprocess_nodes(hits)
    theirs = SimilarityPostprocessor(similarity_cutoff=0.4).postprocess_nodes(hits)
    assert ours == theirs
    assert 0 < len(ours) < len(hits)


def test_a_cutoff_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="text_cutoff"):
        ModalityCutoff(text_cutoff=float("nan"))


def test_an_animated_or_odd_format_is_sent_as_one_a_model_reads(cards: Path) -> None:
    (cards / "odd.bmp").write_bytes(encoded(solid("blue"), "BMP"))
    node = ImageNode(text="x", image_path=str(cards / "odd.bmp"))
    (hit,) = ImagesForLLM(image_roots=[cards]).postprocess_nodes(scored(node))
    assert hit.node.image_mimetype == "image/png"  # type: ignore[attr-defined]
    np.testing.assert_array_equal(pixels(hit.node), np.asarray(solid("blue")))


def test_what_is_read_is_seen_by_llama_indexs_own_multimodal_engine(
    card_space: SemanticSpace,
) -> None:
    """Related: run-llama/llama_index #20742."""
    sent = []
    for steps in ([], [ImagesForLLM()]):
        with chat_server() as server:
            engine = MultiModalContextChatEngine.from_defaults(
                retriever=UniSemRetriever(card_space, similarity_top_k=2, modality="image"),
                multi_modal_llm=OpenAI(model="gpt-4o", api_key="x", api_base=server.url),
                node_postprocessors=steps,
            )
            engine.chat("a red card")
            sent.append(len(server.images()))
    assert sent == [2, 2]


def test_a_picture_that_took_the_place_of_the_one_found_is_not_shown(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.png"
    solid("red").save(path)
    found = UniSemImageNode(
        id_="one",
        text="a red card",
        image_path=str(path),
        image_root=str(tmp_path),
        image_sha256=sha256(path.read_bytes()).hexdigest(),
    )
    solid("blue").save(path)
    (read,) = ImagesForLLM().postprocess_nodes([NodeWithScore(node=found)])
    for node in (found, read.node):
        (block,) = node.get_content_blocks(MetadataMode.LLM)
        assert isinstance(block, TextBlock)
        assert "a red card</result> (its picture has changed" in block.text
