"""`UniSemReranker` over nodes of every kind: order, pictures, and what stays as it was."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)

from llama_index_unisem import UniSemReranker, UniSemRetriever
from llama_index_unisem.nodes import UniSemImageNode
from llama_index_unisem.retrievers.bundles import ImageQueryBundle
from tests.support.checkpoints import save_text_cross_encoder
from tests.support.pictures import encoded, solid
from tests.support.rerankers import ColourReranker
from unisem import Record, SemanticSpace
from unisem.errors import ImageError, RerankerError
from unisem.images.for_models import ImageLimits
from unisem.rerank import CrossEncoderReranker, load_reranker
from unisem.search import Reranking


def scored(*nodes: BaseNode) -> list[NodeWithScore]:
    return [NodeWithScore(node=node, score=0.9 - n / 10) for n, node in enumerate(nodes)]


def shown(found: list[NodeWithScore]) -> list[tuple[str, float | None]]:
    return [(hit.node_id, hit.score) for hit in found]


@pytest.fixture
def colours() -> ColourReranker:
    return ColourReranker()


@pytest.fixture
def bare_space(space: SemanticSpace) -> SemanticSpace:
    """Pictures without captions, and a text."""
    pictures = [Record(id=colour, image=solid(colour)) for colour in ("red", "green", "blue")]
    space.add([*pictures, Record(id="note", text="a red note")])
    return space


def test_class(colours: ColourReranker) -> None:
    reranker = UniSemReranker(reranker=colours)
    assert isinstance(reranker, BaseNodePostprocessor)
    assert reranker.class_name() == "UniSemReranker"
    assert reranker.reranker is colours


def test_order_and_scores(colours: ColourReranker) -> None:
    nodes = scored(
        TextNode(id_="n", text="nothing"),
        TextNode(id_="c", text="a red card"),
        TextNode(id_="r", text="red"),
        TextNode(id_="b", text="red"),
    )
    found = UniSemReranker(reranker=colours).postprocess_nodes(nodes, query_str="red card")
    assert shown(found) == [("c", 2.0), ("b", 1.0), ("r", 1.0), ("n", 0.0)]
    assert {type(hit.score) for hit in found} == {float}
    for top_n in (1, 2, 9):
        cut = UniSemReranker(reranker=colours, top_n=top_n)
        assert shown(cut.postprocess_nodes(nodes, query_str="red card")) == shown(found)[:top_n]
    assert UniSemReranker(reranker=colours).postprocess_nodes([], query_str="red") == []


def test_scores_equal_those_of_a_search(card_space: SemanticSpace, colours: ColourReranker) -> None:
    hits = card_space.search("a red card", k=7, reranker=colours)
    nodes = UniSemRetriever(space=card_space, similarity_top_k=7).retrieve("a red card")
    found = UniSemReranker(reranker=colours).postprocess_nodes(nodes, query_str="a red card")
    assert shown(found) == [(hit.record.id, hit.score) for hit in hits]


def test_nodes_of_every_kind_show_their_pictures(
    bare_space: SemanticSpace, colours: ColourReranker, tmp_path: Path
) -> None:
    path = tmp_path / "yellow.png"
    solid("yellow").save(path)
    data = encoded(solid("yellow"))
    nodes = scored(
        TextNode(id_="text", text="yellow"),
        ImageNode(id_="path", image_path=str(path)),
        Node(id_="data", image_resource=MediaResource(data=data)),
        Node(
            id_="both",
            text_resource=MediaResource(text="yellow"),
            image_resource=MediaResource(path=path),
        ),
        TextNode(id_="red", text=""),  # an index over a space's vectors knows the id only
    )
    reranker = UniSemReranker(reranker=colours, space=bare_space, image_roots=[tmp_path])
    found = reranker.postprocess_nodes(nodes, query_str="yellow red")
    assert shown(found) == [
        ("both", 11.0),
        ("data", 10.0),
        ("path", 10.0),
        ("red", 10.0),
        ("text", 1.0),
    ]
    retrieved = UniSemRetriever(space=bare_space).retrieve("note")
    assert retrieved[0].node_id == "note"
    for either in (UniSemReranker(reranker=colours), reranker):
        assert either.postprocess_nodes(retrieved, query_str="blue")[0].node_id == "blue"


def test_pictures_outside_the_roots_are_not_opened(
    colours: ColourReranker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    solid("red").save(tmp_path / "red.png")
    nodes = scored(
        ImageNode(id_="picture", image_path=str(tmp_path / "red.png")),
        ImageNode(id_="captioned", image_path=str(tmp_path / "red.png"), text="blue"),
        ImageNode(id_="url", image_url="http://127.0.0.1:9/red.png", text="red"),
    )
    with caplog.at_level(logging.WARNING):
        found = UniSemReranker(reranker=colours).postprocess_nodes(nodes, query_str="red")
    assert shown(found) == [("picture", 1.0), ("url", 1.0), ("captioned", 0.0)]
    assert "'picture'" in caplog.text
    assert "fetches nothing" in caplog.text
    found = UniSemReranker(reranker=colours, image_roots=[str(tmp_path)]).postprocess_nodes(
        nodes, query_str="red"
    )
    assert shown(found)[:2] == [("captioned", 10.0), ("picture", 10.0)]


def test_a_picture_as_query(
    bare_space: SemanticSpace, colours: ColourReranker, tmp_path: Path
) -> None:
    solid("green").save(tmp_path / "q.png")
    nodes = UniSemRetriever(space=bare_space).retrieve("note")
    reranker = UniSemReranker(reranker=colours, top_n=1)
    for bundle in (
        QueryBundle("", image_path=str(tmp_path / "q.png")),
        ImageQueryBundle(image=solid("green")),
        QueryBundle("a note", image_path=str(tmp_path / "q.png")),
    ):
        before = copy.deepcopy(bundle)
        assert shown(reranker.postprocess_nodes(nodes, bundle)) == [("green", 10.0)]
        assert bundle == before
    assert [text for text, _, _ in colours.asked] == [None, None, "a note"]
    with pytest.raises(ImageError, match="fetches nothing"):
        reranker.postprocess_nodes(nodes, QueryBundle("", image_path="http://127.0.0.1:9/a.png"))
    reader = UniSemReranker(reranker=ColourReranker(sees_images=False))
    with pytest.raises(RerankerError, match="texts only"):
        reader.postprocess_nodes(nodes, QueryBundle("", image_path=str(tmp_path / "q.png")))


def test_what_cannot_be_judged_keeps_its_place(bare_space: SemanticSpace) -> None:
    nodes = UniSemRetriever(space=bare_space).retrieve("red")
    nodes.sort(key=lambda hit: hit.node_id == "note")
    reranker = UniSemReranker(reranker=ColourReranker(sees_images=False))
    found = reranker.postprocess_nodes(nodes, query_str="a red note")
    assert shown(found) == [(hit.node_id, 3.0) for hit in nodes]
    assert shown(reranker.postprocess_nodes(nodes[:3], query_str="note")) == shown(nodes[:3])


@pytest.mark.parametrize("keep", [False, True])
def test_what_goes_in_stays_as_it_is(
    card_space: SemanticSpace, colours: ColourReranker, keep: bool
) -> None:
    limits = ImageLimits(count=2)
    nodes = UniSemRetriever(space=card_space, similarity_top_k=7, image_limits=limits).retrieve(
        "black"
    )
    nodes.append(NodeWithScore(node=TextNode(id_="x", text="red", metadata={"a": [1]})))
    before = [(hit.score, hit.node.to_dict(), id(hit.node)) for hit in nodes]
    reranker = UniSemReranker(reranker=colours, keep_retrieval_score=keep)
    found = reranker.postprocess_nodes(nodes, query_str="a red card")
    assert [(hit.score, hit.node.to_dict(), id(hit.node)) for hit in nodes] == before
    assert not {id(hit) for hit in found} & {id(hit) for hit in nodes}
    given = {hit.node_id: hit for hit in nodes}
    for hit in found:
        old = given[hit.node_id]
        assert type(hit.node) is type(old.node)
        if keep:
            assert hit.node.metadata == {**old.node.metadata, "retrieval_score": old.score}
            for mode in (MetadataMode.LLM, MetadataMode.EMBED):
                assert hit.node.get_content(mode) == old.node.get_content(mode)
        else:
            assert hit.node.metadata == old.node.metadata


def test_the_limit_of_pictures_goes_by_the_new_order(
    card_space: SemanticSpace, colours: ColourReranker
) -> None:
    limits = ImageLimits(count=2)
    nodes = UniSemRetriever(
        space=card_space, similarity_top_k=6, modality="image", image_limits=limits
    ).retrieve("a black card")
    last = nodes[-1].node
    assert isinstance(last, UniSemImageNode)
    assert last.image_omitted is not None
    colour = (last.text or "").split()[1]
    reranker = UniSemReranker(reranker=colours)
    found = reranker.postprocess_nodes(nodes, query_str=f"a {colour} card")
    assert found[0].node_id == last.node_id
    blocks = [hit.node.get_content_blocks(MetadataMode.NONE) for hit in found]
    pictures = [any(isinstance(block, ImageBlock) for block in parts) for parts in blocks]
    assert pictures == [True, True, False, False, False, False]
    damaged = nodes[-1].model_copy(
        update={"node": last.model_copy(update={"image_omitted": "is damaged"})}
    )
    found = reranker.postprocess_nodes([*nodes[:-1], damaged], query_str=f"a {colour} card")
    reasons = [getattr(hit.node, "image_omitted", None) for hit in found]
    assert reasons[:4] == ["is damaged", None, None, nodes[2].node.image_omitted]  # type: ignore[attr-defined]


def test_metadata_are_judged_where_that_is_asked(colours: ColourReranker) -> None:
    nodes = scored(
        TextNode(id_="a", text="card", metadata={"colour": "red", "hidden": "green"}),
        ImageNode(id_="p", image_path="gone.png", metadata={"colour": "red"}),
    )
    nodes[0].node.excluded_embed_metadata_keys = ["hidden"]
    for mode, score in ((MetadataMode.NONE, 1.0), ("embed", 2.0), (MetadataMode.ALL, 3.0)):
        reranker = UniSemReranker(reranker=colours, metadata_mode=mode)  # type: ignore[arg-type]
        found = reranker.postprocess_nodes(nodes, query_str="red green card")
        assert shown(found) == [("a", score), ("p", score)]  # p cannot be judged


def test_what_observers_are_told(colours: ColourReranker, events: Any) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    reranker = UniSemReranker(reranker=colours, top_n=1, callback_manager=CallbackManager([debug]))
    nodes = scored(TextNode(id_="a", text="tea"), TextNode(id_="b", text="red"))
    found = reranker.postprocess_nodes(nodes, ImageQueryBundle("red", image=solid("red")))
    (start,), (end,) = events.named("ReRankStartEvent"), events.named("ReRankEndEvent")
    assert (start.query, start.top_n, start.model_name) == ("red", 1, "colours")
    assert shown(start.nodes) == [("a", 0.9), ("b", 0.8)]
    assert shown(end.nodes) == shown(found) == [("b", 1.0)]
    ((begun, ended),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert begun.payload is not None
    assert ended.payload is not None
    assert begun.payload[EventPayload.QUERY_STR] == "red"
    assert begun.payload[EventPayload.TOP_K] == 1
    assert shown(ended.payload[EventPayload.NODES]) == [("b", 1.0)]


async def test_async_leaves_the_event_loop_free() -> None:
    started, go = threading.Event(), threading.Event()

    class Slow(ColourReranker):
        def score(self, text: Any, image: Any, records: Any) -> Any:
            started.set()
            assert go.wait(60)
            return super().score(text, image, records)

    nodes = scored(TextNode(id_="a", text="tea"), TextNode(id_="b", text="red"))
    reranker = UniSemReranker(reranker=Slow())
    task = asyncio.create_task(reranker.apostprocess_nodes(nodes, query_str="red"))
    while not started.is_set():
        await asyncio.sleep(0.001)
    go.set()  # only a loop that runs on gets here
    assert shown(await task) == [("b", 1.0), ("a", 0.0)]


async def test_in_a_query_engine(bare_space: SemanticSpace, colours: ColourReranker) -> None:
    engine = RetrieverQueryEngine.from_args(
        UniSemRetriever(space=bare_space),
        llm=MockLLM(),
        node_postprocessors=[UniSemReranker(reranker=colours, top_n=2)],
    )
    nodes = engine.query("which note is blue?").source_nodes
    assert shown(nodes) == [("blue", 10.0), ("note", 1.0)]
    again = (await engine.aquery("which note is blue?")).source_nodes
    assert shown(again) == shown(nodes)
    assert shown(engine.retrieve(ImageQueryBundle(image=solid("red"))))[0] == ("red", 10.0)


def test_a_model_by_name_is_saved_and_copied(tmp_path: Path) -> None:
    directory = save_text_cross_encoder(tmp_path)
    reranker = UniSemReranker(
        directory, top_n=2, keep_retrieval_score=True, device="cpu", image_roots=[tmp_path]
    )
    texts = ["a red tiger", "blue", "white card"]
    nodes = scored(*(TextNode(id_=text, text=text) for text in texts))
    scores = load_reranker(directory).score("red", None, [Record(text=text) for text in texts])
    best = [texts[place] for place in np.argsort(-scores)[:2]]
    saved = reranker.to_dict()
    assert saved["class_name"] == "UniSemReranker"
    for twin in (
        reranker,
        UniSemReranker.from_dict(saved),
        UniSemReranker.from_json(reranker.to_json()),
        pickle.loads(pickle.dumps(reranker)),
        copy.deepcopy(reranker),
    ):
        assert twin.to_dict() == saved
        assert isinstance(twin.reranker, CrossEncoderReranker)
        found = twin.postprocess_nodes(nodes, query_str="red")
        assert [hit.node_id for hit in found] == best
        np.testing.assert_allclose([hit.score for hit in found], np.sort(scores)[:-3:-1], 1e-5)


def test_a_copy_keeps_its_space(bare_space: SemanticSpace, colours: ColourReranker) -> None:
    twin = copy.deepcopy(UniSemReranker(reranker=colours, space=bare_space))
    assert twin.reranker is colours
    nodes = scored(TextNode(id_="note", text="note"), TextNode(id_="blue", text=""))
    assert twin.postprocess_nodes(nodes, query_str="blue")[0].node_id == "blue"


def test_bad_arguments(colours: ColourReranker) -> None:
    nodes = scored(TextNode(text="a"))
    with pytest.raises(ValueError, match="say which model"):
        UniSemReranker()
    with pytest.raises(ValueError, match="differ; give one of them"):
        UniSemReranker("other", reranker=colours)
    with pytest.raises(TypeError, match=r"must be a unisem\.rerank\.Reranker"):
        UniSemReranker(reranker="colours")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="SemanticSpace"):
        UniSemReranker(reranker=colours, space="photos.unisem")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list of folders"):
        UniSemReranker(reranker=colours, image_roots="photos")
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        UniSemReranker(reranker=colours, top_n=0)
    with pytest.raises(RerankerError, match="pass an existing directory"):
        UniSemReranker("nowhere")
    reranker = UniSemReranker(reranker=colours)
    with pytest.raises(ValueError, match="pass query_bundle or query_str"):
        reranker.postprocess_nodes(nodes)
    with pytest.raises(ValueError, match="neither query_str nor picture"):
        reranker.postprocess_nodes(nodes, QueryBundle("", embedding=[1.0]))


def test_only_what_is_of_the_modalities_is_judged(
    bare_space: SemanticSpace, colours: ColourReranker
) -> None:
    nodes = UniSemRetriever(space=bare_space, similarity_top_k=4).retrieve("green")
    reranker = UniSemReranker(reranker=colours, modalities=["image"], seconds=60)
    found = copy.deepcopy(reranker).postprocess_nodes(nodes, query_str="blue")
    records = [hit.record for hit in bare_space.search("green", k=4)]
    asked = Reranking(colours, modalities=["image"], seconds=60)
    expected = asked.rank("blue", None, records)
    assert shown(found) == [(nodes[one.position].node_id, one.score) for one in expected]
    note = [node.node_id for node in nodes].index("note")
    assert found[note].node_id == "note"
    assert found[0].node_id == "blue"
    with pytest.raises(ValueError, match="modalities"):
        UniSemReranker(reranker=colours, modalities=["video"])  # type: ignore[list-item]
