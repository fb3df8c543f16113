"""What `check_store` finds in stores that were damaged on purpose, and what salvage saves."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError
from unisem.exchange import export_space, import_space, salvage_space
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissKind
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.checksums import of_vector
from unisem.stores.faiss.statistics import StoreStatistics
from unisem.stores.maintenance import check_images


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    solid("red").save(folder / "red.png")
    with SemanticSpace.open(folder / "s.unisem", encoder=ToyEncoder()) as space:
        space.add(Record(id=f"r{n}", text=f"text {n} " + "filler" * 40) for n in range(400))
        space.add([Record(id="red", text="a card", image=folder / "red.png")])
        space.add([Record(id="blob", image=encoded(solid("blue")))])
        space.delete(["r7"])
        space.add([Record(id="r8", text="replaced")])
    return folder


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    """A space of 400 texts, two pictures, some of it replaced and deleted; well closed."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path / "s.unisem"


def problems(path: Path) -> list[str]:
    found = check_store(path, ImageLibrary(path))
    return [f"{finding.area}: {finding.text}" for finding in found if finding.is_problem]


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path / "catalog.sqlite")
    yield database
    database.commit()
    database.close()


def files(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and not file.name.endswith(("-shm", "-wal"))
    }


def test_a_whole_store_is_clean_and_untouched(path: Path, encoder: ToyEncoder) -> None:
    before = files(path)
    looked: list[str] = []
    assert list(check_store(path, ImageLibrary(path), progress=looked.append)) == []
    assert list(check_images(FaissKind().maintenance(path, ImageLibrary(path)))) == []
    assert looked == ["catalogue", "records", "vectors", "segment", "columns", "words", "graph"]
    StoreStatistics.of(path)
    assert files(path) == before
    with SemanticSpace.open(path, encoder=encoder) as space:  # while somebody writes, too
        space.add([Record(id="tail", text="tail")])
        space.delete(["r1"])
        assert list(check_store(path, ImageLibrary(path))) == []


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf_pq"])
def test_every_kind_of_segment_is_clean(path: Path, encoder: ToyEncoder, kind: str) -> None:
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.compact(kind)
    assert list(check_store(path, ImageLibrary(path))) == []


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no catalogue"):
        list(check_store(tmp_path, ImageLibrary(tmp_path)))


SET = "UPDATE vectors SET vector = ? WHERE vector_id = (SELECT min(vector_id) FROM vectors)"


@pytest.mark.parametrize(
    ("statement", "parameters", "expected"),
    [
        (SET, (b"1234",), "vectors: are not 48 numbers of 4 bytes: text of 'r0'"),
        (SET, ("text",), "vectors: are not 48 numbers of 4 bytes: text of 'r0'"),
        (SET, (np.full(48, np.nan, "<f4").tobytes(),), "vectors: are not finite: text of 'r0'"),
        (SET, (np.ones(48, "<f4").tobytes(),), "vectors: are not of unit length: text of 'r0'"),
        ("DELETE FROM vectors WHERE vector_id >> 12 = 1", (), "records: have no vector"),
        ("DELETE FROM records WHERE id = 'r5'", (), "vectors: belong to no record: 24576"),
        ("DELETE FROM records WHERE id = 'r5'", (), "words: of 1 removed records are still"),
        ("UPDATE records SET metadata = '{' WHERE id = 'r5'", (), "records: 1 cannot be under"),
        ("UPDATE records SET image = NULL WHERE id = 'red'", (), "picture's vector but no picture"),
        ("UPDATE records SET modality = 'text' WHERE id = 'red'", (), "wrong modality: 'red'"),
        ("DELETE FROM words_docsize WHERE id = 10", (), "words: of 1 records are not in the index"),
        ("UPDATE words_data SET block = x'00' WHERE id > 10", (), "words: have a damaged index"),
        ("DELETE FROM removals", (), "segment"),
        ("UPDATE facts SET value = 9 WHERE name = 'format'", (), "has format 9"),
    ],
)
def test_damage_inside_the_catalogue(
    path: Path, encoder: ToyEncoder, statement: str, parameters: tuple[object, ...], expected: str
) -> None:
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.delete(["r20"])  # one removal that the segment does not reflect
    with tampering(path) as database:
        database.execute(statement, parameters)
    found = problems(path)
    assert any(expected in line for line in found), found


def test_damage_to_the_segment(path: Path, encoder: ToyEncoder) -> None:
    (index,) = path.glob("vectors-*.f32")
    data = index.read_bytes()
    index.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert problems(path) == [
        "segment: does not agree with its seal; it is built anew when the space is opened, and "
        "saved by `unisem store compact`"
    ]
    for file in path.glob("vectors*"):
        file.unlink()
    (finding,) = check_store(path, ImageLibrary(path))
    assert not finding.is_problem
    assert "is missing" in finding.text


def test_a_segment_that_lacks_vectors(path: Path) -> None:
    with tampering(path) as database:
        (row,) = database.execute("SELECT row FROM records WHERE id = 'r9'").fetchone()
        (vector,) = database.execute(
            "SELECT vector FROM vectors WHERE vector_id >> 12 = ?", (row,)
        ).fetchone()
        number = row << 12 | 2
        database.execute(
            "INSERT INTO vectors VALUES (?, ?, ?)", (number, vector, of_vector(number, vector))
        )
    assert problems(path) == ["segment: lacks 1 vectors; run `unisem store compact`"]


def test_compacting_mends_what_is_derived(path: Path, encoder: ToyEncoder) -> None:
    with tampering(path) as database:
        database.execute("UPDATE words_data SET block = x'00' WHERE id > 10")
    for file in path.glob("vectors*"):
        file.unlink()
    assert problems(path)
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.compact()
    assert list(check_store(path, ImageLibrary(path))) == []


def test_pictures_that_are_missing_or_changed(path: Path, tmp_path: Path) -> None:
    solid("green").save(tmp_path / "red.png")
    (blob,) = path.glob("blobs/*/*")
    blob.unlink()
    seen: list[tuple[int, int]] = []
    keeper = FaissKind().maintenance(path, ImageLibrary(path))
    found = list(check_images(keeper, progress=lambda *numbers: seen.append(numbers)))
    assert [finding.text.split(":")[0] for finding in found] == [
        "cannot be read",
        "changed since they were added",
    ]
    assert "'blob'" in found[0].text
    assert "'red' (changed)" in found[1].text
    assert seen[-1] == (401, 401)


def overwrite_pages(path: Path, needle: bytes) -> None:
    """Fill the page of the catalogue that holds some text with nonsense."""
    catalog = path / "catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    size = int.from_bytes(data[16:18], "big")  # of the file's pages, in SQLite's header
    page = data.index(needle) // size
    data[page * size : (page + 1) * size] = b"\xa5" * size
    catalog.write_bytes(data)


def test_a_damaged_catalogue_and_what_is_saved(
    path: Path, tmp_path: Path, encoder: ToyEncoder
) -> None:
    with SemanticSpace.open(path, encoder=encoder) as space:
        expected = {item.record.id: item for item in space.store.embedded()}
    overwrite_pages(path, b"text 200 filler")
    damage, saved = problems(path)
    assert damage.startswith("catalogue: is damaged: ")
    assert "unisem store export --salvage" in saved
    with pytest.raises(CorruptStoreError, match="--salvage"):
        export_space(path, tmp_path / "out")
    report = salvage_space(path, tmp_path / "out")
    assert 360 <= report.records < 401
    assert 1 <= report.lost <= 401 - report.records + 3  # a page may hold deleted rows' numbers
    assert f"{report.records:,} records can be read" in saved
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        import_space(tmp_path / "out", new)
        assert len(new) == report.records
        assert "r200" not in {record.id for record in new.store.select()}
        for item in new.store.embedded():
            old = expected[item.record.id]
            assert (item.record.text, item.record.metadata) == (
                old.record.text,
                old.record.metadata,
            )
            for modality, vector in item.vectors.items():
                assert vector.tobytes() == old.vectors[modality].tobytes()


def test_lost_vectors_are_made_anew(path: Path, tmp_path: Path, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(path, encoder=encoder) as space:
        (vector,) = space.store.vectors(["r100"])[0].values()
    overwrite_pages(path, vector.tobytes())
    report = salvage_space(path, tmp_path / "out", copy_images=True)
    assert report.records == 401
    assert report.without_vectors > 3
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        assert import_space(tmp_path / "out", new).embedded == report.without_vectors
        assert new.store.vectors(["r100"])[0]["text"].tobytes() == vector.tobytes()


@pytest.mark.parametrize(
    "content", [b"", b"not a database, no", b"SQLite format 3\x00" + b"\0" * 84]
)
def test_nothing_to_save_is_said(path: Path, tmp_path: Path, content: bytes) -> None:
    (path / "catalog.sqlite").write_bytes(content)
    (line, *rest) = problems(path)
    assert line.startswith("catalogue: ")
    assert not rest or "no record can be read" in rest[-1]
    if content:
        with pytest.raises(CorruptStoreError):
            salvage_space(path, tmp_path / "out")


def test_statistics(path: Path, encoder: ToyEncoder) -> None:
    found = StoreStatistics.of(path)
    assert found.records == {"text": 399, "image": 2}
    assert found.vectors == {"text": 400, "image": 2}
    assert (found.dimension, found.kind, found.tail, found.dead_share) == (48, "flat", 0, 0.0)
    assert found.writer is None
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id=f"new{n}", text="new") for n in range(5)])
        space.delete([f"r{n}" for n in range(20, 40)])
        found = StoreStatistics.of(path)
        assert found.tail == 5
        assert found.dead_share == pytest.approx(20 / 401)
        assert found.writer is not None
        assert found.writer.startswith("process ")
        assert found.suggested == "flat"
        assert (found.tuning, found.chosen) == (None, None)
        space.compact("ivf_pq")
        found = StoreStatistics.of(path)
        assert (found.kind, found.chosen) == ("ivf_pq", None)
        assert found.remarks["index"] == (
            "ivf_pq (2 lists are looked at, 8 times as many as wanted are scored exactly)"
        )
        space.compact()
        found = StoreStatistics.of(path)
        assert found.chosen == "387 vectors are scanned exactly in milliseconds"
        assert found.remarks["index"] == f"flat ({found.chosen})"


@pytest.mark.parametrize("kind", ["bytes", "pages", "page headers", "truncated"])
def test_any_damage_is_survived_and_what_is_saved_can_be_imported(
    path: Path, tmp_path: Path, encoder: ToyEncoder, kind: str
) -> None:
    catalog = path / "catalog.sqlite"
    good = catalog.read_bytes()
    for seed in range(12):
        rng = random.Random(f"{kind} {seed}")
        data = bytearray(good)
        for _ in range(rng.choice([1, 3, 40])):
            page = 4096 * rng.randrange(len(good) // 4096)
            match kind:
                case "bytes":
                    data[rng.randrange(len(data))] = rng.randrange(256)
                case "pages":
                    data[page : page + 4096] = rng.choice([rng.randbytes(4096), bytes(4096)])
                case "page headers":
                    data[page + rng.randrange(60)] = rng.randrange(256)
                case "truncated":
                    data = data[: rng.randrange(1, len(good))]
        catalog.write_bytes(data)
        for log in path.glob("catalog.sqlite-*"):
            log.unlink()
        list(check_store(path, ImageLibrary(path)))
        with suppress(CorruptStoreError, StoreError):
            StoreStatistics.of(path)
        out = tmp_path / f"out{seed}"
        with suppress(CorruptStoreError, StoreError):
            salvage_space(path, out)
            with SemanticSpace.open(tmp_path / f"new{seed}.unisem", encoder=encoder) as new:
                report = import_space(out, new)
                assert report.records + len(report.skipped) == len(open_lines(out))


def open_lines(out: Path) -> list[bytes]:
    return (out / "records.jsonl").read_bytes().splitlines()
