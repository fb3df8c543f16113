"""What is said of a Ray cluster before there is one; `test_ray.py` has a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import noise
from tests.support.toy import FusingToyEncoder, ToyEncoder
from unisem import SemanticSpace
from unisem.errors import ClusterError, EncoderMismatchError, ImageError
from unisem.images.library import ImageLibrary
from unisem.images.reference import CHANGED, ImageRef
from unisem.ingest.intake import Intake, Offer, Prepared, next_batch, next_size
from unisem.ingest.ray import RayIngestion, ingestion
from unisem.ingest.ray.embedding import Parcel, ParcelEmbedder
from unisem.records import Record


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "ray://head:10001"}, "Ray Client"),
        ({"actors": 0}, "actors must be 1 at least"),
        ({"cpus": 0}, "a part of a core"),
        ({"gpus": -1}, "a part of a core"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RayIngestion(**settings)


@pytest.mark.parametrize(
    ("settings", "resources", "count"),
    [
        (RayIngestion(), {"CPU": 7}, 7),
        (RayIngestion(cpus=2), {"CPU": 7}, 3),
        (RayIngestion(gpus=1), {"CPU": 7, "GPU": 2}, 2),
        (RayIngestion(gpus=0.25), {"CPU": 7, "GPU": 2}, 7),
        (RayIngestion(gpus=1, actors=4), {"CPU": 1}, 4),  # of a cluster that will grow
    ],
)
def test_as_many_actors_as_there_is_room_for(
    settings: RayIngestion, resources: dict[str, float], count: int
) -> None:
    assert settings.room(resources) == count


def test_a_cluster_without_room_for_one_is_told() -> None:
    with pytest.raises(ClusterError, match="1 graphics cards, and the whole cluster has 4 and 0"):
        RayIngestion(gpus=1).room({"CPU": 4})


@pytest.fixture
def ray_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins no cluster is tried where Ray is not installed, too."""
    monkeypatch.setattr(ingestion, "require", lambda package, module, install: None)


@pytest.mark.usefixtures("ray_is_here")
def test_a_space_that_makes_tokens_is_refused() -> None:
    class Tokens:
        pass

    intake = Intake(ImageLibrary(None), ToyEncoder(), Tokens())  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="make them afterwards"):
        RayIngestion().intake(intake)


@pytest.mark.usefixtures("ray_is_here")
def test_nothing_new_begins_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        noise(number).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"nothing")
    begun: list[RayIngestion] = []
    monkeypatch.setattr(RayIngestion, "connected", begun.append)
    with SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        report = space.add_folder(folder, ray=RayIngestion(load=ToyEncoder))
    assert (report.unchanged, report.added, len(report.skipped)) == (3, 0, 1)
    assert begun == []


def test_a_parcel_comes_back_in_order_and_a_bad_picture_costs_itself(tmp_path: Path) -> None:
    encoder = ToyEncoder()
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        noise(number).save(file)
    images = [file.read_bytes() for file in files]
    embedder = ParcelEmbedder(ToyEncoder, encoder.fingerprint)
    sent: list[bytes | ImageRef] = [images[0], b"nothing", images[2]]
    made = embedder.embed(Parcel(["red", "blue"], sent, [None] * 3, [True] * 3))
    assert (made.texts == encoder.encode_texts(["red", "blue"])).all()
    assert (made.images == encoder.encode_images([images[0], images[2]])).all()
    assert list(made.faults) == [1]
    assert isinstance(made.faults[1], ImageError)


def test_a_picture_whose_caption_alone_changed_is_looked_at_for_a_fused_vector(
    tmp_path: Path,
) -> None:
    noise(0).save(tmp_path / "a.png")
    image = (tmp_path / "a.png").read_bytes()
    parcel = Parcel([], [image, image], ["red", None], [False, True])
    encoder = FusingToyEncoder()
    made = ParcelEmbedder(lambda: encoder, encoder.fingerprint).embed(parcel)
    assert (encoder.images_encoded, encoder.pairs_encoded) == (1, 1)
    assert (made.images[0], made.fused[1]) == (None, None)
    np.testing.assert_array_equal(made.fused[0], encoder.encode_pairs(["red"], [image])[0])
    np.testing.assert_array_equal(made.images[1], encoder.encode_images([image])[0])
    plain = ParcelEmbedder(ToyEncoder, ToyEncoder().fingerprint)
    made = plain.embed(Parcel([], [b"not even opened", image], ["red", "red"], [False, True]))
    assert (made.faults, made.fused) == ({}, [None, None])
    assert made.images[0] is made.looks[0] is None
    assert made.looks[1] is not None


def test_an_actor_reads_only_the_picture_whose_digest_was_taken(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    noise(0).save(file)
    image = ImageRef(path=file, root=tmp_path).inspected()
    embedder = ParcelEmbedder(ToyEncoder, ToyEncoder().fingerprint)
    assert not embedder.embed(Parcel([], [image], [None], [True])).faults
    noise(1).save(file)
    made = embedder.embed(Parcel([], [image], [None], [True]))
    assert made.faults[0].summary == CHANGED
    assert len(made.images) == 0


def test_an_actor_with_another_encoder_embeds_nothing() -> None:
    embedder = ParcelEmbedder(ToyEncoder, ToyEncoder(seed=1).fingerprint)
    with pytest.raises(EncoderMismatchError, match="put the same files on both"):
        embedder.embed(Parcel(["red"], [], [], []))


def test_batches_that_travel_are_bounded_by_their_bytes() -> None:
    offer = Offer(Record(text="a"))
    items = [Prepared(offer, offer.record, data=bytes(3 * 1024 * 1024)) for _ in range(7)]
    waiting = iter(items)
    assert [len(next_batch(waiting, 32)) for _ in range(4)] == [3, 3, 1, 0]


@pytest.mark.parametrize(
    ("size", "seconds", "after"), [(1, 0.1, 2), (32, 0.1, 32), (8, 2, 8), (8, 9, 4), (1, 9, 1)]
)
def test_batches_grow_as_long_as_they_are_quick(size: int, seconds: float, after: int) -> None:
    assert next_size(size, seconds, 32) == after
