"""Out and in again: exact, in both layouts, with and without the encoder."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exchange.conftest import contents
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ExchangeError
from unisem.exchange import export_space, import_space
from unisem.filters import Field
from unisem.records import EmbeddedRecord

LAYOUTS = ["jsonl", "parquet"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("through", ["open space", "path"])
def test_a_round_trip_is_exact(
    rich: SemanticSpace, tmp_path: Path, layout: str, copy: bool, through: str
) -> None:
    expected = contents(rich)
    encoder = ToyEncoder()
    source: object = rich
    if through == "path":
        rich.close()
        source = tmp_path / "toy.unisem"
    seen: list[tuple[int, int]] = []
    report = export_space(
        source,
        tmp_path / "out",
        layout=layout,
        copy_images=copy,
        progress=lambda *n: seen.append(n),
    )
    assert (report.records, report.vectors, report.missing) == (6, 9, ())
    assert report.images == (3 if copy else 1)  # what came as bytes is copied in any case
    assert seen[-1] == (6, 6)
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        imported = import_space(tmp_path / "out", new)
        assert (imported.records, imported.embedded, imported.skipped) == (6, 0, ())
        assert contents(new) == expected
        assert (encoder.texts_encoded, encoder.images_encoded) == (0, 0)
        assert new.search("漢字", mode="keyword")[0].record.id == "z last in the alphabet"
        again = import_space(tmp_path / "out", new)
        assert (again.records, len(new)) == (6, 6)
        assert contents(new) == expected
    if not copy:
        with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
            assert new.get(["red"])[0].image.path == tmp_path / "photos" / "red.png"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_records_keep_their_order_and_vectors(
    tmp_path: Path, encoder: ToyEncoder, layout: str
) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add(Record(id=f"{n * 7919 % 3000}", text=f"word{n}") for n in range(3000))
        expected = contents(space)
        export_space(space, tmp_path / "out", layout=layout)
    with SemanticSpace.open(None, encoder=encoder) as new:
        import_space(tmp_path / "out", new)
        assert contents(new) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_space_goes_out_and_in(tmp_path: Path, encoder: ToyEncoder, layout: str) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        assert export_space(space, tmp_path / "out", layout=layout).records == 0
        assert import_space(tmp_path / "out", space).records == 0
        assert len(space) == 0


def test_the_files_are_plain(rich: SemanticSpace, tmp_path: Path) -> None:
    """Read without this package, as whoever wants to leave would."""
    export_space(rich, tmp_path / "out", copy_images=True)
    lines = (tmp_path / "out" / "records.jsonl").read_bytes().split(b"\n")
    records = [json.loads(line) for line in lines if line]
    assert [record["id"] for record in records][:2] == ["z last in the alphabet", "red"]
    assert records[2]["metadata"] == {"year": 2024}
    image = records[1]["image"]
    data = (tmp_path / "out" / image["file"]).read_bytes()
    assert data == (tmp_path / "photos" / "red.png").read_bytes()
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    vectors = np.load(tmp_path / "out" / "vectors.npy", allow_pickle=False)
    rows = [json.loads(line) for line in (tmp_path / "out" / "vectors.jsonl").open()]
    assert (vectors.shape, vectors.dtype) == ((9, 48), np.float32)
    (row,) = [r["row"] for r in rows if r["record"] == "red" and r["modality"] == "image"]
    stored = rich.store.vectors(["red"])[0]["image"]
    assert vectors[row].tobytes() == stored.tobytes()


def test_parquet_columns(rich: SemanticSpace, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    export_space(rich, tmp_path / "out", layout="parquet")
    records = pq.read_table(tmp_path / "out" / "records.parquet").to_pylist()
    assert records[1]["source_id"] == "photos"
    assert json.loads(records[2]["metadata"]) == {"year": 2024}
    vectors = pq.read_table(tmp_path / "out" / "vectors.parquet")
    assert vectors.column_names == ["record", "modality", "vector"]
    assert len(vectors["vector"][0].as_py()) == 48


def test_parquet_without_pyarrow_says_what_to_install(
    rich: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ExchangeError, match=r"unisem\[parquet\]"):
        export_space(rich, tmp_path / "out", layout="parquet")
    assert [path.name for path in tmp_path.glob("*out*")] == []


def test_an_export_appears_whole_or_not_at_all(
    rich: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_space(rich, tmp_path / "out", progress=stop)
    assert list(tmp_path.glob("*out*")) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ExchangeError, match="is not empty"):
        export_space(rich, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert export_space(rich, tmp_path / "empty").records == 6


def test_an_export_is_one_committed_state(rich: SemanticSpace, tmp_path: Path) -> None:
    expected = contents(rich)

    def meddle(done: int, _: int) -> None:
        if done == 1:
            rich.delete(["many"])
            rich.add([Record(id="red", text="no longer a picture"), Record(id="new", text="new")])

    export_space(rich, tmp_path / "out", copy_images=True, progress=meddle)
    with SemanticSpace.open(None, encoder=rich.encoder) as new:
        import_space(tmp_path / "out", new)
        assert contents(new) == expected


def test_another_encoder_is_refused_unless_all_is_embedded_anew(
    rich: SemanticSpace, tmp_path: Path
) -> None:
    export_space(rich, tmp_path / "out", copy_images=True)
    other = ToyEncoder(seed=1)
    with SemanticSpace.open(None, encoder=other) as new:
        with pytest.raises(ExchangeError, match="made by the encoder 'toy-0'"):
            import_space(tmp_path / "out", new)
        assert len(new) == 0
        report = import_space(tmp_path / "out", new, vectors="renew")
        assert (report.records, report.embedded) == (6, 6)
        assert new.search("a red card", k=1)[0].record.id == "red"
        assert new.search(filter=Field("year") == 2024, text="x")[0].record.id == "bytes"


def test_a_missing_picture_is_reported_on_both_ways(rich: SemanticSpace, tmp_path: Path) -> None:
    (tmp_path / "photos" / "red.png").unlink()
    solid("green").save(tmp_path / "photos" / "noise.jpg")
    report = export_space(rich, tmp_path / "out", copy_images=True)
    assert report.images == 1
    assert [item.reason for item in report.missing] == [
        "does not exist",
        "has changed since it was indexed; add it again, so that it is found for what it shows now",
    ]
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=rich.encoder) as new:
        imported = import_space(tmp_path / "out", new)
        assert imported.records == 4
        assert [item.reason for item in imported.skipped] == [
            "does not exist",
            "has changed since it was exported",
        ]
        assert new.get(["red", "many"])[0] is None


def test_pictures_from_elsewhere_need_their_folder_named(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there/photos", "work"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    solid("red").save(tmp_path / "there" / "photos" / "red.png")
    with SemanticSpace.open(tmp_path / "there" / "s.unisem", encoder=encoder) as space:
        space.add([Record(id="red", image=tmp_path / "there" / "photos" / "red.png")])
        export_space(space, tmp_path / "out")
    with SemanticSpace.open(tmp_path / "here" / "s.unisem", encoder=encoder) as new:
        with pytest.raises(ExchangeError, match=r"outside the allowed folders.*image_roots"):
            import_space(tmp_path / "out", new)
        assert import_space(tmp_path / "out", new, image_roots=[tmp_path / "there"]).records == 1
        assert new.get(["red"])[0].image.open().size == (40, 30)


@pytest.mark.parametrize(("vectors", "embedded"), [("renew", 2), ("keep", 0)])
@pytest.mark.parametrize("copy", [True, False])
def test_a_picture_that_cannot_be_decoded_costs_itself(
    tmp_path: Path,
    encoder: ToyEncoder,
    monkeypatch: pytest.MonkeyPatch,
    copy: bool,
    vectors: Any,
    embedded: int,
) -> None:
    """Its header is whole, so that it was stored with its vectors; its pixels are not."""
    monkeypatch.chdir(tmp_path)
    whole = encoded(noise(3, (200, 200)), "JPEG")
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "good.jpg").write_bytes(whole)
    vector = encoder.encode_texts(["x"])[0]
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_embedded(
            EmbeddedRecord(Record(id=name, image=tmp_path / f"{name}.jpg"), {"image": vector})
            for name in ("half", "good")
        )
        space.add([Record(id="text", text="a text")])
        export_space(space, tmp_path / "out", copy_images=copy)
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        report = import_space(tmp_path / "out", new, vectors=vectors)
        assert (report.records, report.embedded) == (2, embedded)
        assert ["truncated" in item.reason for item in report.skipped] == [True]
        assert [record is not None for record in new.get(["half", "good", "text"])] == [
            False,
            True,
            True,
        ]
        kept = new.store.vectors(["good"])[0]
        expected = (
            vector if vectors == "keep" else encoder.encode_images([tmp_path / "good.jpg"])[0]
        )
        assert kept is not None
        np.testing.assert_array_equal(kept["image"], expected)
