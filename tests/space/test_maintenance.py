"""Options of `SemanticSpace.open`, and `update`, `delete`, `compact`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.list_store import ListKind
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import RecordError, StoreError, StoreLockedError
from unisem.filters import Field
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissKind, FaissStore
from unisem.stores.vectors import MOST_VECTORS


@pytest.fixture(params=["disk", "memory"])
def years(
    request: pytest.FixtureRequest, tmp_path: Path, encoder: ToyEncoder
) -> Iterator[SemanticSpace]:
    path = tmp_path / "y.unisem" if request.param == "disk" else None
    space = SemanticSpace.open(path, encoder=encoder)
    space.add(
        Record(
            id=f"r{year}", text=f"text {year}", metadata={"year": year}, source_id=f"s{year % 2}"
        )
        for year in range(2000, 2006)
    )
    yield space
    space.close()


def test_update_replaces_metadata_and_embeds_nothing(
    years: SemanticSpace, encoder: ToyEncoder
) -> None:
    before = years.store.vectors(["r2001"])[0]
    encoded = encoder.texts_encoded
    years.update({"r2001": {"name": "Ada"}, "r2003": {}})
    assert encoder.texts_encoded == encoded
    assert [dict(record.metadata) for record in years.get(["r2001", "r2003", "r2002"])] == [
        {"name": "Ada"},
        {},
        {"year": 2002},
    ]
    assert years.get(["r2001"])[0].source_id == "s1"
    after = years.store.vectors(["r2001"])[0]
    assert {name: rows.tobytes() for name, rows in after.items()} == {
        name: rows.tobytes() for name, rows in before.items()
    }
    assert years.search("x", filter=Field("name") == "Ada")[0].record.id == "r2001"
    assert years.search("Ada", mode="keyword")[0].record.id == "r2001"
    assert len(years.search("x", filter=Field("year") >= 2000, k=9)) == 4


def test_update_of_a_picture_keeps_both_vectors(card_space: SemanticSpace) -> None:
    before = card_space.store.vectors(["cards/red.png"])[0]
    card_space.update({"cards/red.png": {"suit": "hearts"}})
    record, after = (
        card_space.get(["cards/red.png"])[0],
        card_space.store.vectors(["cards/red.png"]),
    )
    assert record.image.open().size == (40, 30)
    assert {name: rows.tobytes() for name, rows in after[0].items()} == {
        name: rows.tobytes() for name, rows in before.items()
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r2001": {"a": 1}, "nobody": {}}, "no record 'nobody'"),
        ({"r2001": {"a": 1}, "r2002": {"b": object()}}, "'r2002'"),
        ({"r2001": {"a": 1}, "r2002": None}, "'r2002'.*dictionary"),
    ],
)
def test_update_is_all_or_nothing(
    years: SemanticSpace, changes: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        years.update(changes)
    assert years.get(["r2001"])[0].metadata == {"year": 2001}
    years.update({})


def test_update_and_add_from_threads_lose_nothing(years: SemanticSpace) -> None:
    def update() -> None:
        for n in range(30):
            years.update({"r2001": {"n": n}})

    def add() -> None:
        for n in range(30):
            years.add([Record(id="r2001", text=f"version {n}", metadata={"added": n})])
            texts.append(years.get(["r2001"])[0].text)

    texts: list[str | None] = []
    threads = [threading.Thread(target=update), threading.Thread(target=add)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [f"version {n}" for n in range(30)]  # no older text came back
    assert len(years) == 6


def test_delete_by_ids_sources_and_filter(years: SemanticSpace) -> None:
    assert years.delete(["r2000", "nobody"]) == 1
    assert years.delete([]) == 0
    assert years.delete(source_ids=["s0"], filter=Field("year") > 2002) == 1
    assert years.delete(["r2001"], filter=Field("year") == 2002) == 0
    assert {record.id for record in years.store.select()} == {"r2001", "r2002", "r2003", "r2005"}
    assert years.delete(filter=Field("year") < 2004) == 3
    assert years.delete(source_ids=["s1"]) == 1
    assert len(years) == 0


def test_delete_of_nothing_in_particular_is_a_mistake(years: SemanticSpace) -> None:
    with pytest.raises(ValueError, match="say what to delete"):
        years.delete()
    with pytest.raises(TypeError, match="list of ids"):
        years.delete("r2001")
    assert len(years) == 6


def test_compact_says_what_was_built(years: SemanticSpace) -> None:
    years.delete(["r2000"])
    assert years.compact().startswith("flat: 5 vectors")
    assert years.compact("hnsw").startswith("hnsw: as asked; the word index was built anew")
    assert isinstance(years.store, FaissStore)
    assert years.store.index_kind == "hnsw"
    assert years.search("text 2003", k=1)[0].record.id == "r2003"
    assert years.search("2003", mode="keyword")[0].record.id == "r2003"
    years.add([Record(id="new", text="later")])
    years.delete(["r2001"])
    assert years.search("later", mode="keyword")[0].record.id == "new"
    with pytest.raises(ValueError, match="index must be one of"):
        years.compact("tree")


def test_compact_gives_disk_space_back(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add(Record(id=f"{n}", text="x" * 1500 + str(n)) for n in range(300))
        space.delete([f"{n}" for n in range(290)])
        space.compact()
        full = (path / "catalog.sqlite").stat().st_size
        assert full < 280_000  # the texts alone were 450,000
        assert (path / "catalog.sqlite-wal").stat().st_size == 0
        assert len(space) == 10


def test_compact_beside_a_reader_says_that_pages_stay(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.add([Record(id="a", text="a tiger")])
        reader = sqlite3.connect(path / "catalog.sqlite", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        said = space.compact()
        assert "because another process is reading" in said
        assert reader.execute("SELECT id FROM records").fetchall() == [("a",)]
        reader.close()
        assert space.compact().endswith("empty pages were given back")


def test_an_open_reader_survives_compaction(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "s.unisem"
    with (
        SemanticSpace.open(path, encoder=encoder) as space,
        SemanticSpace.open(path, encoder=encoder) as reader,
    ):
        space.add([Record(id=f"r{n}", text=f"text {n}") for n in range(50)])
        assert len(reader.search("text 3", k=50)) == 50
        space.delete(["r1"])
        space.compact("hnsw")
        assert len(reader.search("text 3", k=50)) == 49
        assert reader.search("text 3", k=1)[0].record.id == "r3"
        with pytest.raises(StoreLockedError):
            reader.update({"r3": {}})


def test_options_reach_the_store(tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "s.unisem"
    kind = FaissKind(index="ivf_pq", durability="relaxed")
    with SemanticSpace.open(path, encoder=encoder, store=kind) as space:
        space.add([Record(id="a", text="a tiger")])
        assert space.compact().startswith("ivf_pq")
    with pytest.raises(ValueError, match="durability"):
        SemanticSpace.open(path, encoder=encoder, store=FaissKind(durability="none"))  # type: ignore[arg-type]


@pytest.mark.parametrize("store", [None, "faiss", FaissKind(index="ivf_pq")])
def test_settings_of_the_store_may_be_said_by_name(
    tmp_path: Path, encoder: ToyEncoder, store: str | FaissKind | None
) -> None:
    with SemanticSpace.open(
        tmp_path / "s", encoder=encoder, store=store, index="hnsw", durability="relaxed"
    ) as space:
        space.add([Record(id="a", text="a tiger")])
        assert space.compact().startswith("hnsw")
    with pytest.raises(ValueError, match="durability"):
        SemanticSpace.open(tmp_path / "s", encoder=encoder, durability="none")
    with pytest.raises(StoreError, match=r"'list' has no setting index"):
        SemanticSpace.open(tmp_path / "l", encoder=encoder, store=ListKind(), index="hnsw")


def test_copied_images_outlive_their_files(tmp_path: Path, encoder: ToyEncoder) -> None:
    picture = tmp_path / "red.png"
    solid("red").save(picture)
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder, copy_images=True) as space:
        space.add([Record(id="a", image=picture), Record(id="b", image=picture)])
        data = picture.read_bytes()
        picture.unlink()
        (blob,) = path.glob("blobs/*/*")
        for record in space.get(["a", "b"]):
            assert record.image.path == blob
            assert record.image.read_bytes() == data
        space.update({"a": {"x": 1}})
        assert space.get(["a"])[0].image.path == blob


def test_copied_folders_are_unchanged_the_second_time(
    tmp_path: Path, encoder: ToyEncoder, cards: Path
) -> None:
    path = tmp_path / "s.unisem"
    with SemanticSpace.open(path, encoder=encoder, copy_images=True) as space:
        assert space.add_folder(cards).added == 7
        assert len(list(path.glob("blobs/*/*"))) == 6
        report = space.add_folder(cards)
        assert (report.added, report.unchanged) == (0, 7)


def test_more_vectors_than_their_numbers_allow_are_refused(years: SemanticSpace) -> None:
    most = MOST_VECTORS["text"]
    rows = np.tile(years.store.vectors(["r2001"])[0]["text"], (most + 1, 1))
    with pytest.raises(StoreError, match=r"more than 2,?048"):
        years.store.add([EmbeddedRecord(Record(id="many", text="x"), {"text": rows})])
    years.store.add([EmbeddedRecord(Record(id="many", text="x"), {"text": rows[:-1]})])
    assert years.store.vectors(["many"])[0]["text"].shape == (most, 48)
