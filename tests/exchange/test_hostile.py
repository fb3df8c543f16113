"""Exports that are damaged or made by somebody with bad intentions: one clear error each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ExchangeError
from unisem.exchange import export_space, import_space
from unisem.exchange.info import ExportInfo, digests


@pytest.fixture
def export(tmp_path: Path, encoder: ToyEncoder) -> Path:
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add(
            [
                Record(id="a", text="a red card", image=encoded(solid("red"))),
                Record(id="b", text="paper", metadata={"year": 1}),
            ]
        )
        export_space(space, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def refused(export: Path, encoder: ToyEncoder) -> Callable[[str], None]:
    """Seal the export again and check that importing it is an error that matches."""

    def check(message: str, *, seal: bool = True) -> None:
        if seal:
            described = json.loads((export / "export.json").read_text())
            described["files"] = digests(export, described["layout"])
            (export / "export.json").write_text(json.dumps(described))
        with SemanticSpace.open(None, encoder=encoder) as space:
            with pytest.raises(ExchangeError, match=message):
                import_space(export, space)
            assert len(space) == 0

    return check


def records(export: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (export / "records.jsonl").open()]


def rewrite(path: Path, lines: list[Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "place",
    [
        {"file": "../secret.png"},
        {"file": "pictures/../../secret.png"},
        {"file": "/etc/passwd"},
        {"file": "export.json"},
        {"file": "pictures\\..\\x"},
        {"file": "pictures/a\x00b"},
        {"file": "C:pictures"},
        {"file": 7},
        {"file": "pictures"},
        {"file": "pictures/absent.png"},
        {"file": "pictures/link.png"},
        {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "root": "/etc"},
        {"path": "relative.png"},
        {"path": "/x\x00", "root": None},
        {"path": ["/x"]},
        {"path": "/x", "root": 3},
        {"path": "/x", "file": "pictures/x"},
        {},
        [],
        "pictures/x.png",
        {"file": "pictures/x.png", "sha256": "../../x"},
        {"file": "pictures/x.png", "sha256": 5},
    ],
)
def test_image_places_that_lead_astray(
    export: Path, refused: Callable[..., None], place: Any, tmp_path: Path
) -> None:
    solid("blue").save(tmp_path / "secret.png")
    (export / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    lines = records(export)
    lines[0]["image"] = place
    rewrite(export / "records.jsonl", lines)
    refused("records.jsonl line 1: ")


@pytest.mark.parametrize("place", ["pictures", "child"])
def test_a_link_in_place_of_the_folder_of_pictures_is_not_followed(
    export: Path, refused: Callable[..., None], tmp_path: Path, place: str
) -> None:
    (tmp_path / "home").mkdir()
    solid("blue").save(tmp_path / "home" / "passport.png")
    name = "pictures/passport.png" if place == "pictures" else "pictures/ab/passport.png"
    shutil.rmtree(export / "pictures")
    if place == "child":
        (export / "pictures").mkdir()
    (export / name).parent.symlink_to(tmp_path / "home", target_is_directory=True)
    lines = records(export)
    lines[0]["image"] = {"file": name}
    rewrite(export / "records.jsonl", lines)
    refused("records.jsonl line 1: .*outside")


@pytest.mark.parametrize("name", ["export.json", "records.jsonl", "vectors.npy", "vectors.jsonl"])
def test_links_and_pipes_in_place_of_an_exports_files(
    export: Path, encoder: ToyEncoder, tmp_path: Path, name: str
) -> None:
    (export / name).rename(tmp_path / name)
    for make in (lambda path: path.symlink_to(tmp_path / name), os.mkfifo):
        (export / name).unlink(missing_ok=True)
        make(export / name)
        with (
            SemanticSpace.open(None, encoder=encoder) as space,
            pytest.raises(ExchangeError, match=f"{name} is (missing|not a regular file)"),
        ):
            import_space(export, space)


def test_a_reference_to_a_file_that_is_no_picture_is_not_taken(
    export: Path, encoder: ToyEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.env").write_text("KEY=1")
    lines = records(export)
    lines[0]["image"] = {"path": str(tmp_path / "secret.env"), "mime_type": "image/png"}
    rewrite(export / "records.jsonl", lines)
    described = json.loads((export / "export.json").read_text())
    described["files"] = digests(export, "jsonl")
    (export / "export.json").write_text(json.dumps(described))
    with SemanticSpace.open(None, encoder=encoder) as space:
        report = import_space(export, space)
        assert (report.records, len(report.skipped)) == (1, 1)
        assert space.get(["a"]) == [None]


def test_a_copied_picture_that_was_changed(export: Path, refused: Callable[..., None]) -> None:
    (path,) = export.glob("pictures/*/*.png")
    path.write_bytes(encoded(solid("blue")))
    refused("does not have the sha256")
    path.write_bytes(b"no picture")
    lines = records(export)
    del lines[0]["image"]["sha256"]
    rewrite(export / "records.jsonl", lines)
    refused("records.jsonl line 1: .*not a picture")


class Bomb:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_arrays_that_are_not_plain_float32(
    export: Path, refused: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = export / "vectors.npy"
    good = np.load(path)
    np.save(path, np.array([Bomb()], object), allow_pickle=True)
    refused("no plain array")
    np.array([Bomb()], object).dump(path)
    refused("no plain array")
    assert not (tmp_path / "exploded").exists()
    with path.open("wb") as file:
        np.savez(file, good)
    refused("must hold float32")
    for array, message in [
        (good.astype(np.float64), "float32"),
        (good.astype(">f4"), "float32"),
        (good[:, :-1], "shape"),
        (good[:-1], "shape"),
        (good[0], "shape"),
        (good.view([("a", "<f4")]), "float32"),
    ]:
        np.save(path, array)
        refused(message)
    for data in (b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', ((("):
        path.write_bytes(data)
        refused("no plain array")
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**15, 48)}
        np.lib.format.write_array_header_1_0(file, header)
    refused("no plain array")


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not finite"), (np.inf, "not finite"), (9.0, "unit length")]
)
def test_vectors_that_are_no_unit_vectors(
    export: Path, refused: Callable[..., None], value: float, message: str
) -> None:
    array = np.load(export / "vectors.npy")
    array[2, 5] = value
    np.save(export / "vectors.npy", array)
    refused(rf"records.jsonl line 2: record 'b'.*{message}")


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        (0, {"row": 1}, "row must be 0"),
        (0, {"row": -1}, "row must be 0"),
        (0, {"modality": "sound"}, "modality"),
        (0, {"modality": ["text"]}, "modality"),
        (0, {"record": "b"}, "order"),
        (2, {"record": None}, "order"),
        (2, {"modality": "image"}, "picture's vector, but no picture"),
    ],
)
def test_vectors_that_do_not_fit_their_records(
    export: Path, refused: Callable[..., None], row: int, change: dict[str, Any], message: str
) -> None:
    lines = [json.loads(line) for line in (export / "vectors.jsonl").open()]
    lines[row] |= change
    rewrite(export / "vectors.jsonl", lines)
    refused(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "id must be a string"),
        ({"id": ""}, "id must not be empty"),
        ({"id": "\ud800"}, "not valid Unicode"),
        ({"text": 5}, "text must be a string"),
        ({"text": None}, "neither text nor image"),
        ({"metadata": {"x": float("nan")}}, "not JSON"),
        ({"metadata": [1]}, "metadata must be an object"),
        ({"links": {"next": 1}}, "must be a string"),
        ({"payload": "x"}, "payload must be an object"),
        ({"source_id": {}}, "source_id must be a string"),
        ({"__class__": "x"}, "unknown field '__class__'"),
    ],
)
def test_records_that_add_would_refuse(
    export: Path, refused: Callable[..., None], change: dict[str, Any], message: str
) -> None:
    lines = records(export)
    lines[1] |= change
    rewrite(export / "records.jsonl", lines)
    if "id" in change:
        vectors = [json.loads(line) for line in (export / "vectors.jsonl").open()]
        vectors[2]["record"] = change["id"]
        rewrite(export / "vectors.jsonl", vectors)
    refused(rf"records.jsonl line 2: .*{message}")


@pytest.mark.parametrize(
    "line", ["", "[]", "{", "[" * 100_000, '"x"', "\xff", '{"id": ' + "9" * 5000 + "}"]
)
def test_lines_that_are_no_records(export: Path, refused: Callable[..., None], line: str) -> None:
    path = export / "records.jsonl"
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n" + line.encode("latin-1") + b"\n")
    refused("records.jsonl line 2")


def test_damage_is_noticed_before_anything_is_added(
    export: Path, refused: Callable[..., None]
) -> None:
    data = bytearray((export / "vectors.npy").read_bytes())
    data[-1] ^= 1
    (export / "vectors.npy").write_bytes(data)
    refused("vectors.npy is damaged or was changed", seal=False)
    (export / "vectors.npy").unlink()
    refused("vectors.npy is missing", seal=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "reads format 1"),
        ({"format": True}, "reads format 1"),
        ({"layout": "xml"}, "layout"),
        ({"layout": []}, "layout"),
        ({"records": "2"}, "records"),
        ({"records": 3}, "2 records, not 3"),
        ({"vectors": -1}, "vectors"),
        ({"dimension": 0}, "dimension"),
        ({"dimension": 7}, "dimension 7"),
        ({"encoder": 5}, "encoder"),
        ({"files": {"../../x": {}}}, "files"),
        ({"surplus": 1}, "surplus"),
        ({"fingerprint": "00"}, "made by the encoder"),
        ({"fingerprint": None}, "unknown"),
    ],
)
def test_descriptions_that_cannot_be(
    export: Path, encoder: ToyEncoder, change: dict[str, Any], message: str
) -> None:
    path = export / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with (
        SemanticSpace.open(None, encoder=encoder) as space,
        pytest.raises(ExchangeError, match=message),
    ):
        import_space(export, space)


def test_what_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="no finished export"):
        ExportInfo.read(tmp_path)
    for text in ("", "[]", "null", "[" * 50_000):
        (tmp_path / "export.json").write_text(text)
        with pytest.raises(ExchangeError):
            ExportInfo.read(tmp_path)


def test_parquet_files_that_do_not_fit(export: Path, tmp_path: Path, encoder: ToyEncoder) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add([Record(id="b", text="paper")])
        export_space(space, tmp_path / "pq", layout="parquet")
    records_path, vectors_path = tmp_path / "pq/records.parquet", tmp_path / "pq/vectors.parquet"
    good_records, good_vectors = pq.read_table(records_path), pq.read_table(vectors_path)

    def attempt(message: str) -> None:
        described = json.loads((tmp_path / "pq/export.json").read_text())
        described["files"] = digests(tmp_path / "pq", "parquet")
        (tmp_path / "pq/export.json").write_text(json.dumps(described))
        with SemanticSpace.open(None, encoder=encoder) as space:
            with pytest.raises(ExchangeError, match=message):
                import_space(tmp_path / "pq", space)
            assert len(space) == 0

    def with_vector(column: Any) -> Any:
        return good_vectors.set_column(2, "vector", column)

    row = good_vectors["vector"][0].as_py()
    for table, message in [
        (with_vector(pa.array([row])), "not lists of 48 float32"),
        (with_vector(pa.array([row[:-1]], pa.list_(pa.float32(), 47))), "not lists of 48"),
        (with_vector(pa.array([None], pa.list_(pa.float32(), 48))), "lacks values"),
        (with_vector(pa.array([[*row[:-1], None]], pa.list_(pa.float32(), 48))), "lacks values"),
        (with_vector(pa.array([["x"]])), "not lists of 48"),
        (good_vectors.drop_columns(["modality"]), "no column modality"),
        (pa.concat_tables([good_vectors] * 2), "2 rows, not 1"),
        (good_vectors.slice(0, 0), "0 rows, not 1"),
    ]:
        pq.write_table(table, vectors_path)
        attempt(message)
    vectors_path.write_bytes(b"PAR1 nonsense PAR1")
    attempt("cannot be read")
    pq.write_table(good_vectors, vectors_path)
    for name, value, message in [
        ("metadata", "{", "metadata is not JSON"),
        ("metadata", "[1]", "must be an object"),
        ("id", None, "order|string"),
        ("payload", "NaN", "must be an object"),
    ]:
        place = good_records.column_names.index(name)
        pq.write_table(
            good_records.set_column(place, name, pa.array([value], pa.string())), records_path
        )
        attempt(message)
    binary = pa.array([b"\xff\xfe"], pa.binary())
    pq.write_table(good_records.set_column(1, "text", binary), records_path)
    attempt("text must be a string")
