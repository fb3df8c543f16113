"""``unisem index``: what is counted, what is said, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.cli.conftest import Run
from tests.support.manuals import manual
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.images.reference import ImageSource
from unisem.ingest import looking
from unisem.ingest.intake import Intake
from unisem.ingest.ray import RayIngestion
from unisem.records import Record, Vector


def counts(output: str) -> dict[str, int]:
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


@pytest.mark.filterwarnings("error")
def test_a_picture_of_108_megapixels_from_a_phone_is_indexed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("L", (12_000, 9_000), 128).save(folder / "IMG_108MP.jpg", quality=30)
    result = run("index", folder, "--into", tmp_path / "s.unisem")
    assert result.stderr == ""
    assert counts(result.output)["added"] == 1
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        record = space.get(["photos/IMG_108MP.jpg"])[0]
        assert record is not None
        assert record.image is not None
        assert (record.image.width, record.image.height) == (12_000, 9_000)
        assert record.image.open(min_side=1000).size == (1500, 1125)


def test_counts_and_holdings(run: Run, cards: Path, tmp_path: Path) -> None:
    space = tmp_path / "s.unisem"
    first = run("index", cards, "--into", space)
    assert first.exit_code == 0
    assert counts(first.output) == {"added": 7, "unchanged": 0, "removed": 0, "skipped": 0}
    assert f"{space} holds 7 records (encoder toy-0)" in first.output
    assert "\x1b" not in first.output

    solid("red").save(cards / "another.png")
    second = run("index", cards, "--into", space)
    assert counts(second.output) == {"added": 1, "unchanged": 7, "removed": 0, "skipped": 0}


def test_passages_that_a_text_no_longer_has_are_counted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.md").write_text("one " * 300 + "\n\n" + "two " * 300)
    run("index", folder, "--into", "s.unisem")
    (folder / "a.md").write_text("short")
    assert counts(run("index", folder, "--into", "s.unisem").output)["removed"] >= 2


def test_skipped_inputs_are_listed_with_reasons(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    for number in range(13):
        (folder / f"{number:02}.png").write_bytes(b"no picture")
        (folder / f"{number:02}.txt").write_bytes(b"x" * number + b"\xff")
    result = run("index", folder, "--into", "s.unisem")
    assert result.exit_code == 0
    assert counts(result.output)["skipped"] == 26
    assert "13 (00.png, 01.png, 02.png …): is not a picture" in result.output
    assert "09.txt: is no caption: cannot be read" in result.output
    assert "10.txt" not in result.output
    assert "and 3 more; --show-skipped lists all" in result.output
    everything = run("index", folder, "--into", "s.unisem", "--show-skipped").output
    assert "12.png" in everything
    assert "more" not in everything


def test_file_names_cannot_write_to_the_terminal(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "[red]a\x1b[31m\x07\u202eb.png").write_bytes(b"no picture")
    output = run("index", folder, "--into", "s.unisem").output
    assert "[red]a[31mb.png" in output


class Interrupted(ToyEncoder):
    """As if somebody pressed Ctrl-C when a part is done."""

    def encode_images(self, images: list[ImageSource], **options: Any) -> Vector:
        if self.images_encoded >= 30:
            raise KeyboardInterrupt
        return super().encode_images(images, **options)


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(70):
        solid((number, number, number)).save(folder / f"{number:02}.png")
    with monkeypatch.context() as patch:
        patch.setattr("unisem.space_parts.load_encoder", lambda name, **options: Interrupted())
        patch.setattr("unisem.ingest.intake._QUICK", 1e9)  # seconds, however busy the machine
        result = run("index", folder, "--into", "s.unisem")
    assert result.exit_code == 130
    assert "What is done is kept: 31 records in s.unisem." in result.stderr
    assert "Run the same command again" in result.stderr
    again = run("index", folder, "--into", "s.unisem")
    assert counts(again.output) == {"added": 39, "unchanged": 31, "removed": 0, "skipped": 0}


def test_a_missing_folder_is_one_line_and_makes_no_space(run: Run, tmp_path: Path) -> None:
    result = run("index", tmp_path / "nowhere", "--into", tmp_path / "s.unisem")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'nowhere'} is not a folder\n"
    assert result.stdout == ""
    assert not (tmp_path / "s.unisem").exists()


def test_a_space_of_another_encoder_is_one_line(run: Run, built: Path, cards: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder(seed=1))
        result = run("index", cards, "--into", built, "--encoder", "other")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_second_writer_is_one_line(run: Run, built: Path, cards: Path, toy: ToyEncoder) -> None:
    solid("blue").save(cards / "new.png")
    with SemanticSpace.open(built, encoder=toy) as writer:
        writer.delete(["cards/red.png"])
        result = run("index", cards, "--into", built)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_an_unchanged_folder_embeds_nothing(
    run: Run, built: Path, cards: Path, toy: ToyEncoder
) -> None:
    before = toy.texts_encoded, toy.images_encoded
    assert counts(run("index", cards, "--into", built).output)["unchanged"] == 7
    assert (toy.texts_encoded, toy.images_encoded) == before


def test_what_is_not_read_and_what_has_gone_is_said(run: Run, cards: Path) -> None:
    for name in ("a.mov", "b.MOV", "c.zip", "LICENSE"):
        (cards / name).touch()
    first = run("index", cards, "--into", "s.unisem").output
    assert "ignored: 1 without a suffix, 2 .mov, 1 .zip" in first
    assert "gone" not in first
    for colour in ("red", "blue"):
        (cards / f"{colour}.png").unlink()
        (cards / f"{colour}.txt").unlink()
    (cards / "green.png").rename(cards / "lawn.png")
    (cards / "green.txt").rename(cards / "lawn.txt")
    second = run("index", cards, "--into", "s.unisem").output
    assert counts(second)["renamed"] == 1
    assert "gone: 2 files (cards/" in second
    assert "found until --prune removes them" in second
    pruned = run("index", cards, "--into", "s.unisem", "--prune").output
    assert counts(pruned)["removed"] == 2
    assert "gone" not in pruned
    for path in cards.iterdir():
        path.unlink()
    emptied = run("index", cards, "--into", "s.unisem", "--prune").output
    assert counts(emptied)["removed"] == 0
    assert "kept, as the folder is empty; is its drive mounted?" in emptied


def test_looks_are_made_up_for_in_the_folder_only_and_of_what_can_be_read(
    run: Run, cards: Path, tmp_path: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cards, tmp_path / "others")
    for folder in (cards, tmp_path / "others"):
        run("index", folder, "--into", "s.unisem")
    with SemanticSpace.open("s.unisem", encoder=toy) as space:
        items = list(space.store.embedded())
        for item in items:
            if item.record.image is not None:  # as in a space that is older
                object.__setattr__(item.record.image, "look", None)
        space.store.add(items)
    (cards / "red.png").unlink()
    (cards / "blue.png").write_bytes(b"no picture")
    opened: list[str] = []
    look_at = looking._looked_at

    def looked_at(record: Record) -> Record | None:
        opened.append(record.id)
        return look_at(record)

    monkeypatch.setattr(looking, "_looked_at", looked_at)
    for _ in range(2):
        assert run("index", cards, "--into", "s.unisem").exit_code == 0
    names = {f"cards/{path.name}" for path in cards.glob("*.png")} - {"cards/blue.png"}
    assert sorted(opened) == sorted(names)

    def interrupted(*parts: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(looking, "remember_looks", interrupted)
    done = run("index", cards, "--into", "s.unisem")
    assert (done.exit_code, "What is done is kept" in done.stderr) == (130, True)


def test_what_is_left_out_is_said_and_may_be_chosen(run: Run, cards: Path) -> None:
    (cards / "node_modules").mkdir()
    (cards / "red.png").rename(cards / "node_modules" / "red.png")
    first = run("index", cards, "--into", "s.unisem", "--exclude", "blue.*").output
    assert "left out: 2 blue.*, 1 node_modules" in first
    second = run("index", cards, "--into", "s.unisem", "--include", "node_modules").output
    assert "left out" not in second
    assert counts(second)["added"] == 2
    wrong = run("index", cards, "--into", "s.unisem", "--exclude", "/etc")
    assert wrong.exit_code == 2
    assert "no pattern of files" in wrong.stderr


def test_the_report_as_json(run: Run, cards: Path) -> None:
    (cards / "broken.png").write_bytes(b"no picture")
    (cards / "a.mov").touch()
    found = json.loads(run("index", cards, "--into", "s.unisem", "--json").stdout)
    assert (found["added"], found["ignored"], found["records"]) == (7, {".mov": 1}, 7)
    assert [it["name"] for it in found["skipped"]] == [str(cards / "broken.png")]
    for command in (
        ["store", "stats", "s.unisem"],
        ["store", "check", "s.unisem"],
        ["store", "compact", "s.unisem"],
        ["store", "export", "s.unisem", "out"],
        ["store", "import", "out", "--into", "s.unisem"],
        ["store", "backup", "s.unisem", "copy.unisem"],
        ["store", "publish", "s.unisem", "published"],
        ["graph", "stats", "s.unisem"],
        ["graph", "link", "s.unisem"],
        ["feedback", "list", "s.unisem"],
        ["caption", "s.unisem", "--undo"],
        ["search", "s.unisem", "red"],
    ):
        done = run(*command, "--json")
        assert done.exit_code == 0, (command, done.output)
        assert isinstance(json.loads(done.stdout), dict | list), command


def test_captions_that_are_read_in_part_are_said(
    run: Run, cards: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "reads_whole", lambda text: "blue" not in text)
    output = " ".join(run("index", cards, "--into", "s.unisem").output.split())
    what = "longer than the encoder reads, whose end is found by keyword only"
    assert f"read in part: 1 caption (cards/blue.png) {what}" in output


def test_links_that_point_at_themselves_are_listed(run: Run, cards: Path) -> None:
    for name in ("self.png", "self.md", "self.txt"):
        (cards / name).symlink_to(name)
    (cards / "round").symlink_to(cards)
    result = run("index", cards, "--into", "s.unisem")
    assert result.exit_code == 0
    assert counts(result.output)["added"] == 7
    for name in ("self.png: cannot be read", "self.md: cannot be read", "round: is a link"):
        assert name in result.output


def test_words_in_pictures_are_read_and_counted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    picture = Image.new("RGB", (500, 80), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((20, 20), "Proxy settings of the office", "black", ImageFont.load_default(28))
    picture.save(folder / "settings.png")
    solid("green").save(folder / "lawn.png")
    first = run("index", folder, "--into", "s.unisem", "--ocr", "ppocr-v5")
    assert "words read in 1 picture" in " ".join(first.output.split())
    assert "holds 3 records" in first.output
    second = run("index", folder, "--into", "s.unisem", "--ocr", "ppocr-v5")
    assert counts(second.output)["unchanged"] == 2
    assert "words read" not in second.output
    found = run("search", "s.unisem", "office proxy", "--mode", "keyword", "-k", "1")
    assert "settings.png" in found.output


def test_a_recogniser_that_is_none_makes_no_space(run: Run, cards: Path, tmp_path: Path) -> None:
    result = run("index", cards, "--into", tmp_path / "s.unisem", "--ocr", "eyes")
    assert result.exit_code != 0
    assert "there is no recogniser 'eyes'" in result.output + result.stderr + str(result.exception)
    assert not (tmp_path / "s.unisem").exists()


def test_what_is_in_documents_is_told(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "machine.pdf").write_bytes(manual())
    (folder / "page.md").write_text("# A page")
    output = run("index", folder, "--into", "s.unisem").output
    assert "2 documents with 2 pages, 2 figures, 1 table\n" in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ray-actors", 2), "say which cluster"),
        (("--ray-gpus", 1), "say which cluster"),
        (("--ray-shared",), "say which cluster"),
        (("--ray", "ray://head:10001"), "Ray Client"),
    ],
)
def test_what_is_said_of_no_cluster_is_refused(
    run: Run, cards: Path, options: tuple[object, ...], words: str
) -> None:
    result = run("index", cards, "--into", "s.unisem", *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert not Path("s.unisem").exists()


def test_a_cluster_is_used_as_it_is_described(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[RayIngestion] = []

    def intake(settings: RayIngestion, intake: Intake) -> Intake:
        used.append(settings)
        return intake

    monkeypatch.setattr(RayIngestion, "intake", intake)
    monkeypatch.setattr("unisem.cli.index.require", lambda *needed: None)
    options = ("--ray", "10.0.0.1:6379", "--ray-actors", 3, "--ray-gpus", 0.5, "--ray-shared")
    result = run("index", cards, "--into", "s.unisem", *options)
    assert result.exit_code == 0
    assert used == [RayIngestion(address="10.0.0.1:6379", actors=3, gpus=0.5, shared=True)]
