"""A folder of pictures and texts, as people have them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.pictures import solid
from unisem import Record
from unisem.common.skipped import Skipped
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
    (folder / "latin.md").write_bytes(b"caf\xe9")
    (folder / "empty.md").write_text("\n")
    (folder / "photo.heic").write_bytes(b"x")
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
        "latin.md cannot be read as UTF-8",
        "empty.md is empty",
        "photo.heic .heic is not supported",
    ):
        assert expected in reasons
    assert len(skipped) == 10


def test_nan_in_metadata_is_reported(folder: Path) -> None:
    solid("red").save(folder / "a.png")
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "x": NaN}\n')
    records, skipped = read(folder)
    assert not records
    assert "nan" in next(iter(skipped.values()))


def test_hidden_files_and_other_spaces_are_passed_over(folder: Path) -> None:
    for place in (".thumbnails", "old.unisem/blobs"):
        (folder / place).mkdir(parents=True)
        solid("red").save(folder / place / "a.png")
    (folder / "old.unisem" / "catalog.sqlite").touch()
    (folder / ".hidden.png").touch()
    assert read(folder) == ({}, {})


def test_texts_are_chunked_and_linked(folder: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 100 for n in range(4)]
    (folder / "long.md").write_text("\n\n".join(paragraphs))
    (folder / "short.txt").write_text("Just this.")
    records, _ = read(folder)
    assert list(records) == [f"photos/long.md#{n}" for n in (1, 2, 3, 4)] + ["photos/short.txt"]
    assert records["photos/long.md#2"].links == {
        "previous": "photos/long.md#1",
        "next": "photos/long.md#3",
    }
    assert records["photos/short.txt"].links == {}
    assert len({records[f"photos/long.md#{n}"].source_id for n in (1, 2, 3, 4)}) == 1


def test_linked_files_outside_the_folder_are_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
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
    os.mkfifo(folder / "notes.md")
    records, skipped = read(folder)
    assert [record.text for record in records.values()] == [None]
    assert all("not a regular file" in reason for reason in skipped.values())
    assert len(skipped) == 2
