"""`UniSemRetriever` against the space it looks into."""

from __future__ import annotations

import asyncio
import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.base.base_multi_modal_retriever import MultiModalRetriever
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import (
    ImageNode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llama_index_unisem import UniSemRetriever
from tests.support.toy import ToyEncoder
from unisem import Hit, Query, Record, SemanticSpace
from unisem.errors import ImageError, StoreError
from unisem.filters import Field
from unisem.stores.selection import Selection


@pytest.fixture
def retriever(card_space: SemanticSpace) -> UniSemRetriever:
    return UniSemRetriever(space=card_space)


def same(nodes: list[NodeWithScore], hits: list[Hit]) -> bool:
    assert all(type(found.score) is float for found in nodes)
    return [(n.node_id, n.score) for n in nodes] == [(h.record.id, h.score) for h in hits]


async def both(retriever: UniSemRetriever, bundle: str | QueryBundle) -> list[NodeWithScore]:
    """What `retrieve` finds, and `aretrieve` too."""
    nodes = retriever.retrieve(bundle)
    again = await retriever.aretrieve(bundle)
    assert [(n.node_id, n.score) for n in again] == [(n.node_id, n.score) for n in nodes]
    return nodes


def test_class(retriever: UniSemRetriever) -> None:
    assert isinstance(retriever, MultiModalRetriever)
    assert not UniSemRetriever.__abstractmethods__


async def test_a_text_is_searched_as_written(
    retriever: UniSemRetriever, card_space: SemanticSpace
) -> None:
    assert same(await both(retriever, "red card"), card_space.search("red card", k=4))
    for text in ["http://127.0.0.1:9/red.png", "cards/red.png", "  red  ", "{red}"]:
        assert same(await both(retriever, text), card_space.search(text, k=4))


async def test_query_bundle_image_path_is_searched_as_a_picture(
    retriever: UniSemRetriever, card_space: SemanticSpace, cards: Path
) -> None:
    path = str(cards / "blue.png")
    found = await both(retriever, QueryBundle("", image_path=path))
    assert same(found, card_space.search(image=path, k=4))
    assert found[0].node_id == "cards/blue.png"
    found = await both(retriever, QueryBundle("red", image_path=path))
    assert same(found, card_space.search("red", path, k=4))
    heavy = UniSemRetriever(space=card_space, text_weight=0.9)
    found = await both(heavy, QueryBundle("red", image_path=path))
    assert same(found, card_space.search("red", path, k=4, text_weight=0.9))


async def test_query_bundle_embedding_stands_for_the_whole_query(
    retriever: UniSemRetriever, card_space: SemanticSpace, cards: Path
) -> None:
    vector = card_space.encoder.encode_images([cards / "green.png"])[0].tolist()
    bundle = QueryBundle("red", image_path="no/such.png", embedding=vector)
    found = await both(retriever, bundle)
    assert same(found, card_space.search(image=cards / "green.png", k=4))


async def test_custom_embedding_strs_take_the_place_of_the_text(
    retriever: UniSemRetriever, card_space: SemanticSpace, cards: Path
) -> None:
    found = await both(retriever, QueryBundle("blue", custom_embedding_strs=["red"]))
    assert same(found, card_space.search("red", k=4))
    strings = ["red", "a yellow card"]
    for image in (None, str(cards / "blue.png")):
        found = await both(
            retriever, QueryBundle("x", image_path=image, custom_embedding_strs=strings)
        )
        vectors = [card_space.embed_query(Query(text=text, image=image)) for text in strings]
        mean = np.mean(vectors, axis=0)
        assert same(found, card_space.search_query(Query(vector=mean, k=4)))


async def test_never_mutate_the_bundle(retriever: UniSemRetriever, cards: Path) -> None:
    bundle = QueryBundle("red", image_path=str(cards / "red.png"), custom_embedding_strs=["a", "b"])
    before = copy.deepcopy(bundle)
    await both(retriever, bundle)
    for call in (
        retriever.text_retrieve,
        retriever.text_to_image_retrieve,
        retriever.image_to_image_retrieve,
    ):
        call(bundle)
    assert bundle == before


async def test_settings_restrict_the_search_itself(card_space: SemanticSpace) -> None:
    for settings in (
        {"modality": "text"},
        {"modality": "image", "match": "image"},
        {"match": "text"},
        {"filter": Field("file_name") == "blue.png"},
    ):
        renamed = {{"filter": "filters"}.get(key, key): value for key, value in settings.items()}
        for k in (0, 1, 5, 50):
            retriever = UniSemRetriever(space=card_space, similarity_top_k=k, **renamed)  # type: ignore[arg-type]
            expected = card_space.search("red", k=k, **settings)  # type: ignore[arg-type]
            assert same(await both(retriever, "red"), expected)


def test_llama_index_filters(card_space: SemanticSpace) -> None:
    one = MetadataFilter(key="file_name", value="blue.png")
    other = MetadataFilter(key="file_name", value="red.png")
    nested = MetadataFilters(
        filters=[MetadataFilters(filters=[one, other], condition="or")], condition="not"
    )
    for filters, expected in [
        (MetadataFilters(filters=[one]), {"cards/blue.png"}),
        (
            MetadataFilters(filters=[one, other], condition="or"),
            {"cards/blue.png", "cards/red.png"},
        ),
        (MetadataFilters(filters=[one, other]), set()),
        (
            nested,
            {r.id for r in card_space.store.select()} - {"cards/blue.png", "cards/red.png"},
        ),
    ]:
        nodes = UniSemRetriever(space=card_space, similarity_top_k=50, filters=filters).retrieve(
            "a"
        )
        assert {node.node_id for node in nodes} == expected


async def test_eleven_methods_of_multi_modal_retriever(
    retriever: UniSemRetriever, card_space: SemanticSpace, cards: Path
) -> None:
    path = str(cards / "blue.png")
    words = QueryBundle("red")
    picture = QueryBundle("", image_path=path)
    texts = card_space.search("red", k=4, modality="text")
    images = card_space.search("red", k=4, modality="image")
    alike = card_space.search(image=path, k=4, modality="image")
    assert (len(texts), len(images)) == (1, 4)

    assert same(retriever.text_retrieve("red"), texts)
    assert same(await retriever.atext_retrieve(words), texts)
    assert same(retriever.text_to_image_retrieve("red"), images)
    assert same(await retriever.atext_to_image_retrieve(words), images)
    assert same(retriever._text_to_image_retrieve(words), images)
    assert same(await retriever._atext_to_image_retrieve(words), images)
    assert same(retriever.image_to_image_retrieve(path), alike)
    assert same(await retriever.aimage_to_image_retrieve(picture), alike)
    assert same(retriever._image_to_image_retrieve(picture), alike)
    assert same(await retriever._aimage_to_image_retrieve(picture), alike)
    assert same(retriever._retrieve(words), card_space.search("red", k=4))

    composed = QueryBundle("red", image_path=path)
    assert same(retriever.text_to_image_retrieve(composed), images)
    assert same(retriever.image_to_image_retrieve(composed), alike)
    assert same(retriever.retrieve(words), card_space.search("red", k=4)), "settings are untouched"


def test_every_public_call_is_observed(card_space: SemanticSpace, events: Any, cards: Path) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    retriever = UniSemRetriever(space=card_space, callback_manager=CallbackManager([debug]))
    retriever.retrieve("red")
    retriever.text_retrieve("red")
    retriever.text_to_image_retrieve("red")
    retriever.image_to_image_retrieve(str(cards / "red.png"))
    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 4
    assert len(events.named("RetrievalStartEvent")) == 4
    assert [len(event.nodes) for event in events.named("RetrievalEndEvent")] == [4, 1, 4, 4]


async def test_aretrieve_leaves_the_event_loop_free(card_space: SemanticSpace) -> None:
    loop_turned = threading.Event()

    class Waiting(ToyEncoder):
        def encode_texts(self, *args: Any, **options: Any) -> Any:
            assert loop_turned.wait(60)
            return super().encode_texts(*args, **options)

    loop_turned.set()
    with SemanticSpace.open(None, encoder=Waiting()) as space:
        space.add([Record(id="a", text="red")])
        loop_turned.clear()
        retriever = UniSemRetriever(space=space)
        asyncio.get_running_loop().call_later(0.05, loop_turned.set)
        assert len(await retriever.aretrieve("red")) == 1


def test_what_a_node_holds(space: SemanticSpace, cards: Path) -> None:
    space.add(
        [
            Record(
                id="page",
                text="about cards",
                metadata={"year": 2024, "tags": ["a"]},
                source_id="book",
                links={"previous": "p", "next": "n", "parent": "c", "sibling": "s"},
            ),
            Record(id="red", text="a red card", image=cards / "red.png", source_id="red.png"),
            Record(id="bare", image=cards / "blue.png"),
        ]
    )
    found = UniSemRetriever(space=space, similarity_top_k=9).retrieve("cards")
    nodes: dict[str, Any] = {node.node_id: node.node for node in found}
    page, red, bare = nodes["page"], nodes["red"], nodes["bare"]
    assert isinstance(page, TextNode)
    assert not isinstance(page, ImageNode)
    assert (page.text, page.metadata) == ("about cards", {"year": 2024, "tags": ["a"]})
    assert (page.ref_doc_id, page.prev_node.node_id, page.next_node.node_id) == ("book", "p", "n")
    assert page.parent_node.node_id == "c"
    assert len(page.relationships) == 4
    assert isinstance(red, ImageNode)
    assert (red.text, red.image_path) == ("a red card", str(cards / "red.png"))
    assert red.kept_image is None, "no pixels"
    assert (red.image_mimetype, red.ref_doc_id, red.metadata) == ("image/png", "red.png", {})
    assert (bare.text, bare.ref_doc_id) == ("", None)
    assert NodeRelationship.SOURCE not in bare.relationships


def test_an_empty_space_and_an_empty_answer(space: SemanticSpace) -> None:
    assert UniSemRetriever(space=space).retrieve("red") == []


@pytest.mark.parametrize(
    ("bundle", "error", "reason"),
    [
        ("", ValueError, "the query is empty; a QueryBundle needs query_str, image_path or"),
        (QueryBundle("red", custom_embedding_strs=[]), ValueError, "the query is empty"),
        (QueryBundle("", image_path="no/such.png"), ImageError, "no/such.png: does not exist"),
        (QueryBundle("", image_path="http://x/y.png"), ImageError, "is a URL; UniSem fetches"),
        (QueryBundle("", embedding=[1.0, 2.0]), StoreError, "dimension 2.*from another encoder"),
        (QueryBundle("", embedding=[float("nan")] * 48), ValueError, "not finite"),
        (QueryBundle("", embedding=[0.0] * 48), ValueError, "zero"),
    ],
)
async def test_bad_queries_are_named(
    retriever: UniSemRetriever, bundle: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        retriever.retrieve(bundle)
    with pytest.raises(error, match=reason):
        await retriever.aretrieve(bundle)


def test_the_narrow_calls_name_what_they_lack(retriever: UniSemRetriever, cards: Path) -> None:
    with pytest.raises(ValueError, match="the query is empty"):
        retriever.text_retrieve(QueryBundle("", image_path=str(cards / "red.png")))
    with pytest.raises(ValueError, match="the query is empty"):
        retriever.image_to_image_retrieve(QueryBundle("red"))


@pytest.mark.parametrize(
    ("settings", "error", "reason"),
    [
        ({"space": "photos.unisem"}, TypeError, r"not str; for example SemanticSpace.open"),
        ({"similarity_top_k": -1}, ValueError, "similarity_top_k must not be negative, not -1"),
        ({"similarity_top_k": 2.5}, ValueError, "similarity_top_k must be a whole number, not 2.5"),
        ({"similarity_top_k": True}, ValueError, "similarity_top_k must be a whole number"),
        ({"modality": "video"}, ValueError, "modality must be"),
        ({"match": "all"}, ValueError, "match must be"),
        ({"text_weight": 2}, ValueError, "text_weight must be between 0 and 1"),
        ({"filters": {"year": 2024}}, ValueError, "filters must be MetadataFilters or"),
    ],
)
def test_bad_settings_are_named(
    space: SemanticSpace, settings: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        UniSemRetriever(**{"space": space, **settings})


def test_selection_is_kept_when_a_call_narrows(card_space: SemanticSpace) -> None:
    only_red = Field("file_name") == "red.png"
    retriever = UniSemRetriever(space=card_space, filters=only_red, modality="text")
    assert [n.node_id for n in retriever.text_to_image_retrieve("blue")] == ["cards/red.png"]
    assert retriever._settings.selection == Selection(filter=only_red, modality="text")
