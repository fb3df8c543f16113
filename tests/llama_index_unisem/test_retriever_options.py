"""`UniSemRetriever`'s modes, restrictions and reranker, against the space's own search."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.schema import NodeWithScore, QueryBundle
from numpy.typing import NDArray
from PIL import Image

from llama_index_unisem import ImageQueryBundle, UniSemRetriever
from tests.support.chains import manual
from tests.support.pictures import encoded, solid
from unisem import Hit, Query, Record, SemanticSpace
from unisem.errors import ImageError
from unisem.filters import Field
from unisem.images.for_models import ImageLimits
from unisem.images.reference import ImageRef
from unisem.rerank import Reranker
from unisem.search.fusion import WeightedFusion


class Backwards(Reranker):
    """Prefers ids that come late in the alphabet; cannot judge ids in ``blind``."""

    def __init__(self, blind: Sequence[str] = ()) -> None:
        self.asked: list[tuple[str | None, ImageRef | None]] = []
        self._blind = blind

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return "backwards"

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        self.asked.append((text, image))
        ordered = sorted(record.id for record in records)
        scores = [
            np.nan if record.id in self._blind else ordered.index(record.id) / 100
            for record in records
        ]
        return np.array(scores, np.float32)


@pytest.fixture
def shelf(card_space: SemanticSpace) -> SemanticSpace:
    """The cards, and texts of two books."""
    words = ["a red fish", "a red card trick", "blue paper", "how cards are made", "red red red"]
    card_space.add(
        Record(id=f"p{n}", text=text, source_id=f"book{n % 2}", metadata={"page": n})
        for n, text in enumerate(words)
    )
    return card_space


async def both(retriever: UniSemRetriever, bundle: str | QueryBundle) -> list[NodeWithScore]:
    nodes = retriever.retrieve(bundle)
    again = await retriever.aretrieve(bundle)
    assert [(n.node_id, n.score) for n in again] == [(n.node_id, n.score) for n in nodes]
    return nodes


def pairs(found: Sequence[NodeWithScore | Hit]) -> list[tuple[str, float | None]]:
    return [(f.record.id if isinstance(f, Hit) else f.node_id, f.score) for f in found]


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "keyword"},
        {"mode": "hybrid"},
        {"mode": "hybrid", "fusion": WeightedFusion(0.3), "fetch_k": 6},
        {"min_score": 0.2},
        {"diversity": 0.6},
        {"diversity": 1.0, "fetch_k": 8, "mode": "hybrid"},
        {"reranker": Backwards()},
        {"reranker": Backwards(blind=["p1"]), "fetch_k": 5},
        {"reranker": Backwards(), "diversity": 0.5},
        {"reranker": Backwards(), "mode": "hybrid", "modality": "text"},
        {"node_ids": ["p1", "p4", "cards/red.png", "unknown"]},
        {"node_ids": []},
        {"doc_ids": ["book1"]},
        {"doc_ids": []},
        {"doc_ids": ["book0", "book1"], "filters": Field("page") > 1, "mode": "keyword"},
    ],
    ids=str,
)
async def test_every_option_is_the_spaces_own(shelf: SemanticSpace, options: Any) -> None:
    names = {"node_ids": "ids", "doc_ids": "source_ids", "filters": "filter"}
    same = {names.get(name, name): value for name, value in options.items()}
    for text in ("red card", "paper"):
        for k in (1, 3, 20):
            retriever = UniSemRetriever(space=shelf, similarity_top_k=k, **options)
            expected = shelf.search(text, k=k, **same)
            assert pairs(await both(retriever, text)) == pairs(expected)


async def test_a_picture_as_query_in_every_mode(shelf: SemanticSpace, cards: Path) -> None:
    path = str(cards / "blue.png")
    hybrid = UniSemRetriever(space=shelf, mode="hybrid")
    found = await both(hybrid, QueryBundle("red", image_path=path))
    assert pairs(found) == pairs(shelf.search("red", path, k=4, mode="hybrid"))
    found = await both(hybrid, QueryBundle("", image_path=path))
    assert pairs(found) == pairs(shelf.search(image=path, k=4)), "no words: by vector"
    assert hybrid.image_to_image_retrieve(path)[0].node_id == "cards/blue.png"
    keyword = UniSemRetriever(space=shelf, mode="keyword")
    with pytest.raises(ValueError, match='mode "keyword" looks for text only; use "hybrid"'):
        keyword.retrieve(QueryBundle("red", image_path=path))
    with pytest.raises(ValueError, match='no query_str, and mode "keyword" looks for words'):
        keyword.retrieve(QueryBundle("", image_path=path))


async def test_embedding_and_custom_strings_are_for_the_vector_only(
    shelf: SemanticSpace, cards: Path
) -> None:
    vector = shelf.embed_query(Query(image=cards / "green.png"))
    strings = ["yellow card", "green fish"]
    vectors = [shelf.embed_query(Query(text=text)) for text in strings]
    hybrid = UniSemRetriever(space=shelf, mode="hybrid")
    for bundle, compared in [
        (QueryBundle("red trick", embedding=vector.tolist()), vector),
        (QueryBundle("red trick", custom_embedding_strs=strings), np.mean(vectors, axis=0)),
        (QueryBundle("red trick", custom_embedding_strs=strings[:1]), vectors[0]),
    ]:
        expected = shelf.search_query(Query(text="red trick", vector=compared, mode="hybrid", k=4))
        assert pairs(await both(hybrid, bundle)) == pairs(expected)
    keyword = UniSemRetriever(space=shelf, mode="keyword")
    bundle = QueryBundle("red", embedding=vector.tolist(), custom_embedding_strs=strings)
    expected = shelf.search("red", k=4, mode="keyword")
    assert pairs(await both(keyword, bundle)) == pairs(expected)


async def test_the_reranker_judges_the_question_and_not_what_is_embedded_for_it(
    shelf: SemanticSpace, cards: Path
) -> None:
    vector = shelf.embed_query(Query(text="red"))
    path = str(cards / "red.png")
    for bundle in (
        QueryBundle("what is red?", embedding=vector.tolist()),
        QueryBundle("what is red?", custom_embedding_strs=["red"]),
        QueryBundle("what is red?", custom_embedding_strs=["red", "red"]),
    ):
        reranker = Backwards()
        found = await both(UniSemRetriever(space=shelf, reranker=reranker, fetch_k=5), bundle)
        candidates = [hit.record.id for hit in shelf.search("red", k=5)]
        assert [node.node_id for node in found] == sorted(candidates, reverse=True)[:4]
        assert reranker.asked == [("what is red?", None)] * 2
    reranker = Backwards()
    UniSemRetriever(space=shelf, reranker=reranker).retrieve(QueryBundle("", image_path=path))
    ((text, image),) = reranker.asked
    assert (text, image and image.path) == (None, Path(path))

    retriever = UniSemRetriever(space=shelf, reranker=Backwards())
    with pytest.raises(ValueError, match="the query has an embedding only, and a reranker looks"):
        retriever.retrieve(QueryBundle("", embedding=vector.tolist()))
    varied = UniSemRetriever(space=shelf, reranker=Backwards(), diversity=0.5)
    expected = shelf.search("red", k=4, reranker=Backwards(), diversity=0.5)
    found = await both(varied, QueryBundle("what is red?", embedding=vector.tolist()))
    assert pairs(found) == pairs(expected)


async def test_the_rerankers_work_is_observed(shelf: SemanticSpace, events: Any) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    retriever = UniSemRetriever(
        space=shelf, reranker=Backwards(blind=["p4"]), fetch_k=6, callback_manager=manager
    )
    found = await both(retriever, "red")
    starts, ends = events.named("ReRankStartEvent"), events.named("ReRankEndEvent")
    assert len(starts) == len(ends) == 2
    assert (starts[0].query, starts[0].top_n, starts[0].model_name) == ("red", 4, "backwards")
    assert [n.node_id for n in starts[0].nodes] == [h.record.id for h in shelf.search("red", k=6)]
    scores = {node.node_id: node.score for node in ends[0].nodes}
    assert scores.pop("p4") is None
    assert {n.node_id: n.score for n in found if n.node_id != "p4"}.items() <= scores.items()
    (before, after), _ = debug.get_event_pairs(CBEventType.RERANKING)
    assert before.payload is not None
    assert after.payload is not None
    assert before.payload[EventPayload.MODEL_NAME] == "backwards"
    assert len(after.payload[EventPayload.NODES]) == 6
    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 2


async def test_an_image_query_bundle_brings_any_picture(
    shelf: SemanticSpace, cards: Path, events: Any
) -> None:
    retriever = UniSemRetriever(space=shelf)
    path = cards / "blue.png"
    for image in (str(path), path, path.read_bytes(), Image.open(path), ImageRef.of(path)):
        found = await both(retriever, ImageQueryBundle(image=image))
        assert pairs(found) == pairs(shelf.search(image=path, k=4))
        found = await both(retriever, ImageQueryBundle("red", image=image))
        assert pairs(found) == pairs(shelf.search("red", path, k=4))
    bundle = ImageQueryBundle("red", image=path.read_bytes(), custom_embedding_strs=["a", "b"])
    before = copy.deepcopy(bundle)
    await both(retriever, bundle)
    assert pairs(retriever.text_to_image_retrieve(bundle)) == pairs(
        retriever.text_to_image_retrieve(QueryBundle("red", custom_embedding_strs=["a", "b"]))
    )
    assert pairs(retriever.image_to_image_retrieve(bundle)) == pairs(
        shelf.search(image=path, k=4, modality="image")
    )
    assert bundle == before
    assert bundle.image == before.image
    raw = encoded(solid("white"))
    retriever.retrieve(ImageQueryBundle(image=raw))
    written = "".join(event.model_dump_json() for event in events.named("Retrieval.*Event"))
    assert "PNG" not in written, "no pixels in a trace"
    with pytest.raises(ImageError, match="is a URL"):
        ImageQueryBundle(image="http://127.0.0.1:9/x.png")


def test_pictures_of_neighbours_count_towards_the_limits(space: SemanticSpace) -> None:
    space.add(manual())
    retriever = UniSemRetriever(
        space=space, similarity_top_k=1, neighbors=9, image_limits=ImageLimits(count=2)
    )
    nodes: list[Any] = [node.node for node in retriever.retrieve("pour the water")]
    assert len(nodes) == 7
    sent = [n.image_omitted is None for n in nodes if n.node_id.startswith("picture")]
    assert sent == [True, True, False]


def test_narrowed_never_widens(shelf: SemanticSpace) -> None:
    retriever = UniSemRetriever(space=shelf, filters=Field("page") >= 1, doc_ids=["book1"])
    narrow = retriever.narrowed(filters=Field("page") < 3, similarity_top_k=9)
    assert {node.node_id for node in narrow.retrieve("red")} == {"p1"}
    assert {node.node_id for node in retriever.retrieve("red")} == {"p1", "p3"}
    everything = UniSemRetriever(space=shelf, similarity_top_k=2)
    assert len(everything.narrowed().retrieve("red")) == 2
    pictures = everything.narrowed(modality="image")
    assert {n.node_id[-3:] for n in pictures.retrieve("red")} == {"png"}
    assert pairs(pictures.narrowed(modality="image").retrieve("a")) == pairs(pictures.retrieve("a"))
    with pytest.raises(ValueError, match='only records of modality "image" can be found here'):
        pictures.narrowed(modality="text")
    with pytest.raises(ValueError, match="similarity_top_k must not be negative"):
        everything.narrowed(similarity_top_k=-1)


@pytest.mark.parametrize(
    ("settings", "error", "reason"),
    [
        ({"mode": "bm25"}, ValueError, 'mode must be "vector", "keyword" or "hybrid"'),
        ({"mode": "keyword", "min_score": 0.5}, ValueError, "min_score is a cosine"),
        ({"min_score": float("nan")}, ValueError, "min_score must be a number"),
        ({"diversity": 2}, ValueError, "diversity must be between 0 and 1"),
        ({"reranker": "bge"}, TypeError, "reranker must be a unisem.rerank.Reranker"),
        ({"fusion": "rrf"}, TypeError, "fusion must be"),
        ({"fetch_k": 0}, ValueError, "fetch_k must be a whole number of at least 1"),
        ({"node_ids": "a"}, TypeError, "node_ids must be a list of ids"),
        ({"doc_ids": "a"}, TypeError, "doc_ids must be a list of ids"),
        ({"neighbors": -1}, ValueError, "neighbors must not be negative"),
        ({"neighbors": True}, ValueError, "neighbors must be a whole number"),
    ],
)
def test_bad_options_are_named(
    space: SemanticSpace, settings: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        UniSemRetriever(space, **settings)
