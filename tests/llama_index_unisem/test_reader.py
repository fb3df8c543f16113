"""`UniSemImageReader`: captions, digests, stable ids; bad files named and left out."""

from __future__ import annotations

import base64
import copy
import csv
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import SimpleDirectoryReader
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.readers.base import BaseReader, ReaderConfig
from llama_index.core.schema import Document, ImageDocument, MetadataMode
from PIL import Image

from llama_index_unisem import UniSemImageReader
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import COLOURS
from unisem.common.skipped import Skipped
from unisem.readers import FolderReader
from unisem.readers.documents.document import records_of
from unisem.records import Record


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Captions in all the ways there are, none, and texts."""
    folder = tmp_path / "photos"
    (folder / "cats").mkdir(parents=True)
    solid("red").save(folder / "tom.jpg")
    solid("blue").save(folder / "tim.png")
    (folder / "tim.txt").write_text("Tim, a blue cat")
    solid("green").save(folder / "bare.webp")
    solid("black").save(folder / "cats" / "nox.png")
    solid("white").save(folder / "cats" / "snow.png")
    lines = [
        {"file_name": "tom.jpg", "text": "Tom, a red cat", "year": 2024},
        {"file_name": "cats/nox.png", "caption": "Nox", "year": 2020},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    with (folder / "cats" / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["file_name", "caption", "year"], ["snow.png", "Snow", "2021"]])
        rows.writerow(["nox.png", "somebody else", "1"])
    (folder / "about.txt").write_text("All about cats.\n\n" + "They purr. " * 300)
    return folder


EXPECTED = {
    "photos/tom.jpg": ("Tom, a red cat", 2024),
    "photos/tim.png": ("Tim, a blue cat", None),
    "photos/bare.webp": ("", None),
    "photos/cats/nox.png": ("Nox", 2020),
    "photos/cats/snow.png": ("Snow", 2021),
}


def check_picture(document: Document, file: Path) -> None:
    assert isinstance(document, ImageDocument)
    caption, year = EXPECTED[document.id_]
    assert (document.text, document.metadata.get("year")) == (caption, year)
    assert document.image_path == str(file)
    assert document.image is None, "no bytes travel"
    assert document.metadata["file_path"] == str(file)
    assert document.metadata["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert document.metadata["file_name"] == document.id_.removeprefix("photos/")
    kind = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}[file.suffix]
    assert document.image_mimetype == kind


def test_captions_and_metadata_are_those_of_the_core_reader(photos: Path) -> None:
    reader = UniSemImageReader(photos)
    documents = {document.id_: document for document in reader.load_data()}
    for record in FolderReader(photos, chunk_size=10**9):
        if isinstance(record, Skipped):
            continue
        document = documents.pop(record.id)
        assert document.text == (record.text or "")
        assert {**document.metadata, **record.metadata} == document.metadata
        if record.image is not None:
            assert record.image.path is not None
            check_picture(document, record.image.path)
        else:
            assert not isinstance(document, ImageDocument)
            assert len(document.text) > 3000, "texts are whole; splitters cut them"
    assert not documents
    assert [skipped.reason for skipped in reader.skipped] == [
        "is described twice; the first line counts"
    ]


def test_single_files_are_read_as_in_their_folder(photos: Path) -> None:
    reader = UniSemImageReader(photos)
    whole = {document.id_: document for document in reader.load_data()}
    for document in whole.values():
        alone = reader.load_data(document.metadata["file_path"])
        assert [single.to_dict() for single in alone] == [document.to_dict()]
    (photos / "metadata.jsonl").write_text('{"file_name": "tom.jpg", "text": "renamed tomcat"}')
    assert reader.load_data(photos / "tom.jpg")[0].text == "renamed tomcat", "read again"
    with pytest.raises(ValueError, match="is not in the reader's folder"):
        reader.load_data(photos.parent / "other.png")


def test_nothing_of_the_files_place_is_embedded_or_shown(photos: Path) -> None:
    tom = next(iter(d for d in UniSemImageReader(photos).load_data() if d.id_ == "photos/tom.jpg"))
    assert tom.get_content(MetadataMode.EMBED) == "year: 2024\n\nTom, a red cat"
    shown = tom.get_content(MetadataMode.LLM)
    assert "file_name: tom.jpg" in shown
    assert str(photos) not in shown
    assert tom.metadata["sha256"] not in shown


def test_ids_and_hashes_are_stable_and_the_hash_knows_the_bytes(photos: Path) -> None:
    first = {document.id_: document.hash for document in UniSemImageReader(photos).load_data()}
    assert {
        document.id_: document.hash for document in UniSemImageReader(photos).load_data()
    } == first
    size = (photos / "tim.png").stat().st_size
    (photos / "tim.png").write_bytes(encoded(solid("yellow")))
    assert (photos / "tim.png").stat().st_size - size < 50
    after = {document.id_: document.hash for document in UniSemImageReader(photos).load_data()}
    assert {name for name in first if first[name] != after[name]} == {"photos/tim.png"}


def test_columns_cannot_take_the_place_of_the_digest(photos: Path) -> None:
    line = {"file_name": "tom.jpg", "sha256": "0", "file_path": "/etc/passwd"}
    (photos / "metadata.jsonl").write_text(json.dumps(line))
    document = UniSemImageReader(photos).load_data(photos / "tom.jpg")[0]
    digest = hashlib.sha256((photos / "tom.jpg").read_bytes()).hexdigest()
    assert document.metadata["sha256"] == digest
    assert document.metadata["file_path"] == str(photos / "tom.jpg")


def test_bad_pictures_are_skipped_counted_and_named(
    photos: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (photos / "text.png").write_text("no picture")
    (photos / "cut.jpg").write_bytes(encoded(noise(1, (600, 400)), "JPEG")[:8000])
    (photos / "empty.png").write_bytes(b"")
    (photos / "blank.txt").write_text("")
    (photos / "new.heic").write_bytes(b"x")
    solid("red").save(tmp_path / "outside.png")
    (photos / "link.png").symlink_to(tmp_path / "outside.png")
    reader = UniSemImageReader(photos)
    with caplog.at_level(logging.WARNING):
        documents = reader.load_data()
    assert {document.id_ for document in documents} == {*EXPECTED, "photos/about.txt"}
    names = {Path(skipped.name).name for skipped in reader.skipped}
    bad = {"text.png", "cut.jpg", "empty.png", "blank.txt", "new.heic", "link.png"}
    assert bad <= names
    assert len(reader.skipped) == 7
    assert "7 inputs were left out" in caplog.text
    assert "outside the allowed folder" in caplog.text
    assert reader.load_data(photos / "blank.txt") == []
    assert reader.load_data(photos / "cut.jpg") == []
    assert Path(reader.skipped[-1].name).name == "cut.jpg"
    assert len(reader.load_data()) == 6
    assert len(reader.skipped) == 7, "counted anew"


@pytest.mark.parametrize("filename_as_id", [False, True])
def test_as_file_extractor_of_simple_directory_reader(photos: Path, filename_as_id: bool) -> None:
    kinds = [".jpg", ".png", ".webp"]
    (photos / "text.png").write_text("no picture")
    picture_reader = UniSemImageReader(photos)
    documents = SimpleDirectoryReader(
        input_dir=str(photos),
        recursive=True,
        required_exts=kinds,
        file_extractor=dict.fromkeys(kinds, picture_reader),
        filename_as_id=filename_as_id,
        raise_on_error=True,
    ).load_data()
    assert len(documents) == 5
    for document in documents:
        file = Path(document.metadata["file_path"])
        assert document.metadata["file_size"] == file.stat().st_size, "extra_info came along"
        if filename_as_id:
            assert document.id_ == f"{file}_part_0"
            continue
        check_picture(document, file)
    assert [Path(skipped.name).name for skipped in picture_reader.skipped] == ["text.png"]


def test_without_a_folder_ids_are_whole_paths(photos: Path) -> None:
    reader = UniSemImageReader()
    document = reader.load_data(photos / "tim.png", extra_info={"album": "one", "sha256": "no"})[0]
    assert document.id_ == str(photos / "tim.png")
    assert document.text == "Tim, a blue cat"
    assert document.metadata["album"] == "one"
    assert document.metadata["sha256"] != "no"
    assert reader.load_data(photos / "cats" / "snow.png")[0].text == "Snow"


async def test_lazy_and_async(photos: Path) -> None:
    reader = UniSemImageReader(photos)
    lazy = reader.lazy_load_data()
    assert next(iter(lazy)).id_ == "photos/about.txt"
    expected = [document.id_ for document in reader.load_data()]
    assert [document.id_ for document in await reader.aload_data()] == expected
    assert [document.id_ for document in await reader.alazy_load_data()] == expected


def test_resources(photos: Path) -> None:
    reader = UniSemImageReader(photos)
    resources = reader.list_resources()
    assert len(resources) == 6
    tom = str(photos / "tom.jpg")
    assert tom in resources
    assert reader.get_resource_info(tom) == {
        "file_path": tom,
        "file_name": "tom.jpg",
        "file_size": (photos / "tom.jpg").stat().st_size,
    }
    assert len(reader.load_resources(resources)) == 6
    assert reader.load_resource(tom)[0].id_ == "photos/tom.jpg"


def test_a_pipeline_can_hold_the_reader_and_it_serialises(photos: Path) -> None:
    assert isinstance(UniSemImageReader(), BaseReader)
    reader = UniSemImageReader(photos)
    again = UniSemImageReader.from_dict(reader.to_dict())
    assert again == reader
    assert len(copy.deepcopy(again).load_data()) == 6
    pipeline = IngestionPipeline(transformations=[], readers=[ReaderConfig(reader=reader)])
    assert {node.node_id for node in pipeline.run()} == {*EXPECTED, "photos/about.txt"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"input_dir": "nowhere"}, NotADirectoryError, "nowhere is not a folder"),
        ({}, ValueError, "give UniSemImageReader an input_dir"),
        ({"fs": object()}, ValueError, "files of this machine only"),
    ],
)
def test_bad_input(given: dict[str, Any], error: type[Exception], message: str) -> None:
    fs = given.pop("fs", None)
    with pytest.raises(error, match=message):
        UniSemImageReader(**given).load_data(fs=fs)
    if not given:
        with pytest.raises(ValueError, match="give UniSemImageReader an input_dir"):
            UniSemImageReader().list_resources()


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder; UniSemImageReader\(folder\)"):
        UniSemImageReader().load_data(tmp_path)


@pytest.mark.parametrize("single", [False, True])
def test_captions_as_people_have_them(tmp_path: Path, single: bool) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ["a.png", "b.PNG", "c.png", "d.png"]
    for name in [*names, "e.mov"]:
        solid("red").save(folder / name, format="PNG")
    (folder / "METADATA.CSV").write_text("file_name;text;zip\na.png;one;01234\n", "utf-16")
    (folder / "b.PNG.TXT").write_text("two")
    (folder / "c.txt").write_bytes("три".encode("cp1251"))
    (folder / "d.TXT").write_text("four")
    (folder / "self.png").symlink_to("self.png")
    reader = UniSemImageReader(folder)
    if single:
        documents = [
            found for name in [*names, "self.png"] for found in reader.load_data(folder / name)
        ]
    else:
        documents = reader.load_data()
    assert [document.text for document in documents] == ["one", "two", "", "four"]
    assert documents[0].metadata["zip"] == "01234"
    kinds = set() if single else {"*.mov"}
    assert {Path(item.name).name for item in reader.skipped} == {"c.txt", "self.png", *kinds}


def notebook(picture: bytes) -> str:
    """Two passages with a picture between them, and one beside the notebook."""
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": base64.b64encode(picture).decode()},
    }
    code = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": "plot()",
        "outputs": [output],
    }
    words = [
        {"cell_type": "markdown", "metadata": {}, "source": text}
        for text in ("# Before", "# After\n\n![a](tim.png)\n\nand again\n\n![b](tim.png)")
    ]
    cells = [words[0], code, words[1]]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize("single", [False, True])
def test_a_documents_parts_have_ids_of_their_own_and_pictures_that_are_pictures(
    photos: Path, single: bool
) -> None:
    path = photos / "report.ipynb"
    path.write_text(notebook(encoded(solid("yellow"))))
    if single:
        documents = UniSemImageReader().load_data(path)
    else:
        documents = UniSemImageReader(photos).load_data()
        documents = [item for item in documents if item.metadata["file_name"] == path.name]
    ids = [item.id_ for item in documents]
    assert len(set(ids)) == len(ids) == 5
    prefix = f"{path}#" if single else "photos/report.ipynb#"
    assert [name.removeprefix(prefix) for name in ids] == [
        name.id.removeprefix("photos/report.ipynb#")
        for name in records_of(FolderReader(photos).read_one(path))
        if isinstance(name, Record)
    ]
    pictures = [item for item in documents if isinstance(item, ImageDocument)]
    colours = [
        Image.open(item.resolve_image()).convert("RGB").getpixel((0, 0)) for item in pictures
    ]
    assert colours == [COLOURS["yellow"], COLOURS["blue"], COLOURS["blue"]]


def test_documents_are_among_the_resources(photos: Path) -> None:
    path = photos / "report.ipynb"
    path.write_text(notebook(encoded(solid("yellow"))))
    reader = UniSemImageReader(photos)
    assert str(path) in reader.list_resources()
    assert len(reader.load_resource(str(path))) == 5
