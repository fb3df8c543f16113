"""The stores that the contract is held to: all kinds, wherever they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.list_store import SERVER, ListKind
from tests.support.milvus_lite import milvus_place
from unisem.images.library import ImageLibrary
from unisem.stores import Store, StoreKind
from unisem.stores.faiss import FaissKind
from unisem.stores.kind import Place
from unisem.stores.maintenance import Maintenance
from unisem.stores.milvus import MilvusKind


@dataclass(frozen=True)
class Shop:
    """A kind of store and a place for one."""

    kind: StoreKind
    place: Place | None

    @property
    def image_library(self) -> ImageLibrary:
        return ImageLibrary(self.place if isinstance(self.place, Path) else None)

    def open(self, dimension: Callable[[], int] | None = None) -> Store:
        return self.kind.open(self.place, self.image_library, dimension)

    def maintenance(self) -> Maintenance:
        assert self.place is not None
        return self.kind.maintenance(self.place, self.image_library)


_PLACES = (
    "faiss directory",
    "faiss memory",
    "list directory",
    "list memory",
    "list elsewhere",
    "milvus elsewhere",
)


def shop_of(name: str, folder: Path) -> Shop:
    if name.startswith("milvus"):
        return Shop(MilvusKind(), milvus_place())
    kind = FaissKind() if name.startswith("faiss") else ListKind()
    where = name.split()[1]
    places = {"directory": folder / "s", "memory": None, "elsewhere": f"list://there{folder}"}
    return Shop(kind, places[where])


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    yield
    SERVER.clear()


@pytest.fixture(params=_PLACES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    return shop_of(request.param, tmp_path)


@pytest.fixture(params=[name for name in _PLACES if "memory" not in name])
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """One that is there after it was closed."""
    return shop_of(request.param, tmp_path)


@pytest.fixture
def store(shop: Shop) -> Iterator[Store]:
    opened = shop.open()
    yield opened
    opened.close()
