"""Kinds of stores by name: in manifests, as `store=`, as the scheme of a URI, from a package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.list_store import SERVER, ListKind, ListStore
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError
from unisem.manifest import Manifest
from unisem.stores import register
from unisem.stores.faiss import FaissKind, FaissStore
from unisem.stores.registry import kind_at, kind_named, known_kinds, place_of


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    yield
    SERVER.clear()


def opened(path: Path | str | None, store: object = None) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder(), store=store)  # type: ignore[arg-type]


def test_the_manifest_names_the_kind_and_opening_follows_it(tmp_path: Path) -> None:
    with opened(tmp_path / "l", "list") as space:
        space.add([Record(id="a", text="a tiger")])
    assert json.loads((tmp_path / "l" / "manifest.json").read_text())["store"] == "list"
    assert not (tmp_path / "l" / "catalog.sqlite").exists()
    with opened(tmp_path / "l") as space:
        assert isinstance(space.store, ListStore)
        assert space.search("tiger")[0].record.id == "a"
    with opened(tmp_path / "f") as space:
        assert isinstance(space.store, FaissStore)
    assert json.loads((tmp_path / "f" / "manifest.json").read_text())["store"] == "faiss"


def test_a_manifest_that_names_no_kind_means_faiss(tmp_path: Path) -> None:
    opened(tmp_path).close()
    manifest = tmp_path / "manifest.json"
    parts = json.loads(manifest.read_text())
    del parts["store"]
    manifest.write_text(json.dumps(parts))
    with opened(tmp_path) as space:
        assert isinstance(space.store, FaissStore)


@pytest.mark.parametrize("name", ["unheard-of", "os", "../list", "unisem.stores.faiss.kind"])
def test_a_kind_that_is_not_known_is_an_error_with_the_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"no store of the kind .*faiss, list, milvus; install"):
        opened(tmp_path / "new", name)
    assert not (tmp_path / "new").exists()
    opened(tmp_path / "s").close()
    manifest = tmp_path / "s" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"faiss"', json.dumps(name)))
    with pytest.raises(StoreError, match=rf"{tmp_path}.*no store of the kind"):
        opened(tmp_path / "s")


@pytest.mark.parametrize("value", ["1", "null", '["faiss"]'])
def test_a_kind_that_is_no_name_is_damage(tmp_path: Path, value: str) -> None:
    opened(tmp_path).close()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"faiss"', value))
    with pytest.raises(CorruptStoreError, match="store must be strings"):
        opened(tmp_path)


def test_a_space_is_not_opened_as_another_kind(tmp_path: Path) -> None:
    opened(tmp_path / "f").close()
    for store in ("list", ListKind()):
        with pytest.raises(StoreError, match=r"kind 'faiss', not 'list'.*export"):
            opened(tmp_path / "f", store)
    with opened(tmp_path / "f", FaissKind(index="ivf_pq")) as space:
        space.add([Record(id="a", text="a tiger")])
        assert space.compact().startswith("ivf_pq: as asked")


def test_a_kinds_own_settings_reach_it(tmp_path: Path) -> None:
    with opened(tmp_path, ListKind(most=1)) as space:
        space.add([Record(id="a", text="a tiger")])
        with pytest.raises(StoreError, match="1 records at most"):
            space.add([Record(id="b", text="a teapot")])
        assert len(space) == 1
    with pytest.raises(TypeError, match="most"):
        FaissKind(most=1)  # type: ignore[call-arg]


def test_an_interrupted_beginning_is_no_other_folder(tmp_path: Path) -> None:
    opened(tmp_path / "f").close()
    (tmp_path / "f" / "manifest.json").unlink()
    opened(tmp_path / "f", "list").close()  # nothing had been written, so it may become anything
    with opened(tmp_path / "l", "list") as space:
        space.add([Record(id="a", text="a tiger")])
    (tmp_path / "l" / "manifest.json").unlink()
    with pytest.raises(CorruptStoreError, match=r"manifest\.json is missing"):
        opened(tmp_path / "l")


def test_a_uri_names_the_kind_by_its_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened("list://there/cards") as space:
        assert space.path is None
        assert "list://there/cards" in repr(space)
        space.add([Record(id="a", text="a tiger")])
        with pytest.raises(StoreError, match="export"):
            space.backup(tmp_path / "copy")
        assert space.compact() == "a list needs no index"
    with opened("list://there/cards") as space:
        assert isinstance(space.store, ListStore)
        assert space.search("tiger")[0].record.id == "a"
    assert not list(tmp_path.iterdir())
    with pytest.raises(StoreError, match="no store of the kind 'nowhere'"):
        opened("nowhere://there")
    with pytest.raises(StoreError, match="a faiss store is a directory"):
        opened("faiss://there")
    with pytest.raises(StoreError, match="a faiss store is a directory"):
        opened("list://new", "faiss")
    assert place_of("a/b") == Path("a/b")
    assert place_of(Path("list:/a")) == Path("list:/a")


def test_a_store_is_known_by_its_file(tmp_path: Path) -> None:
    assert kind_at(tmp_path) is None
    opened(tmp_path / "l", "list").close()
    opened(tmp_path / "f").close()
    assert kind_at(tmp_path / "l") == ListKind()
    assert kind_at(tmp_path / "f") == FaissKind()


def test_names_are_given_once() -> None:
    assert register(ListKind) is ListKind

    @dataclass(frozen=True)
    class Another(ListKind):
        pass

    @dataclass(frozen=True)
    class AlsoFaiss(ListKind):
        name: ClassVar[str] = "faiss"

    for kind in (Another, AlsoFaiss):
        with pytest.raises(ValueError, match="another kind of store"):
            register(kind)
    assert kind_named("list") is ListKind


def test_an_installed_package_brings_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("unisem.stores.registry._registered", {"list": ListKind})
    assert known_kinds() == ["faiss", "list", "milvus"]
    facts = tmp_path / "shelf-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[unisem.stores]\nshelf = shelf_store:ShelfKind\n")
    (tmp_path / "shelf_store.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from tests.support.list_store import ListKind\n"
        "@dataclass(frozen=True)\n"
        "class ShelfKind(ListKind):\n"
        "    name: ClassVar[str] = 'shelf'\n"
        "    file: ClassVar[str | None] = None\n"
    )
    opened(tmp_path / "s", "shelf").close()  # installed since somebody looked
    assert known_kinds() == ["faiss", "list", "milvus", "shelf"]
    manifest = Manifest.read(tmp_path / "s")
    assert manifest is not None
    assert manifest.kind(tmp_path / "s").name == "shelf"


def test_a_service_is_connected_to() -> None:
    with pytest.raises(StoreError, match="connect"):
        SemanticSpace.open("http://127.0.0.1:8000/photos")
