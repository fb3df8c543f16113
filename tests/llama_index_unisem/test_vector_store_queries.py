"""`UniSemVectorStore.query` against `SimpleVectorStore`, formulas and brute force."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import (
    ImageNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_unisem import UniSemVectorStore
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.search.fusion import weighted_fusion

COUNT, DIMENSION = 60, 16
WORDS = ["tiger", "teapot", "harbour", "violin", "glacier"]
Op = FilterOperator


def some_nodes() -> list[TextNode]:
    chance = np.random.default_rng(7)
    found = []
    for number in range(COUNT):
        metadata: dict[str, Any] = {
            "year": 2000 + number % 9,
            "rank": "abc"[number % 3],
            "weight": number / 4,
            "tags": [WORDS[number % 5], WORDS[number % 4]],
            "name": f"Item {number} of {WORDS[number % 5]}",
        }
        if number % 6 == 0:
            metadata |= {"note": None if number % 12 else "", "list": []}
        if number % 5 == 0:
            del metadata["rank"]
        vector = chance.standard_normal(DIMENSION)
        found.append(
            TextNode(
                id_=f"n{number:02}",
                text=f"{WORDS[number % 5]} and {WORDS[(number * 7) % 4]} {number}",
                embedding=(vector / np.linalg.norm(vector)).tolist(),
                metadata=metadata,
                relationships={
                    NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc{number % 7}")
                },
            )
        )
    return found


NODES = some_nodes()
BY_ID = {node.node_id: node for node in NODES}
VECTORS = {node.node_id: np.array(node.embedding) for node in NODES}
QUERY = np.random.default_rng(8).standard_normal(DIMENSION)
QUERY /= np.linalg.norm(QUERY)


@pytest.fixture(scope="module")
def store() -> UniSemVectorStore:
    made = UniSemVectorStore()
    made.add(NODES)
    return made


@pytest.fixture(scope="module")
def simple() -> SimpleVectorStore:
    made = SimpleVectorStore()
    made.add(NODES)
    return made


def ask(k: int = 5, **parts: Any) -> VectorStoreQuery:
    return VectorStoreQuery(**{"query_embedding": QUERY.tolist(), "similarity_top_k": k, **parts})


def one(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


def check(found: VectorStoreQueryResult, mode: str = "default") -> list[str]:
    """What must hold of any result; the varied ones are in the order in which they were chosen."""
    assert found.ids is not None
    assert found.nodes is not None
    assert found.similarities is not None
    assert [node.node_id for node in found.nodes] == found.ids
    assert len(found.similarities) == len(found.ids) == len(set(found.ids))
    assert all(type(score) is float for score in found.similarities)
    if mode != "mmr":
        assert found.similarities == sorted(found.similarities, reverse=True)
    assert all(node.embedding is None for node in found.nodes)
    return found.ids


CONDITIONS = [
    ("year", Op.EQ, 2003), ("year", Op.NE, 2003), ("year", Op.GT, 2004), ("year", Op.GTE, 2004),
    ("year", Op.LT, 2004), ("year", Op.LTE, 2004), ("rank", Op.EQ, "a"), ("rank", Op.NE, "a"),
    ("rank", Op.IN, ["a", "c"]), ("rank", Op.NIN, ["a", "c"]), ("weight", Op.GT, 7.25),
    ("weight", Op.EQ, 3), ("tags", Op.CONTAINS, "tiger"), ("tags", Op.ANY, ["tiger", "violin"]),
    ("tags", Op.ALL, ["tiger", "violin"]), ("name", Op.TEXT_MATCH, "tiger"),
    ("name", Op.TEXT_MATCH, "TIGER"), ("name", Op.TEXT_MATCH_INSENSITIVE, "TIGER"),
    ("note", Op.IS_EMPTY, None), ("list", Op.IS_EMPTY, None), ("year", Op.IS_EMPTY, None),
    ("missing", Op.EQ, 1), ("missing", Op.NE, 1), ("missing", Op.NIN, [1]),
    ("missing", Op.IS_EMPTY, None),
]  # fmt: skip


@pytest.mark.parametrize(("key", "operator", "value"), CONDITIONS)
@pytest.mark.parametrize("k", [3, 1000])
def test_filters_as_simple_vector_store(
    store: UniSemVectorStore,
    simple: SimpleVectorStore,
    key: str,
    operator: FilterOperator,
    value: Any,
    k: int,
) -> None:
    query = ask(k, filters=one(key, operator, value))
    expected = simple.query(query)
    found = store.query(query)
    assert check(found) == expected.ids
    assert found.similarities == pytest.approx(expected.similarities, abs=1e-6)


@pytest.mark.parametrize("condition", [*FilterCondition, None])
@pytest.mark.parametrize(("first", "second"), [*itertools.pairwise(CONDITIONS[::3])])
def test_conditions_as_simple_vector_store(
    store: UniSemVectorStore, simple: SimpleVectorStore, first: Any, second: Any, condition: Any
) -> None:
    parts = [MetadataFilter(key=k, operator=o, value=v) for k, o, v in (first, second)]
    query = ask(1000, filters=MetadataFilters(filters=parts, condition=condition))
    assert check(store.query(query)) == simple.query(query).ids


def test_nested_filters_are_understood(store: UniSemVectorStore) -> None:
    """Legal in the type, yet LlamaIndex's own store raises."""
    inner = MetadataFilters(
        filters=[
            MetadataFilter(key="rank", operator=Op.EQ, value="a"),
            one("tags", Op.CONTAINS, "violin"),
        ],
        condition=FilterCondition.OR,
    )
    outer = MetadataFilters(
        filters=[
            MetadataFilter(key="year", operator=Op.GTE, value=2004),
            inner,
            MetadataFilters(filters=[one("rank", Op.EQ, "c")], condition=FilterCondition.NOT),
        ]
    )
    expected = {
        name
        for name, node in BY_ID.items()
        if node.metadata["year"] >= 2004
        and (node.metadata.get("rank") == "a" or "violin" in node.metadata["tags"])
        and node.metadata.get("rank") != "c"
    }
    assert set(check(store.query(ask(1000, filters=outer)))) == expected
    assert 0 < len(expected) < COUNT


def test_a_comparison_that_raises_elsewhere_matches_nothing(store: UniSemVectorStore) -> None:
    for key, operator, value in [("rank", Op.GT, 3), ("year", Op.TEXT_MATCH, "2")]:
        assert check(store.query(ask(9, filters=one(key, operator, value)))) == []


def test_filters_may_be_unisems_own(store: UniSemVectorStore) -> None:
    found = check(store.query(ask(1000, filters=Field("year") == 2003)))
    assert set(found) == {n for n, node in BY_ID.items() if node.metadata["year"] == 2003}


@pytest.mark.parametrize("mode", list(VectorStoreQueryMode))
def test_a_restriction_leaves_the_top_k_full(
    store: UniSemVectorStore, mode: VectorStoreQueryMode
) -> None:
    """Decided inside the search: whatever ranks first, exactly the matching nodes come back."""
    for number in range(7):
        query = ask(
            1000, mode=mode, query_str=" ".join(WORDS), doc_ids=[f"doc{number}"],
            filters=one("year", Op.GTE, 2004),
        )  # fmt: skip
        expected = {
            name
            for name, node in BY_ID.items()
            if node.ref_doc_id == f"doc{number}" and node.metadata["year"] >= 2004
        }
        assert set(check(store.query(query), mode)) == expected
        query.similarity_top_k = 2
        assert len(check(store.query(query), mode)) == 2


@pytest.mark.parametrize("k", [0, 1, 7, COUNT, 1000])
def test_default_mode_as_simple_vector_store(
    store: UniSemVectorStore, simple: SimpleVectorStore, k: int
) -> None:
    found = store.query(ask(k))
    if k == 0:
        assert check(found) == []
        return
    expected = simple.query(ask(k))
    assert check(found) == expected.ids
    assert found.similarities == pytest.approx(expected.similarities, abs=1e-6)


@pytest.mark.parametrize("field", ["node_ids", "doc_ids"])
def test_node_ids_and_doc_ids(store: UniSemVectorStore, field: str) -> None:
    """An index that keeps no list of nodes passes []."""
    everything = check(store.query(ask(1000)))
    assert check(store.query(ask(1000, **{field: []}))) == everything
    assert check(store.query(ask(1000, **{field: None}))) == everything
    assert check(store.query(ask(1000, **{field: ["unknown"]}))) == []
    wanted = ["n03", "n50", "unknown"] if field == "node_ids" else ["doc3", "unknown"]
    expected = [
        name
        for name in everything
        if (name if field == "node_ids" else BY_ID[name].ref_doc_id) in wanted
    ]
    assert check(store.query(ask(1000, **{field: wanted}))) == expected


def test_node_ids_doc_ids_and_filters_intersect(store: UniSemVectorStore) -> None:
    query = ask(
        1000, node_ids=["n03", "n10", "n17", "n04"], doc_ids=["doc3"],
        filters=one("year", Op.GT, 2001),
    )  # fmt: skip
    expected = {
        name
        for name in ("n03", "n10", "n17")
        if BY_ID[name].metadata["year"] > 2001
    }  # fmt: skip
    assert set(check(store.query(query))) == expected != {"n03", "n10", "n17"}


@pytest.mark.parametrize("mode", list(VectorStoreQueryMode))
def test_an_empty_store_gives_an_empty_result(mode: VectorStoreQueryMode) -> None:
    """LanceDB raises; the learners fail on nothing to fit."""
    empty = UniSemVectorStore()
    assert check(empty.query(ask(5, mode=mode, query_str="x"))) == []
    empty.add(NODES[:2])
    empty.clear()
    assert check(empty.query(ask(5, mode=mode, query_str="x"))) == []
    empty.add(NODES[:2])
    nowhere = ask(5, mode=mode, query_str="x", doc_ids=["unknown"])
    assert check(empty.query(nowhere)) == []


@pytest.mark.parametrize(
    "mode", [VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE, "sparse"]
)
def test_word_modes_need_no_embedding(store: UniSemVectorStore, mode: Any) -> None:
    """The raw query_str arrives, and no embedding."""
    query = VectorStoreQuery(query_str="violin?", similarity_top_k=100, mode=mode)
    found = check(store.query(query))
    assert set(found) == {
        name
        for name, node in BY_ID.items()
        if "violin" in node.text or "violin" in node.metadata["tags"]
    }
    assert [hit.record.id for hit in store.client.search_words("violin", 100)] == found
    query.sparse_top_k = 3
    assert check(store.query(query)) == found[:3]
    query.query_str = '"AND NEAR('
    assert len(check(store.query(query))) == 3, "and is a word of every node's"


@pytest.mark.parametrize(
    "mode", [VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID]
)
def test_hybrid_modes(store: UniSemVectorStore, mode: VectorStoreQueryMode) -> None:
    vector = QUERY.astype(np.float32)
    by_vector = store.client.search(vector[None], 1000)[0]
    by_word = store.client.search_words("violin glacier", 1000)
    query = ask(1000, mode=mode, query_str="violin glacier")
    for alpha in (0.0, 0.3, 1.0):
        query.alpha = alpha
        found = store.query(query)
        expected = weighted_fusion([by_vector, by_word], [alpha, 1 - alpha])
        assert check(found) == [hit.record.id for hit in expected]
        assert found.similarities == pytest.approx([hit.score for hit in expected], abs=1e-6)
    query.alpha = None  # reciprocal ranks, computed here from the paper's formula
    score: dict[str, float] = {}
    for hits in (by_vector, by_word):
        for rank, hit in enumerate(hits, start=1):
            score[hit.record.id] = score.get(hit.record.id, 0.0) + 1 / (60 + rank)
    found = store.query(query)
    assert check(found) == sorted(score, key=lambda name: (-score[name], name))
    query.hybrid_top_k, query.similarity_top_k, query.sparse_top_k = 7, 4, 2
    assert len(check(store.query(query))) <= 6, "four by vector, two by word"
    query.hybrid_top_k = 3
    assert len(check(store.query(query))) == 3
    for wrong in (-0.1, 1.1):
        query.alpha = wrong
        with pytest.raises(ValueError, match="alpha must be between"):
            store.query(query)


def marginal_relevance(k: int, balance: float, fetch: int) -> list[str]:
    """The formula of Carbonell and Goldstein, one candidate at a time."""
    cosines = {name: float(vector @ QUERY) for name, vector in VECTORS.items()}
    candidates = sorted(cosines, key=lambda name: -cosines[name])[:fetch]
    chosen = candidates[:1]
    while len(chosen) < k:
        values = {
            name: balance * cosines[name]
            - (1 - balance) * max(float(VECTORS[name] @ VECTORS[c]) for c in chosen)
            for name in candidates
            if name not in chosen
        }
        chosen.append(max(values, key=lambda name: values[name]))
    return chosen


@pytest.mark.parametrize("fetch", [None, 20, COUNT])
@pytest.mark.parametrize("balance", [0.1, 0.5, 0.9, 1.0])
def test_mmr_against_the_formula(
    store: UniSemVectorStore, balance: float, fetch: int | None
) -> None:
    options = {} if fetch is None else {"mmr_prefetch_k": fetch}
    found = store.query(ask(8, mode="mmr"), mmr_threshold=balance, **options)
    chosen = marginal_relevance(8, balance, fetch or 50)
    assert check(found, "mmr") == chosen
    cosines = [float(VECTORS[name] @ QUERY) for name in chosen]
    assert found.similarities == pytest.approx(cosines, abs=1e-5)


@pytest.mark.parametrize("balance", [0.3, 0.5, 0.8])
def test_mmr_of_two_as_simple_vector_store(
    store: UniSemVectorStore, simple: SimpleVectorStore, balance: float
) -> None:
    """Of two only: LlamaIndex's own looks at the last one chosen, not at all of them."""
    query = ask(2, mode=VectorStoreQueryMode.MMR)
    assert (
        check(store.query(query, mmr_threshold=balance, mmr_prefetch_k=COUNT))
        == simple.query(query, mmr_threshold=balance).ids
    )


@pytest.mark.parametrize(
    ("field", "kwargs", "expected"),
    [
        (0.0, {}, ["a", "c"]),
        (1.0, {}, ["a", "b"]),
        (None, {}, ["a", "b"]),
        (None, {"mmr_threshold": 0.0}, ["a", "c"]),
        (None, {"mmr_threshold": 1.0}, ["a", "b"]),
        (1.0, {"mmr_threshold": 0.0}, ["a", "c"]),
        (0.0, {"mmr_threshold": 1.0}, ["a", "b"]),
        (0.0, {"mmr_threshold": None}, ["a", "b"]),
    ],
)
def test_mmr_threshold_is_keyword_then_field_then_half(
    field: float | None, kwargs: dict[str, Any], expected: list[str]
) -> None:
    store = UniSemVectorStore()
    for name, vector in [("a", [1.0, 0.0]), ("b", [1.0, 0.0]), ("c", [0.0, 1.0])]:
        store.add([TextNode(id_=name, embedding=vector)])
    query = VectorStoreQuery(
        query_embedding=[1.0, 0.0], similarity_top_k=2, mode="mmr", mmr_threshold=field
    )
    assert check(store.query(query, **kwargs)) == expected


def test_mmr_options(store: UniSemVectorStore) -> None:
    nearest = check(store.query(ask(3)))
    for options in ({"mmr_prefetch_k": 3}, {"mmr_prefetch_factor": 1.0}):
        found = store.query(ask(3, mode="mmr"), mmr_threshold=0.1, **options)
        assert set(check(found, "mmr")) == set(nearest)
    with pytest.raises(ValueError, match="mmr_threshold"):
        store.query(ask(3, mode="mmr"), mmr_threshold=1.5)


@pytest.mark.parametrize("mode", ["svm", "logistic_regression", "linear_regression"])
def test_learner_modes_against_the_models(store: UniSemVectorStore, mode: str) -> None:
    from sklearn import linear_model, svm

    names = list(VECTORS)
    rows = np.vstack([QUERY, *VECTORS.values()])
    target = np.array([1.0] + [0.0] * len(names))
    score: Callable[[Any], Any]
    if mode == "svm":
        model = svm.LinearSVC(class_weight="balanced", max_iter=10000, tol=1e-6, C=0.1)
        score = model.fit(rows, target).decision_function
    elif mode == "logistic_regression":
        model = linear_model.LogisticRegression(class_weight="balanced")
        score = model.fit(rows, target).decision_function
    else:
        weights = [len(rows) / 2] + [len(rows) / 2 / len(names)] * len(names)
        score = linear_model.Ridge(alpha=5).fit(rows, target, weights).predict
    expected = dict(zip(names, score(rows[1:]).tolist(), strict=True))
    found = store.query(ask(6, mode=mode))
    assert check(found) == sorted(names, key=lambda name: -expected[name])[:6]
    assert found.similarities == pytest.approx(
        [expected[name] for name in found.ids or []], abs=1e-3
    )


@pytest.mark.parametrize("mode", ["svm", "logistic_regression", "linear_regression"])
def test_learner_modes_find_the_nearest_where_dimensions_outnumber_nodes(mode: str) -> None:
    """Plain least squares predicts 0 for every node there, and rounding would rank them."""
    rows = np.random.default_rng(5).standard_normal((8, 64))
    store = UniSemVectorStore()
    store.add([TextNode(id_=f"{n}", text="x", embedding=list(row)) for n, row in enumerate(rows)])
    for place, row in enumerate(rows):
        query = VectorStoreQuery(
            query_embedding=list(row + 0.1), similarity_top_k=3, mode=VectorStoreQueryMode(mode)
        )
        found = store.query(query)
        assert found.ids is not None
        assert found.ids[0] == f"{place}"
        assert found.similarities is not None
        assert found.similarities[0] > found.similarities[1] + 0.01


@pytest.mark.parametrize("mode", list(VectorStoreQueryMode))
@pytest.mark.parametrize("k", [-1, 2.5, "3", None])
def test_a_bad_number_of_results_is_refused(
    store: UniSemVectorStore, mode: VectorStoreQueryMode, k: Any
) -> None:
    with pytest.raises(ValueError, match="similarity_top_k must"):
        store.query(ask(k, mode=mode))


def test_restrictions_that_are_no_lists_are_named(store: UniSemVectorStore) -> None:
    for name in ("node_ids", "doc_ids"):
        with pytest.raises(TypeError, match=rf"{name} must be a list of ids.*\['12'\]"):
            store.query(ask(3, **{name: "12"}))
    for name in ("sparse_top_k", "hybrid_top_k"):
        with pytest.raises(ValueError, match=f"{name} must not be negative"):
            store.query(ask(3, mode=VectorStoreQueryMode.HYBRID, **{name: -1}))


def test_svm_as_simple_vector_store(store: UniSemVectorStore, simple: SimpleVectorStore) -> None:
    query = ask(6, mode=VectorStoreQueryMode.SVM)
    assert check(store.query(query)) == simple.query(query).ids


@pytest.mark.parametrize("mode", list(VectorStoreQueryMode))
def test_what_a_mode_needs_is_said(store: UniSemVectorStore, mode: VectorStoreQueryMode) -> None:
    with pytest.raises(ValueError, match=rf'mode "{mode.value}".*no query_(str|embedding)'):
        store.query(VectorStoreQuery(mode=mode, similarity_top_k=3))


def test_an_unknown_mode_and_a_zero_query_are_refused(store: UniSemVectorStore) -> None:
    with pytest.raises(ValueError, match="telepathy"):
        store.query(ask(mode="telepathy"))
    with pytest.raises(ValueError, match="zero"):
        store.query(VectorStoreQuery(query_embedding=[0.0] * DIMENSION))


def test_captions_are_found_by_their_words() -> None:
    store = UniSemVectorStore()
    store.add(
        [
            ImageNode(id_="a", text="a sleeping tiger", image_path="a.png", embedding=[1, 0]),
            TextNode(id_="b", text="tigers are cats", embedding=[1, 0]),
        ]
    )
    words = VectorStoreQuery(query_str="tiger", mode="text_search", similarity_top_k=5)
    assert check(store.query(words)) == ["a"]
    words.query_str = "cats tiger"
    assert set(check(store.query(words))) == {"a", "b"}
    assert check(store.view("image").query(words)) == ["a"]


def test_nodes_name_the_copies_that_made_way() -> None:
    red = encoded(solid("red"))
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add([Record(id=name, text="red", image=red) for name in "ab"])
        space.add([Record(id="c", text="a red one", metadata={"copies": "mine"})])
        vector = space.encoder.encode_texts(["red"], role="query")[0].tolist()
        found = UniSemVectorStore(space=space).query(
            VectorStoreQuery(query_embedding=vector, similarity_top_k=2)
        )
    assert found.ids == ["a", "c"]
    assert found.nodes is not None
    assert found.nodes[0].metadata["copies"] == ["b"]
    assert found.nodes[1].metadata["copies"] == "mine"
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "copies" not in found.nodes[0].get_metadata_str(mode)
