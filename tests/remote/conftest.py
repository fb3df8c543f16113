"""A space of this process, and the same behind a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.live import serving
from tests.support.pictures import noise, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.service.http.app import create_app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures."""
    made = tmp_path / "pictures"
    made.mkdir()
    for colour in ("red", "blue", "green"):
        solid(colour).save(made / f"{colour}.png")
    noise(3, (300, 200)).save(made / "noise.jpg")
    return made


@pytest.fixture
def near(tmp_path: Path, folder: Path) -> Iterator[SemanticSpace]:
    """The space where it lies."""
    path = tmp_path / "near" / "cards.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder(), image_roots=[folder]) as opened:
        yield opened


@pytest.fixture
def url(near: SemanticSpace) -> Iterator[str]:
    """The service's."""
    with serving(create_app({"cards": near})) as address:
        yield address


@pytest.fixture
def far(url: str, folder: Path) -> Iterator[SemanticSpace]:
    """The same space from elsewhere."""
    with SemanticSpace.connect(url, image_roots=[folder]) as opened:
        yield opened


def cards(folder: Path) -> list[Record]:
    """Texts, pictures and captioned pictures."""
    return [
        Record(id="a/1 ü?#%", text="a red paper", metadata={"year": 2020}, source_id="s"),
        Record(id="b", image=folder / "red.png", text="a red card", metadata={"year": 2021}),
        Record(id="c", image=folder / "blue.png", links={"previous": "b"}),
        Record(id="d", image=(folder / "green.png").read_bytes(), payload={"x": [1]}),
        Record(id="e", image=folder / "noise.jpg", text="noise", metadata={"year": 2024}),
    ]
