"""Embedding on a Ray cluster of two nodes on one machine, whose actors and nodes die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.support.pictures import noise
from tests.support.processes import script
from tests.support.toy import FusingToyEncoder, ToyEncoder
from tests.support.waiting import until
from unisem import IngestReport, SemanticSpace
from unisem.encoders import Encoder
from unisem.errors import ClusterError, EncoderError, EncoderMismatchError
from unisem.images.reference import ImageRef
from unisem.ingest.ray import RayIngestion
from unisem.records import Vector

pytestmark = pytest.mark.slow
COUNT = 60
KILLER = (1, 2, 3)  # the colour of a picture that ends whoever embeds it


class Working(ToyEncoder):
    """Writes down who it is and what it has embedded, and takes its time; some end it."""

    def __init__(self, diary: Path, seconds: float = 0) -> None:
        super().__init__()
        self._diary = diary
        self._seconds = seconds

    def encode_prepared(self, images: list[Image.Image]) -> Vector:
        with (self._diary / str(os.getpid())).open("a") as file:
            file.write("".join(f"{time.time()} {image.size[0]}\n" for image in images))
        if any(image.getpixel((0, 0)) == KILLER for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self._seconds * len(images))
        return super().encode_prepared(images)


class WorkingTogether(Working):
    """Begins when there are two."""

    def encode_prepared(self, images: list[Image.Image]) -> Vector:
        found = super().encode_prepared(images)
        until(lambda: len(list(self._diary.iterdir())) > 1)
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes, of which this program is on the first; everything ends with it."""
    import ray
    from ray.cluster_utils import Cluster

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000},
    )
    made.add_node(num_cpus=1, object_store_memory=80_000_000)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()
    left = [it for it in psutil.Process().children(recursive=True) if it.pid not in before]
    _, left = psutil.wait_procs(left, timeout=60)
    for process in left:
        process.kill()
    assert not left


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    made = tmp_path / "diary"
    made.mkdir()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, most with captions, a text of several passages, and a picture that is none."""
    made = tmp_path / "photos"
    made.mkdir()
    for number in range(COUNT):
        noise(number).save(made / f"{number:03}.png")
        if number % 3:
            (made / f"{number:03}.txt").write_text(f"picture number {number}, red or blue")
    (made / "long.md").write_text("\n\n".join(f"Passage {n}. " + "words " * 90 for n in range(5)))
    (made / "broken.png").write_bytes((made / "000.png").read_bytes()[:200])
    (made / "other.png").write_bytes(b"nothing")
    return made


def embedded(space: SemanticSpace) -> dict[str, tuple[Any, ...]]:
    """All that a space holds, by id, vectors to the bit."""
    return {
        item.record.id: (
            item.record,
            {modality: row.tobytes() for modality, row in item.vectors.items()},
        )
        for item in space.store.embedded()
    }


def taken_in(
    path: Path,
    folder: Path,
    ray: RayIngestion | None,
    encoder: Encoder | None = None,
    **options: Any,
) -> tuple[IngestReport, dict[str, tuple[Any, ...]]]:
    with SemanticSpace.open(path, encoder=encoder or ToyEncoder()) as space:
        report = space.add_folder(folder, ray=ray, **options)
        assert len(space) == len(embedded(space))
        return report, embedded(space)


def killing(diary: Path, after: int) -> Any:
    """A progress function that kills an actor, once, when so many inputs are done."""
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        if done >= after and not killed:
            alive = [int(it.name) for it in diary.iterdir() if psutil.pid_exists(int(it.name))]
            killed.append(max(alive))
            os.kill(killed[0], signal.SIGKILL)

    progress.killed = killed  # type: ignore[attr-defined]
    return progress


@pytest.mark.parametrize("shared", [False, True])
def test_a_cluster_gives_what_one_process_gives(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path, shared: bool
) -> None:
    here = taken_in(tmp_path / "here.unisem", folder, None)
    ray = RayIngestion(cpus=0.5, shared=shared, load=partial(WorkingTogether, diary))
    seen: list[tuple[int, int]] = []
    there = taken_in(
        tmp_path / "there.unisem", folder, ray, progress=lambda *done: seen.append(done)
    )
    assert there == here
    assert there[0].added > COUNT
    assert len(there[0].skipped) == 2
    assert seen[-1][0] == seen[-1][1] > COUNT
    again = taken_in(tmp_path / "there.unisem", folder, ray)
    assert (again[0].added, again[0].unchanged) == (0, there[0].added)
    assert again[1] == there[1]


@pytest.mark.parametrize("load", [FusingToyEncoder, ToyEncoder])
def test_pictures_with_other_captions_have_what_one_process_gives_them(
    cluster: Any, tmp_path: Path, folder: Path, load: type[ToyEncoder]
) -> None:
    places = {tmp_path / "one.unisem": None, tmp_path / "many.unisem": RayIngestion(load=load)}
    for changed in (False, True):
        for number in range(0, COUNT, 7 if changed else COUNT):
            (folder / f"{number:03}.txt").write_text(f"another picture, {number}")
        found = [taken_in(path, folder, ray, load())[1] for path, ray in places.items()]
        assert found[0] == found[1]
    assert ("both" in found[1]["photos/007.png"][1]) is (load is FusingToyEncoder)


def test_mini_gives_the_same_to_the_bit(cluster: Any, tmp_path: Path, folder: Path) -> None:
    ray = RayIngestion(actors=2, cpus=0.5)
    here = taken_in(tmp_path / "here.unisem", folder, None, "mini")
    there = taken_in(tmp_path / "there.unisem", folder, ray, "mini")
    assert there == here


@pytest.mark.parametrize("actors", [1, 2])
def test_an_actor_that_dies_costs_nothing(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path, actors: int
) -> None:
    here = taken_in(tmp_path / "here.unisem", folder, None)
    progress = killing(diary, COUNT // 3)
    ray = RayIngestion(actors=actors, cpus=0.5, load=partial(Working, diary, 0.02))
    there = taken_in(tmp_path / "there.unisem", folder, ray, progress=progress)
    assert progress.killed
    assert there == here
    assert len(list(diary.iterdir())) >= 2  # where there was one only, another came in its place


def test_a_machine_that_goes_costs_nothing(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path
) -> None:
    here = taken_in(tmp_path / "here.unisem", folder, None)
    third = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    removed: list[int] = []

    def progress(done: int, total: int) -> None:
        if done >= COUNT // 3 and not removed:
            removed.append(done)
            cluster.remove_node(third, allow_graceful=False)

    ray = RayIngestion(actors=3, cpus=1, load=partial(Working, diary, 0.02))
    there = taken_in(tmp_path / "there.unisem", folder, ray, progress=progress)
    assert removed
    assert there == here


def test_a_picture_that_ends_every_actor_costs_itself(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path
) -> None:
    Image.new("RGB", (40, 30), KILLER).save(folder / "030.png")
    there = taken_in(
        tmp_path / "there.unisem",
        folder,
        RayIngestion(actors=2, cpus=0.5, load=partial(Working, diary)),
    )
    (folder / "030.png").unlink()
    (folder / "030.txt").unlink(missing_ok=True)
    here = taken_in(tmp_path / "here.unisem", folder, None)
    assert there[1] == here[1]
    reasons = [it.reason for it in there[0].skipped if it.name.endswith("030.png")]
    assert reasons == ["ends the process that is to embed it (3 times)"]
    assert replace(there[0], skipped=()) == replace(here[0], skipped=())


class Late(Working):
    """See the test: by the time that it is loaded, the first picture is another one."""

    def __init__(self, diary: Path, folder: Path) -> None:
        super().__init__(diary)
        noise(9999).save(folder / "000.png")


def test_another_picture_under_the_same_path_is_not_embedded(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path
) -> None:
    # The digest is taken here, while actors begin; what they read is another picture.
    ray = RayIngestion(actors=1, cpus=0.5, shared=True, load=partial(Late, diary, folder))
    report, held = taken_in(tmp_path / "there.unisem", folder, ray)
    (skipped,) = [it for it in report.skipped if it.name.endswith("000.png")]
    assert "has changed since it was indexed" in skipped.reason
    assert "photos/000.png" not in held
    again, held = taken_in(tmp_path / "there.unisem", folder, ray)
    assert again.added == 1
    assert "photos/000.png" in held


class Blind(Working):
    """On a machine that has not got the folder."""

    def __init__(self, diary: Path) -> None:
        super().__init__(diary)
        whole = ImageRef.read_bytes

        def read_bytes(image: ImageRef) -> bytes:
            gone = image.path is not None
            return whole(replace(image, path=Path("/nowhere.png")) if gone else image)

        ImageRef.read_bytes = read_bytes  # type: ignore[method-assign]


def test_what_only_this_machine_sees_is_sent(
    cluster: Any, tmp_path: Path, folder: Path, diary: Path
) -> None:
    here = taken_in(tmp_path / "here.unisem", folder, None)
    ray = RayIngestion(actors=1, cpus=0.5, shared=True, load=partial(Blind, diary))
    there = taken_in(tmp_path / "there.unisem", folder, ray)
    assert there == here


def test_what_waits_is_bounded(cluster: Any, tmp_path: Path, diary: Path) -> None:
    import ray

    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(100):
        noise(number, (640, 480)).save(folder / f"{number:03}.png")  # 0.9 MB each
    most: list[float] = []

    def progress(done: int, total: int) -> None:
        free, all_of_it = (
            read().get("object_store_memory", 0)
            for read in (ray.available_resources, ray.cluster_resources)
        )
        most.append(all_of_it - free)

    settings = RayIngestion(actors=1, cpus=0.5, load=partial(Working, diary, 0.01))
    report, _ = taken_in(tmp_path / "there.unisem", folder, settings, progress=progress)
    assert report.added == 100
    assert max(most) < 50_000_000  # all of it would be 92


class Other(ToyEncoder):
    """Not the space's."""

    def __init__(self) -> None:
        super().__init__(seed=1)


def missing() -> Encoder:
    raise EncoderError("no such files here")


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (RayIngestion(cpus=0.5, load=Other), EncoderMismatchError, "put the same files on both"),
        (RayIngestion(cpus=0.5, load=missing), EncoderError, "no such files here"),
        (RayIngestion(cpus=64), ClusterError, "64 cores .* the whole cluster has"),
        (RayIngestion(actors=1, gpus=1, patience=3), ClusterError, "1 graphics cards for 3 sec"),
        (RayIngestion(address="local"), ClusterError, "connected to a Ray cluster already"),
    ],
)
def test_what_cannot_work_is_said(
    cluster: Any,
    tmp_path: Path,
    folder: Path,
    settings: RayIngestion,
    error: type[Exception],
    words: str,
) -> None:
    with (
        SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder()) as space,
        pytest.raises(error, match=words),
    ):
        space.add_folder(folder, ray=settings)


_LOCAL = """
from unisem.ingest.ray import RayIngestion
import psutil

def listened_to():
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return [c.laddr.ip for p in family for c in p.net_connections() if c.status == "LISTEN"]

found = []
with opened(sys.argv[1]) as space:
    report = space.add_folder(
        sys.argv[2],
        ray=RayIngestion(address="local", actors=1, cpus=0.5, load=ToyEncoder),
        progress=lambda *done: found.append(listened_to()),
    )
most = max(found, key=len)
left = psutil.Process().children(recursive=True)
psutil.wait_procs(left, timeout=60)
print(json.dumps([report.added, most, len(psutil.Process().children(recursive=True))]))
"""


def test_a_cluster_of_its_own_listens_to_this_machine_only(tmp_path: Path, folder: Path) -> None:
    added, most, left = json.loads(
        script(_LOCAL, tmp_path / "a.unisem", folder, seconds=300).splitlines()[-1]
    )
    assert added > COUNT
    assert len(most) >= 3
    assert {ip.removeprefix("::ffff:") for ip in most} == {"127.0.0.1"}
    assert left == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("options", [(), ("--ray", "local", "--ray-actors", "1")])
def test_what_is_done_is_kept_and_the_rest_is_done_later(
    tmp_path: Path, folder: Path, options: tuple[str, ...], end: signal.Signals
) -> None:
    for number in range(COUNT, 6 * COUNT):
        noise(number, (160, 120)).save(folder / f"{number:03}.png")
    path = tmp_path / "photos.unisem"
    index = subprocess.Popen(
        [sys.executable, "-m", "unisem", "index", folder, "--into", path, *options],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def kept() -> int:
        assert index.poll() is None, index.communicate()
        if not (path / "manifest.json").exists():
            return 0
        with SemanticSpace.open(path) as space:
            return len(space)

    until(lambda: kept() > COUNT, seconds=300)  # a cluster begins, too
    family = psutil.Process(index.pid).children(recursive=True)
    os.killpg(index.pid, end)  # as a terminal does by Ctrl-C
    _, errors = index.communicate(timeout=120)
    assert index.returncode == (130 if end == signal.SIGINT else -9)
    assert "Traceback" not in errors
    assert ("What is done is kept" in errors) == (end == signal.SIGINT)
    assert not psutil.wait_procs(family, timeout=60)[1]
    with SemanticSpace.open(path) as space:
        before = len(space)
    assert COUNT < before < 6 * COUNT
    report, held = taken_in(path, folder, None, "mini")
    assert (report.unchanged, report.added) == (before, len(held) - before)
    whole, expected = taken_in(tmp_path / "whole.unisem", folder, None, "mini")
    assert held == expected
    assert report.skipped == whole.skipped


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.common.lazy.find_spec", lambda name: None)
    with (
        SemanticSpace.open(tmp_path / "a.unisem", encoder=ToyEncoder()) as space,
        pytest.raises(ClusterError, match=r'pip install "unisem\[ray\]"'),
    ):
        space.add_folder(folder, ray=RayIngestion())
