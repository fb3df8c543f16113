"""A segment's vectors: to the bit or rounded, and checked where they are read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from unisem import Record
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Vector
from unisem.stores.faiss import FaissStore, IndexSettings, exact_scan, segment
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.exact_scan import scan
from unisem.stores.faiss.kinds import flat, tuning
from unisem.stores.faiss.raw_file import SUFFIX, DamagedVectorsError, Precision, RawFile
from unisem.stores.faiss.segment import SEAL, Segment

RNG = np.random.default_rng(3)


def unit(count: int, dimension: int) -> Vector:
    rows = RNG.standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def written(folder: Path, vectors: Vector, precision: Precision) -> Callable[[], RawFile]:
    """Opens the file anew at each call."""
    kept = RawFile.of(vectors, precision)
    path, sums = folder / f"v{SUFFIX[precision]}", folder / "v.sums"
    with path.open("wb") as file:
        kept.write(file)
    with sums.open("wb") as file:
        np.save(file, kept.checksums())
    return lambda: RawFile.mapped(path, *vectors.shape, sums)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 5000])
def test_what_is_written_is_read(tmp_path: Path, precision: Precision, count: int) -> None:
    vectors = unit(count, 24)
    expected = vectors.astype(precision).astype(np.float32)
    found = written(tmp_path, vectors, precision)()
    assert (len(found), found.dimension, found.precision) == (count, 24, precision)
    assert found.all().astype(np.float32).tobytes() == expected.tobytes()
    places = RNG.permutation(count)[:40]
    assert found.at(places).tobytes() == expected[places].tobytes()
    assert found.at(places).dtype == np.float32


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    opened = written(tmp_path, unit(40, 8), "float32")
    with (tmp_path / "v.f32").open("ab") as file:
        file.write(b"\0\0\0\0")
    with pytest.raises(ValueError, match="another size"):
        opened()


def test_damage_is_found_where_it_is_read(tmp_path: Path) -> None:
    vectors = unit(320, 8)
    opened = written(tmp_path, vectors, "float32")
    path = tmp_path / "v.f32"
    data = bytearray(path.read_bytes())
    data[33 * 8 * 4] ^= 1  # in the third block
    path.write_bytes(data)
    found, far, near = opened(), np.arange(64, 320), np.array([47])
    assert found.at(far).tobytes() == vectors[far].tobytes()
    for read in (lambda: found.at(near), found.all, lambda: found.check(near)):
        with pytest.raises(DamagedVectorsError):
            read()
    path.write_bytes(vectors[np.r_[16:32, 0:16, 32:320]].tobytes())  # two blocks change places
    with pytest.raises(DamagedVectorsError):
        opened().at(np.array([0]))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("share", [None, 0.5, 0.01])
@pytest.mark.parametrize("queries", [1, 3, 9])
def test_a_scan_is_brute_force(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, share: float | None, queries: int
) -> None:
    monkeypatch.setattr(exact_scan, "_CHUNK", 700 * 4 * 16)
    vectors, asked = unit(3000, 16), unit(queries, 16)
    eligible = None if share is None else RNG.random(3000) < share
    count = 3000 if eligible is None else int(eligible.sum())
    kept = RawFile.of(vectors, precision)
    products = asked @ vectors.astype(precision).astype(np.float32).T
    if eligible is not None:
        products[:, ~eligible] = -np.inf
    for fetch in (1, 10, count):
        found = scan(kept, asked, fetch, eligible, count)
        for (scores, places), row in zip(found, products, strict=True):
            order = np.argsort(-row)[:fetch]
            np.testing.assert_allclose(scores, row[order], atol=1e-6)
            np.testing.assert_allclose(row[places], row[order], atol=1e-6)
            assert len(set(places.tolist())) == fetch


def filled(path: Path, vectors: Vector, settings: IndexSettings) -> None:
    with closing(FaissStore(path, ImageLibrary(path), index=settings)) as store:
        store.add(
            [
                EmbeddedRecord(Record(id=str(i), text="x"), {"text": vector})
                for i, vector in enumerate(vectors)
            ]
        )
        store.compact()


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf_pq"])
def test_the_file_equals_the_catalogue_to_the_bit(tmp_path: Path, kind: str) -> None:
    vectors = unit(2500, 16)
    filled(tmp_path, vectors, IndexSettings(kind))  # type: ignore[arg-type]
    (path,) = tmp_path.glob("vectors-*.f32")
    assert path.read_bytes() == vectors.tobytes()


def test_scores_of_rounded_vectors(tmp_path: Path) -> None:
    vectors, asked = unit(2500, 16), unit(3, 16)
    settings = IndexSettings("ivf_pq", raw="float16", effort=50)
    filled(tmp_path, vectors, settings)
    assert not list(tmp_path.glob("vectors-*.f32"))
    rounded = vectors.astype(np.float16).astype(np.float64)
    with closing(FaissStore(tmp_path, ImageLibrary(tmp_path), index=settings)) as store:
        for hits, query in zip(store.search(asked, 10), asked.astype(np.float64), strict=True):
            scores = rounded @ query
            assert [hit.score for hit in hits] == pytest.approx(np.sort(scores)[:-11:-1], abs=1e-12)


def test_what_auto_scans_after_all_is_not_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.stores.faiss.index_settings.EXACT_UP_TO", 2000)
    monkeypatch.setattr(tuning, "_ENOUGH", 1.1)  # more than codes can find
    vectors = unit(2500, 16)
    filled(tmp_path, vectors, IndexSettings("auto", raw="float16"))
    (path,) = tmp_path.glob("vectors-*.f*[26]")
    assert path.suffix == ".f32"
    assert path.read_bytes() == vectors.tobytes()


@pytest.fixture
def rounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Vector, Path]:
    """Vectors that a store has, and its file of them as they are rounded."""
    monkeypatch.setattr(flat, "PAYS_FROM", 100)
    vectors = unit(2500, 16)
    filled(tmp_path, vectors, IndexSettings("flat"))
    (path,) = tmp_path.glob("vectors-*.faiss")
    return vectors, path


@pytest.mark.parametrize("place", [0, 2499])
def test_damaged_codes_are_not_searched(
    tmp_path: Path, rounded: tuple[Vector, Path], place: int, caplog: pytest.LogCaptureFixture
) -> None:
    vectors, path = rounded
    data = bytearray(path.read_bytes())
    data[len(data) - 16 * (2500 - place) : len(data) - 16 * (2499 - place)] = b"\x80" * 16
    path.write_bytes(data)
    assert Segment.load(tmp_path, 16) is not None  # opening does not look
    (finding,) = check_store(tmp_path, ImageLibrary(tmp_path))
    assert "does not agree with its seal" in finding.text
    with closing(FaissStore(tmp_path, ImageLibrary(tmp_path))) as store:
        with caplog.at_level(logging.WARNING):
            (hits,) = store.search(vectors[place : place + 1], 3)
        assert hits[0].record.id == str(place)
        assert [message.split(": ")[1][:16] for message in caplog.messages] == ["the vector index"]
        assert store.index_kind is None


def test_all_but_codes_is_checked_at_opening(tmp_path: Path, rounded: tuple[Vector, Path]) -> None:
    vectors, path = rounded
    data, codes = path.read_bytes(), vectors.size
    for at in (0, 40, len(data) - codes - 1):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert Segment.load(tmp_path, 16) is None
    for other in (data[:-1], data + b"\0"):
        path.write_bytes(other)
        assert Segment.load(tmp_path, 16) is None
    path.write_bytes(data)
    found = Segment.load(tmp_path, 16)
    assert found is not None
    assert found.is_whole


@pytest.mark.parametrize("late", [{"bytes": 40_001}, {"bytes": 39_999}, {"bytes": -1}, {}, None, 7])
def test_a_seal_of_other_codes(tmp_path: Path, rounded: tuple[Vector, Path], late: object) -> None:
    _, path = rounded
    seal = json.loads((tmp_path / SEAL).read_text(encoding="utf-8"))
    assert seal["late"]["bytes"] == 40_000
    del seal["seal"]
    seal["late"] = seal["late"] | late if late and isinstance(late, dict) else late
    size = late["bytes"] if late and isinstance(late, dict) else 0
    if size >= 0:
        seal["files"][path.name] = segment._fingerprint(path, size)
    text = json.dumps(seal | {"seal": segment._digest(seal)})
    (tmp_path / SEAL).write_text(text, encoding="utf-8")
    assert Segment.load(tmp_path, 16) is None


def test_a_seal_without_late_bytes_is_of_the_whole_file(
    tmp_path: Path, rounded: tuple[Vector, Path]
) -> None:
    _, path = rounded
    seal = json.loads((tmp_path / SEAL).read_text(encoding="utf-8"))
    del seal["seal"], seal["late"]
    seal["files"][path.name] = segment._fingerprint(path)
    text = json.dumps(seal | {"seal": segment._digest(seal)})
    (tmp_path / SEAL).write_text(text, encoding="utf-8")
    assert Segment.load(tmp_path, 16) is not None
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    assert Segment.load(tmp_path, 16) is None


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf_pq"])
def test_a_search_that_meets_damage_goes_on_from_the_catalogue(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = unit(2500, 16)
    filled(tmp_path, vectors, IndexSettings(kind))  # type: ignore[arg-type]
    (path,) = tmp_path.glob("vectors-*.f32")
    data = bytearray(path.read_bytes())
    data[1234 * 16 * 4 + 5] ^= 32
    path.write_bytes(data)
    assert Segment.load(tmp_path, 16) is not None  # opening does not look
    (finding,) = check_store(tmp_path, ImageLibrary(tmp_path))
    assert finding.is_problem
    assert "does not agree with its seal" in finding.text
    with closing(FaissStore(tmp_path, ImageLibrary(tmp_path))) as store:
        with caplog.at_level(logging.WARNING):
            (hits,) = store.search(vectors[1234:1235], 3)
        assert hits[0].record.id == "1234"
        assert hits[0].score == pytest.approx(1.0)
        assert [message.split(": ")[1][:16] for message in caplog.messages] == ["the vector index"]
        assert store.index_kind is None
        store.add([EmbeddedRecord(Record(id="new", text="x"), {"text": vectors[0]})])
    assert list(check_store(tmp_path, ImageLibrary(tmp_path))) == []
