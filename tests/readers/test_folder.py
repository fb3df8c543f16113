"""A folder of pictures and texts, as people have them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import solid
from unisem import Record
from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.readers import FolderReader
from unisem.readers.chunks import chunk_text


def read(folder: Path) -> tuple[dict[str, Record], dict[str, str]]:
    records: dict[str, Record] = {}
    skipped: dict[str, str] = {}
    for item in FolderReader(folder):
        if isinstance(item, Skipped):
            skipped[item.name] = item.reason
        else:
            assert item.id not in records
            records[item.id] = item
    return records, skipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


def test_sidecar_captions(folder: Path) -> None:
    solid("red").save(folder / "tom.png")
    (folder / "tom.txt").write_text("\ufeffTom, a red cat\n", encoding="utf-8")
    solid("blue").save(folder / "plain.jpg")
    records, skipped = read(folder)
    assert not skipped
    assert set(records) == {"photos/tom.png", "photos/plain.jpg"}
    assert records["photos/tom.png"].text == "Tom, a red cat"
    assert records["photos/plain.jpg"].text is None
    assert records["photos/tom.png"].metadata == {"file_name": "tom.png"}


def test_metadata_jsonl_of_the_image_folder_convention(folder: Path) -> None:
    (folder / "train").mkdir()
    for name in ("a.png", "b.png"):
        solid("red").save(folder / "train" / name)
    lines = [
        {"file_name": "a.png", "text": "a caption", "year": 2024, "tags": ["x"]},
        {"file_name": "b.png", "caption": "b caption", "rare": True},
    ]
    (folder / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    records, skipped = read(folder)
    assert not skipped
    assert records["photos/train/a.png"].text == "a caption"
    assert records["photos/train/a.png"].metadata == {
        "file_name": "train/a.png",
        "year": 2024,
        "tags": ["x"],
    }
    assert records["photos/train/b.png"].text == "b caption"


def test_metadata_csv_with_typed_columns(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        solid("red").save(folder / name)
    (folder / "metadata.csv").write_text(
        'file_name,caption,year,size,code\na.png,"1, a cat",2024,1.5,007x\nb.png,2,,2,12\n'
    )
    records, skipped = read(folder)
    assert not skipped
    assert records["photos/a.png"].text == "1, a cat"
    assert records["photos/a.png"].metadata == {
        "file_name": "a.png",
        "year": 2024,
        "size": 1.5,
        "code": "007x",
    }
    assert records["photos/b.png"].text == "2"
    assert records["photos/b.png"].metadata == {"file_name": "b.png", "size": 2.0, "code": "12"}


def test_unusable_lines_and_files_are_reported_not_fatal(folder: Path, tmp_path: Path) -> None:
    solid("red").save(folder / "a.png")
    solid("red").save(tmp_path / "secret.png")
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": "first"}\n'
        "{nonsense\n"
        "[1]\n"
        '{"text": "nameless"}\n'
        '{"file_name": "gone.png", "text": "x"}\n'
        '{"file_name": "../secret.png", "text": "x"}\n'
        '{"file_name": "a.png", "text": "again"}\n'
        '{"file_name": "a.png", "text": 3}\n'
    )
    (folder / "cyrillic.txt").write_bytes("кафе".encode("cp1251"))
    (folder / "empty.txt").write_text("\n")
    (folder / "program.py").write_text("print()")
    records, skipped = read(folder)
    assert {record_id: record.text for record_id, record in records.items()} == {
        "photos/a.png": "first"
    }
    reasons = "\n".join(f"{Path(name).name} {reason}" for name, reason in skipped.items())
    for expected in (
        "metadata.jsonl:2 is not JSON",
        "metadata.jsonl:3 is not a JSON object",
        'metadata.jsonl:4 has no "file_name"',
        "gone.png is listed but does not exist",
        "secret.png leads outside the folder",
        "a.png is described twice",
        'metadata.jsonl:8 "text" must be a string',
        "cyrillic.txt cannot be read as UTF-8",
        "empty.txt is empty",
    ):
        assert expected in reasons
    assert len(skipped) == 9


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("NaN", "is nan"),
        ("1" + "0" * 400, "more than 1000 bits"),
        ("[" * 200 + "]" * 200, "nested deeper"),
        (r'"\ud800"', "not valid Unicode"),
        (r'"a\u0000b"', "NUL"),
    ],
)
def test_a_line_that_metadata_cannot_hold_costs_itself_and_not_its_picture(
    folder: Path, value: str, fault: str
) -> None:
    for name in ("a", "b"):
        solid("red").save(folder / f"{name}.png")
    (folder / "a.txt").write_text("beside it")
    (folder / "metadata.jsonl").write_text(
        f'{{"file_name": "a.png", "text": "a", "x": {value}}}\n'
        '{"file_name": "b.png", "text": "b"}\n'
    )
    records, skipped = read(folder)
    assert {record.id: record.text for record in records.values()} == {
        "photos/a.png": "beside it",
        "photos/b.png": "b",
    }
    assert list(skipped) == [f"{folder / 'metadata.jsonl'}:1"]
    assert fault in skipped[f"{folder / 'metadata.jsonl'}:1"]


def test_integers_that_metadata_cannot_hold_stay_text_in_a_csv(folder: Path) -> None:
    solid("red").save(folder / "a.png")
    (folder / "metadata.csv").write_text(f"file_name,x,y\na.png,{10**302},{10**300}\n")
    records, skipped = read(folder)
    assert records["photos/a.png"].metadata["x"] == str(10**302)
    assert records["photos/a.png"].metadata["y"] == 10**300
    assert not skipped


@pytest.mark.parametrize("name", ["metadata.CSV", "Metadata.csv", "METADATA.CSV"])
def test_a_metadata_file_by_any_of_its_names(folder: Path, name: str) -> None:
    solid("red").save(folder / "a.png")
    (folder / name).write_text("file_name,text\na.png,red\n")
    records, skipped = read(folder)
    assert records["photos/a.png"].text == "red"
    assert not skipped


def test_hidden_files_and_other_spaces_are_passed_over(folder: Path) -> None:
    for place in (".thumbnails", "old.unisem/blobs"):
        (folder / place).mkdir(parents=True)
        solid("red").save(folder / place / "a.png")
    (folder / "old.unisem" / "catalog.sqlite").touch()
    (folder / ".hidden.png").touch()
    assert read(folder) == ({}, {})


def test_texts_are_chunked_and_linked(folder: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 100 for n in range(4)]
    (folder / "long.txt").write_text("\n\n".join(paragraphs))
    (folder / "short.txt").write_text("Just this.")
    records, _ = read(folder)
    assert list(records) == [f"photos/long.txt#{n}" for n in (1, 2, 3, 4)] + ["photos/short.txt"]
    assert records["photos/long.txt#2"].links == {
        "previous": "photos/long.txt#1",
        "next": "photos/long.txt#3",
    }
    assert records["photos/short.txt"].links == {}
    assert len({records[f"photos/long.txt#{n}"].source_id for n in (1, 2, 3, 4)}) == 1


def test_linked_files_outside_the_folder_are_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    records, skipped = read(folder)
    assert not records
    assert "leads outside" in next(iter(skipped.values()))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere is not a folder"):
        FolderReader(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_chunks_lose_nothing_and_fit(size: int) -> None:
    text = (
        "One sentence. Another one! Is this?\n\n" * 9
        + "Donaudampfschifffahrtsgesellschaft\n\n你好。世界。"
    )
    chunks = chunk_text(text, size)
    assert all(0 < len(chunk) <= size for chunk in chunks)
    assert "".join("".join(chunks).split()) == "".join(text.split())


def test_chunks_keep_paragraphs_together() -> None:
    assert chunk_text("aa bb\n\ncc\n\ndd ee ff", size=10) == ["aa bb\n\ncc", "dd ee ff"]
    assert chunk_text(" \n\n ") == []


def test_captions_are_not_read_from_outside_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"file_name": "a.png", "text": "secret"}\n')
    for name in ("a", "b"):
        solid("red").save(folder / f"{name}.png")
    (folder / "b.txt").symlink_to(tmp_path / "secret")
    (folder / "metadata.jsonl").symlink_to(tmp_path / "rows.jsonl")
    records, skipped = read(folder)
    assert [record.text for record in records.values()] == [None, None]
    assert any("leads outside" in reason for reason in skipped.values())


def test_a_pipe_beside_a_picture_does_not_stop_the_reader(folder: Path) -> None:
    solid("red").save(folder / "a.png")
    os.mkfifo(folder / "a.txt")
    os.mkfifo(folder / "metadata.jsonl")
    os.mkfifo(folder / "notes.txt")
    records, skipped = read(folder)
    assert [record.text for record in records.values()] == [None]
    assert all("not a regular file" in reason for reason in skipped.values())
    assert len(skipped) == 3


@pytest.mark.parametrize(
    "name", ["tom.txt", "tom.TXT", "tom.Txt", "tom.tXt", "tom.PNG.txt", "tom.PNG.TXT"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_captions_by_any_of_their_names(folder: Path, name: str, encoding: str) -> None:
    solid("red").save(folder / "tom.PNG")
    (folder / name).write_text("Tom, a käfer\n", encoding=encoding)
    records, skipped = read(folder)
    assert {record.text for record in records.values()} == {"Tom, a käfer"}
    assert set(records) == {"photos/tom.PNG"}
    assert not skipped


def test_the_whole_name_comes_first_and_an_unused_caption_is_a_text(folder: Path) -> None:
    solid("red").save(folder / "tom.png")
    (folder / "tom.png.txt").write_text("Tom")
    (folder / "tom.txt").write_text("About Tom")
    records, skipped = read(folder)
    assert records["photos/tom.png"].text == "Tom"
    assert records["photos/tom.txt"].text == "About Tom"
    assert not skipped


def test_a_caption_that_is_not_used_is_listed(folder: Path) -> None:
    for name in ("a", "b", "c"):
        solid("red").save(folder / f"{name}.png")
    (folder / "a.txt").write_bytes("жук".encode("cp1251"))
    (folder / "b.txt").write_text("another")
    (folder / "c.txt").write_text("the same\n")
    (folder / "metadata.csv").write_text("file_name,text\nb.png,one\nc.png,the same\n")
    records, skipped = read(folder)
    assert [record.text for record in records.values()] == [None, "one", "the same"]
    assert "cannot be read as UTF-8 text (byte 1)" in skipped[str(folder / "a.txt")]
    assert "is not used" in skipped[str(folder / "b.txt")]
    assert len(skipped) == 2


@pytest.mark.parametrize("name", ["self.png", "self.txt", "metadata.csv"])
def test_a_link_that_points_at_itself_is_listed(folder: Path, name: str) -> None:
    solid("red").save(folder / "a.png")
    (folder / name).symlink_to(name)
    (folder / "round").symlink_to(".")
    items = list(FolderReader(folder))
    pictures = [item for item in items if isinstance(item, Record) and item.image is not None]
    assert pictures[0].id == "photos/a.png"
    reasons = {item.name: item.reason for item in items if isinstance(item, Skipped)}
    assert "is a link to a folder" in reasons.pop(str(folder / "round"))
    if name == "self.png":  # found when it is opened
        assert pictures[1].image is not None
        with pytest.raises(ImageError, match="cannot be read"):
            pictures[1].image.read_bytes()
    else:
        assert "cannot be read" in reasons[str(folder / name)]


def test_what_systems_and_tools_keep_is_left_out(folder: Path) -> None:
    for place in ("@eaDir/a.png", "node_modules/x", ".git", "__MACOSX", "deep/#recycle"):
        (folder / place).mkdir(parents=True)
        solid("red").save(folder / place / "thumb.png")
        (folder / place / "readme.md").write_text("words")
    (folder / "Thumbs.db").touch()
    reader = FolderReader(folder)
    assert list(reader) == []
    assert reader.ignored == {}
    assert reader.left_out == {
        "#recycle": 1,
        ".git": 1,
        "@eaDir": 1,
        "Thumbs.db": 1,
        "__MACOSX": 1,
        "node_modules": 1,
    }


@pytest.mark.parametrize(
    ("exclude", "include", "kept"),
    [
        ([], [], ["a.png", "b.png", "drafts/a.png", "deep/drafts/c.png"]),
        (["Drafts"], [], ["a.png", "b.png"]),
        (["drafts/"], [], ["a.png", "b.png"]),
        (["./deep/drafts"], [], ["a.png", "b.png", "drafts/a.png"]),
        (["a.*"], [], ["b.png", "deep/drafts/c.png"]),
        (["drafts/a.png"], [], ["a.png", "b.png", "deep/drafts/c.png"]),
        (["drafts"], ["@EADIR"], ["a.png", "b.png", "@eaDir/t.png"]),
        (["drafts", "@*"], ["@eaDir"], ["a.png", "b.png"]),
        (["*"], [".*"], []),
    ],
)
def test_what_is_left_out_and_taken_in_by_patterns(
    folder: Path, exclude: list[str], include: list[str], kept: list[str]
) -> None:
    places = ("a.png", "b.png", "drafts/a.png", "deep/drafts/c.png", "@eaDir/t.png", ".h/h.png")
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        solid("red").save(folder / place)
    reader = FolderReader(folder, exclude=exclude, include=include)
    assert {it.id for it in reader if isinstance(it, Record)} == {
        f"{folder.name}/{it}" for it in kept
    }
    for pattern in exclude:
        assert reader.left_out[pattern.rstrip("/").removeprefix("./")]


@pytest.mark.parametrize("pattern", ["", "/", ".", "../x", "/etc", "a/../.."])
def test_a_pattern_that_is_none_is_refused(folder: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of files in the folder"):
        FolderReader(folder, exclude=[pattern])
    with pytest.raises(TypeError, match="must be a list of patterns"):
        FolderReader(folder, exclude="drafts")


def test_kinds_that_nothing_reads_are_counted(folder: Path) -> None:
    for name in ("a.mov", "b.MOV", "c.zip", "LICENSE", "metadata.jsonl", "notes.txt"):
        (folder / name).write_text("x")
    reader = FolderReader(folder)
    assert reader.ignored == {"": 1, ".mov": 2, ".zip": 1}
    assert [item.name for item in reader.unread()] == ["*", "*.mov", "*.zip"]


@pytest.mark.parametrize("name", ["photo.txt", "PHOTO.TXT", "photo.jpg.txt", "Photo.JPG.Txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_captions_as_people_write_them(folder: Path, name: str, encoding: str) -> None:
    solid("red").save(folder / "photo.jpg")
    (folder / name).write_bytes("Ein Käfer – „grün“, très joli\r\n".encode(encoding))
    records, skipped = read(folder)
    assert not skipped
    (record,) = records.values()
    (alone,) = FolderReader(folder).read_one(folder / "photo.jpg")
    assert record.text == "Ein Käfer – „grün“, très joli"
    assert alone == record


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("жук", "cp1251"), ("甲虫", "gb18030"), ("カブトムシ", "cp932"), ("chrząszcz", "cp1250")],
)
def test_encodings_that_only_could_be_guessed_are_listed(
    folder: Path, text: str, encoding: str
) -> None:
    solid("red").save(folder / "photo.jpg")
    (folder / "photo.txt").write_bytes(text.encode(encoding))
    records, skipped = read(folder)
    assert [record.text for record in records.values()] == [None]
    assert "is no caption: cannot be read as UTF-8" in skipped[str(folder / "photo.txt")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["file_name text", "File|Name Caption", "Filename TEXT"])
def test_tables_as_excel_writes_them(
    folder: Path, encoding: str, separator: str, header: str
) -> None:
    solid("red").save(folder / "a.png")
    columns = [name.replace("|", " ") for name in (*header.split(), "Year")]
    rows = [columns, ["a.png", "ein Käfer", "2024"]]
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    (folder / "metadata.csv").write_bytes(text.encode(encoding))
    records, skipped = read(folder)
    assert not skipped
    (record,) = records.values()
    assert (record.text, record.metadata) == ("ein Käfer", {"file_name": "a.png", "Year": 2024})


def test_a_live_photo_is_one_record_that_names_its_film(folder: Path) -> None:
    names = ("IMG_1.HEIC", "img_1.MOV", "IMG_2.JPG", "IMG_3.mov", "a.png", "a.mov", "A.xmp")
    for name in names:
        (folder / name).write_bytes(b"x")
    records, skipped = read(folder)
    assert not skipped
    assert {record.id: record.metadata for record in records.values()} == {
        "photos/IMG_1.HEIC": {"file_name": "IMG_1.HEIC", "video": "img_1.MOV"},
        "photos/IMG_2.JPG": {"file_name": "IMG_2.JPG"},
        "photos/a.png": {"file_name": "a.png"},
    }
    reader = FolderReader(folder)
    assert reader.ignored == {".mov": 2}
    (alone,) = reader.read_one(folder / "IMG_1.HEIC")
    assert isinstance(alone, Record)
    assert alone.metadata == records["photos/IMG_1.HEIC"].metadata


def test_a_document_whose_links_cannot_be_read_stops_nothing(folder: Path) -> None:
    solid("red").save(folder / "a.png")
    (folder / "broken.ipynb").write_text("{")
    picture, document = FolderReader(folder)
    assert (picture.id, document.format.name) == ("photos/a.png", "Jupyter notebook")  # type: ignore[union-attr]


@pytest.mark.parametrize("suffix", [b"png", b"txt", b"md", b"html"])
def test_a_name_that_is_not_unicode_is_listed_for_its_name(folder: Path, suffix: bytes) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(folder) + b"/gr\xfc\xdfe." + suffix))).write_bytes(b"hello")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    records, skipped = read(folder)
    assert not records
    (reason,) = skipped.values()
    assert "has a name that is not Unicode" in reason


@pytest.mark.parametrize("name", ["metadata.csv", "METADATA.CSV"])
def test_a_table_of_excel(folder: Path, name: str) -> None:
    for number in range(3):
        solid("red").save(folder / f"{number}.png")
    lines = ["file_name;text;year", *(f"{n}.png;Bild, Nummer {n};{2020 + n}" for n in range(3))]
    (folder / name).write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    records, skipped = read(folder)
    assert not skipped
    assert [record.text for record in records.values()] == [f"Bild, Nummer {n}" for n in range(3)]
    assert [record.metadata["year"] for record in records.values()] == [2020, 2021, 2022]


def test_a_table_without_its_column_is_listed_once(folder: Path) -> None:
    solid("red").save(folder / "a.png")
    (folder / "metadata.csv").write_text("file,text\n" + "a.png,x\n" * 9)
    records, skipped = read(folder)
    assert len(records) == 1
    assert skipped == {
        str(folder / "metadata.csv"): "has no column 'file_name'; it has 'file', 'text'"
    }


def test_a_folder_that_cannot_be_entered_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "closed").mkdir()
    solid("red").save(folder / "a.png")
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    records, skipped = read(folder)
    assert len(records) == 1
    assert skipped == {str(folder / "closed"): "cannot be read (Permission denied)"}


def test_one_file_is_read_as_with_its_whole_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "cats").mkdir()
    for name in ("a.png", "b.png", "cats/c.png", "cats/d.png"):
        solid("red").save(folder / name)
    (folder / "b.txt").write_text("beside")
    (folder / "long.txt").write_text("They purr. " * 300)
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": "a"}\n{"file_name": "cats/c.png", "text": "c"}\n{}\n'
    )
    (folder / "cats" / "metadata.csv").write_text("file_name,text,year\nc.png,no,1\nd.png,d,2\n")
    reader = FolderReader(folder)
    whole: dict[Path | None, list[Record]] = {}
    for item in reader:
        if isinstance(item, Record):
            whole.setdefault(Path(item.source_id or ""), []).append(item)
    assert len(whole) == 5
    reasons = []
    for path, records in whole.items():
        found = list(reader.read_one(path))
        assert [item for item in found if isinstance(item, Record)] == records
        reasons += [item.reason for item in found if isinstance(item, Skipped)]
    assert reasons == ['has no "file_name"'], "a table is read once, and what is wrong said once"
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "another cat"}')
    (again,) = reader.read_one(folder / "a.png")
    assert isinstance(again, Record)
    assert again.text == "another cat"
    solid("red").save(tmp_path / "outside.png")
    with pytest.raises(ValueError, match="is not in the reader's folder"):
        list(reader.read_one(tmp_path / "outside.png"))
