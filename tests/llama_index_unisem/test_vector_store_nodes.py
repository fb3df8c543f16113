"""Every kind of node goes into `UniSemVectorStore` and comes out as it was."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemRetriever, UniSemVectorStore
from llama_index_unisem.nodes import UniSemImageNode
from tests.support.pictures import encoded, noise, solid
from unisem import Record, SemanticSpace
from unisem.errors import ImageError, RecordError, StoreError

PNG = encoded(noise(1))
BASE64 = base64.b64encode(PNG).decode()


class ChapterNode(TextNode):
    """What a user may derive."""

    chapter: int = 0


def filled(**parts: Any) -> dict[str, Any]:
    """Every field of `BaseNode` set to something else than its default."""
    related = RelatedNodeInfo(
        node_id="doc", node_type=ObjectType.DOCUMENT, metadata={"x": 1}, hash="h"
    )
    return {
        "embedding": [3.0, 4.0],
        "metadata": {"year": 2024, "tags": ["a", "b"], "none": None, "deep": {"k": [1.5, True]}},
        "relationships": {
            NodeRelationship.SOURCE: related,
            NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id="before"),
            NodeRelationship.CHILD: [RelatedNodeInfo(node_id="c1"), RelatedNodeInfo(node_id="c2")],
        },
        "excluded_embed_metadata_keys": ["year"],
        "excluded_llm_metadata_keys": ["tags"],
        "metadata_template": "{key}={value}",
        "metadata_separator": "; ",
        **parts,
    }


def nodes(path: str) -> dict[str, BaseNode]:
    place = Path(path)
    return {
        "text": TextNode(
            **filled(text="t", start_char_idx=1, end_char_idx=2, mimetype="text/x"),
            text_template="{content}",
        ),
        "empty text": TextNode(**filled(text="")),
        "picture by bytes": ImageNode(**filled(text="cap", image=BASE64)),
        "picture by path": ImageNode(**filled(image_path=path, image_mimetype="image/odd")),
        "picture by bytes and path": ImageNode(**filled(image=BASE64, image_path=path)),
        "picture by URL": ImageNode(**filled(text="u", image_url="http://127.0.0.1:9/y.png")),
        "picture that is none": ImageNode(**filled(image=base64.b64encode(b"none").decode())),
        "picture not in base64": ImageNode(**filled(image="not base64!")),
        "missing picture": ImageNode(**filled(text="m", image_path="missing.png")),
        "two vectors": ImageNode(**filled(text="cap", image_path=path, text_embedding=[0.0, 2.0])),
        "found picture": UniSemImageNode(**filled(text="p", image_path=path, image_side=99)),
        "node": Node(**filled(text_resource=MediaResource(text="only text"))),
        "empty node": Node(**filled()),
        "node of two": Node(
            **filled(
                text_resource=MediaResource(text="c", embeddings={"dense": [0.0, 0.5]}),
                image_resource=MediaResource(data=PNG),
            ),
            text_template="{content}",
        ),
        "node of four": Node(
            **filled(
                text_resource=MediaResource(text="", mimetype="text/x"),
                image_resource=MediaResource(path=place, mimetype="image/odd"),
                audio_resource=MediaResource(data=b"abc!"),
                video_resource=MediaResource(url="http://127.0.0.1:9/v.mp4"),
            )
        ),
        "document": Document(**filled(text="d")),
        "empty document": Document(**filled()),
        "document with a picture": Document(
            **filled(text="d", image_resource=MediaResource(data=PNG))
        ),
        "image document": ImageDocument(**filled(image=BASE64, text="c", image_mimetype="image/o")),
        "image document by path": ImageDocument(**filled(image_path=path)),
        "index node": IndexNode(**filled(text="i", index_id="k")),
        "index node with object": IndexNode(
            **filled(text="i", index_id="k", obj=TextNode(text="inner"))
        ),
        "derived": ChapterNode(**filled(text="m", chapter=9)),
    }


NAMES = [
    "derived", "document", "document with a picture", "empty document", "empty node", "empty text",
    "found picture", "image document", "image document by path", "index node",
    "index node with object", "missing picture", "node", "node of four", "node of two",
    "picture by URL", "picture by bytes", "picture by bytes and path", "picture by path",
    "picture not in base64", "picture that is none", "text", "two vectors",
]  # fmt: skip


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "pictures" / "a.png"
    path.parent.mkdir()
    path.write_bytes(PNG)
    return str(path)


def test_every_kind_is_tested(picture: str) -> None:
    assert sorted(nodes(picture)) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["memory", "directory", "reopened"])
def test_round_trip(name: str, place: str, picture: str, tmp_path: Path) -> None:
    node = nodes(picture)[name]
    before = node.model_copy(deep=True)
    path = None if place == "memory" else tmp_path / "v.unisem"
    store = UniSemVectorStore(path)
    assert store.add([node]) == [node.node_id]
    assert node == before, "adding does not change a node"
    if place == "reopened":
        store.close()
        store = UniSemVectorStore(path)
    found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=1))
    expected = node.model_copy(update={"embedding": None})
    [stored] = store.get_nodes([node.node_id])
    assert stored.embedding == pytest.approx([0.6, 0.8]), "another store can take it"
    stored.embedding = None
    for got in [stored, *(found.nodes or [])]:
        assert type(got) is type(node)
        assert got == expected
        assert got.hash == node.hash
        assert got.to_dict() == expected.to_dict()
    assert found.similarities == pytest.approx([0.6])
    store.close()


def test_picture_bytes_are_a_file_and_not_in_the_catalogue(tmp_path: Path) -> None:
    with UniSemVectorStore(tmp_path / "v.unisem") as store:
        store.add(
            [
                ImageNode(id_="a", image=BASE64, embedding=[1.0]),
                Node(id_="b", image_resource=MediaResource(data=PNG), embedding=[1.0]),
            ]
        )
        for record in store.client.get(["a", "b"]):
            assert record is not None
            assert record.image is not None
            assert record.image.read_bytes() == PNG
            assert len(json.dumps(dict(record.payload))) < 2000
        blobs = [path for path in (tmp_path / "v.unisem" / "blobs").rglob("*") if path.is_file()]
        assert len(blobs) == 1, "content-addressed"


def test_a_picture_whose_file_is_lost_costs_only_itself(tmp_path: Path) -> None:
    with UniSemVectorStore(tmp_path / "v.unisem") as store:
        store.add([ImageNode(id_="a", text="cap", image=BASE64, embedding=[1.0])])
        next((tmp_path / "v.unisem" / "blobs").rglob("*.png")).unlink()
        node = store.get_nodes(["a"])[0]
        assert isinstance(node, ImageNode)
        assert (node.text, node.image) == ("cap", None)


def test_pictures_beside_a_store_move_with_it(tmp_path: Path, picture: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    Path(picture).parent.rename(home / "pictures")
    with UniSemVectorStore(home / "v.unisem") as store:
        path = str(home / "pictures" / "a.png")
        store.add([ImageNode(id_="a", image_path=path, embedding=[1.0])])
    moved = home.rename(tmp_path / "elsewhere")
    with UniSemVectorStore(moved / "v.unisem") as store:
        node = store.get_nodes(["a"])[0]
        assert isinstance(node, ImageNode)
        assert node.image_path == str(moved / "pictures" / "a.png")


@pytest.mark.parametrize(
    "value",
    [
        date(2024, 1, 1),
        datetime(2024, 1, 1, 12, tzinfo=UTC),
        {7},
        b"x",
        UUID(int=5),
        Path("a") / "b",
        Decimal("1.5"),
        (1, 2),
        {1: "x", None: "y"},
        float("nan"),
        {"deep": [1.5, float("inf"), {"x": float("-inf")}]},
    ],
)
def test_metadata_are_kept_as_llama_index_writes_them(value: Any, tmp_path: Path) -> None:
    node = TextNode(id_="a", text="a", embedding=[1.0], metadata={"fine": 1, "taken": value})
    wanted = {
        name: part
        for name, part in node_to_metadata_dict(node).items()
        if name in ("fine", "taken")
    }
    with UniSemVectorStore(tmp_path / "v.unisem") as store:
        store.add([node])
    with UniSemVectorStore(tmp_path / "v.unisem") as store:
        (kept,) = store.get_nodes()
    assert json.dumps(kept.metadata) == json.dumps(wanted)


def test_metadata_that_llama_index_cannot_write_are_refused() -> None:
    store = UniSemVectorStore()
    good = TextNode(id_="good", text="g", embedding=[1.0])
    for value in (object(), "nul\0"):
        bad = TextNode(id_="bad", text="b", embedding=[1.0], metadata={"fine": 1, "taken": value})
        with pytest.raises(RecordError, match="'bad'"):
            store.add([good, bad])
    assert store.get_nodes() == [], "nothing of the call is kept"


def test_an_index_leaves_out_what_cannot_be_kept_and_keeps_the_rest(
    embedding: UniSemEmbedding,
) -> None:
    nodes = [
        TextNode(id_="good", text="red"),
        TextNode(id_="odd", text="blue", metadata={"x": object()}),
        TextNode(id_="zero", text="green", embedding=[0.0] * embedding.encoder.dimension),
        TextNode(id_="nul", text="green", metadata={"x": "\0"}),
    ]
    for node in nodes:
        node.excluded_embed_metadata_keys = ["x"]
    index = UniSemIndex(nodes, embed_model=embedding)
    index.insert_nodes([TextNode(id_="late", text="red"), nodes[1]])
    assert sorted(node.node_id for node in index.vector_store.get_nodes()) == ["good", "late"]
    assert [skipped.name for skipped in index.skipped] == ["odd", "zero", "nul", "odd"]


@pytest.mark.parametrize(
    ("embedding", "words"),
    [
        (None, "has no embedding"),
        ([0.0, 0.0], "is zero"),
        ([float("nan"), 1.0], "not finite"),
        ([float("inf"), 1.0], "not finite"),
        ([], "one row"),
    ],
)
def test_unusable_vectors_are_refused(embedding: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"'a'.*{words}"):
        UniSemVectorStore().add([TextNode(id_="a", text="a", embedding=embedding)])


def test_vectors_are_normalised_however_long() -> None:
    store = UniSemVectorStore()
    store.add(
        [
            TextNode(id_="long", embedding=[3e200, 4e200]),
            TextNode(id_="short", embedding=[3e-200, 4e-200]),
        ]
    )
    found = store.query(VectorStoreQuery(query_embedding=[1e300, 0.0], similarity_top_k=2))
    assert found.similarities == pytest.approx([0.6, 0.6])


def test_dimension_is_that_of_the_first_vector() -> None:
    store = UniSemVectorStore()
    store.add([TextNode(id_="a", embedding=[1.0, 0.0, 0.0])])
    with pytest.raises(StoreError, match=r"dimension 3, not 2"):
        store.add([TextNode(id_="b", embedding=[1.0, 0.0])])
    with pytest.raises(StoreError, match=r"dimension 2.* 3"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0.0]))
    assert [node.node_id for node in store.get_nodes()] == ["a"]


def test_caption_and_picture_are_one_result_at_the_better_score(picture: str) -> None:
    store = UniSemVectorStore()
    store.add(
        [
            ImageNode(
                id_="a", text="c", image_path=picture, embedding=[1, 0], text_embedding=[0, 1]
            ),
            TextNode(id_="b", text="t", embedding=[0.6, 0.8]),
        ]
    )
    for vector, scores in [([1.0, 0.0], [1.0, 0.6]), ([0.0, 1.0], [1.0, 0.8])]:
        found = store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=5))
        assert found.ids == ["a", "b"]
        assert found.similarities == pytest.approx(scores)


def test_a_shared_space_and_a_store_see_the_same_records(
    card_space: SemanticSpace, cards: Path
) -> None:
    store = UniSemVectorStore(space=card_space)
    vector = card_space.encoder.encode_texts(["a red card"])[0].tolist()
    hits = card_space.search("a red card", k=3)
    found = store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=3))
    assert found.ids == [hit.record.id for hit in hits]
    assert type((found.nodes or [])[0]) is UniSemImageNode, "a record of the space"
    path = str(cards / "blue.png")
    node = ImageNode(id_="mine", text="my card", image_path=path, embedding=vector)
    store.add([node])
    record = card_space.get(["mine"])[0]
    assert isinstance(record, Record)
    assert record.image is not None
    assert (record.text, str(record.image.path)) == ("my card", path)
    shown = UniSemRetriever(space=card_space, similarity_top_k=1, match="image").retrieve(
        "a red card"
    )
    assert shown[0].node_id == "mine"
    card_space.delete(["mine"])
    assert store.get_nodes(["mine"]) == []


def test_a_shared_space_keeps_its_rules(space: SemanticSpace, tmp_path: Path) -> None:
    store = UniSemVectorStore(space=space)
    with pytest.raises(StoreError, match="dimension 2, the space's encoder 48"):
        store.add([TextNode(id_="a", text="a", embedding=[1.0, 0.0])])
    with pytest.raises(ValueError, match="a space, or a path"):
        UniSemVectorStore(tmp_path / "x", space=space)
    with SemanticSpace.open(None, encoder=space.encoder, image_roots=[tmp_path / "in"]) as strict:
        solid("red").save(tmp_path / "out.png")
        outside = str(tmp_path / "out.png")
        vector = np.ones(48).tolist()
        with pytest.raises(ImageError, match="outside the allowed folders"):
            UniSemVectorStore(space=strict).add([ImageNode(image_path=outside, embedding=vector)])


def test_an_open_directory_keeps_its_folders_for_pictures(tmp_path: Path, picture: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    node = ImageNode(image_path=picture, embedding=[1.0])
    place = tmp_path / "v.unisem"
    with UniSemVectorStore(place, image_roots=[tmp_path / "in"]):
        for roots in (None, [tmp_path / "link"]):
            with (
                UniSemVectorStore(place, image_roots=roots) as again,
                pytest.raises(ImageError, match="outside the allowed folders"),
            ):
                again.add([node])
        for roots in ([tmp_path], [tmp_path / "in", tmp_path]):
            with pytest.raises(StoreError, match=r"image_roots, not .*close the other"):
                UniSemVectorStore(place, image_roots=roots)
    with UniSemVectorStore(place) as anywhere:
        with pytest.raises(StoreError, match="with none as image_roots"):
            UniSemVectorStore(place, image_roots=[tmp_path / "in"])
        anywhere.add([node])


def test_image_roots_confine_a_store_of_its_own(tmp_path: Path, picture: str) -> None:
    (tmp_path / "in").mkdir()
    store = UniSemVectorStore(image_roots=[tmp_path / "in"])
    with pytest.raises(ImageError, match="outside the allowed folders"):
        store.add([ImageNode(image_path=picture, embedding=[1.0])])
