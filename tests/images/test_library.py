"""Paths that no system has, and folders that are named by mistake, through every entrance."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.schema import ImageNode

from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemVectorStore as LlamaIndexStore
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ImageError
from unisem.exchange import export_space, import_space
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png"], ids=["nul", "surrogate"])
def test_a_path_that_no_system_has_is_an_error_of_the_picture(
    name: str, tmp_path: Path, encoder: ToyEncoder
) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        with pytest.raises(ImageError, match="cannot be read"):
            space.add([Record(id="a", image=tmp_path / name)])
        with pytest.raises(ImageError, match="cannot be read"):
            LangChainStore(space=space).add_images([tmp_path / name])
    node = ImageNode(image_path=str(tmp_path / name / "a.png"), embedding=[1.0, 0.0])
    with pytest.raises(ImageError, match="cannot be read"):
        LlamaIndexStore().add([node])


def test_a_root_that_is_a_circle_of_links_holds_nothing(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    folder, circle = tmp_path / "photos", tmp_path / "circle"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(solid("red")))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        narrow = ImageRef(path=folder / "a.png", root=circle)
        circle.symlink_to(circle)
        with pytest.raises(ImageError, match="leads outside"):
            space.add([Record(id="a", image=narrow)])
        space.add([Record(id="a", image=ImageRef(path=folder / "a.png", root=folder))])
        folder.rename(tmp_path / "moved")
        folder.symlink_to(folder)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        (record,) = space.get(["a"])
        assert record is not None
        assert record.image is not None
        with pytest.raises(ImageError):
            record.image.open()


def _space(folders: Any, tmp_path: Path, encoder: ToyEncoder) -> object:
    return SemanticSpace.open(None, encoder=encoder, image_roots=folders)


def _import(folders: Any, tmp_path: Path, encoder: ToyEncoder) -> object:
    with SemanticSpace.open(None, encoder=encoder) as space:
        export_space(space, tmp_path / "out")
        return import_space(tmp_path / "out", space, image_roots=folders)


def _lang_chain(folders: Any, tmp_path: Path, encoder: ToyEncoder) -> object:
    return LangChainStore(embedding=DeterministicFakeEmbedding(size=4), image_roots=folders)


def _llama_index(folders: Any, tmp_path: Path, encoder: ToyEncoder) -> object:
    return LlamaIndexStore(image_roots=folders)


@pytest.mark.parametrize("entrance", [_space, _import, _lang_chain, _llama_index])
@pytest.mark.parametrize("kind", [str, Path])
def test_one_folder_in_place_of_a_list_allows_nothing(
    entrance: Callable[..., object],
    kind: Callable[[Path], object],
    tmp_path: Path,
    encoder: ToyEncoder,
) -> None:
    """Its letters would each be a folder, and the first of them the whole disk."""
    with pytest.raises(TypeError, match="list of folders"):
        entrance(kind(tmp_path), tmp_path, encoder)


def test_an_empty_list_of_folders_allows_none(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(solid("red")))
    node = ImageNode(image_path=os.fspath(path), embedding=[1.0, 0.0])
    with pytest.raises(ImageError, match="outside"):
        LlamaIndexStore(image_roots=[]).add([node])


def test_a_kept_picture_that_was_exchanged_is_not_given_back(tmp_path: Path) -> None:
    data = b64encode(encoded(solid("red"))).decode()
    node = ImageNode(id_="a", text="a red card", image=data, embedding=[1.0, 0.0])
    with LlamaIndexStore(str(tmp_path / "s.unisem")) as store:
        store.add([node])
        (blob,) = (tmp_path / "s.unisem" / "blobs").rglob("*.png")
        blob.write_bytes(encoded(solid("blue")))
        (found,) = store.get_nodes(["a"])
    assert isinstance(found, ImageNode)
    assert (found.text, found.image) == ("a red card", None)


def test_a_file_is_found_where_it_may_be_read_only(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    file, secret = tmp_path / "beside" / "a.pdf", tmp_path / "secret.pdf"
    for path in (file, secret):
        path.write_bytes(b"%PDF")
    (tmp_path / "beside" / "link.pdf").symlink_to(secret)
    library = ImageLibrary(tmp_path / "beside" / "s.unisem", [tmp_path / "beside"])
    assert library.found(library.locate(file)) == file
    assert library.locate(file.parent) == "."
    gone = ("b.pdf", "s.unisem", "link.pdf", "../secret.pdf", str(secret), "a\0.pdf", "\ud800", "")
    assert [library.found(location) for location in gone] == [None] * len(gone)


def test_a_place_means_the_same_whichever_places_were_read_before(tmp_path: Path) -> None:
    for folder in ("photos/a", "photos/b", "named", "x.unisem"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    facts = {"sha256": "0" * 64, "mime_type": "image/png", "width": 1, "height": 1}
    inside = ["1.png", "photos/1.png", "photos/a/1.png", "photos/a/2.png", "photos/a", "photos/..",
              "photos/../1.png", "/1.png", "/photos/1.png", "link/1.png", "photos/a/", "", "named",
              "../1.png", "photos//a/1.png", "named/1.png"]  # fmt: skip
    beside = [
        {"beside": path} | ({} if root is None else {"root": root})
        for path in inside
        for root in (None, "photos", "photos/a", "photos/a/1.png", "link", "photos/", "..")
    ]
    elsewhere = [
        {"folder": folder.as_posix(), "path": path}
        for path in inside
        for folder in (tmp_path / "named", tmp_path / "photos" / "a", Path("/"), Path("photos"))
    ]
    places = [json.dumps(place | facts) for place in beside + elsewhere]
    roots = [tmp_path, tmp_path / "named", tmp_path / "photos" / "a"]
    library = ImageLibrary(tmp_path / "x.unisem", roots)
    for _ in range(2):
        for place in places:
            fresh = ImageLibrary(tmp_path / "x.unisem", roots).from_json(place)
            assert library.from_json(place) == fresh, place
        places.reverse()
    library = ImageLibrary(tmp_path / "x.unisem", [tmp_path / "photos"])
    library._confined = False
    place = json.dumps({"beside": "named/1.png"} | facts)
    before = library.from_json(place)
    library.allow(tmp_path / "named")
    assert before.root != library.from_json(place).root == tmp_path / "named"
