"""How hard a search tries: recall against brute force, for more effort and for less."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from unisem import Record, SemanticSpace
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissKind, FaissStore, IndexSettings
from unisem.stores.faiss.raw_file import RawFile

ROWS, DIMENSION, K = 6_000, 48, 10
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((ROWS, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
QUERIES = RNG.standard_normal((50, DIMENSION)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)
EXACT = np.argsort(-QUERIES @ VECTORS.T, axis=1)[:, :K]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "s"
    with closing(FaissStore(path, ImageLibrary(path))) as store:
        store.add(
            [
                EmbeddedRecord(Record(id=str(i), text="x"), {"text": vector})
                for i, vector in enumerate(VECTORS)
            ]
        )
    return path


def recall(path: Path, settings: IndexSettings) -> float:
    with closing(FaissStore(path, ImageLibrary(path), index=settings)) as store:
        if store.index_kind != settings.kind:
            store.compact()
        found = store.search(QUERIES, K)
    hits = [
        len({hit.record.id for hit in of} & {str(i) for i in true})
        for of, true in zip(found, EXACT, strict=True)
    ]
    return sum(hits) / (K * len(QUERIES))


@pytest.mark.parametrize("kind", ["hnsw", "ivf_pq"])
def test_more_effort_finds_more(filled: Path, kind: str) -> None:
    little, usual, much = (
        recall(filled, IndexSettings(kind, effort=effort))  # type: ignore[arg-type]
        for effort in (0.1, 1, 50)
    )
    assert little < usual <= much
    assert much > 0.999


@pytest.mark.parametrize("times", [1, 3])
def test_oversampling_says_how_many_are_rescored(
    filled: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    looked_up: list[int] = []
    check = RawFile.check

    def counted(self: RawFile, positions: np.ndarray) -> Any:
        looked_up.append(len(positions))
        return check(self, positions)

    settings = IndexSettings("ivf_pq", oversampling=times)
    assert recall(filled, settings) > 0.2
    with closing(FaissStore(filled, ImageLibrary(filled), index=settings)) as store:
        monkeypatch.setattr(RawFile, "check", counted)
        store.search(QUERIES[:1], K)
    assert looked_up[0] == times * (K + 8)


def test_a_space_takes_settings(tmp_path: Path, encoder: object) -> None:
    settings = IndexSettings("hnsw", effort=2)
    with SemanticSpace.open(
        tmp_path / "s.unisem", encoder=encoder, store=FaissKind(settings)
    ) as space:  # type: ignore[arg-type]
        space.add([Record(id="a", text="a tiger")])
        assert space.compact().startswith("hnsw: as asked")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"kind": "tree"}, "index must be one of flat, hnsw"),
        ({"kind": "sq8"}, "no index of the kind 'sq8' any more; 'ivf_pq' is faster"),
        ({"kind": "rabitq"}, "no index of the kind 'rabitq' any more; 'ivf_pq' is faster"),
        ({"effort": 0}, "effort must be a number above 0"),
        ({"effort": float("nan")}, "effort must be a number above 0"),
        ({"oversampling": 0}, "oversampling must be a whole number"),
        ({"oversampling": 1.5}, "oversampling must be a whole number"),
        ({"raw": "int8"}, "raw must be one of float32, float16"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        IndexSettings(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [3, 4, 50])
def test_several_at_once_find_what_each_finds_alone(filled: Path, count: int) -> None:
    limit = faiss.cvar.distance_compute_blas_threshold
    with closing(FaissStore(filled, ImageLibrary(filled), index="flat")) as store:
        store.compact()
        together = store.search(QUERIES[:count], K)
        alone = [store.search(query[None], K)[0] for query in QUERIES[:count]]
    assert together == alone
    assert [[int(hit.record.id) for hit in hits] for hits in together] == EXACT[:count].tolist()
    assert faiss.cvar.distance_compute_blas_threshold == limit
