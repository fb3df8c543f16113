"""What comes hit by hit is what `search` gives, in the same order and to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.length_reranker import LengthReranker
from tests.support.list_store import ListKind
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.things import ThingEncoder, apart, captioned
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError
from unisem.filters import Field
from unisem.search import streaming
from unisem.search.graph_expansion import GraphExpansion
from unisem.stores.faiss import store as faiss_store
from unisem.stores.faiss.raw_file import DamagedVectorsError
from unisem.stores.faiss.snapshot import Snapshot
from unisem.stores.hits import Hit

ASKED: tuple[dict[str, Any], ...] = (
    {"text": "red house"},
    {"text": "green", "match": "image"},
    {"text": "blue house", "modality": "text", "min_score": 0.2},
    {"text": "house", "filter": Field("year") > 2010},
    {"text": "red", "image": solid("blue"), "text_weight": 0.3},
    {"text": "nothing of the kind", "source_ids": ["a", "b"]},
)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_store, "_PAGE", 7)


def records(count: int = 60) -> list[Record]:
    """Captioned pictures and texts, each text four times, so that many scores tie."""
    colours = ("red", "green", "blue", "white")
    found = [
        Record(
            id=f"{number * 7919 % 1000}-{number}",
            text=f"{colours[number % 4]} house {number // 4 % 6}",
            image=solid(colours[number % 3]) if number % 5 == 0 else None,
            metadata={"year": 2000 + number % 20},
            source_id="abc"[number % 3],
        )
        for number in range(count)
    ]
    return found + [Record(id=f"café {n}" if n % 2 else f"cafe {n}", text="red") for n in range(30)]


@pytest.fixture(params=["memory", "directory", "indexed"])
def space(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SemanticSpace]:
    path = None if request.param == "memory" else tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder()) as opened:
        opened.add(records())
        if request.param == "indexed":
            opened.compact("flat")
            opened.add([Record(id="late", text="red house")])
        yield opened


def said(hits: Any) -> list[tuple[Any, ...]]:
    return [(hit.record, hit.score, hit.matched, hit.relevance, hit.copies) for hit in hits]


def assert_as_search(space: SemanticSpace, **asked: Any) -> list[tuple[Any, ...]]:
    """Copies and all, and without."""
    for duplicates in ("keep", "same"):
        found = said(space.search_iterator(**asked, duplicates=duplicates))
        assert found == said(space.search(**asked, duplicates=duplicates))
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_hits_are_those_of_search(space: SemanticSpace, asked: dict[str, Any]) -> None:
    for k in (0, 1, 7, 8, 40, 1000):
        assert_as_search(space, **asked, k=k)


@pytest.mark.parametrize("duplicates", ["keep", "same"])
def test_stores_that_give_all_at_once_give_the_same(tmp_path: Path, duplicates: Any) -> None:
    with SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder(), store=ListKind()) as space:
        space.add(records())
        for k in (1, 8, 40):
            found = said(space.search_iterator("house", k=k, duplicates=duplicates))
            assert found == said(space.search("house", k=k, duplicates=duplicates))


def test_ties_go_by_id_across_pages(space: SemanticSpace) -> None:
    hits = list(space.search_iterator("red", k=1000, duplicates="keep"))
    keys = [(-hit.score, hit.record.id) for hit in hits]
    assert keys == sorted(keys)
    assert len({hit.record.id for hit in hits}) == len(hits) == len(space)
    assert len({hit.score for hit in hits}) < 40


def test_probabilities_come_along() -> None:
    with SemanticSpace.open(None, encoder=ThingEncoder()) as space:
        space.add([*captioned(range(120)), *apart(range(120, 160))])
        space.calibrate()
        for asked in ({}, {"min_relevance": 0.3}, {"match": "image", "min_score": 0.1}):
            for k in (5, 50):
                hits = assert_as_search(space, text="thing 130", k=k, **asked)
        assert any(relevance is not None for _, _, _, relevance, _ in hits)


def test_words_become_their_picture_once(tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    folder.mkdir()
    lines = {(number, 0, 0): [f"ticket {number} gate"] for number in range(12)}
    lines[(0, 0, 0)] = ["gate ticket again. " * 20] * 10
    for colour in lines:
        solid(colour).save(folder / f"{colour[0]}.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder, recognizer=ColourRecognizer(lines))
        space.add([Record(id="tickets/7.png", image=solid("green"))])  # words of another picture
        first, second = (solid(colour) for colour in list(lines)[:2])
        space.add(
            [Record(id=f"copy {n}", text="gate", image=(first, second)[n % 2]) for n in range(9)]
        )
        for text in ("ticket 7 gate", "gate ticket again", "green"):
            for k in (1, 3, 8, 13, 50):
                for modality in (None, "text", "image"):
                    asked: Any = {"text": text, "k": k, "modality": modality}
                    assert_as_search(space, **asked)


def test_what_is_removed_or_replaced_meanwhile_is_left_out(space: SemanticSpace) -> None:
    whole = space.search("red", k=1000, duplicates="keep")
    hits = space.search_iterator("red", k=1000, duplicates="keep")
    given = [next(hits) for _ in range(7)]
    removed = {hit.record.id for hit in whole[10:30]}
    space.delete(list(removed))
    space.add([Record(id=whole[40].record.id, text="another"), Record(id="new", text="red")])
    given += hits
    left_out = removed | {whole[40].record.id}
    assert said(given) == said(hit for hit in whole if hit.record.id not in left_out)


def test_a_space_that_was_closed_gives_no_more(tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add(records())
        hits = space.search_iterator("red", k=1000, duplicates="keep")
        assert [next(hits) for _ in range(7)]
    with pytest.raises(StoreError, match="closed"):
        list(hits)


def test_records_that_are_missing_are_damage_where_nobody_wrote(tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add(records())
        store: Any = space.store
        hits = space.search_iterator("red", k=1000, duplicates="keep")
        next(hits)
        store._files.catalog._db.execute("DELETE FROM records WHERE row > 20")
        with pytest.raises(CorruptStoreError, match="not there"):
            list(hits)


def test_a_damaged_index_is_done_without(
    space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, search = space.search("red", k=1000, duplicates="keep"), Snapshot.search
    broken = [True]

    def damaged(*arguments: Any) -> Any:
        if broken:
            broken.pop()
            raise DamagedVectorsError("the codes")
        return search(*arguments)

    monkeypatch.setattr(Snapshot, "search", damaged)
    assert said(space.search_iterator("red", k=1000, duplicates="keep")) == said(expected)


def test_a_page_is_read_when_it_is_asked_for(
    space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = space.store
    catalog, rows = store._files.catalog, list[int]()
    read = catalog.records
    monkeypatch.setattr(catalog, "records", lambda some: rows.append(len(some)) or read(some))
    hits = space.search_iterator("red", k=1000, duplicates="keep")
    assert rows == []
    next(hits)
    assert rows == [7]
    for _ in range(7):
        next(hits)
    assert rows == [7, 7]
    assert list(space.search_iterator("red", k=1000, duplicates="keep", min_score=2)) == []
    assert len(rows) == 3


def test_who_asks_for_more_gets_it(space: SemanticSpace) -> None:
    vector = space.embed_query(Query(text="red house"))
    pages = list(space.store.search_pages(vector, 3))
    hits = space.search("red house", k=1000, duplicates="keep")
    assert said(hit for page in pages for hit in page) == said(hits)


def test_copies_are_known_across_pages_and_others_forgotten(
    space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.add([Record(id=f"once {n}", image=solid((n, 9, 9))) for n in range(30)])
    sizes: list[int] = []
    compared = streaming._Stream._run

    def watched(stream: Any, page: list[Hit]) -> Any:
        sizes.append(len(stream._copied) + len(stream._compared) + len(stream._named))
        return compared(stream, page)

    monkeypatch.setattr(streaming._Stream, "_run", watched)
    hits = list(space.search_iterator("red house", k=1000))
    assert said(hits) == said(space.search("red house", k=1000))
    pictures = [hit.record.image.sha256 for hit in hits if hit.record.image is not None]
    assert len(set(pictures)) == len(pictures) == 33
    assert sum(bool(hit.copies) for hit in hits) == 3
    assert len(sizes) > 10
    assert max(sizes) == 6  # three of which there are several, as they were compared and told


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"mode": "hybrid"}, "hybrid"),
        ({"diversity": 0.0}, "diversity"),
        ({"reranker": LengthReranker()}, "reranker"),
        ({"duplicates": "near"}, "duplicates"),
        ({"neighbors": 1}, "neighbors"),
        ({"graph": GraphExpansion()}, "graph"),
    ],
)
def test_what_looks_at_all_hits_is_refused(asked: dict[str, Any], name: str) -> None:
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        with pytest.raises(ValueError, match=rf"{name}.*use search"):
            space.iterate(Query(text="a", **{"duplicates": "keep"} | asked))
        with pytest.raises(ValueError, match="k must be"):
            space.search_iterator("a", k=-1)
