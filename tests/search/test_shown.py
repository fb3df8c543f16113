"""Who asks for words that stand in a picture gets the picture, once: against a list by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.length_reranker import LengthReranker
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.search.query import Query
from unisem.stores.selection import Selection

LINES = {number: [f"ticket {number} gate {number + 20}"] for number in range(12)}


@pytest.fixture
def space(tmp_path: Path) -> Iterator[SemanticSpace]:
    """Twelve tickets, the first of them so long that it gives several passages; and some texts."""
    folder = tmp_path / "tickets"
    folder.mkdir()
    for number in LINES:
        solid((number, 0, 0)).save(folder / f"{number}.png")
    words = {(number, 0, 0): lines for number, lines in LINES.items()}
    words[(0, 0, 0)] = ["ticket 0 gate 20. " + "gate ticket again. " * 20] * 10
    (folder / "about.txt").write_text("how a ticket is bought at the gate")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as opened:
        report = opened.add_folder(folder, recognizer=ColourRecognizer(words))
        assert (report.words_read, report.skipped) == (12, ())
        yield opened


def expected(space: SemanticSpace, text: str) -> list[str]:
    """Every record by its best cosine, words as their picture, each once; ties by id."""
    query = space.encoder.encode_texts([text], role="query")[0]
    scores: list[tuple[float, str, str]] = []
    for record in space.store.select():
        vectors = space.store.vectors([record.id])[0] or {}
        best = max(float(row @ query) for row in vectors.values())
        scores.append((-best, record.id, record.links.get("image", record.id)))
    return list(dict.fromkeys(shown for _, _, shown in sorted(scores)))


@pytest.mark.parametrize("k", [1, 3, 8, 13, 50])
@pytest.mark.parametrize("text", ["ticket 7 gate 27", "gate ticket again", "bought"])
def test_the_picture_comes_once_and_k_hits_come(space: SemanticSpace, text: str, k: int) -> None:
    hits = space.search(text, k=k)
    assert [hit.record.id for hit in hits] == expected(space, text)[:k]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_every_mode_gives_the_picture(space: SemanticSpace, mode: str) -> None:
    query = Query(text="ticket 7 gate 27", k=4, mode=mode)  # type: ignore[arg-type]
    (hits,) = space.search_many([query])
    assert hits[0].record.id == "tickets/7.png"
    assert hits[0].matched == "text"
    assert len({hit.record.id for hit in hits}) == 4


def test_several_passages_of_one_picture_leave_room_for_others(space: SemanticSpace) -> None:
    (hits,) = space.search_many([Query(text="gate ticket again", k=5, mode="keyword")])
    assert hits[0].record.id == "tickets/0.png"
    assert len(hits) == 5 == len({hit.record.id for hit in hits})


def test_words_themselves_come_where_texts_are_asked_for(space: SemanticSpace) -> None:
    hits = space.search("ticket 7 gate 27", k=3, modality="text")
    assert hits[0].record.id == "tickets/7.png#words-1"
    read = space.search("ticket 7 gate 27", k=2, filter=Field("recognized").is_in([True]))
    assert read[0].record.text == "ticket 7 gate 27"


def test_neighbors_bring_the_words_before_their_picture(space: SemanticSpace) -> None:
    hits = space.search("ticket 7 gate 27", k=1, neighbors=1)
    assert [hit.record.id for hit in hits] == ["tickets/7.png#words-1", "tickets/7.png"]
    assert hits[0].score == hits[1].score
    texts = space.search("ticket 7 gate 27", k=1, modality="text", neighbors=1)
    assert [hit.record.id for hit in texts] == [hit.record.id for hit in hits]


class LongFirst(LengthReranker):
    """The longer a text the better."""

    def score(self, *asked: Any) -> NDArray[np.float32]:
        return -super().score(*asked)


def test_a_reranker_of_texts_judges_the_words(space: SemanticSpace) -> None:
    """Only the words of the first ticket are long."""
    hits = space.search("ticket 7 gate 27", k=3, reranker=LongFirst(), fetch_k=40)
    assert hits[0].record.id == "tickets/0.png"
    assert hits[0].judged is not None
    assert hits[0].judged > 500


def test_diversity_chooses_among_pictures(space: SemanticSpace) -> None:
    hits = space.search("ticket 7 gate 27", k=6, diversity=0.5)
    assert len({hit.record.id for hit in hits}) == 6
    assert hits[0].record.id == "tickets/7.png"


def test_words_of_a_picture_that_is_another_one_now_stay_words(space: SemanticSpace) -> None:
    space.add([Record(id="tickets/7.png", image=solid("green"))])
    assert space.search("ticket 7 gate 27", k=1)[0].record.id == "tickets/7.png#words-1"
    space.store.delete(Selection(ids=["tickets/8.png"]))  # which knows nothing of words
    assert space.search("ticket 8 gate 28", k=1)[0].record.id == "tickets/8.png#words-1"
    space.delete(["tickets/9.png"])
    found = space.search("ticket 9 gate 29", k=50)
    assert not [hit for hit in found if hit.record.id.startswith("tickets/9.png")]
