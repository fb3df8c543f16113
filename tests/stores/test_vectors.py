"""The gate for vectors, at every entrance: what has no direction is refused by its record's id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import StoreError, UniSemError, VectorError
from unisem.records import EmbeddedRecord, Vector
from unisem.search.query import Query
from unisem.stores import Store

D = 16
ONES = np.ones(D, np.float32)
BAD: dict[str, Any] = {
    "nan": np.full(D, np.nan, np.float32),
    "one nan": np.where(np.arange(D) == 3, np.nan, ONES),
    "infinite": np.full(D, np.inf, np.float32),
    "zero": np.zeros(D, np.float32),
    "denormal": np.full(D, 1e-44, np.float32),
    "huge": np.full(D, 1e38, np.float32),
    "huger than float32": np.full(D, 1e300),
    "too long by far": np.full(D, 1e7, np.float32),
    "no rows": np.ones((0, D), np.float32),
    "no numbers": np.ones(0, np.float32),
    "three axes": np.ones((2, 2, D), np.float32),
    "a number": np.float32(1),
    "one row is zero": np.stack([ONES, 0 * ONES]),
    "too many": np.ones((2049, D), np.float32),
    "shorter": np.ones(D // 2, np.float32),
    "longer": np.ones(2 * D, np.float32),
    "complex": np.ones(D, np.complex64),
    "text": np.array(["a"] * D),
    "objects": np.array([object()] * D),
    "booleans": np.ones(D, np.bool_),
    "ragged": [[1.0] * D, [1.0]],
    "none": None,
}
ENTRANCES: dict[str, Callable[[SemanticSpace, list[EmbeddedRecord]], object]] = {
    "add_embedded": lambda space, items: space.add_embedded(items),
    "the store": lambda space, items: space.store.add(items),
}


def embedded(record_id: str, vector: Any) -> EmbeddedRecord:
    return EmbeddedRecord(Record(id=record_id, text=record_id), {"text": vector})


def opened(path: Path | None) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder(D))


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("before", [0, 20], ids=["empty", "filled"])
def test_what_has_no_direction_is_refused_and_the_space_stays_whole(
    tmp_path: Path, entrance: str, before: int
) -> None:
    names = [f"a{n}" for n in range(before)]
    with opened(tmp_path / "s.unisem") as space:
        space.add([Record(id=name, text=name) for name in names])
        for kind, vector in BAD.items():
            good, bad = embedded("good", ONES), embedded("bad", vector)
            for items in ([bad], [good, bad], [bad, good]):
                with pytest.raises(VectorError, match="'bad'"):
                    ENTRANCES[entrance](space, items)
            assert space.get(["good", "bad"]) == [None, None], kind
            assert len(space) == before, kind
    with opened(tmp_path / "s.unisem") as space:
        assert [space.search(text=name, k=1)[0].record.id for name in names] == names
        space.add([Record(id="new", text="new")])
        assert space.search(text="new", k=1)[0].record.id == "new"


def test_no_picture_is_kept_for_a_vector_that_is_refused(tmp_path: Path) -> None:
    bad = EmbeddedRecord(Record(id="bad", image=encoded(solid("red"))), {"image": 0 * ONES})
    with (
        opened(tmp_path / "s.unisem") as space,
        pytest.raises(VectorError, match="image vector of record 'bad'"),
    ):
        space.add_embedded([bad])
    assert list((tmp_path / "s.unisem").glob("blobs/*/*")) == []


def test_a_record_without_vectors_is_refused() -> None:
    with opened(None) as space, pytest.raises(VectorError, match="'a' has no vector"):
        space.add_embedded([EmbeddedRecord(Record(id="a", text="a"), {})])


def test_the_error_is_a_value_error_and_of_the_store() -> None:
    assert issubclass(VectorError, ValueError)
    assert issubclass(VectorError, StoreError)


@pytest.mark.parametrize("kind", ["float64", "list", "integers", "long", "rows"])
def test_what_has_a_direction_is_scaled(kind: str) -> None:
    given: dict[str, Any] = {
        "float64": np.arange(1, D + 1, dtype=np.float64),
        "list": [float(n) for n in range(1, D + 1)],
        "integers": np.arange(1, D + 1),
        "long": 1e4 * np.arange(1, D + 1, dtype=np.float32),
        "rows": np.stack([np.arange(1, D + 1), 3 * ONES]).astype(np.float32),
    }
    row = np.arange(1, D + 1, dtype=np.float64)
    with opened(None) as space:
        space.add_embedded([embedded("a", given[kind])])
        (vectors,) = space.store.vectors(["a"])
        assert vectors is not None
        np.testing.assert_allclose(
            np.atleast_2d(vectors["text"])[0], row / np.linalg.norm(row), rtol=1e-6
        )
        np.testing.assert_allclose(np.linalg.norm(vectors["text"], axis=-1), 1, rtol=1e-6)
        (hit,) = space.search_query(Query(vector=row, k=1))
        assert hit.score == pytest.approx(1)


def test_unit_vectors_are_kept_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, D)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with opened(None) as space:
        space.add_embedded(embedded(f"a{n}", row) for n, row in enumerate(rows))
        stored = space.store.vectors([f"a{n}" for n in range(50)])
        for kept, row in zip(stored, rows, strict=True):
            assert kept is not None
            assert np.array_equal(kept["text"], row)


@pytest.mark.parametrize(
    "vector",
    [np.nan * ONES, 0 * ONES, np.inf * ONES, ONES[:3], np.ones((2, D)), [], ["a"] * D, None],
    ids=["nan", "zero", "infinite", "shorter", "two rows", "empty", "text", "none"],
)
def test_a_query_without_direction_is_refused(vector: Any) -> None:
    with opened(None) as space:
        space.add([Record(id="a", text="a")])
        if vector is not None:
            with pytest.raises(VectorError):
                space.search_query(Query(vector=vector, k=1))
        rows: Any = vector if np.ndim(vector) != 1 else [vector]
        if np.ndim(vector) != 2:
            with pytest.raises(VectorError):
                space.store.search(rows, 1)
        assert space.search(text="a", k=1)[0].record.id == "a"


class Broken(ToyEncoder):
    """Fails to find a direction for one text."""

    def encode_texts(self, texts: Any, *arguments: Any, **options: Any) -> Vector:
        rows = super().encode_texts(texts, *arguments, **options)
        rows[[text == "bad" for text in texts]] = np.nan
        return rows


def test_an_encoder_that_fails_is_noticed_before_anything_is_stored() -> None:
    with SemanticSpace.open(None, encoder=Broken(D)) as space:
        with pytest.raises(UniSemError, match="zero or not finite"):
            space.add([Record(id="a", text="good"), Record(id="b", text="bad")])
        assert len(space) == 0


def test_a_store_of_no_encoder_settles_its_dimension_by_the_first() -> None:
    with opened(None) as space:
        store: Store = type(space.store)(None, space.image_library)  # type: ignore[call-arg]
    with pytest.raises(VectorError, match="dimension 8"):
        store.add([embedded("a", ONES), embedded("b", ONES[:8])])
    store.add([embedded("a", ONES[:8])])
    with pytest.raises(VectorError, match="dimension 16"):
        store.add([embedded("b", ONES)])
