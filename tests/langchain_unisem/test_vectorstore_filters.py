"""Every kind of filter that a `UniSemVectorStore` takes, against plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.structured_query import (
    Comparator,
    Comparison,
    FilterDirective,
    Operation,
    Operator,
    StructuredQuery,
)

from langchain_unisem import (
    UniSemRetrievalTool,
    UniSemRetriever,
    UniSemTranslator,
    UniSemVectorStore,
)
from tests.support.text_embeddings import WordEmbeddings
from unisem import Record, SemanticSpace
from unisem.errors import FilterError
from unisem.filters import Field, matches

METADATAS: list[dict[str, Any]] = [
    {"year": 1999, "city": "Oslo", "tags": ["cat", "red"], "day": "2024-01-05"},
    {"year": 2020, "city": "Rome", "tags": [], "seen": True},
    {"year": 2024.5, "city": "Old Rome", "tags": ["dog"]},
    {"year": "2020", "city": None},
    {},
]


@pytest.fixture(scope="module")
def places() -> UniSemVectorStore:
    texts = [f"place {n}" for n in range(5)]
    return UniSemVectorStore.from_texts(texts, WordEmbeddings(), METADATAS, ids=list("01234"))


def found(store: UniSemVectorStore, condition: Any) -> str:
    return "".join(sorted(str(d.id) for d in store.similarity_search("x", 9, filter=condition)))


E, C = Comparison, Comparator
DIRECTIVES: list[tuple[FilterDirective, str]] = [
    (E(C.EQ, "city", "Rome"), "1"),
    (E(C.EQ, "seen", True), "1"),
    (E(C.NE, "city", "Rome"), "0234"),
    (E(C.GT, "year", 2020), "2"),
    (E(C.GTE, "year", 2020), "12"),
    (E(C.LT, "year", 2020), "0"),
    (E(C.LTE, "year", 2020), "01"),
    (E(C.IN, "city", ["Oslo", "Rome"]), "01"),
    (E(C.NIN, "city", ["Oslo", "Rome"]), "234"),
    (E(C.CONTAIN, "tags", "cat"), "0"),
    (E(C.CONTAIN, "city", "Rome"), "12"),
    (E(C.CONTAIN, "tags", 3), ""),
    (E(C.LIKE, "city", "rome"), "12"),
    (E(C.LIKE, "city", "%OLD%"), "2"),
    (E(C.LTE, "day", {"type": "date", "date": "2024-01-05"}), "0"),
    (E(C.GT, "day", {"type": "datetime", "datetime": "2024-01-05T12:00:00"}), ""),
    (Operation(Operator.AND, [E(C.GT, "year", 2000), E(C.LT, "year", 2022)]), "1"),
    (Operation(Operator.OR, [E(C.EQ, "city", "Oslo"), E(C.EQ, "seen", True)]), "01"),
    (Operation(Operator.NOT, [E(C.GT, "year", 2000)]), "034"),
]


@pytest.mark.parametrize(("directive", "expected"), DIRECTIVES)
def test_structured_queries(
    places: UniSemVectorStore, directive: FilterDirective, expected: str
) -> None:
    condition = UniSemTranslator().translate(directive)
    assert "".join(str(n) for n, m in enumerate(METADATAS) if matches(condition, m)) == expected
    assert found(places, condition) == found(places, directive) == expected
    assert found(places, {"$not": directive}) == "".join(sorted(set("01234") - set(expected)))


def test_self_query(places: UniSemVectorStore) -> None:
    translator = UniSemTranslator()
    assert set(translator.allowed_comparators) == set(Comparator)
    assert set(translator.allowed_operators) == set(Operator)
    query = StructuredQuery("place 1", E(C.GTE, "year", 2020), limit=1)
    text, options = translator.visit_structured_query(query)
    # what `SelfQueryRetriever` does with these
    documents = places.search(text, "similarity", **{"k": query.limit, **options})
    assert [document.id for document in documents] == ["1"]
    assert translator.visit_structured_query(StructuredQuery("x", None)) == ("x", {})
    assert query.filter is not None
    assert query.filter.accept(translator) == (Field("year") >= 2020)


BAD_DIRECTIVES: list[tuple[FilterDirective, str]] = [
    (Operation(Operator.AND, []), "and needs conditions"),
    (Operation(Operator.NOT, [E(C.EQ, "a", 1), E(C.EQ, "b", 1)]), "not needs one condition"),
    (E(C.IN, "city", "Rome"), "needs a list of values"),
    (E(C.EQ, "city", ["Rome"]), "needs a string, number, boolean or date, not list"),
    (E(C.LIKE, "city", 3), "needs a string"),
    (E(C.LIKE, "city", "R%e"), "% inside the text"),
    (E(C.GT, "day", {"type": "date", "date": 3}), "not dict"),
]


@pytest.mark.parametrize(("directive", "message"), BAD_DIRECTIVES)
def test_structured_queries_that_mean_nothing(
    places: UniSemVectorStore, directive: FilterDirective, message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        places.similarity_search("x", filter=directive)


FUNCTIONS: list[Callable[[Document], bool]] = [
    lambda document: document.metadata.get("year") == 2020,
    lambda document: document.page_content.endswith(("2", "3")),
    lambda document: document.id in ("0", "4"),
    lambda document: True,
    lambda document: False,
]


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_functions(places: UniSemVectorStore, function: Callable[[Document], bool]) -> None:
    expected = "".join(str(d.id) for d in places.get_by_ids(list("01234")) if function(d))
    assert found(places, function) == expected
    for k in range(4):
        wanted = min(k, len(expected))
        for documents in (
            places.similarity_search("place 4", k, filter=function),
            places.max_marginal_relevance_search("place 4", k, fetch_k=1, filter=function),
            places.similarity_search("place", k, filter=function, mode="keyword"),
            places.as_retriever(search_kwargs={"k": k, "filter": function}).invoke("x"),
            await places.asimilarity_search("place 4", k=k, filter=function),
        ):
            assert len(documents) == wanted
            assert all(map(function, documents))


def test_a_function_cannot_change_what_it_is_shown(places: UniSemVectorStore) -> None:
    def vandal(document: Document) -> bool:
        document.metadata.clear()
        document.page_content = "gone"
        return True

    assert found(places, vandal) == "01234"
    assert found(places, {"year": 2020}) == "1"
    assert places.get_by_ids(["1"])[0].page_content == "place 1"


def test_a_function_that_fails(places: UniSemVectorStore) -> None:
    with pytest.raises(KeyError, match="city"):
        found(places, lambda document: document.metadata["city"] == "Rome")
    assert found(places, {"city": "Rome"}) == "1"


def test_a_function_and_a_modality(card_space: SemanticSpace) -> None:
    card_space.add([Record(id="t", text="red text")])
    store = UniSemVectorStore(space=card_space)
    shown: list[str | None] = []

    def red(document: Document) -> bool:
        shown.append(document.id)
        return "red" in document.page_content

    documents = store.similarity_search("x", filter=red, modality="text")
    assert [document.id for document in documents] == ["t"]
    assert sorted(map(str, shown)) == ["cards/about.txt", "t"]


async def asynchronous(document: Document) -> bool:
    """What it returns before it is awaited counts as true."""
    return not document


@pytest.mark.parametrize(
    "condition",
    ["year > 3", 3, ["year"], {"$where": "1"}, {"year": {"$near": 1}}, {3: 1}, asynchronous],
)
def test_filters_that_mean_nothing(places: UniSemVectorStore, condition: Any) -> None:
    for act in (
        lambda: places.similarity_search("x", filter=condition),
        lambda: places.delete(filter=condition),
        lambda: places.delete(["0"], filter=condition),
    ):
        with pytest.raises(FilterError):
            act()
    assert len(places) == 5


def test_an_asynchronous_function_is_refused(places: UniSemVectorStore) -> None:
    retriever = UniSemRetriever(space=places.space, filter=asynchronous)
    tool = UniSemRetrievalTool(retriever=retriever, fields={"year": "a number"})
    for act in (
        lambda: retriever.invoke("x"),
        lambda: retriever.records(["0"]),
        lambda: places.as_retriever(search_kwargs={"filter": asynchronous}).invoke("x"),
    ):
        with pytest.raises(FilterError, match="must not be asynchronous"):
            act()
    said = tool.invoke({"query": "x", "filter": {"year": {"$exists": True}}})
    assert "must not be asynchronous" in said
