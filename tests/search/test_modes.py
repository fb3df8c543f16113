"""Searching by vector, by keyword and by both; thresholds, diversity, batches."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import solid
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.filters import Field
from unisem.search.diversity import maximal_marginal_relevance
from unisem.search.fusion import RankFusion, WeightedFusion, reciprocal_rank_fusion
from unisem.search.searcher import Searcher
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection

WORDS = ("red", "green", "blue", "yellow", "card", "paper", "tiger", "snow")


@pytest.fixture
def texts(space: SemanticSpace) -> SemanticSpace:
    """Sixty texts of a few words, and pictures."""
    rng = np.random.default_rng(0)
    space.add(
        Record(
            id=f"{n:02}",
            text=" ".join(rng.choice(WORDS, size=int(rng.integers(1, 5)), replace=False)),
            metadata={"n": n, "flag": n % 2 == 0, "code": f"XJ-{n}"},
            source_id=f"s{n % 3}",
        )
        for n in range(60)
    )
    space.add(
        Record(id=f"p{colour}", text=f"a {colour} picture", image=solid(colour))
        for colour in ("red", "blue")
    )
    return space


def ids(hits: list[Hit]) -> list[str]:
    return [hit.record.id for hit in hits]


def test_keywords_need_no_encoder(texts: SemanticSpace, encoder: ToyEncoder) -> None:
    encoder.texts_encoded = encoder.images_encoded = 0
    assert ids(texts.search("XJ-7", mode="keyword"))[0] == "07"
    assert texts.search("xylophone", mode="keyword") == []
    hits = texts.search("tiger", mode="keyword", k=99)
    stored = texts.store.select()
    assert set(ids(hits)) == {r.id for r in stored if "tiger" in str(r.text).split()}
    assert hits == texts.store.search_words("tiger", 99)
    assert encoder.texts_encoded == encoder.images_encoded == 0


def test_keywords_import_no_torch() -> None:
    program = (
        "import sys; from unisem import SemanticSpace\n"
        "with SemanticSpace.open(None) as space:\n"
        "    assert space.search('tiger', mode='keyword') == []\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_hybrid_is_the_fusion_of_both_lists(texts: SemanticSpace) -> None:
    query = "tiger in the snow"
    by_vector = texts.search(query, k=50)
    by_keyword = texts.search(query, k=50, mode="keyword")
    fused = reciprocal_rank_fusion([by_vector, by_keyword], k=60)
    assert texts.search(query, k=7, mode="hybrid") == fused[:7]
    assert set(ids(by_vector)) | set(ids(by_keyword)) == set(ids(fused))
    for fusion in (RankFusion(k=1), WeightedFusion(0.2)):
        assert (
            texts.search(query, k=9, mode="hybrid", fusion=fusion)
            == (fusion.fuse(by_vector, by_keyword)[:9])
        )


def test_hybrid_finds_what_either_finds(texts: SemanticSpace) -> None:
    texts.add([Record(id="far", text="some other words", metadata={"code": "QQ77"})])
    texts.add([Record(id="near", image=solid("green"))])  # no words at all
    query = "green QQ77"
    assert "near" not in ids(texts.search(query, k=99, mode="keyword"))
    assert "far" not in ids(texts.search(query, k=3))
    assert {"near", "far"} <= set(ids(texts.search(query, k=99, mode="hybrid")))
    weighted = texts.search(query, k=3, mode="hybrid", fusion=WeightedFusion(0.4))
    assert "far" in ids(weighted)


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
@pytest.mark.parametrize("diversity", [None, 0.6])
def test_exactly_k_of_what_matches_the_selection(
    texts: SemanticSpace, mode: Any, diversity: float | None
) -> None:
    for parts, matching in [
        ({"filter": Field("n") < 20}, {f"{n:02}" for n in range(20)}),
        ({"modality": "image"}, {"pred", "pblue"}),
        ({"ids": ["03", "nobody", "04"]}, {"03", "04"}),
        ({"source_ids": ["s1"]}, {f"{n:02}" for n in range(1, 60, 3)}),
    ]:
        query = " ".join((*WORDS, "picture"))
        for k in (0, 1, 5, 99):
            hits = texts.search(query, k=k, mode=mode, diversity=diversity, fetch_k=1, **parts)
            assert len(hits) == len(set(ids(hits))) == min(k, len(matching))
            assert set(ids(hits)) <= matching
    with pytest.raises(TypeError, match="list of ids"):
        texts.search("red", ids="03")


def test_composed_hybrid_queries_look_for_the_text_only(texts: SemanticSpace) -> None:
    picture = solid("blue")
    by_vector = texts.search("tiger", picture, k=50)
    by_keyword = texts.search("tiger", k=50, mode="keyword")
    fused = reciprocal_rank_fusion([by_vector, by_keyword])
    assert texts.search("tiger", picture, k=5, mode="hybrid") == fused[:5]
    vector = texts.embed_query(Query(image=picture))
    ready = texts.search_query(Query(text="tiger", vector=vector, mode="hybrid", k=5))
    by_picture = texts.search(image=picture, k=50)
    assert ready == reciprocal_rank_fusion([by_picture, by_keyword])[:5]


def test_the_lists_of_a_hybrid_search_may_have_lengths_of_their_own(texts: SemanticSpace) -> None:
    by_vector = texts.search("tiger snow", k=4)
    by_keyword = texts.search("tiger snow", k=7, mode="keyword")
    query = Query(text="tiger snow", k=99, mode="hybrid", fetch_vectors=4, fetch_words=7)
    assert texts.search_query(query) == reciprocal_rank_fusion([by_vector, by_keyword])
    query = Query(text="tiger snow", k=5, mode="hybrid", fetch_vectors=0)
    words = texts.search("tiger snow", k=5, mode="keyword")
    assert ids(texts.search_query(query)) == ids(words)
    with pytest.raises(ValueError, match='fetch_words is for mode "hybrid"'):
        Query(text="x", fetch_words=3)
    with pytest.raises(ValueError, match="fetch_vectors must be a whole number of at least 0"):
        Query(text="x", mode="hybrid", fetch_vectors=-1)


def test_a_bare_store_is_searched_by_ready_vectors(texts: SemanticSpace) -> None:
    """The same hits as of the space, without an encoder."""
    bare, vector = Searcher(None, texts.store), texts.embed_query(Query(text="tiger"))
    plain = Query(text="tiger", k=9)
    for options in (
        {},
        {"diversity": 0.4},
        {"min_score": 0.2},
        {"reranker": ColourReranker()},
        {"reranker": ColourReranker(), "diversity": 0.4},
    ):
        judged = "tiger" if "reranker" in options else None
        ready = replace(plain, text=judged, vector=vector, **options)
        expected = texts.search_query(replace(plain, **options))
        assert bare.search_many([ready]) == [expected]
    words = replace(plain, mode="keyword")
    assert bare.search_many([words]) == [texts.search_query(words)]
    with pytest.raises(ValueError, match="without an encoder a query needs a vector"):
        bare.search_many([plain])


def test_min_score_cuts_by_cosine(texts: SemanticSpace) -> None:
    everything = texts.search("tiger snow", k=99)
    least = everything[10].score
    assert texts.search("tiger snow", k=99, min_score=least) == [
        hit for hit in everything if hit.score >= least
    ]
    assert texts.search("tiger snow", k=3, min_score=1.1) == []
    assert texts.search("tiger snow", k=3, min_score=10**400) == []
    by_keyword = texts.search("tiger snow", k=99, mode="keyword")
    hybrid = texts.search("tiger snow", k=99, mode="hybrid", min_score=1.1)
    assert ids(hybrid) == ids(by_keyword)


def test_diversity_is_maximal_marginal_relevance(texts: SemanticSpace) -> None:
    hits = texts.search("red green tiger", k=50, modality="text")
    rows = np.stack([v["text"] for v in texts.store.vectors(ids(hits)) if v is not None])
    query = texts.embed_query(Query(text="red green tiger"))
    for diversity in (0.3, 0.7, 1.0):
        chosen = maximal_marginal_relevance(query, rows, 8, balance=1 - diversity)
        found = texts.search("red green tiger", k=8, modality="text", diversity=diversity)
        assert found == [hits[position] for position in chosen]
    assert texts.search("red", diversity=0) == texts.search("red")
    few = texts.search("red green tiger", k=4, modality="text", diversity=1, fetch_k=4)
    assert set(ids(few)) == set(ids(hits[:4]))


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_diversity_does_not_repeat_itself(space: SemanticSpace, mode: Any) -> None:
    space.add(Record(id=f"twin{n}", text="a red tiger") for n in range(5))
    space.add([Record(id="other", text="a red card in snow")])
    assert "other" not in ids(space.search("red tiger", k=2, mode=mode))
    assert ids(space.search("red tiger", k=2, mode=mode, diversity=0.8)) == ["twin0", "other"]


def test_pictures_of_like_captions_are_alike(space: SemanticSpace) -> None:
    space.add(
        [
            Record(id="a", text="tiger", image=solid("red")),
            Record(id="b", text="tiger", image=solid("green")),
            Record(id="c", text="tiger snow", image=solid("blue")),
        ]
    )
    assert ids(space.search("tiger", k=2)) == ["a", "b"]
    assert ids(space.search("tiger", k=2, diversity=0.8)) == ["a", "c"]
    by_pixels = space.search("red", k=3, match="image", diversity=0.8)
    assert by_pixels[0].record.id == "a"
    assert {hit.matched for hit in by_pixels} == {"image"}


def test_many_queries_are_as_one_by_one_and_share_work(
    texts: SemanticSpace, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    selections = [
        Selection(),
        Selection(filter=Field("flag") == True),  # noqa: E712
        Selection(filter=Field("flag") == 1),  # equal to Python, matches nothing
        Selection(ids=("01", "02")),
    ]
    queries = [
        Query(text=f"{WORDS[n % 8]} {WORDS[n % 5]}", k=k, selection=selection, mode=mode)
        for n, (k, selection, mode) in enumerate(
            (k, selection, mode)
            for k in (2, 5)
            for selection in selections
            for mode in ("vector", "keyword", "hybrid")
        )
    ]
    queries += [
        Query(image=solid("red")),
        Query(text="snow", image=solid("blue"), text_weight=0.2),
        Query(vector=np.ones(48)),
        Query(text="red", diversity=0.5, min_score=0.1, match="text"),
        Query(text="red", k=0),
    ]
    one_by_one = [texts.search_query(query) for query in queries]
    calls: list[str] = []
    for name in ("encode_texts", "encode_images"):
        plain = getattr(encoder, name)

        def counted(*given: Any, name: str = name, plain: Any = plain, **named: Any) -> Any:
            calls.append(name)
            return plain(*given, **named)

        monkeypatch.setattr(encoder, name, counted)
    together = texts.search_many(queries)
    assert calls == ["encode_texts", "encode_images"]
    assert [ids(hits) for hits in together] == [ids(hits) for hits in one_by_one]
    for hits, alone in zip(together, one_by_one, strict=True):
        scores = [hit.score for hit in alone]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)
    assert together[6] == []
    assert texts.search_many([]) == []


def test_queries_alike_are_one_search(
    texts: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    plain = texts.store.search

    def counted(vectors: Any, *rest: Any) -> Any:
        sizes.append(len(vectors))
        return plain(vectors, *rest)

    monkeypatch.setattr(texts.store, "search", counted)
    chosen = [Selection(filter=Field("n") < 9) for _ in range(3)]
    texts.search_many([Query(text=word, selection=s) for word in WORDS for s in chosen])
    assert sizes == [24]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": "red", "mode": "keyword"}, "needs text"),
        ({"image": "red", "mode": "hybrid"}, "needs text"),
        ({"text": "x", "image": "red", "mode": "keyword"}, "text only"),
        ({"text": "x", "vector": [1.0], "mode": "keyword"}, "text only"),
        ({"text": "x", "vector": [1.0]}, "vector alone"),
        ({"text": "x", "vector": [1.0], "image": "red", "mode": "hybrid"}, "not both"),
        ({"text": "x", "mode": "keyword", "min_score": 0.1}, "cosine"),
        ({"text": "x", "mode": "magic"}, "mode must be"),
        ({"text": "x", "diversity": 1.1}, "diversity"),
        ({"text": "x", "diversity": float("nan")}, "diversity"),
        ({"text": "x", "min_score": float("nan")}, "min_score"),
        ({"text": "x", "fetch_k": 0}, "fetch_k"),
        ({"text": "x", "fetch_k": True}, "fetch_k"),
        ({}, "needs text"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, Any], message: str) -> None:
    if "image" in arguments:
        arguments = arguments | {"image": solid("red")}
    with pytest.raises(ValueError, match=message):
        Query(**arguments)


def test_a_fusion_is_a_fusion() -> None:
    with pytest.raises(TypeError, match=r"unisem\.search\.fusion\.Fusion"):
        Query(text="x", fusion="rrf")  # type: ignore[arg-type]


def test_an_empty_space_and_texts_without_words(space: SemanticSpace) -> None:
    modes: tuple[Any, ...] = ("vector", "keyword", "hybrid")
    for mode in modes:
        assert space.search("red", mode=mode, diversity=0.5) == []
    space.add([Record(id="a", text="red"), Record(id="b", text="...")])
    assert space.search('"*"', mode="keyword") == []
    assert len(space.search('"*"', mode="hybrid")) == 2
