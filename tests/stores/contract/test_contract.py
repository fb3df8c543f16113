"""What every store must answer, whatever its kind and wherever it is.

A new kind of store is done when its name stands in `conftest.py` and this passes.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stores.contract.conftest import Shop, shop_of
from tests.stores.contract.items import DIMENSION, assert_agree, item, query
from tests.support.examples import examples
from tests.support.oracle import BruteForce
from unisem import Record
from unisem.errors import RecordError, StoreError, VectorError
from unisem.filters import Field
from unisem.records import EmbeddedRecord
from unisem.stores import Store
from unisem.stores.maintenance import check_images
from unisem.stores.selection import EVERYTHING, Selection


def words(record_id: str, text: str, **metadata: Any) -> EmbeddedRecord:
    return EmbeddedRecord(Record(id=record_id, text=text, metadata=metadata), {"text": query(0)})


def found(store: Store, text: str, k: int = 50, selection: Selection = EVERYTHING) -> list[str]:
    return [hit.record.id for hit in store.search_words(text, k, selection)]


# -- adding, deleting, searching ---------------------------------------------------------------


def test_empty_store(store: Store) -> None:
    assert len(store) == 0
    assert store.dimension is None
    assert store.search(query(0)[None], 5) == [[]]
    assert store.search_words("anything", 5) == []
    assert store.get(["a"]) == [None]
    assert store.vectors(["a"]) == [None]
    assert list(store.select()) == list(store.embedded()) == []
    assert store.delete(EVERYTHING) == 0
    store.add([])
    assert len(store) == 0


RECORDS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.integers(0, 30),
        st.booleans(),
        st.integers(2000, 2005),
        st.sampled_from([None, "s1", "s2"]),
    ),
    max_size=5,
)
DELETIONS = st.sampled_from(
    [
        Selection(ids=("a", "b")),
        Selection(source_ids=("s1",)),
        Selection(filter=Field("year") == 2001),
        Selection(modality="image"),
        EVERYTHING,
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), RECORDS),
        st.tuples(st.just("delete"), DELETIONS),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=8,
)


@pytest.mark.parametrize(
    "name",
    [
        "faiss directory",
        "list directory",
        "list elsewhere",
        pytest.param("milvus elsewhere", marks=pytest.mark.slow),
    ],
)
@given(steps=STEPS)
@settings(
    max_examples=examples(6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sequence_of_writes_agrees_with_brute_force(
    tmp_path_factory: pytest.TempPathFactory, name: str, steps: list[tuple[str, Any]]
) -> None:
    shop = shop_of(name, tmp_path_factory.mktemp("store"))
    store, oracle = shop.open(), BruteForce()
    for action, argument in steps:
        if action == "add":
            batch = [item(i, s, picture=p, year=y, source=o) for i, s, p, y, o in argument]
            store.add(batch)
            oracle.add(batch)
        elif action == "delete":
            assert store.delete(argument) == oracle.delete(argument)
        else:
            store.close()
            store = shop.open()
        assert_agree(store, oracle)
    store.close()


def test_ties_are_broken_by_id_even_at_the_cut(store: Store) -> None:
    vector = query(0)
    same = [EmbeddedRecord(Record(id=f"{n:02}", text="x"), {"text": vector}) for n in range(40)]
    store.add(same[::-1])
    for k in (1, 5, 39):
        hits = store.search(vector[None], k)[0]
        assert [hit.record.id for hit in hits] == [f"{n:02}" for n in range(k)]


def test_a_captioned_picture_is_one_hit_at_its_best_score(store: Store) -> None:
    pictures = [item(f"p{n}", n, picture=True) for n in range(20)]
    store.add(pictures)
    hits = store.search(query(1)[None], 20)[0]
    assert len(hits) == len({hit.record.id for hit in hits}) == 20
    assert {hit.matched for hit in hits} == {"text", "image", "both"}


def test_many_queries_at_once_equal_one_by_one(store: Store) -> None:
    store.add([item(f"r{n}", n, picture=n % 2 == 0) for n in range(50)])
    queries = np.stack([query(n) for n in range(9)])
    assert store.search(queries, 7) == [store.search(row[None], 7)[0] for row in queries]


def test_several_vectors_of_one_record_give_its_best(store: Store) -> None:
    vectors = np.stack([query(n) for n in range(5)])
    store.add([EmbeddedRecord(Record(id="many", text="x"), {"text": vectors}), item("other", 3)])
    for n in range(5):
        hit = store.search(query(n)[None], 1)[0][0]
        assert (hit.record.id, hit.score) == ("many", pytest.approx(1, abs=1e-6))


def test_a_refused_batch_leaves_nothing(store: Store) -> None:
    store.add([item("a", 1)])
    wrong = EmbeddedRecord(Record(id="w", text="x"), {"text": np.ones(5, np.float32)})
    with pytest.raises(VectorError, match="dimension"):
        store.add([item("b", 2), wrong])
    with pytest.raises(VectorError, match=r"dimension 8, not 5"):
        store.add([wrong])
    with pytest.raises(VectorError, match="no vector"):
        store.add([item("b", 2), EmbeddedRecord(Record(id="v", text="x"), {})])
    assert [record.id for record in store.select()] == ["a"]
    with pytest.raises(VectorError, match="dimension 5"):
        store.search(np.ones((1, 5), np.float32), 1)


def test_the_first_vectors_are_of_the_encoders_dimension(shop: Shop) -> None:
    store = shop.open(lambda: DIMENSION + 1)
    with pytest.raises(VectorError, match="dimension 9, not 8"):
        store.add([item("a", 1)])
    assert len(store) == 0
    store.close()


def test_of_one_id_given_twice_the_last_counts(store: Store) -> None:
    store.add([item("a", 1), item("b", 2), item("a", 3)])
    assert [(record.id, record.text) for record in store.select()] == [
        ("b", "text 2"),
        ("a", "text 3"),
    ]


def test_filters_are_decided_inside(store: Store) -> None:
    store.add([item(f"r{n}", n, year=2000 + n % 10) for n in range(60)])
    rare = Selection(filter=Field("year").is_in([2003]) & (Field("seed") > 30))
    assert len(store.search(query(2)[None], 3, rare)[0]) == 3
    assert {record.id for record in store.select(rare)} == {"r33", "r43", "r53"}
    assert store.delete(rare) == 3
    assert store.search(query(2)[None], 3, rare) == [[]]


def test_nul_in_what_is_asked_finds_nothing_else(store: Store) -> None:
    store.add([item("a", 1, source="s")])
    for selection in (
        Selection(ids=("a\0b",)),
        Selection(source_ids=("s\0",)),
        Selection(filter=Field("year").is_in(["2000\0", "\0"])),
    ):
        assert store.search(query(1)[None], 5, selection) == [[]]
        assert store.delete(selection) == 0
    assert store.get(["a\0"]) == [None]
    assert len(store) == 1


# -- words -------------------------------------------------------------------------------------


def test_words_are_found_and_scored(store: Store) -> None:
    store.add([words("a", "a red tiger"), words("b", "tiger tiger"), words("c", "a teapot")])
    store.add([words(f"x{n}", "other things") for n in range(5)])  # so that tigers are rare
    assert found(store, "Tiger") == ["b", "a"]
    assert found(store, "tiger", k=1) == ["b"]
    assert found(store, "giraffe") == []
    hits = store.search_words("red teapot", 5)
    assert {hit.record.id for hit in hits} == {"a", "c"}
    assert all(hit.score > 0 and hit.matched == "text" for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_words_of_metadata_are_found(store: Store) -> None:
    store.add([words("a", "x", place="Oslo"), words("b", "y", tags=["north", "Oslo"])])
    assert set(found(store, "oslo")) == {"a", "b"}
    store.update({"a": {"place": "Rome"}})
    assert found(store, "oslo") == ["b"]


def test_equal_words_are_in_the_order_of_ids(store: Store) -> None:
    store.add([words(f"{n}", "the same words") for n in (3, 1, 2)])
    assert found(store, "same") == ["1", "2", "3"]


def test_selections_hold_for_words(store: Store) -> None:
    store.add([words(f"{n}", "tiger", year=2000 + n) for n in range(9)])
    selection = Selection(filter=Field("year") >= 2005)
    assert found(store, "tiger", k=2, selection=selection) == ["5", "6"]
    store.delete(Selection(ids=("5",)))
    assert found(store, "tiger", selection=selection) == ["6", "7", "8"]


def test_words_have_no_syntax(store: Store) -> None:
    store.add([words("a", "a tiger")])
    for text in ('"tiger', "tiger AND", "text: tiger", "(tiger", "*", "", "-"):
        assert found(store, text) == (["a"] if "tiger" in text else []), text


# -- what was stored ---------------------------------------------------------------------------


def test_a_record_comes_back_as_it_went_in(store: Store) -> None:
    record = Record(
        id="ä/1 'quoted'",
        text="text\nwith \x00 and 漢字",
        metadata={"a": [1, 2.5, None, {"b": True}], "": "empty key", "id": 7},
        source_id="s",
        links={"next": "b"},
        payload={"node": {"x": [1]}},
    )
    store.add([EmbeddedRecord(record, {"text": query(0)})])
    assert store.get(["nobody", record.id]) == [None, record]


def test_vectors_come_back_to_the_bit(store: Store) -> None:
    several = np.stack([query(n) for n in range(3)])
    mixed = EmbeddedRecord(item("c", 3, picture=True).record, {"text": several, "image": query(9)})
    store.add([item("a", 1), mixed])
    first, nobody, last = store.vectors(["a", "nobody", "c"])
    assert nobody is None
    assert first is not None
    assert list(first) == ["text"]
    assert first["text"].tobytes() == item("a", 1).vectors["text"].tobytes()
    assert last is not None
    assert last["text"].shape == (3, DIMENSION)
    assert last["text"].tobytes() == several.tobytes()
    assert last["image"].tobytes() == query(9).tobytes()
    assert [one.record.id for one in store.embedded()] == ["a", "c"]
    assert store.dimension == DIMENSION


def test_metadata_are_replaced_all_or_none(store: Store) -> None:
    store.add([item("a", 1), item("b", 2)])
    before = store.vectors(["a"])[0]
    with pytest.raises(RecordError, match="'nobody'"):
        store.update({"a": {"year": 1}, "nobody": {}})
    assert next(store.select()).metadata["year"] == 2000
    store.update({"a": {"year": 1999}})
    assert [(r.id, r.metadata.get("year")) for r in store.select()] == [("b", 2000), ("a", 1999)]
    after = store.vectors(["a"])[0]
    assert before is not None
    assert after is not None
    assert before["text"].tobytes() == after["text"].tobytes()


def test_a_closed_store_says_so(shop: Shop) -> None:
    store = shop.open()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.add([item("a", 1)])
    with pytest.raises(StoreError, match="closed"):
        store.search(query(0)[None], 1)


def test_what_was_added_is_there_without_closing(lasting: Shop) -> None:
    oracle = BruteForce()
    batch = [item(name, n, picture=n % 2 == 0) for n, name in enumerate("abcde")]
    store = lasting.open()
    store.add(batch)
    oracle.add(batch)
    again = lasting.open()
    assert_agree(again, oracle)
    again.close()
    store.close()


# -- maintenance -------------------------------------------------------------------------------


def test_statistics_count(lasting: Shop) -> None:
    store = lasting.open()
    store.add([item("a", 1), item("b", 2, picture=True), item("c", 3)])
    for keeper in (store.maintenance(), lasting.maintenance()):
        counted = keeper.statistics()
        assert counted.records == {"text": 2, "image": 1}
        assert counted.vectors == {"text": 3, "image": 1, "both": 1}
        assert counted.dimension == DIMENSION
        assert all(size >= 0 for size in counted.sizes.values())
    store.close()
    assert lasting.maintenance().writer() is None


def test_a_whole_store_has_no_findings_and_is_read_whole(lasting: Shop) -> None:
    store = lasting.open()
    batch = [item("a", 1), item("b", 2, picture=True)]
    store.add(batch)
    store.close()
    keeper = lasting.maintenance()
    assert list(keeper.check()) == []
    with keeper.salvage() as salvage:
        saved = list(salvage)
        assert (salvage.read, salvage.lost, salvage.without_vectors) == (2, 0, 0)
        assert salvage.dimension == DIMENSION
    assert [one.record.id for one in saved] == ["a", "b"]
    for one, given_item in zip(saved, batch, strict=True):
        assert {kind: row.tobytes() for kind, row in one.vectors.items()} == {
            kind: row.tobytes() for kind, row in given_item.vectors.items()
        }
    assert [finding.area for finding in check_images(keeper)] == ["pictures"]  # not there


def test_compaction_says_what_it_did_and_changes_no_answer(lasting: Shop) -> None:
    oracle = BruteForce()
    batch = [item(name, n) for n, name in enumerate("abcde")]
    store = lasting.open()
    store.add(batch)
    oracle.add(batch)
    assert store.delete(Selection(ids=("b",))) == oracle.delete(Selection(ids=("b",)))
    with pytest.raises(ValueError, match="tree"):
        store.maintenance().compact("tree")
    assert all(store.maintenance().compact())
    assert_agree(store, oracle)
    store.close()
    assert all(lasting.maintenance().compact("auto"))
    again = lasting.open()
    assert_agree(again, oracle)
    again.close()


def test_a_backup_is_a_store_or_a_typed_error(lasting: Shop, tmp_path: Path) -> None:
    store = lasting.open()
    store.add([item("a", 1)])
    copy = tmp_path / "copy"
    if isinstance(lasting.place, str):
        with pytest.raises(StoreError, match="export"):
            store.maintenance().backup(copy)
    else:
        store.maintenance().backup(copy)
        with pytest.raises(StoreError, match="exists"):
            store.maintenance().backup(copy)
        other = Shop(lasting.kind, copy).open()
        assert [record.id for record in other.select()] == ["a"]
        other.close()
    store.close()


def test_where_there_is_no_store_there_is_nothing_to_look_after(lasting: Shop) -> None:
    keeper = lasting.maintenance()
    with pytest.raises(StoreError):
        keeper.statistics()
    with pytest.raises(StoreError):
        list(keeper.check())
    with pytest.raises(StoreError), keeper.salvage():
        pass


@pytest.mark.parametrize("name", ["faiss memory", "list memory"])
def test_memory_has_no_files_to_look_after(name: str, tmp_path: Path) -> None:
    store = shop_of(name, tmp_path).open()
    store.add([item("a", 1)])
    with pytest.raises(StoreError, match="in memory"):
        store.maintenance().backup(tmp_path / "copy")
    store.close()


# -- page by page ------------------------------------------------------------------------------

LATE = Selection(filter=Field("year") >= 2003)


def test_pages_hold_every_selected_record_once(store: Store) -> None:
    store.add([words(f"r{n}", "a tiger", year=2000 + n % 6) for n in range(14)])
    for selection, most in product((EVERYTHING, LATE), (1, 3, 7, 50)):
        selected = sorted(record.id for record in store.select(selection))
        assert store.count(selection) == len(selected) == (14 if selection is EVERYTHING else 6)
        listed, cursor = store.page(selection, None, most)
        while cursor is not None:
            assert len(listed) % most == 0
            more, cursor = store.page(selection, cursor, most)
            listed += more
        assert sorted(record.id for record in listed) == selected
        assert store.page(Selection(ids=()), None, most) == ([], None)


def test_pages_go_on_while_records_come_and_go(store: Store) -> None:
    store.add([words(f"r{n}", "a tiger") for n in range(6)])
    first, cursor = store.page(EVERYTHING, None, 3)
    store.delete(Selection(ids=(first[-1].id,)))
    store.add([words("r9", "a lion")])
    rest, cursor = store.page(EVERYTHING, cursor, 10)
    assert cursor is None
    listed = [record.id for record in first[:-1] + rest]
    kept = {record.id for record in store.select()}
    assert len(listed) == len(set(listed))
    assert kept - {"r9"} <= set(listed) <= kept


@pytest.mark.parametrize(
    ("most", "selection", "way"),
    [
        (2, EVERYTHING, "add"),
        (5, LATE, "update"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in product((1, 2, 5), (EVERYTHING, LATE), ("add", "update"))
            if each not in ((2, EVERYTHING, "add"), (5, LATE, "update"))
        ),
    ],
)
def test_pages_end_though_each_record_of_them_is_written(
    store: Store, most: int, selection: Selection, way: str
) -> None:
    def write(record_id: str) -> None:
        if way == "add":
            store.add([words(record_id, "a lion", year=2005)])
        else:
            store.update({record_id: {"year": 2005, "seen": True}})

    store.add([words(f"r{n}", "a tiger", year=2000 + n % 6) for n in range(14)])
    expected = sorted(record.id for record in store.select(selection))
    listed: list[str] = []
    cursor: str | None = None
    for _ in expected:
        page, cursor = store.page(selection, cursor, most)
        listed += [record.id for record in page]
        for record in page:
            write(record.id)
        if cursor is None:
            break
    assert cursor is None
    assert sorted(listed) == expected


def test_pages_hold_what_is_left_alone_once_while_others_are_written(store: Store) -> None:
    store.add([words(f"r{n}", "a tiger") for n in range(14)])
    listed: list[str] = []
    cursor: str | None = None
    for _ in range(14):
        page, cursor = store.page(EVERYTHING, cursor, 2)
        listed += [record.id for record in page]
        if cursor is None:
            break
        store.add([words("r3", "a lion")])
        store.update({"r8": {"seen": True}, "r1": {"seen": True}})
    assert cursor is None
    assert len(listed) == len(set(listed))
    assert {f"r{n}" for n in range(14)} - {"r1", "r3", "r8"} <= set(listed)
