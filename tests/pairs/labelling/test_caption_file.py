"""Captions in a folder's files: the reader finds them, and other lines stay as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.pictures import solid
from unisem import Record
from unisem.errors import LabelError
from unisem.pairs.labelling.caption_file import remove_caption, write_caption
from unisem.readers import FolderReader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    (folder / "more").mkdir(parents=True)
    solid("red").save(folder / "red.png")
    solid("blue").save(folder / "more" / "blue.png")
    return folder


def read(folder: Path) -> dict[str, str | None]:
    found = list(FolderReader(folder))
    return {it.id: it.text for it in found if isinstance(it, Record)}


OTHERS = b'\xef\xbb\xbf{"file_name": "gone.png",  "text": "x"}\r\n\n{broken\n["a list"]\n'


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_is_added_and_taken_out(folder: Path, end: bytes) -> None:
    table = folder / "metadata.jsonl"
    table.write_bytes(OTHERS.rstrip() + end)
    picture = folder / "more" / "blue.png"
    assert write_caption(picture, folder, "bleu — 蓝") == table
    content = table.read_bytes()
    assert content.startswith(OTHERS.rstrip() + b"\n")
    assert json.loads(content.splitlines()[-1]) == {
        "file_name": "more/blue.png",
        "text": "bleu — 蓝",
    }
    assert read(folder)["cards/more/blue.png"] == "bleu — 蓝"
    write_caption(picture, folder, "blue")
    assert read(folder)["cards/more/blue.png"] == "blue"
    remove_caption(picture, folder, "bleu — 蓝")
    assert read(folder)["cards/more/blue.png"] == "blue", "only what was written is taken out"
    remove_caption(picture, folder, "blue")
    assert table.read_bytes() == OTHERS.rstrip() + end
    remove_caption(picture, folder, "blue")
    assert table.read_bytes() == OTHERS.rstrip() + end
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_the_line_that_describes_it_is_changed_wherever_it_is(folder: Path) -> None:
    inner = folder / "more" / "metadata.jsonl"
    inner.write_text('{"file_name": "./blue.png", "caption": "old", "year": 1}\n{"file_name": "b"}')
    write_caption(folder / "more" / "blue.png", folder, "new")
    first, second = inner.read_text().splitlines()
    assert json.loads(first) == {"file_name": "./blue.png", "caption": "new", "year": 1}
    assert second == '{"file_name": "b"}'
    assert not (folder / "metadata.jsonl").exists()
    assert read(folder)["cards/more/blue.png"] == "new"
    remove_caption(folder / "more" / "blue.png", folder, "new")
    assert json.loads(inner.read_text().splitlines()[0]) == {"file_name": "./blue.png", "year": 1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            b'\xef\xbb\xbf{"n": 1e400, "file_name":"red.png" ,"e": "\\u00e9" }\r\n\r\n',
            b'\xef\xbb\xbf{"n": 1e400, "file_name":"red.png" ,"e": "\\u00e9"'
            b', "text": "r\xc3\xa9d" }\r\n\r\n',
        ),
        (
            b'{"text": "a", "text" : null, "file_name": "red.png", "n": [1.0,{"text": 2}]}',
            b'{"text": "a", "text" : "r\xc3\xa9d", "file_name": "red.png", "n": [1.0,{"text": 2}]}',
        ),
    ],
)
def test_all_but_the_caption_stays_as_it_is_in_its_line(
    folder: Path, before: bytes, after: bytes
) -> None:
    """Numbers that no JSON writer gives back, blanks, escapes, the line's end."""
    table = folder / "metadata.jsonl"
    table.write_bytes(before)
    write_caption(folder / "red.png", folder, "réd")
    assert table.read_bytes() == after
    remove_caption(folder / "red.png", folder, "réd")
    without = before.replace(b'"text": "a", "text" : null, ', b"")
    assert table.read_bytes() == without


def test_several_captions_leave_no_trace(folder: Path) -> None:
    """Taken out in the order in which they were written, and the other way round."""
    table = folder / "metadata.jsonl"
    pictures = [folder / "red.png", folder / "more" / "blue.png"]
    for before in (b'{"a": 1}', b'{"a": 1}\n', b""):
        for order in (pictures, pictures[::-1]):
            table.write_bytes(before)
            for picture in pictures:
                write_caption(picture, folder, "a card")
            assert set(read(folder).values()) == {"a card"}
            for picture in order:
                remove_caption(picture, folder, "a card")
            assert table.read_bytes() == before


def test_what_cannot_be_written_to_is_told_and_stays(folder: Path, tmp_path: Path) -> None:
    picture = folder / "red.png"
    sheet = folder / "metadata.csv"
    sheet.write_text("file_name,text\nred.png,\n")
    with pytest.raises(LabelError, match=r"metadata\.csv describes red\.png.*red\.png\.txt"):
        write_caption(picture, folder, "red")
    sheet.unlink()
    outside = tmp_path / "outside.jsonl"
    outside.write_text("")
    (folder / "metadata.jsonl").symlink_to(outside)
    with pytest.raises(LabelError, match="cannot be read"):
        write_caption(picture, folder, "red")
    assert outside.read_text() == ""
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.jsonl").write_bytes("{}".encode("utf-16"))
    with pytest.raises(LabelError, match="UTF-16"):
        write_caption(picture, folder, "red")
    (folder / "metadata.jsonl").write_bytes('{"file_name": "né"}'.encode("cp1252"))
    with pytest.raises(LabelError, match="not UTF-8"):
        write_caption(picture, folder, "red")
