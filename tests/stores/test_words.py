"""Keyword search: any text is allowed, scripts without spaces work, writes keep the index right."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.keywords import found, item, open_store
from unisem.filters import Field
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.words import MAX_TERMS, WordIndex, terms
from unisem.stores.selection import EVERYTHING, Selection


@pytest.fixture
def store() -> Iterator[FaissStore]:
    opened = open_store()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("stored", "query"),
    [
        ("A Tiger, walking", "tiger"),
        ("un café à Orléans", "CAFE"),
        ("un cafe\u0301", "café"),
        ("Việt Nam", "viet"),
        ("die Straße", "STRASSE"),
        ("Ｔｏｋｙｏ 2024", "tokyo"),
        ("the ﬁnest", "finest"),
        ("soft\u00adhyphen", "softhyphen"),
        ("a\x00b", "b"),
        ("snake_case", "case"),
        ("model XJ-9000", "XJ-9000"),
        ("हिन्दी में", "हिन्दी"),
        ("тигр в снегу", "Тигр"),
        ("黒猫が寝ている", "猫"),
        ("東京都の夜景", "東京"),
        ("昨日は京都に行った", "京都の猫"),
        ("デジタルカメラ", "カメラ"),
        ("ﾃﾞｼﾞﾀﾙ", "デジタル"),
        ("我家的老虎cat很大", "cat"),
        ("我家的老虎cat很大", "老虎"),
        ("고양이가 잔다", "고양이"),
        ("แมวกินปลา", "ปลา"),
        ("葛\U000e0100城", "葛城"),
        ("\U00020bb7野家", "\U00020bb7"),
    ],
)
def test_what_reads_the_same_is_found(store: FaissStore, stored: str, query: str) -> None:
    store.add([item("a", stored), item("b", "something else")])
    assert found(store, query) == ["a"]


@pytest.mark.parametrize(
    ("stored", "query"),
    [
        ("京東", "東京"),
        ("tigers", "tiger"),  # no stemming: that is what vectors are for
        ("हिन्दी", "हन्द"),
        ("กา", "กี"),
    ],
)
def test_what_does_not_read_the_same_is_not(store: FaissStore, stored: str, query: str) -> None:
    store.add([item("a", stored)])
    assert found(store, query) == []


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '""',
        '"tiger',
        'tiger"',
        '" OR 1=1 --',
        "tiger*",
        "*",
        "^tiger",
        "-tiger",
        "NEAR",
        "NEAR(tiger lion, 2)",
        "AND",
        "OR",
        "NOT",
        "tiger AND",
        "NOT tiger",
        "text:tiger",
        "{text metadata}:tiger",
        "- {text}: tiger",
        "tiger + lion",
        "(tiger",
        "tiger)",
        "((((",
        "'; DROP TABLE words; --",
        "words MATCH 'x'",
        "\x00",
        "ti\x00ger",
        "tiger\x00lion",
        "%_?",
        "\\",
        "",
        " \n\t",
        "!?…—。、",
        "🐯",
        "\ue000",
        "x" * 100_000,
        "tiger " * 20_000,
        " ".join(f"w{n}" for n in range(20_000)),
        "猫" * 50_000,
        "\u0301" * 1000,
        "ﷺ" * 20_000,
    ],
)
def test_a_text_is_never_syntax(store: FaissStore, query: str) -> None:
    store.add([item("a", "a tiger"), item("b", "a lion"), item("c", "near and or not text")])
    names = set(re.findall(r"[a-z]+", query[:10_000].lower()))
    words = {"a": {"a", "tiger"}, "b": {"a", "lion"}, "c": {"near", "and", "or", "not", "text"}}
    expected = {record_id for record_id, of in words.items() if of & names}
    assert set(found(store, query)) == expected
    assert found(store, "tiger") == ["a"]  # still there


@given(st.text(max_size=200))
@settings(max_examples=examples(60))
def test_any_text_finds_itself_or_has_no_terms(text: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE records (row, id, text, metadata)")
    database.execute("CREATE TABLE unerased (row INTEGER PRIMARY KEY)")
    index = WordIndex(database)
    index.rebuild()
    database.execute("INSERT INTO records VALUES (1, 'a', ?, '{}')", (text,))
    index.add([(1, text, {})])
    assert len(index.search(text, 5, EVERYTHING)) <= 1
    if re.search("[a-zA-Z0-9]", text):
        assert [row for row, _ in index.search(text, 5, EVERYTHING)] == [1]
    index.remove([(1, text, {})])
    assert index.search(text, 5, EVERYTHING) == []
    database.execute("INSERT INTO words (words) VALUES ('integrity-check')")


def test_terms_are_capped_and_different() -> None:
    assert terms("a A á b") == ["a", "á", "b"]
    assert len(terms(" ".join(f"w{n}" for n in range(9999)))) == MAX_TERMS
    assert terms("猫の写真") == ["猫", "の", "写 真"]
    assert terms("") == []


def test_metadata_strings_are_searched_and_count_for_less(store: FaissStore) -> None:
    store.add(
        [
            item("title", "one two", title="tiger"),
            item("list", "one two", keywords=["big", "tiger", 3]),
            item("text", "tiger one", title="two"),
            item("number", "one two", year=2024, tiger="key", nested={"x": "tiger"}),
            item("picture", None, title="tiger"),
        ]
    )
    assert set(found(store, "tiger")) == {"title", "list", "text", "picture"}
    scores = {hit.record.id: hit.score for hit in store.search_words("tiger", 9)}
    assert scores["text"] > scores["title"]
    assert {hit.matched for hit in store.search_words("tiger", 9)} == {"text"}


def test_order_and_scores_are_those_of_bm25(store: FaissStore) -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"w{n}" for n in range(60)]
    texts = [
        " ".join(rng.choice(vocabulary, size=int(rng.integers(3, 20)))).strip() for _ in range(200)
    ]
    store.add([item(f"{n:03}", text) for n, text in enumerate(texts)])
    for query in ("w1", "w2 w3", "w5 w6 w7 w59"):
        hits = store.search_words(query, 200)
        expected = bm25(texts, query.split())
        order = sorted(expected, key=lambda n: (-expected[n], n))
        got = {hit.record.id: hit.score for hit in hits}
        assert got == pytest.approx({f"{n:03}": expected[n] for n in order})
        assert all(score > 0 for score in got.values())
        assert [hit.record.id for hit in hits] == sorted(got, key=lambda name: (-got[name], name))


def bm25(texts: list[str], query: list[str], k1: float = 1.2, b: float = 0.75) -> dict[int, float]:
    """The formula in SQLite's manual, "The bm25() function"."""
    documents = [text.split() for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores: dict[int, float] = {}
    for term in query:
        n = sum(term in document for document in documents)
        idf = max(np.log((len(documents) - n + 0.5) / (n + 0.5)), 1e-6)
        for number, document in enumerate(documents):
            if frequency := document.count(term):
                length = 1 - b + b * len(document) / mean
                value = idf * frequency * (k1 + 1) / (frequency + k1 * length)
                scores[number] = scores.get(number, 0) + value
    return scores


def test_equal_scores_are_in_the_order_of_ids(store: FaissStore) -> None:
    store.add([item(name, "the same text") for name in ("c", "a", "é", "b", "Z", "𝒳")])
    assert found(store, "same") == sorted(["c", "a", "é", "b", "Z", "𝒳"])


def test_selections_are_decided_inside(store: FaissStore) -> None:
    store.add([item(f"{n:02}", "tiger " * (n % 7 + 1), year=n, source_id="s") for n in range(40)])
    store.add([item("picture", None, title="tiger", year=3)])
    everything = found(store, "tiger", 99)
    for selection, keep in [
        (Selection(filter=Field("year") < 9), lambda name: name == "picture" or name < "09"),
        (Selection(modality="image"), lambda name: name == "picture"),
        (Selection(ids=("05", "nobody", "31")), lambda name: name in {"05", "31"}),
        (Selection(source_ids=("s",)), lambda name: name != "picture"),
        (Selection(ids=()), lambda name: False),
    ]:
        expected = [name for name in everything if keep(name)]
        for k in (0, 1, 3, 10**30):
            assert found(store, "tiger", k, selection) == expected[:k]


def test_more_than_k_match_any_of_the_terms(store: FaissStore) -> None:
    store.add([item(f"{n}", ("tiger", "lion", "bear")[n % 3]) for n in range(9)])
    assert len(found(store, "tiger lion", 4)) == 4
    assert len(found(store, "tiger lion", 99)) == 6
