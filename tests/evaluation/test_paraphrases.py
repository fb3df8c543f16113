"""How far answers to paraphrases agree: counted by hand, read from a file, shown on the page."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_diagnose import FAST, filled
from unisem import Record, SemanticSpace
from unisem.errors import UniSemError
from unisem.evaluation import AskedQuery, diagnose, read_queries
from unisem.evaluation.paraphrases import paraphrases_of
from unisem.images.reference import ImageRef
from unisem.stores.hits import Hit


def hits(ids: str) -> list[Hit]:
    return [Hit(Record(id=one, text=one), 0.5, "text") for one in ids]


def test_counted_by_hand() -> None:
    asked = [
        (AskedQuery("one", wish="w"), "abcd"),
        (AskedQuery("two", wish="w"), "abcd"),
        (AskedQuery("three", wish="w"), "dxyz"),
        (AskedQuery("same", wish="v"), "ab"),
        (AskedQuery("same", wish="v"), "ab"),
        (AskedQuery("alone", wish="u"), "ab"),
        (AskedQuery("none"), "ab"),
        (AskedQuery("with", image=ImageRef(path=Path("a.png")), wish="w"), "ab"),
        (AskedQuery("too", image=ImageRef(path=Path("a.png")), wish="w"), "bc"),
    ]
    text, both = paraphrases_of([query for query, _ in asked], [hits(ids) for _, ids in asked])
    assert (text.asked, text.wishes, text.queries) == ("text", 2, 5)
    of_w = (1 + 0.25 + 0.25) / 3  # pairs of ways: 4, 1 and 1 of 4 in common
    assert text.overlap == pytest.approx((of_w + 1) / 2)
    assert text.deviation == pytest.approx((1 - of_w) / 2)
    assert text.first == pytest.approx((1 / 3 + 1) / 2)
    assert [wish.name for wish in text.worst] == ["w", "v"]
    assert text.worst[0].texts == ("one", "two", "three")
    assert (both.asked, both.wishes, both.queries) == ("text and picture", 1, 2)
    assert (both.overlap, both.first) == (0.5, 0.0)
    silent = [None if query.text == "three" else hits(ids) for query, ids in asked]
    assert paraphrases_of([query for query, _ in asked], silent)[0].overlap == 1


def test_what_a_space_answers(space: SemanticSpace, tmp_path: Path) -> None:
    mixed = filled(space, tmp_path / "pictures")
    picture = tmp_path / "pictures" / "red1.png"
    rows = [
        {"text": "a red card", "wish": "red"},
        {"text": "card, in red please", "wish": "red"},
        {"text": "size4 number7", "wish": "red"},
        {"text": "blue", "image": "red1.png", "wish": "in blue", "text_weight": 0.25},
        {"text": "a blue one", "image": "red1.png", "wish": "in blue", "text_weight": 0.25},
    ]
    file = tmp_path / "pictures" / "queries.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    queries = read_queries(file)
    found = diagnose(mixed, queries, options=FAST)
    text, both = found.paraphrases
    for one, some in ((text, queries[:3]), (both, queries[3:])):
        ids = [
            {
                hit.record.id
                for hit in mixed.search(
                    it.text, it.image and picture, k=10, text_weight=it.text_weight
                )
            }
            for it in some
        ]
        shared = [len(a & b) / 10 for a, b in combinations(ids, 2)]
        assert one.overlap == pytest.approx(float(np.mean(shared)))
        assert one.deviation == 0
    assert 0 < text.overlap < 1
    assert {one.is_problem for one in found.findings if one.name == "paraphrases"} <= {True, False}
    assert found.as_json()["paraphrases"][0]["worst"][0]["name"] == "red"
    found.write_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "“card, in red please”" in page
    assert "First ten in common" in page
    assert diagnose(mixed, [AskedQuery("red")], options=FAST).paraphrases == ()


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"text": "a", "text_weight": 2}, "from 0 to 1"),
        ({"text": "a", "text_weight": "half"}, "from 0 to 1"),
        ({"text": "a", "text_weight": {}}, "from 0 to 1"),
        ({"text": "a", "image": 3}, "must be a path"),
        ({"text": "a", "wish": ["x"]}, "wish a string"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: object, fault: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(UniSemError, match=f"q.jsonl:1.*{fault}"):
        read_queries(file)


def test_a_weight_of_nothing_is_one(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text("text,image,text_weight\na,b.png,0\nb,,\n")
    assert [query.text_weight for query in read_queries(file)] == [0, 0.5]
