"""A step's text with its picture, in order (LlamaIndex issues 11743 and 12039)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support import chains
from tests.support.chains import chain
from tests.support.rerankers import ColourReranker
from unisem import Query, Record, SemanticSpace
from unisem.filters import Field


@pytest.fixture
def manual(space: SemanticSpace) -> SemanticSpace:
    """Steps, each followed by its picture."""
    space.add(chains.manual())
    return space


def found(space: SemanticSpace, query: str, **options: Any) -> list[tuple[str, float]]:
    return [(hit.record.id, hit.score) for hit in space.search(query, **options)]


def test_a_hit_comes_with_its_neighbours_in_document_order(manual: SemanticSpace) -> None:
    (hit,) = manual.search("pour the water", k=1)
    for neighbors, expected in [
        (0, ["step pour the water"]),
        (1, ["picture red", "step pour the water", "picture blue"]),
        (
            2,
            [
                "step open the lid",
                "picture red",
                "step pour the water",
                "picture blue",
                "step press the button",
            ],
        ),
        (99, [record.id for record in manual.store.select()]),
    ]:
        nodes = found(manual, "pour the water", k=1, neighbors=neighbors)
        assert nodes == [(name, hit.score) for name in expected]


def test_modality_chooses_hits_and_not_neighbours(manual: SemanticSpace) -> None:
    nodes = found(manual, "wait a while", k=1, neighbors=1, modality="text")
    assert [name for name, _ in nodes] == ["picture green", "step wait a while"]
    nodes = found(manual, "red", k=1, neighbors=1, modality="image")
    assert [name for name, _ in nodes] == [
        "step open the lid",
        "picture red",
        "step pour the water",
    ]


def test_passages_merge_and_scores_follow_the_rule(manual: SemanticSpace) -> None:
    """Against the rule written out: every record within reach of a hit, once, in order."""
    order = [record.id for record in manual.store.select()]
    place = {name: position for position, name in enumerate(order)}
    rng = random.Random(5)
    words = ["open", "the", "lid", "pour", "water", "button", "red", "blue", "green"]
    for _ in range(40):
        query = " ".join(rng.choices(words, k=3))
        k, n = rng.randint(1, 4), rng.randint(1, 3)
        hits = {hit.record.id: hit.score for hit in manual.search(query, k=k)}
        nodes = found(manual, query, k=k, neighbors=n)
        passages: list[set[int]] = []  # in the order of their best hits
        for hit in hits:
            window = {p for p in range(len(order)) if abs(p - place[hit]) <= n}
            shared = [passage for passage in passages if passage & window]
            passages = [passage for passage in passages if not passage & window]
            passages.append(window.union(*shared))
            passages.sort(key=lambda passage: rank_of(passage, hits, place))
        expected = [order[p] for passage in passages for p in sorted(passage)]
        assert [name for name, _ in nodes] == expected
        for name, score in nodes:
            near = [s for h, s in hits.items() if abs(place[h] - place[name]) <= n]
            assert score == hits.get(name, max(near))


def rank_of(passage: set[int], hits: dict[str, float], place: dict[str, int]) -> int:
    """The rank of the best hit in a passage."""
    return min(rank for rank, hit in enumerate(hits) if place[hit] in passage)


def test_filters_and_ids_hold_for_neighbours(space: SemanticSpace) -> None:
    """A neighbour that a filter hides does not come in by a link."""
    names = ["step one", "step two", "step three", "step four"]
    for record, owner in zip(chain(names), ["a", "a", "b", "a"], strict=True):
        space.add([record.with_metadata({"owner": owner})])
    options: dict[str, Any] = {"k": 1, "neighbors": 9}
    assert [n for n, _ in found(space, "two", **options)] == names
    mine = Field("owner") == "a"
    assert [n for n, _ in found(space, "two", filter=mine, **options)] == names[:2]
    chosen = [names[1], names[2]]
    assert [n for n, _ in found(space, "two", ids=chosen, **options)] == chosen
    assert found(space, "two", source_ids=["no such document"], **options) == []


def test_links_that_lead_nowhere_or_round_in_circles(space: SemanticSpace) -> None:
    space.add(
        [
            Record(id="a", text="red", links={"previous": "gone", "next": "b"}),
            Record(id="b", text="blue", links={"previous": "a", "next": "c"}),
            Record(id="c", text="green", links={"previous": "b", "next": "a"}),
            Record(id="self", text="white", links={"previous": "self", "next": "self"}),
            Record(id="x", text="yellow", links={"next": "b"}),
        ]
    )
    assert [name for name, _ in found(space, "red", k=1, neighbors=9)] == list("abc")
    assert [n for n, _ in found(space, "white", k=1, neighbors=3)] == ["self"]
    assert [name for name, _ in found(space, "red", k=1, neighbors=10**18)] == list("abc")
    assert found(space, "red", k=0, neighbors=10**18) == []
    names = [name for name, _ in found(space, "yellow red", k=5, neighbors=2)]
    assert sorted(names) == ["a", "b", "c", "self", "x"]


def test_chunks_of_a_file_come_with_those_around_them(space: SemanticSpace, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    chapters = [f"Chapter {name}. " + "word " * 190 for name in ("one", "two", "three", "four")]
    (folder / "book.md").write_text("\n\n".join(chapters), encoding="utf-8")
    space.add_folder(folder)
    (hit,) = space.search("chapter three", k=1)
    number = int(hit.record.id.rpartition("#")[2])
    names = [name for name, _ in found(space, "chapter three", k=1, neighbors=1)]
    assert names == [f"texts/book.md#{n}" for n in (number - 1, number, number + 1) if 1 <= n <= 4]
    assert len(names) > 1


def test_every_mode_brings_them(manual: SemanticSpace) -> None:
    around = ["picture red", "step pour the water", "picture blue"]
    for options in (
        {"mode": "keyword"},
        {"mode": "hybrid", "modality": "text"},
        {"diversity": 0.5, "modality": "text"},
        {"reranker": ColourReranker(), "modality": "text"},
    ):
        names = [n for n, _ in found(manual, "pour the water", k=1, neighbors=1, **options)]
        assert names == around
    many = [Query(text=text, k=1, neighbors=n) for text in ("the lid", "wait") for n in (0, 1)]
    assert manual.search_many(many) == [manual.search_query(query) for query in many]
    for wrong in (-1, True, 1.5):
        with pytest.raises(ValueError, match="neighbors must be a whole number of at least 0"):
            manual.search("x", neighbors=wrong)  # type: ignore[arg-type]
