"""A space in step with a folder that lives: renamed, deleted, copied files; slow encoders."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import noise, solid
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.filters import Field
from unisem.images.reference import ImageSource
from unisem.ingest.pruning import Pruning
from unisem.readers import FolderReader
from unisem.records import Vector
from unisem.search.fusion import WeightedFusion
from unisem.stores.selection import Selection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    for number, name in enumerate(("anchor", "bell")):
        noise(number).save(path / f"{name}.png")
        (path / f"{name}.txt").write_text(f"a {name}")
    (path / "about.txt").write_text("About anchors and bells.")
    return path


def ids(space: SemanticSpace) -> set[str]:
    return {record.id for record in space.store.select()}


def test_what_is_renamed_is_one_record_under_its_new_name(
    folder: Path, space: SemanticSpace
) -> None:
    space.add_folder(folder)
    (folder / "sea").mkdir()
    (folder / "anchor.png").rename(folder / "sea" / "ship.png")
    (folder / "about.txt").rename(folder / "read me.txt")
    report = space.add_folder(folder)
    assert (report.renamed, report.gone, report.removed) == (2, (), 0)
    assert ids(space) == {
        "photos/sea/ship.png",
        "photos/bell.png",
        "photos/read me.txt",
        "photos/anchor.txt",  # no caption any more, so a text
    }


def test_what_is_gone_is_named_and_taken_out_when_asked(folder: Path, space: SemanticSpace) -> None:
    (folder / "long.txt").write_text("\n\n".join(f"{n} " + "word " * 150 for n in range(4)))
    space.add_folder(folder)
    space.add([Record(id="own", text="not of the folder", image=folder / "anchor.png")])
    before = ids(space)
    for name in ("anchor.png", "anchor.txt", "long.txt"):
        (folder / name).unlink()
    gone = {"photos/anchor.png", *(f"photos/long.txt#{n}" for n in (1, 2, 3, 4))}
    report = space.add_folder(folder)
    assert set(report.gone) == gone
    assert report.removed == 0
    assert ids(space) == before
    assert set(space.add_folder(folder, prune=True).pruned) == set()  # it is more than half
    report = space.add_folder(folder, prune=Pruning.NOW)
    assert (set(report.gone), report.removed) == (gone, 5)
    assert ids(space) == before - gone
    assert space.add_folder(folder, prune=True).gone == ()


def test_a_folder_in_place_of_a_picture_is_no_picture(folder: Path, space: SemanticSpace) -> None:
    space.add_folder(folder)
    first = sorted(folder.glob("*.png"))[0]
    first.unlink()
    first.mkdir()
    report = space.add_folder(folder, prune=True)
    assert (report.gone, report.removed) == ((f"{folder.name}/{first.name}",), 1)


def test_a_text_that_was_emptied_or_became_a_caption_is_gone(
    folder: Path, space: SemanticSpace
) -> None:
    (folder / "ship.txt").write_text("a ship")
    space.add_folder(folder)
    assert {"photos/about.txt", "photos/ship.txt"} <= ids(space)
    (folder / "about.txt").write_text(" ")
    noise(3).save(folder / "ship.png")
    report = space.add_folder(folder)
    assert set(report.gone) == {"photos/about.txt", "photos/ship.txt"}
    assert space.add_folder(folder, prune=True).removed == 2
    assert ids(space) == {"photos/anchor.png", "photos/bell.png", "photos/ship.png"}


def test_a_drive_that_is_not_mounted_is_not_pruned(folder: Path, space: SemanticSpace) -> None:
    space.add_folder(folder)
    before = ids(space)
    shutil.rmtree(folder)
    folder.mkdir()
    report = space.add_folder(folder, prune=True)
    assert (set(report.gone), report.removed) == (before, 0)
    assert ids(space) == before


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_inside_that_is_not_mounted_is_not_pruned(
    folder: Path, space: SemanticSpace, is_there: bool
) -> None:
    (folder / "usb" / "deep").mkdir(parents=True)
    noise(5).save(folder / "usb" / "deep" / "ship.png")
    (folder / "usb" / "words.html").write_text("<h1>Ships</h1><p>of words</p>")
    space.add_folder(folder)
    inside = {it for it in ids(space) if it.startswith("photos/usb/")}
    assert len(inside) == 2
    shutil.rmtree(folder / "usb")
    if is_there:
        (folder / "usb").mkdir()
    (folder / "bell.png").unlink()
    (folder / "bell.txt").unlink()
    report = space.add_folder(folder, prune=True)
    assert (set(report.gone), report.pruned) == (inside | {"photos/bell.png"}, ("photos/bell.png",))
    assert "missing or empty" in str(report.withheld)
    assert inside < ids(space)
    report = space.add_folder(folder, prune=Pruning.NOW)
    assert (set(report.pruned), report.withheld) == (inside, None)


def test_another_folder_s_records_are_not_pruned(
    folder: Path, tmp_path: Path, space: SemanticSpace
) -> None:
    other = tmp_path / "other" / "photos2"
    other.mkdir(parents=True)
    noise(7).save(other / "x.png")
    space.add_folder(other)
    space.add_folder(folder)
    (other / "x.png").unlink()
    assert space.add_folder(folder, prune=True).gone == ()
    assert "photos2/x.png" in ids(space)
    assert space.add_folder(other).gone == ("photos2/x.png",)


def test_a_space_inside_its_folder_finds_what_is_gone(folder: Path, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(folder / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        (folder / "bell.png").unlink()
        assert space.add_folder(folder, prune=True).gone == ("photos/bell.png",)


def test_what_is_left_out_from_now_on_is_gone(folder: Path, space: SemanticSpace) -> None:
    space.add_folder(folder)
    report = space.add_folder(folder, exclude=["bell.*"], prune=True)
    assert (report.gone, report.removed) == (("photos/bell.png",), 0)
    assert "left out" in str(report.withheld)
    report = space.add_folder(folder, exclude=["bell.*"], prune=Pruning.NOW)
    assert (report.pruned, report.removed) == (("photos/bell.png",), 1)
    assert report.left_out == {"bell.*": 2}
    report = space.add_folder(folder)
    assert (report.added, report.left_out) == (1, {})


def test_a_name_in_other_letters_is_the_same_file_where_letters_do_not_matter(
    folder: Path, space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.add_folder(folder)
    (folder / "anchor.png").rename(folder / "Anchor.PNG")
    (folder / "anchor.txt").rename(folder / "Anchor.txt")
    lstat = Path.lstat

    def in_any_letters(path: Path) -> os.stat_result:
        try:
            return lstat(path)
        except FileNotFoundError:
            names = {it.name.casefold(): it for it in path.parent.iterdir()}
            return lstat(names.get(path.name.casefold(), path))

    monkeypatch.setattr(Path, "lstat", in_any_letters)
    report = space.add_folder(folder)
    assert (report.renamed, report.gone) == (1, ())
    assert ids(space) == {"photos/Anchor.PNG", "photos/bell.png", "photos/about.txt"}


def test_kinds_that_are_not_read_are_reported(folder: Path, space: SemanticSpace) -> None:
    (folder / "a.mov").touch()
    assert space.add_folder(folder).ignored == {".mov": 1}


class Slow(ToyEncoder):
    """Takes its time with each picture, until it is told to stop; one event for each call."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.told = threading.Event()

    def encode_images(self, images: Sequence[ImageSource], **options: Any) -> Vector:
        for _ in images:
            if self.told.wait(self.seconds):
                raise InterruptedError("told to stop")
        return super().encode_images(images, **options)


@pytest.mark.slow
def test_the_first_pictures_are_stored_soon_whatever_the_encoder(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        noise(number).save(folder / f"{number:02}.png")
    encoder = Slow(0.4)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:

        def work() -> None:
            with suppress(InterruptedError):
                space.add_folder(folder)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(9)
        stored = len(space)
        encoder.told.set()
        thread.join()
    assert stored >= 7


@pytest.mark.parametrize(("quick", "first"), [(1e9, [1, 2, 4, 8, 16, 32]), (0, [1] * 6)])
def test_batches_grow_only_while_the_encoder_keeps_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: float, first: list[int]
) -> None:
    monkeypatch.setattr("unisem.ingest.intake._QUICK", quick)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(100):
        noise(number).save(folder / f"{number:02}.png")
    sizes: list[int] = []

    class Counting(ToyEncoder):
        def encode_images(self, images: Sequence[ImageSource], **options: Any) -> Vector:
            sizes.append(len(images))
            return super().encode_images(images, **options)

    with SemanticSpace.open(tmp_path / "s.unisem", encoder=Counting()) as space:
        assert space.add_folder(folder).added == 100
    assert sizes[:6] == first
    assert max(sizes) == (32 if quick else 1)
    assert sum(sizes) == 100


@pytest.fixture
def copies(tmp_path: Path, space: SemanticSpace) -> SemanticSpace:
    """Nine copies of one picture, some with captions, among other pictures and texts."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(9):
        solid("red").save(folder / f"copy{number}.png")
        if number % 2:
            (folder / f"copy{number}.txt").write_text(f"a red card, number {number}")
    for number, colour in enumerate(("green", "blue", "yellow")):
        solid(colour).save(folder / f"other{number}.png")
    for number in range(4):
        (folder / f"{number}.md").write_text(f"A red text, number {number}.")
    assert not space.add_folder(folder).skipped
    return space


@pytest.mark.parametrize("k", [0, 1, 3, 6, 8, 20])
@pytest.mark.parametrize(
    "asked",
    [
        {"text": "red"},
        {"text": "a red card", "mode": "keyword"},
        {"text": "red", "match": "image"},
        {"text": "red", "filter": Field("file_name") != "copy1.png"},
    ],
)
def test_hits_are_those_of_a_space_without_the_copies_which_are_told_of(
    copies: SemanticSpace, asked: dict[str, Any], k: int
) -> None:
    expected: list[tuple[str, float]] = []
    of_picture: dict[str, set[str]] = {}
    allowed = {it.id for it in copies.store.select(Selection(filter=asked.get("filter")))}
    for record in copies.store.select():
        if record.image is not None and record.id in allowed:
            of_picture.setdefault(str(record.image.sha256), set()).add(record.id)
    seen: set[str] = set()
    for hit in copies.search(**asked, k=100, duplicates="keep"):
        digest = hit.record.image.sha256 if hit.record.image else hit.record.id
        assert digest is not None
        if digest not in seen:
            seen.add(digest)
            expected.append((hit.record.id, hit.score))
    hits = copies.search(**asked, k=k)
    found = [(hit.record.id, hit.score) for hit in hits]
    assert found == [(name, pytest.approx(score)) for name, score in expected[:k]]
    for hit in hits:
        digest = None if hit.record.image is None else hit.record.image.sha256
        others = sorted(of_picture.get(str(digest), set()) - {hit.record.id})
        assert [copy.id for copy in hit.copies] == others
        assert len(hit.places) == (0 if digest is None else 1 + len(others))


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "hybrid"},
        {"mode": "hybrid", "fusion": WeightedFusion(vector=0.3)},
        {"diversity": 0.3, "fetch_k": 4},
        {"min_score": 0.2},
    ],
)
def test_each_picture_is_one_hit_with_every_way_of_choosing(
    copies: SemanticSpace, options: dict[str, Any]
) -> None:
    hits = copies.search(text="a red card", k=4, **options)
    digests = [hit.record.image.sha256 for hit in hits if hit.record.image]
    assert len(set(digests)) == len(digests)
    assert len(hits) == 4 or "min_score" in options


def test_queries_that_want_copies_and_that_do_not_share_a_call(copies: SemanticSpace) -> None:
    plain, distinct = (
        Query(text="red", k=5, match="image", duplicates=which) for which in ("keep", "same")
    )
    both = copies.search_many([plain, distinct])
    assert both == [copies.search_query(plain), copies.search_query(distinct)]
    assert len({hit.record.image.sha256 for hit in both[0] if hit.record.image}) == 1


def test_what_a_file_knows_is_found_by_and_costs_no_picture_a_new_vector(
    folder: Path, space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[271], exif[272], exif[270] = "Canon", "Canon EOS R6", "a quay at night"
    exif.get_ifd(0x8769)[0x9003] = "2024:06:01 18:30:05"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    noise(5).save(folder / "quay.jpg", exif=exif)
    with monkeypatch.context() as patch:  # a space from before files were asked
        patch.setattr(FolderReader, "described", lambda self, record, data: record)
        assert space.add_folder(folder).added == 4
    before = space.store.vectors(["photos/quay.jpg", "photos/bell.png"])
    with monkeypatch.context() as patch:
        patch.setattr(space.encoder, "prepare_image", None)  # no picture is decoded again
        report = space.add_folder(folder)
    assert (report.added, report.unchanged, report.skipped) == (3, 1, ())
    after = space.store.vectors(["photos/quay.jpg", "photos/bell.png"])
    for old, new in zip(before, after, strict=True):
        assert old is not None
        assert new is not None
        np.testing.assert_array_equal(old["image"], new["image"])
    (quay,) = space.get(["photos/quay.jpg"])
    assert quay is not None
    assert quay.text == "a quay at night"
    assert quay.metadata["camera"] == "Canon EOS R6"
    assert (quay.metadata["latitude"], quay.metadata["longitude"]) == (52.5, 13.4)
    for taken, found in (
        (Field("taken") >= "2024-06-01", ["photos/quay.jpg"]),
        (Field("taken") >= "2024", ["photos/quay.jpg"]),
        (Field("taken") < "2024-06-01", []),
    ):
        hits = space.search(text="a quay", k=5, filter=taken)
        assert [hit.record.id for hit in hits] == found
    assert space.add_folder(folder).added == 0
    assert space.add_folder(folder, location=False).added == 1
    (quay,) = space.get(["photos/quay.jpg"])
    assert quay is not None
    assert "latitude" not in quay.metadata


def test_what_a_person_says_of_a_picture_comes_before_what_its_file_says(
    folder: Path, space: SemanticSpace
) -> None:
    exif = Image.Exif()
    exif[271], exif[270] = "Canon", "of the file"
    noise(5).save(folder / "quay.jpg", exif=exif)
    noise(6).save(folder / "boat.jpg", exif=exif)
    (folder / "metadata.csv").write_text("file_name,text,camera\nquay.jpg,mine,a box\n")
    (folder / "boat.xmp").write_text(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt><rdf:li>of the '
        "sidecar</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF>"
    )
    report = space.add_folder(folder)
    assert (report.skipped, report.ignored) == ((), {})
    quay, boat = space.get(["photos/quay.jpg", "photos/boat.jpg"])
    assert quay is not None
    assert boat is not None
    assert (quay.text, quay.metadata["camera"]) == ("mine", "a box")
    assert quay.metadata["description"] == "of the file"
    assert (boat.text, boat.metadata["camera"]) == ("of the sidecar", "Canon")
