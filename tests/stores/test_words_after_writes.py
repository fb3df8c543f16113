"""Writes keep the word index right, and vectors come back as they were added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.keywords import VECTOR, found, item, open_store
from unisem import Record
from unisem.filters import Field
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord
from unisem.stores.selection import EVERYTHING, Selection


def test_others_see_the_words_of_a_commit_and_a_failed_write_leaves_none(tmp_path: Path) -> None:
    with_writer, reader = open_store(tmp_path / "s"), open_store(tmp_path / "s")
    with_writer.add([item("a", "a tiger")])
    assert found(reader, "tiger") == ["a"]
    catalog = with_writer._files.catalog

    def fail() -> None:
        with catalog.transaction():
            catalog.add([item("a", "a lion"), item("b", "a lion")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (found(with_writer, "tiger"), found(with_writer, "lion")) == (["a"], [])
    with_writer.close()
    reader.close()


def test_an_index_of_other_rules_is_built_anew_at_the_next_write(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.add([item("a", "a tiger"), item("b", "a lion")])
    with store._files.catalog.transaction():
        store._files.catalog.set_fact("words", "other rules")
        store._files.catalog._db.execute("DROP TABLE words")
    store.delete(Selection(ids=("b",)))
    assert (found(store, "tiger"), found(store, "lion")) == (["a"], [])
    store.close()


def test_vectors_come_back_as_they_were_added() -> None:
    store = open_store()
    record = Record(id="x", text="x", image=ImageRef(path=Path("/p/a"), root=Path("/p"), sha256=""))
    many = np.eye(4, dtype=np.float32)[1:]
    store.add([item("a", "a"), EmbeddedRecord(record, {"text": VECTOR, "image": many})])
    first, nobody, second = store.vectors(["x", "nobody", "a"])
    assert nobody is None
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first["text"], VECTOR)
    np.testing.assert_array_equal(first["image"], many)
    assert set(second) == {"text"}
    assert second["text"].dtype == np.float32
    assert second["text"].shape == (4,)
    assert store.vectors([]) == []


WORDS = ["tiger", "Lion", "bär", "東京", "猫", "a-b", "ไทย"]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.lists(
                st.tuples(
                    st.sampled_from("abcde"),
                    st.lists(st.sampled_from(WORDS), max_size=4),
                    st.lists(st.sampled_from(WORDS), max_size=2),
                    st.integers(0, 3),
                ),
                max_size=4,
            ),
        ),
        st.tuples(
            st.just("delete"),
            st.sampled_from(
                [Selection(ids=("a", "b")), Selection(filter=Field("n") == 1), EVERYTHING]
            ),
        ),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=10,
)


@given(STEPS)
@settings(
    max_examples=examples(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_sequence_of_writes_keeps_the_index_right(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("words") / "s"
    store, naive = open_store(path), dict[str, tuple[set[str], int]]()
    for action, argument in steps:
        if action == "add":
            store.add(
                [item(i, " ".join(text), keys=keys, n=n) for i, text, keys, n in argument if text]
            )
            naive |= {i: ({*text, *keys}, n) for i, text, keys, n in argument if text}
        elif action == "delete":
            store.delete(argument)
            gone = {
                i
                for i, (_, n) in naive.items()
                if (i in (argument.ids or "abcde")) and (argument.filter is None or n == 1)
            }
            naive = {i: value for i, value in naive.items() if i not in gone}
        else:
            store.close()
            store = open_store(path)
        for word in WORDS:
            assert set(found(store, word)) == {
                i for i, (words, _) in naive.items() if word in words
            }
        chosen = Selection(filter=Field("n") == 2)
        assert set(found(store, " ".join(WORDS), 50, chosen)) == {
            i for i, (_, n) in naive.items() if n == 2
        }
    store._files.catalog._db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    # Not only are removed records not found: their words count for nothing any more.
    scored = store.search_words(" ".join(WORDS), 50)
    with store._files.catalog.transaction():
        store._files.catalog._words.rebuild()
    assert store.search_words(" ".join(WORDS), 50) == scored
    store.close()
