"""What is sent to a cluster: a stand-in for Ray counts it; `test_ray.py` has a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import noise
from tests.support.toy import FusingToyEncoder, ToyEncoder
from unisem import SemanticSpace
from unisem.ingest.ray import RayIngestion, ingestion
from unisem.ingest.ray.embedding import Parcel

COUNT = 7


class _Call:
    """A function of an actor, called as soon as somebody wants its result."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def options(self, **_: Any) -> _Call:
        return self

    def remote(self, *values: Any) -> tuple[Any, ...]:
        return (self._function, *values)


class _Actor:
    def __init__(self, made: Any) -> None:
        self.begin = _Call(made.begin)
        self.embed = _Call(made.embed)


class _Made(_Call):
    """A class of actors."""

    def remote(self, *values: Any) -> Any:
        return _Actor(self._function(*values))


class StandIn:
    """As much of Ray as is used, in this process, and what was put there."""

    class exceptions:  # noqa: N801 - the name is Ray's
        RayError = RayTaskError = ConnectionError

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2}

    def remote(self, made: type[Any]) -> _Made:
        return _Made(made)

    def put(self, parcel: Parcel) -> Parcel:
        self.parcels.append(parcel)
        return parcel

    def wait(self, under_way: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return under_way[:1], under_way[1:]

    def get(self, wanted: Any) -> Any:
        return wanted[0](*wanted[1:]) if isinstance(wanted, tuple) else wanted

    def kill(self, actor: _Actor) -> None:
        pass


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()

    @contextmanager
    def connected(settings: RayIngestion) -> Iterator[StandIn]:
        yield made

    monkeypatch.setattr(ingestion, "require", lambda package, module, install: None)
    monkeypatch.setattr(RayIngestion, "connected", connected)
    return made


@pytest.mark.parametrize(
    ("load", "change"),
    [(ToyEncoder, "name"), (ToyEncoder, "captions"), (FusingToyEncoder, "captions")],
)
def test_pictures_whose_vectors_are_known_are_sent_only_to_be_fused(
    ray: StandIn, tmp_path: Path, load: type[ToyEncoder], change: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        noise(number).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"picture number {number}")
    settings = RayIngestion(load=load)
    fuses = load is FusingToyEncoder
    with SemanticSpace.open(tmp_path / "a.unisem", encoder=load()) as space:
        assert space.add_folder(folder, ray=settings).added == COUNT
        assert sum(len(parcel.images) for parcel in ray.parcels) == COUNT
        ray.parcels.clear()
        if change == "name":
            folder = folder.rename(tmp_path / "pictures")
        else:
            for file in folder.glob("*.txt"):
                file.write_text(f"another {file.stem}")
        space.add_folder(folder, ray=settings)
        found = {frozenset(item.vectors) for item in space.store.embedded()}
        assert found == {frozenset({"text", "image", *(["both"] if fuses else [])})}
    sent = sum(len(parcel.images) for parcel in ray.parcels)
    if fuses:
        assert sent == COUNT
    else:
        assert sent <= 2  # until an actor has said that it does not
    assert all(parcel.images or parcel.texts for parcel in ray.parcels)


def test_batches_that_need_nothing_grow_while_there_are_actors(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"text number {number}")
    settings = RayIngestion(load=ToyEncoder)
    with SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder, ray=settings)
        (folder / "00.txt").write_text("the only new one")  # is the first, and begins actors
        sizes: list[int] = []
        add = space.store.add
        ray.parcels.clear()

        def noted(records: list[Any]) -> None:
            sizes.append(len(records))
            add(records)

        monkeypatch.setattr(space.store, "add", noted)
        space.add_folder(folder, ray=settings)
    assert [parcel.texts for parcel in ray.parcels] == [["the only new one"]]
    assert sizes[0] == 1
    assert len(sizes) < 12, "a batch each for what needs nothing"
