"""A space with pictures inside it, beside it and without any, and where to publish it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace


def opened(path: Path) -> SemanticSpace:
    """A space of the toy encoder."""
    return SemanticSpace.open(path, encoder=ToyEncoder())


@pytest.fixture
def space(tmp_path: Path) -> Iterator[SemanticSpace]:
    """Four records; one picture is a blob, one lies beside the space."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "blue.png").write_bytes(encoded(solid("blue")))
    with opened(tmp_path / "s.unisem") as space:
        space.add(
            [
                Record(id="red", text="red", image=encoded(solid("red"))),
                Record(id="blue", image=tmp_path / "photos" / "blue.png"),
                Record(id="a", text="a tiger", metadata={"year": 2024}),
                Record(id="b", text="a teapot"),
            ]
        )
        yield space


@pytest.fixture(params=["directory", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where spaces are published."""
    if request.param == "directory":
        yield str(tmp_path / "published")
        return
    import fsspec

    name = f"memory://{uuid4().hex}"
    yield name
    fsspec.filesystem("memory").rm(name, recursive=True)
