"""The contract that every store is held to, over a connection.

Left out is what opens stores by itself, at places: one over a connection is opened by its service,
and looked after there (``docs/guides/service.md``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.live import serving
from tests.stores.contract import items
from tests.stores.contract import test_contract as contract
from tests.support.pictures import solid
from unisem import SemanticSpace
from unisem.encoders import Encoder
from unisem.images.reference import ImageRef
from unisem.service.http.app import create_app
from unisem.stores import Store

pytestmark = pytest.mark.slow


class Few(Encoder):
    """Says how long the contract's vectors are, and embeds nothing."""

    name = fingerprint = "few"
    dimension = items.DIMENSION

    def encode_texts(self, *arguments: object, **options: object) -> None:
        raise AssertionError("vectors are given")

    encode_images = prepare_image = encode_prepared = encode_texts


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One that a service keeps."""
    path = tmp_path / "a.png"
    solid("red").save(path)
    picture = ImageRef(path=path, root=tmp_path).inspected(path.read_bytes())
    monkeypatch.setattr(items, "PICTURE", picture)
    space = SemanticSpace.open(tmp_path / "s.unisem", encoder=Few())
    with (
        space,
        serving(create_app({"s": space})) as url,
        SemanticSpace.connect(url, image_roots=[tmp_path]) as far,
    ):
        yield far.store


OPENS_BY_ITSELF = {"test_any_sequence_of_writes_agrees_with_brute_force"}
globals().update(
    {
        name: it
        for name, it in vars(contract).items()
        if name.startswith("test_") and "store" in it.__annotations__
    }
)
for name in OPENS_BY_ITSELF:
    globals().pop(name, None)
