"""Every format gives the same pairs, and what is wrong or hostile in one is reported."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import encoded, noise
from unisem.errors import ImageError, TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs import PairDataset, check_pairs
from unisem.pairs.sources.tables import Columns

CAPTIONS = {"a.png": "a red tiger", "sub/b.png": "a blue word"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(CAPTIONS):
        noise(number).save(folder / name)
    return folder


def found(dataset: PairDataset) -> list[tuple[bytes, str]]:
    return sorted((pair.image.read_bytes(), pair.caption) for pair in dataset)


def expected(folder: Path) -> list[tuple[bytes, str]]:
    return sorted(((folder / name).read_bytes(), text) for name, text in CAPTIONS.items())


def reasons(dataset: PairDataset) -> list[str]:
    return [item.reason for item in dataset.skipped]


def rows(**names: str) -> list[dict[str, str]]:
    image, caption = names.get("image", "filepath"), names.get("caption", "title")
    return [{image: name, caption: text} for name, text in CAPTIONS.items()]


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    elif path.suffix == ".parquet":
        import pyarrow as arrow
        from pyarrow import parquet

        parquet.write_table(arrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            separator = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
    return path


def test_folder(pictures: Path) -> None:
    for name, text in CAPTIONS.items():
        (pictures / name).with_suffix(".txt").write_text(text)
    noise(9).save(pictures / "silent.png")
    (pictures / "about.txt").write_text("A text, no picture.")
    dataset = PairDataset.read(pictures)
    assert found(dataset) == expected(pictures)
    assert reasons(dataset) == ["has no caption"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_tables(pictures: Path, suffix: str) -> None:
    table = write_table(pictures / f"t{suffix}", rows())
    assert found(PairDataset.read(table)) == expected(pictures)
    elsewhere = write_table(pictures.parent / f"t{suffix}", rows(image="path", caption="said"))
    columns = Columns("path", "said")
    assert found(PairDataset.read(elsewhere, columns=columns, image_root=pictures)) == expected(
        pictures
    )


def test_a_csv_with_tabs(pictures: Path) -> None:
    table = write_table(pictures / "t.tsv", rows()).rename(pictures / "t.csv")
    dataset = PairDataset.read(table, columns=Columns(separator="\t"))
    assert found(dataset) == expected(pictures)
    assert found(PairDataset.read(table)) == expected(pictures)  # open_clip writes them so


def test_a_quote_that_is_not_closed_takes_no_rows_unnoticed(pictures: Path) -> None:
    lines = ["filepath,title", "a.png,one", 'a.png,"two', "a.png,three", 'a.png,"four"', "a.png,5"]
    (pictures / "t.csv").write_text("\n".join(lines))
    dataset = PairDataset.read(pictures / "t.csv")
    assert dataset.captions == ["one", "5"]
    assert [item.name.rpartition(":")[2] for item in dataset.skipped] == ["5"]
    (pictures / "t.csv").write_text("\n".join(lines[:4]))
    dataset = PairDataset.read(pictures / "t.csv")
    assert dataset.captions == ["one"]
    assert "is not a row" in reasons(dataset)[0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_missing_columns_are_named(pictures: Path, suffix: str) -> None:
    table = write_table(pictures / f"t{suffix}", rows(image="path"))
    with pytest.raises(TrainingError, match=r"no column 'filepath'; it has 'path', 'title'"):
        PairDataset.read(table)


def test_bad_lines_are_skipped(pictures: Path) -> None:
    table = pictures / "t.jsonl"
    lines = [
        '{"filepath": "a.png", "title": ["one", "two"]}',
        "no json",
        "[]",
        '{"title": "no path"}',
        '{"filepath": "a.png", "title": 3}',
        "",
        "[" * 100_000,
    ]
    table.write_text("\n".join(lines))
    dataset = PairDataset.read(table)
    assert dataset.captions == ["one", "two"]
    assert len(set(dataset.document_ids.tolist())) == 1
    assert [item.name.rpartition(":")[2] for item in dataset.skipped] == ["2", "3", "4", "5", "7"]


def test_coco_has_several_captions_of_a_picture(pictures: Path) -> None:
    images = [{"id": n, "file_name": name} for n, name in enumerate(CAPTIONS)]
    annotations: list[Any] = [
        {"image_id": n, "caption": f" {text} "} for n, text in enumerate(CAPTIONS.values())
    ]
    annotations += [{"image_id": 0, "caption": "again"}, {"image_id": 7, "caption": "gone"}, 3]
    file = pictures.parent / "captions.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    dataset = PairDataset.read(file, image_root=pictures)
    assert dataset.captions == ["a red tiger", "a blue word", "again"]
    assert dataset.document_ids.tolist() == [0, 1, 0]
    assert reasons(dataset) == ["its image_id 7 is not among the images", 'has no "caption"']


@pytest.mark.parametrize("content", ["no json", "[]", '{"images": []}', "[" * 100_000])
def test_what_is_no_coco_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "captions.json"
    file.write_text(content)
    with pytest.raises(TrainingError, match=r"captions\.json"):
        PairDataset.read(file)


class Boom:
    """An object whose unpickling leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_shards(pictures: Path, tmp_path: Path) -> None:
    shard = write_shard(
        tmp_path / "0.tar",
        {
            "0.png": (pictures / "a.png").read_bytes(),
            "0.txt": b"a red tiger\n",
            "1.png": (pictures / "sub/b.png").read_bytes(),
            "1.json": json.dumps({"caption": "a blue word"}).encode(),
            "2.png": encoded(noise(3)),
            "3.txt": b"no picture",
            "4.png": b"no picture either",
            "4.txt": b"x",
        },
    )
    dataset = PairDataset.read(shard, unpack_to=tmp_path / "unpacked")
    assert found(dataset) == expected(pictures)
    assert len(dataset.skipped) == 3
    assert all(pair.image.root == tmp_path / "unpacked" for pair in dataset)
    folder = tmp_path / "shards"
    folder.mkdir()
    shard.rename(folder / "0.tar")
    assert found(PairDataset.read(folder, unpack_to=tmp_path / "unpacked")) == expected(pictures)
    with pytest.raises(TrainingError, match="unpack_to"):
        PairDataset.read(folder)


def test_nothing_in_a_shard_is_unpickled(pictures: Path, tmp_path: Path) -> None:
    import pickle

    mark = tmp_path / "mark"
    bomb = pickle.dumps(Boom(mark))
    picture = (pictures / "a.png").read_bytes()
    members = {"0.png": picture, "0.txt": b"a red tiger", "0.pkl": bomb, "0.pyd": bomb}
    shard = write_shard(tmp_path / "0.tar", members | {"0.pickle": bomb, "0.pth": bomb})
    dataset = PairDataset.from_shards([shard], tmp_path / "unpacked")
    assert len(dataset) == 1
    assert not mark.exists()
    assert {item.name for item in dataset.skipped} == {"*.pkl", "*.pyd", "*.pickle", "*.pth"}


def test_members_cannot_leave_the_folder_and_names_run_no_shell(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = (pictures / "a.png").read_bytes()
    write_shard(tmp_path / "0.tar", {"../../evil.png": picture, "../../evil.txt": b"x"})
    dataset = PairDataset.from_shards([tmp_path / "0.tar"], tmp_path / "unpacked")
    assert not list(tmp_path.parent.glob("evil*"))
    assert all(pair.image.path and "evil" not in pair.image.path.name for pair in dataset)
    with pytest.raises(TrainingError, match="cannot be read as a tar shard"):
        PairDataset.from_shards(["pipe:mkdir mark"], tmp_path / "unpacked")
    assert not (tmp_path / "mark").exists()


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(TrainingError, match=r"0\.tar cannot be read"):
        PairDataset.read(tmp_path / "0.tar", unpack_to=tmp_path)


def test_a_shard_s_json_may_have_several_captions(pictures: Path, tmp_path: Path) -> None:
    picture = (pictures / "a.png").read_bytes()
    members = {"0.png": picture, "0.json": b'{"caption": ["one ", "two"]}'}
    members |= {"1.png": picture, "1.json": b'{"caption": [1]}', "2.png": picture}
    members |= {"2.json": b"[" * 100_000}
    dataset = PairDataset.read(write_shard(tmp_path / "0.tar", members), unpack_to=tmp_path / "u")
    assert dataset.captions == ["one", "two"]
    assert len(set(dataset.document_ids.tolist())) == 1
    assert ["caption" in reason for reason in reasons(dataset)] == [True, True]


def test_an_image_folder_of_hugging_face(pictures: Path, tmp_path: Path) -> None:
    """It carries paths, which must lie in the folder that the caller names."""
    from datasets import Dataset, Features, Image, Value

    noise(5).save(pictures.parent / "secret.png")
    names = [str(pictures / "a.png"), "sub/b.png", str(pictures.parent / "secret.png")]
    dataset = Dataset.from_dict(
        {
            "image": [*({"bytes": None, "path": name} for name in names), None],
            "caption": [*CAPTIONS.values(), "secret", "none"],
        },
        Features({"image": Image(), "caption": Value("string")}),
    )
    read = PairDataset.from_dataset(dataset, tmp_path / "u", image_root=pictures)
    assert reasons(read) == ["has no picture"]
    checked = check_pairs(read)
    assert found(checked.dataset) == expected(pictures)
    assert "outside the allowed folder" in checked.report.broken[0].reason


def test_a_hugging_face_dataset(pictures: Path, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict, Features, Image, Value

    features = Features({"image": Image(), "caption": Value("string")})
    pictured = [{"bytes": (pictures / name).read_bytes(), "path": None} for name in CAPTIONS]
    columns = {"image": pictured, "caption": list(CAPTIONS.values())}
    dataset = Dataset.from_dict(columns, features)
    assert found(PairDataset.from_dataset(dataset, tmp_path / "u")) == expected(pictures)

    secret = {"bytes": None, "path": str(pictures / "a.png")}
    hostile = Dataset.from_dict({"image": [secret], "caption": ["x"]}, features)
    read = PairDataset.from_dataset(hostile, tmp_path / "u")
    assert len(read) == 0
    assert "not carried as bytes" in reasons(read)[0]
    with pytest.raises(TrainingError, match="no column 'text'"):
        PairDataset.from_dataset(dataset, tmp_path / "u", caption="text")
    with pytest.raises(TrainingError, match="is not of the type"):
        PairDataset.from_dataset(dataset, tmp_path / "u", image="caption")
    with pytest.raises(TrainingError, match="one split"):
        PairDataset.from_dataset(DatasetDict({"train": dataset}), tmp_path / "u")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "link.png"])
def test_a_path_that_leads_out_is_not_opened(pictures: Path, name: str) -> None:
    noise(5).save(pictures.parent / "secret.png")
    (pictures / "link.png").symlink_to(pictures.parent / "secret.png")
    table = write_table(pictures / "t.jsonl", [{"filepath": name, "title": "x"}])
    dataset = PairDataset.read(table)
    with pytest.raises(ImageError, match="outside the allowed folder"):
        dataset[0].image.read_bytes()
    checked = check_pairs(dataset)
    assert len(checked.dataset) == 0
    assert len(checked.report.broken) == 1


@pytest.mark.parametrize("name", ["nothing", "file.xyz"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.xyz").write_text("")
    with pytest.raises(TrainingError, match=name):
        PairDataset.read(tmp_path / name)


def test_unpacked_pictures_are_written_once(tmp_path: Path) -> None:
    from unisem.pairs.sources.unpacking import Unpacked

    unpacked = Unpacked(tmp_path / "u")
    data = encoded(noise(1), "JPEG")
    one, other = unpacked.add(data, "one"), unpacked.add(data, "other")
    assert one == other
    assert one.path is not None
    assert one.path.suffix == ".jpeg"
    assert [p for p in (tmp_path / "u").rglob("*") if p.is_file()] == [one.path]
    assert ImageRef.of(one.path).read_bytes() == data


def test_a_table_of_excel(pictures: Path) -> None:
    lines = ["filepath;title;id", "a.png;a red tiger; one;1", 'sub/b.png;"a blue; word";01']
    (pictures / "t.csv").write_text("\r\n".join(lines), encoding="utf-16", newline="")
    dataset = PairDataset.read(pictures / "t.csv")
    assert dataset.captions == ["a blue; word"]
    assert reasons(dataset) == ["has more cells than the header"]


def test_rows_that_are_no_text_cost_themselves(pictures: Path) -> None:
    rows = [b"filepath,title", b"a.png,one", b"a.png,zw\xf6lf", b"a.png,t\0o", b"a.png,last"]
    (pictures / "t.csv").write_bytes(b"\n".join(rows))
    dataset = PairDataset.read(pictures / "t.csv")
    assert dataset.captions == ["one", "last"]
    assert [item.name.rpartition(":")[2] for item in dataset.skipped] == ["3", "4"]
    (pictures / "t.jsonl").write_bytes(
        b'{"filepath": "a.png", "title": "\xe4"}\n{"filepath": "a.png", "title": "good"}\n'
        b'{"filepath": "a.png", "title": "x", "n": ' + b"9" * 5000 + b"}"
    )
    dataset = PairDataset.read(pictures / "t.jsonl")
    assert dataset.captions == ["good"]
    assert [item.name.rpartition(":")[2] for item in dataset.skipped] == ["1", "3"]


def test_a_long_cell_is_one_caption(pictures: Path) -> None:
    (pictures / "t.csv").write_text('filepath,title\na.png,"' + "long " * 50_000 + '"\na.png,x\n')
    assert [len(text) for text in PairDataset.read(pictures / "t.csv").captions] == [250_000, 1]


def test_a_damaged_shard_costs_itself(pictures: Path, tmp_path: Path) -> None:
    picture = (pictures / "a.png").read_bytes()
    shards = [
        write_shard(tmp_path / f"{n}.tar", {"x.png": picture, "x.txt": text})
        for n, text in enumerate([b"one", "zwölf".encode("utf-16"), b"cut"])
    ]
    shards[2].write_bytes(shards[2].read_bytes()[:700])
    (tmp_path / "3.tar").write_bytes(b"no tar" * 200)
    dataset = PairDataset.from_shards([*shards, tmp_path / "3.tar"], tmp_path / "u")
    assert dataset.captions == ["one", "zwölf"]
    assert {Path(item.name).name for item in dataset.skipped} >= {"2.tar", "3.tar"}


def test_a_folder_s_captions_and_kinds(pictures: Path) -> None:
    (pictures / "a.png.TXT").write_text("a red tiger")
    (pictures / "sub" / "b.txt").write_bytes("кот".encode("cp1251"))
    (pictures / "film.mov").touch()
    (pictures / "self.png").symlink_to("self.png")
    (pictures / "self.txt").write_text("round")
    dataset = check_pairs(PairDataset.read(pictures))
    assert dataset.dataset.captions == ["a red tiger"]
    unread = {Path(item.name).name: item.reason for item in dataset.report.unread}
    assert "cannot be read as UTF-8" in unread["b.txt"]
    assert unread["b.png"] == "has no caption"
    assert unread["*.mov"] == "1 of this kind, which is not read"
    assert [Path(item.name).name for item in dataset.report.broken] == ["self.png"]


def test_coco_in_utf_16(pictures: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "caption": "zwölf"}],
    }
    text = json.dumps(content, ensure_ascii=False)
    (pictures / "c.json").write_text(text, encoding="utf-16")
    assert PairDataset.read(pictures / "c.json").captions == ["zwölf"]
    (pictures / "c.json").write_text(text.replace("1", "9" * 5000))
    with pytest.raises(TrainingError, match=r"c\.json cannot be read"):
        PairDataset.read(pictures / "c.json")
