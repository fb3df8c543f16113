"""Filling in captions: against records and vectors written by hand, whatever a captioner does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.captioners import ColourCaptioner, colour_of
from tests.support.pictures import colour_folder, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.captions import CAPTION_SHA256, GENERATED_BY, MARKS, generated_by, marks_of
from unisem.errors import CaptionerError
from unisem.filters import Field
from unisem.ingest.captioning import CaptionReport, fill_captions, remove_captions

CAPTIONS = {f"photos/{colour}.png": f"a {colour} card" for colour in COLOURS}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures without captions, one with a person's, and a text."""
    folder = colour_folder(tmp_path / "photos")
    for colour in COLOURS:
        if colour != "red":
            (folder / f"{colour}.txt").unlink()
    (folder / "red.txt").write_text("my best card")
    return folder


@pytest.fixture
def space(tmp_path: Path, photos: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as opened:
        opened.add_folder(photos)
        yield opened


def fill(space: SemanticSpace, captioner: Any = None, **options: Any) -> CaptionReport:
    return fill_captions(space.store, space.encoder, captioner or ColourCaptioner(), **options)


def records(space: SemanticSpace) -> dict[str, Record]:
    return {record.id: record for record in space.store.select()}


def vectors(space: SemanticSpace) -> dict[str, dict[str, bytes]]:
    ids = list(records(space))
    found = zip(ids, space.store.vectors(ids), strict=True)
    return {name: {kind: row.tobytes() for kind, row in (of or {}).items()} for name, of in found}


def test_pictures_without_words_get_a_caption_and_its_vector(space: SemanticSpace) -> None:
    before, old = vectors(space), records(space)
    seen: list[tuple[int, int]] = []
    encoder: Any = space.encoder
    pictures = encoder.images_encoded
    report = fill(space, progress=lambda done, total: seen.append((done, total)))
    assert report == CaptionReport(captioned=len(COLOURS) - 1)
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert encoder.images_encoded == pictures, "no picture is embedded again"
    found, after = records(space), vectors(space)
    for name, caption in CAPTIONS.items():
        if name == "photos/red.png":
            continue
        assert found[name].text == caption
        assert found[name].metadata == {**old[name].metadata, **marks_of(caption, "colours")}
        assert found[name].image == old[name].image
        assert after[name]["image"] == before[name]["image"]
        row = encoder.encode_texts([caption])[0]
        assert after[name]["text"] == row.astype(np.float32).tobytes()
    for name in ("photos/red.png", "photos/about.txt"):
        assert found[name] == old[name]
        assert after[name] == before[name]
    assert space.search("a blue card", match="text", k=1)[0].record.id == "photos/blue.png"
    assert len(space.search("card", k=9, filter=Field(GENERATED_BY) == "colours")) == 5


def test_the_same_picture_is_asked_about_once(space: SemanticSpace, tmp_path: Path) -> None:
    for copy in ("one", "two"):
        solid("blue").save(tmp_path / "photos" / f"{copy}.png")
    space.add_folder(tmp_path / "photos")
    captioner = ColourCaptioner()
    assert fill(space, captioner, directory=tmp_path).captioned == 7
    assert captioner.asked == 5
    remove_captions(space.store)
    again = ColourCaptioner()
    report = fill(space, again, directory=tmp_path)
    assert (report.captioned, report.reused, again.asked) == (7, 7, 0)
    assert {records(space)[f"photos/{name}.png"].text for name in ("one", "two", "blue")} == {
        "a blue card"
    }
    remove_captions(space.store)
    other = ColourCaptioner(name="another")
    assert fill(space, other, directory=tmp_path).captioned == 7
    assert other.asked == 5, "another captioner is asked itself"


def test_indexing_again_keeps_what_was_generated(space: SemanticSpace, photos: Path) -> None:
    fill(space)
    captioned = records(space)
    report = space.add_folder(photos)
    assert (report.added, report.unchanged) == (0, 7)
    assert records(space) == captioned
    # Metadata that change come with the caption; a person's caption takes its place.
    (photos / "metadata.jsonl").write_text(
        '{"file_name": "blue.png", "year": 2024}\n'
        '{"file_name": "green.png", "text": "a lawn, by Ada"}\n'
    )
    report = space.add_folder(photos)
    assert report.added == 2
    found = records(space)
    assert found["photos/blue.png"].text == "a blue card"
    assert found["photos/blue.png"].metadata == {
        "file_name": "blue.png", "width": 40, "height": 30, "year": 2024,
        **marks_of("a blue card", "colours"),
    }  # fmt: skip
    assert found["photos/green.png"].text == "a lawn, by Ada"
    assert not found["photos/green.png"].metadata.keys() & set(MARKS)
    assert fill(space).captioned == 0
    # Of another picture under the name nothing has been said.
    solid("black").save(photos / "yellow.png")
    space.add_folder(photos)
    assert records(space)["photos/yellow.png"].text is None
    assert fill(space).captioned == 1
    assert records(space)["photos/yellow.png"].text == "a black card"


def test_undone_it_is_as_before(space: SemanticSpace) -> None:
    before, old = vectors(space), records(space)
    fill(space)
    blue = records(space)["photos/blue.png"]
    space.add([Record(id=blue.id, text="the sea", image=blue.image, metadata=blue.metadata)])
    assert remove_captions(space.store, captioner="another").removed == 0
    report = remove_captions(space.store)
    assert (report.removed, report.changed) == (4, 1)
    found, after = records(space), vectors(space)
    assert found["photos/blue.png"].text == "the sea", "whoever changed it keeps it"
    for name in old.keys() - {"photos/blue.png"}:
        assert found[name] == old[name]
        assert after[name] == before[name]
    assert remove_captions(space.store).removed == 0


def test_one_strange_picture_costs_no_other_its_caption(space: SemanticSpace, photos: Path) -> None:
    (photos / "white.png").unlink()
    (photos / "black.png").write_bytes(b"no picture")
    solid("red").save(photos / "green.png")

    def say(picture: Image.Image) -> str:
        if colour_of(picture) == "yellow":
            raise CaptionerError("I cannot bear yellow")
        return "a card"

    for batch_size in (1, 2, 16):
        report = fill(space, ColourCaptioner(say, batch_size=batch_size))
        assert report.captioned == (batch_size == 1), "the others stay as they are"
        reasons = {Path(it.name).name: it.reason for it in report.skipped}
        assert reasons.keys() == {"white.png", "black.png", "green.png", "yellow.png"}
        assert "does not exist" in reasons["white.png"]
        assert "has changed" in reasons["green.png"]
        assert reasons["yellow.png"] == "I cannot bear yellow"
    assert records(space)["photos/green.png"].text is None, "of another picture nothing is said"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", None),
        (" \n\t\x00 ", None),
        ("a\x1b[31m red\u202e\ncard ", "a[31m red card"),
        ("half \ud800 a pair", "half \ufffd a pair"),
        ("word " * 100_000, "word " * 99 + "word…"),
        ("x" * 1000, "x" * 499 + "…"),
    ],
)
def test_whatever_a_model_says(space: SemanticSpace, said: str, kept: str | None) -> None:
    report = fill(space, ColourCaptioner(lambda _: said))
    assert report.wordless == (5 if kept is None else 0)
    assert report.captioned == (0 if kept is None else 5)
    assert records(space)["photos/blue.png"].text == kept
    if kept is not None:
        assert generated_by(kept, records(space)["photos/blue.png"].metadata) == "colours"


def test_a_model_that_always_fails_is_given_up(tmp_path: Path) -> None:
    def fail(_: Image.Image) -> str:
        raise CaptionerError("out of order")

    captioner = ColourCaptioner(fail)
    pictures = [Record(id=f"{n:02}", image=solid((n, 0, 0))) for n in range(40)]
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add(pictures[:15])
        assert len(fill(space, captioner).skipped) == 15
        space.add(pictures)
        with pytest.raises(CaptionerError, match=r"16 pictures running.*out of order"):
            fill(space, captioner)


def test_what_was_changed_meanwhile_is_left_alone(space: SemanticSpace) -> None:
    def say(picture: Image.Image) -> str:
        if colour_of(picture) == "blue":
            image = records(space)["photos/blue.png"].image
            space.add([Record(id="photos/blue.png", text="mine", image=image)])
            space.delete(["photos/green.png"])
        return "a card"

    assert fill(space, ColourCaptioner(say, batch_size=8)).captioned == 3
    assert records(space)["photos/blue.png"].text == "mine"
    assert "photos/green.png" not in records(space)


KILLED = """
import os, sys
from pathlib import Path
from tests.support.captioners import ColourCaptioner, colour_of
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.ingest.captioning import fill_captions

def say(picture):
    print(colour_of(picture), flush=True)
    if colour_of(picture) == sys.argv[2]:
        os._exit(9)
    return f"a {colour_of(picture)} card"

folder = Path(sys.argv[1])
with SemanticSpace.open(folder / "s.unisem", encoder=ToyEncoder()) as space:
    fill_captions(space.store, space.encoder, ColourCaptioner(say, batch_size=1),
                  directory=folder / "s.unisem")
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, photos: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(photos)

    def run(last: str) -> tuple[int, list[str]]:
        command = [sys.executable, "-c", KILLED, str(tmp_path), last]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.split()

    assert run("white") == (9, ["black", "blue", "green", "white"])
    assert run("") == (0, ["white", "yellow"])
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        found = records(space)
    assert found["photos/black.png"].text == "a black card"
    assert found["photos/red.png"].text == "my best card"
    assert all(len(it.metadata.get(CAPTION_SHA256, "x" * 64)) == 64 for it in found.values())
