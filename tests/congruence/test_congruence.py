"""The core, LangChain and LlamaIndex give the same ids and the same scores, which are right.

They do so over a space of this process, over one that a service keeps, and over one in Milvus.
Keyword search there is by Milvus's own BM25, which Milvus Lite computes from the parts in which
rows were written: which records have a word is compared, not in which order they come.

Between fronts scores are equal to the last bit (a query of text and picture that LlamaIndex's user
composes: to 1e-6). Against the oracle, which computes in float64, they are equal to 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import QueryBundle
from llama_index.core.vector_stores.types import VectorStoreQuery

from langchain_unisem import UniSemVectorStore
from llama_index_unisem import UniSemRetriever
from llama_index_unisem import UniSemVectorStore as LlamaIndexStore
from tests.clients.live import serving
from tests.congruence.conditions import LLAMA_INDEX, MONGO, STRUCTURED, Condition, Group, Leaf
from tests.congruence.corpus import WORDS, records
from tests.congruence.fronts import Core, Front, LangChain, LlamaIndex, Question, vector_of
from tests.congruence.oracle import Answer, Oracle, rank_fused, weight_fused
from tests.support.list_store import ListKind, ListStore
from tests.support.milvus_lite import milvus_place
from tests.support.toy import ToyEncoder
from unisem import Query, SemanticSpace
from unisem.filters import Operator
from unisem.remote import RemoteStore
from unisem.service.http.app import create_app
from unisem.stores.faiss import FaissKind, FaissStore
from unisem.stores.milvus import MilvusKind, MilvusStore

KINDS: tuple[Any, ...] = (
    *("flat", "hnsw", "ivf_pq", "list"),
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("remote", "milvus")),
)
"""Kinds of index and of store; ``"remote"`` is a flat one, behind a service.

That a service's space gives what the space itself gives is also asked by `test_every_door`, which
is faster.
"""


class Fronts:
    """The same corpus behind each front, and the oracle."""

    def __init__(self, folder: Path, kind: Any) -> None:
        self.folder = folder / "pictures"
        self.has_own_words = kind == "milvus"
        corpus = records(self.folder)
        self.fronts: list[Front] = []
        self.closing = ExitStack()
        makes = (Core, LangChain, LlamaIndex)
        index = "flat" if kind == "remote" else kind
        stores = {"list": ListKind(), "milvus": MilvusKind(blobs=str(folder))}
        spaces = {
            make.__name__: SemanticSpace.open(
                milvus_place() if kind == "milvus" else folder / f"{make.__name__}.unisem",
                encoder=ToyEncoder(),
                store=stores.get(kind) or FaissKind(index, durability="relaxed"),
                image_roots=[self.folder],
            )
            for make in makes
        }
        for space in spaces.values():
            self.closing.enter_context(space)
        seen = spaces
        if kind == "remote":
            url = self.closing.enter_context(serving(create_app(spaces)))
            seen = {
                name: self.closing.enter_context(
                    SemanticSpace.connect(url, name, image_roots=[self.folder])
                )
                for name in spaces
            }
        for make in makes:
            self.fronts.append(make(seen[make.__name__]))
            self.fronts[-1].fill(corpus)
            spaces[make.__name__].compact(None if kind in stores else index)
        self.size = len(corpus)
        self.oracle = Oracle(list(self.fronts[0].space.embed(corpus)))

    def ask(self, question: Question, *, tolerance: float = 0.0) -> Answer:
        """The core's answer, once everybody has given the same."""
        first = self.fronts[0].ask(question)[0]
        others = [answer for front in self.fronts[1:] for answer in front.ask(question)]
        assert len(others) >= 2
        if self.has_own_words and question.mode != "vector":
            assert {len(answer) for answer in others} == {len(first)}
            return first
        if self.has_own_words:
            tolerance = max(tolerance, 1e-6)  # LlamaIndex's own store is another one
        for answer in others:
            assert [name for name, _ in answer] == [name for name, _ in first], question
            for (_, score), (_, expected) in zip(answer, first, strict=True):
                assert score is None or abs(score - expected) <= tolerance, question
        return [(name, float(score)) for name, score in first]

    def check(self, question: Question, expected: Answer, *, tolerance: float = 0.0) -> None:
        """Everybody's answer is the oracle's."""
        found = self.ask(question, tolerance=tolerance)
        wanted = expected[: question.k]
        if self.has_own_words and question.mode != "vector":
            names = {name for name, _ in wanted}
            assert question.mode == "hybrid" or names == {name for name, _ in found}, question
            return
        assert [name for name, _ in found] == [name for name, _ in wanted], question
        assert [score for _, score in found] == pytest.approx([s for _, s in wanted], abs=1e-5)

    def by_vector(self, question: Question) -> Answer:
        """The oracle's list by vector, whole."""
        items = self.oracle.chosen(question.condition, question.modality)
        vector = vector_of(self.fronts[0].space, replace(question, mode="vector"))
        return self.oracle.by_vector(vector, items, question.match)

    def by_keyword(self, question: Question) -> Answer:
        """The oracle's list by keyword, whole."""
        items = self.oracle.chosen(question.condition, question.modality)
        assert question.text is not None
        return self.oracle.by_keyword(question.text, items)


@pytest.fixture(scope="module", params=KINDS)
def fronts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fronts]:
    made = Fronts(tmp_path_factory.mktemp("congruence"), request.param)
    with made.closing:
        yield made


TEXTS = ("red tiger", "a blue card of snow", "xylophone")


def test_the_index_is_of_the_kind_that_was_asked_for(fronts: Fronts, request: Any) -> None:
    kind = request.node.callspec.params["fronts"]
    for front in fronts.fronts:
        store = front.space.store
        if kind == "list":
            assert isinstance(store, ListStore)
        elif kind == "milvus":
            assert isinstance(store, MilvusStore)
        elif kind == "remote":
            assert isinstance(store, RemoteStore)
        else:
            assert isinstance(store, FaissStore)
            assert store.index_kind == kind


@pytest.mark.parametrize("match", ["any", "text", "image"])
@pytest.mark.parametrize("modality", [None, "text", "image"])
def test_by_vector(fronts: Fronts, match: Any, modality: Any) -> None:
    for text in TEXTS:
        question = Question(text=text, match=match, modality=modality, k=7)
        fronts.check(question, fronts.by_vector(question))


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
@pytest.mark.parametrize("k", [0, 1, 1000])
def test_k_at_its_edges(fronts: Fronts, mode: Any, k: int) -> None:
    question = Question(text="red tiger", mode=mode, k=k)
    found = fronts.ask(question)
    by_keyword = len(fronts.by_keyword(question))
    assert len(found) == min(k, by_keyword if mode == "keyword" else fronts.size)


@pytest.mark.parametrize("duplicates", ["keep", "same"])
def test_one_after_the_other(fronts: Fronts, duplicates: Any) -> None:
    space = fronts.fronts[0].space
    for k in (3, 1000):
        asked: Any = {"text": "red tiger", "k": k, "duplicates": duplicates}
        found = [(it.record.id, it.score, it.copies) for it in space.search_iterator(**asked)]
        assert found == [(it.record.id, it.score, it.copies) for it in space.search(**asked)]


def test_by_picture(fronts: Fronts) -> None:
    for name in ("red", "blue", "3"):
        question = Question(image=fronts.folder / f"{name}.png", k=9)
        fronts.check(question, fronts.by_vector(question))
        question = replace(question, modality="image", match="image")
        fronts.check(question, fronts.by_vector(question))


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 1.0])
def test_by_text_and_picture(fronts: Fronts, weight: float) -> None:
    picture = fronts.folder / "green.png"
    question = Question(text="harbour of paper", image=picture, text_weight=weight, k=9)
    fronts.check(question, fronts.by_vector(question), tolerance=1e-6)


@pytest.mark.parametrize("modality", [None, "text", "image"])
def test_by_keyword(fronts: Fronts, modality: Any) -> None:
    for text in (*TEXTS, "oslo note", "östlich"):
        question = Question(text=text, mode="keyword", modality=modality, k=1000)
        fronts.check(question, fronts.by_keyword(question))


@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("modality", [None, "image"])
def test_hybrid(fronts: Fronts, alpha: float | None, modality: Any) -> None:
    for text in TEXTS:
        question = Question(text=text, mode="hybrid", alpha=alpha, modality=modality, k=12)
        lists = fronts.by_vector(question), fronts.by_keyword(question)
        cut = lists[0][:50], lists[1][:50]
        expected = rank_fused(cut) if alpha is None else weight_fused(*cut, alpha)
        fronts.check(question, expected)


def test_hybrid_with_a_picture(fronts: Fronts) -> None:
    question = Question(text="tiger", image=fronts.folder / "blue.png", mode="hybrid", k=12)
    expected = rank_fused([fronts.by_vector(question)[:50], fronts.by_keyword(question)[:50]])
    fronts.check(question, expected, tolerance=1e-6)


@pytest.mark.parametrize("least", [-1.0, 0.25, 0.6, 1.0])
def test_threshold(fronts: Fronts, least: float) -> None:
    question = Question(text="red card", min_score=least, k=1000)
    expected = [(name, score) for name, score in fronts.by_vector(question) if score >= least]
    assert least != 0.25 or 3 < len(expected) < fronts.size
    fronts.check(question, expected)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("fetch", [8, 20])
def test_diversity(fronts: Fronts, diversity: float, fetch: int) -> None:
    for text in TEXTS:
        question = Question(text=text, diversity=diversity, fetch_k=fetch, k=6)
        items = fronts.oracle.chosen()
        vector = vector_of(fronts.fronts[0].space, question)
        expected = fronts.oracle.diverse(vector, items, 6, diversity, fetch)
        assert [name for name, _ in fronts.ask(question)] == expected


LEAVES: tuple[Leaf, ...] = (
    *(Leaf("number", op, 12) for op in ("eq", "ne", "gt", "ge", "lt", "le")),
    *(Leaf("weight", op, 3.25) for op in ("eq", "ne", "gt", "ge", "lt", "le")),
    *(Leaf("city", op, "Oslo") for op in ("eq", "ne", "gt", "ge", "lt", "le")),
    *(Leaf("day", op, "2024-06-15") for op in ("gt", "le")),
    *(Leaf("flag", op, True) for op in ("eq", "ne")),
    *(Leaf("mixed", op, 1) for op in ("eq", "ne", "gt")),
    *(Leaf("mixed", op, "1") for op in ("eq", "ne", "le")),
    Leaf("number", "in", [1, 2, 33, 900]),
    Leaf("number", "not_in", [1, 2, 33, 900]),
    Leaf("city", "in", ["Rome", "östlich"]),
    Leaf("city", "not_in", ["Rome"]),
    Leaf("tags", "contains", "red"),
    Leaf("sizes", "contains", 2),
    Leaf("tags", "any", ["red", "snow"]),
    Leaf("tags", "all", ["red", "green"]),
    Leaf("city", "text", "o"),
    Leaf("city", "text_insensitive", "ÖST"),
    Leaf("note", "is_empty"),
    Leaf("nothing", "is_empty"),
    Leaf("city", "is_empty"),
    Leaf("city", "exists"),
    Leaf("absent", "ne", 1),
    Leaf("absent", "eq", 1),
)


def test_every_operator_is_asked() -> None:
    asked = {leaf.operator for leaf in LEAVES}
    assert asked == set(Operator) >= {*MONGO, *STRUCTURED, *LLAMA_INDEX}


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_every_operator(fronts: Fronts, mode: Any) -> None:
    once = {leaf.operator: leaf for leaf in LEAVES}
    for leaf in LEAVES if mode == "vector" else once.values():
        _check_filtered(fronts, leaf, mode)


def test_nested_conditions(fronts: Fronts) -> None:
    rng = np.random.default_rng(3)
    sizes = set()
    for _ in range(30):
        condition = _nested(rng, depth=3)
        sizes.add(len(fronts.oracle.chosen(condition)))
        _check_filtered(fronts, condition, "vector")
    assert len(sizes) > 12, "conditions that choose little and much"


def _check_filtered(fronts: Fronts, condition: Condition, mode: Any) -> None:
    question = Question(text="red tiger", condition=condition, mode=mode, k=1000)
    by_keyword = fronts.by_keyword(question)
    if mode == "keyword":
        fronts.check(question, by_keyword)
        return
    by_vector = fronts.by_vector(question)
    fronts.check(question, by_vector if mode == "vector" else rank_fused([by_vector, by_keyword]))


def _nested(rng: np.random.Generator, depth: int) -> Condition:
    if depth == 0 or rng.random() < 0.2:
        return LEAVES[int(rng.integers(len(LEAVES)))]
    kind = ("and", "or", "not")[int(rng.integers(3))]
    return Group(kind, tuple(_nested(rng, depth - 1) for _ in range(int(rng.integers(1, 4)))))


def test_by_a_ready_vector(fronts: Fronts) -> None:
    core, langchain, llama_index = fronts.fronts
    vector = vector_of(core.space, Question(text="snow tiger"))
    hits = core.space.search_query(Query(vector=vector, k=9))
    expected = [(hit.record.id, hit.score) for hit in hits]
    store = UniSemVectorStore(space=langchain.space)
    found = store.similarity_search_with_score_by_vector(vector.tolist(), k=9)
    assert [(document.id, score) for document, score in found] == expected
    asked = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=9)
    result = LlamaIndexStore(space=llama_index.space).query(asked)
    assert list(zip(result.ids or [], result.similarities or [], strict=True)) == expected
    bundle = QueryBundle("", embedding=vector.tolist())
    retriever = UniSemRetriever(space=llama_index.space, similarity_top_k=9)
    assert [(node.node_id, node.score) for node in retriever.retrieve(bundle)] == expected
    wanted = fronts.oracle.by_vector(vector, fronts.oracle.chosen())[:9]
    assert [name for name, _ in expected] == [name for name, _ in wanted]


async def test_async_twins_answer_alike(fronts: Fronts) -> None:
    core, langchain, llama_index = fronts.fronts
    expected = [(hit.record.id, hit.score) for hit in core.space.search("snow tiger", k=9)]
    store = UniSemVectorStore(space=langchain.space)
    found = await store.asimilarity_search_with_score("snow tiger", k=9)
    assert [(document.id, score) for document, score in found] == expected
    vector = vector_of(core.space, Question(text="snow tiger")).tolist()
    asked = VectorStoreQuery(query_embedding=vector, similarity_top_k=9)
    result = await LlamaIndexStore(space=llama_index.space).aquery(asked)
    assert list(zip(result.ids or [], result.similarities or [], strict=True)) == expected
    retriever = UniSemRetriever(space=llama_index.space, similarity_top_k=9)
    nodes = await retriever.aretrieve("snow tiger")
    assert [(node.node_id, node.score) for node in nodes] == expected


def test_words_are_words(fronts: Fronts) -> None:
    """A query that looks like a path or a URL is text for everybody."""
    for text in (str(fronts.folder / "red.png"), "https://example.com/red.png", WORDS[0]):
        question = Question(text=text, k=3)
        fronts.check(question, fronts.by_vector(question))
