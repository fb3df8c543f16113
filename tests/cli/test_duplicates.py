"""``unisem duplicates``: groups on the terminal, as JSON and as a page."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_page import read
from tests.images.test_looks import drawing
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace


@pytest.fixture
def photos(run: Run, tmp_path: Path) -> Path:
    """A space with one picture three times, another twice, and one once."""
    folder = tmp_path / "photos"
    folder.mkdir()
    drawing(1).save(folder / "one.png")
    (folder / "<b>two.png").write_bytes((folder / "one.png").read_bytes())
    drawing(1).resize((320, 240)).save(folder / "small.png")
    (folder / "small.txt").write_text("</script><script>alert(1)</script>")
    for name in ("three.png", "four.png"):
        drawing(2).save(folder / name)
    drawing(3).save(folder / "five.png")
    assert run("index", folder, "--into", "s.unisem").exit_code == 0
    return folder


def test_groups_are_printed(run: Run, photos: Path) -> None:
    done = run("duplicates", "s.unisem")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "1. nearly the same, 3 times"
    assert lines[1].startswith("   keep  ")
    assert "640 × 480" in lines[1]
    assert "largest" in lines[1]
    assert "2. the same file, 2 times" in lines
    assert lines[-1].startswith("2 groups among 6 pictures: 3 copies could go, ")
    same = run("duplicates", "s.unisem", "--which", "same").stdout
    assert "2 groups among 6 pictures: 2 copies could go" in same
    assert sorted(it.name for it in photos.iterdir()) == sorted(
        ["one.png", "<b>two.png", "small.png", "small.txt", "three.png", "four.png", "five.png"]
    )


def test_links_to_a_file_are_no_further_picture(run: Run, photos: Path) -> None:
    (photos / "hard.png").hardlink_to(photos / "three.png")
    assert run("index", photos, "--into", "s.unisem").exit_code == 0
    assert (
        run("duplicates", "s.unisem")
        .stdout.splitlines()[-1]
        .startswith("2 groups among 6 pictures: 3 copies could go, ")
    )


def test_groups_as_json(run: Run, photos: Path) -> None:
    found = json.loads(run("duplicates", "s.unisem", "--json").stdout)
    assert (found["pictures"], found["copies"]) == (6, 3)
    first, second = found["groups"]
    assert first["kind"] == "near"
    assert {Path(copy["image"]).name for copy in first["copies"]} == {
        "one.png",
        "<b>two.png",
        "small.png",
    }
    assert first["keep"] == first["copies"][0]["id"]
    assert first["copies"][-1]["merits"] == ["best captioned"]
    assert second["kind"] == "same"
    assert second["bytes"] == (photos / "three.png").stat().st_size


def test_a_page_of_groups(run: Run, photos: Path) -> None:
    (photos / "four.png").unlink()
    assert run("duplicates", "s.unisem", "--html", "page.html").exit_code == 0
    text = Path("page.html").read_text(encoding="utf-8")
    seen = read(Path("page.html"))
    assert "Nearly the same, 3 times" in seen.texts
    assert seen.texts.count("keep") == 2
    assert "its file is gone" in seen.texts
    assert len(seen.named("img")) == 4  # one is gone
    assert len(seen.named("button")) == 4
    for button in seen.named("button"):
        assert Path(str(button["data-path"])).is_file()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "<b>" not in text
    assert "alert(1)</script>" not in text


def test_none(run: Run, built: Path) -> None:
    assert "none of them twice" in run("duplicates", built).stdout
    assert json.loads(run("duplicates", built, "--json").stdout)["groups"] == []
    assert run("duplicates", "nowhere.unisem").exit_code == 1


def test_looks_are_made_where_there_are_none(run: Run, photos: Path, toy: ToyEncoder) -> None:
    with SemanticSpace.open("s.unisem", encoder=toy) as space:
        items = list(space.store.embedded())
        for item in items:
            if item.record.image is not None:
                object.__setattr__(item.record.image, "look", None)
        space.store.add(items)
        while_writing = json.loads(run("duplicates", "s.unisem", "--json").stdout)
        space.add([])
    assert while_writing["copies"] == 3
    assert json.loads(run("duplicates", "s.unisem", "--json").stdout)["copies"] == 3
    with SemanticSpace.open("s.unisem", encoder=toy) as space:
        images = [it.image for it in space.store.select() if it.image is not None]
        assert all(image.look is not None for image in images)
