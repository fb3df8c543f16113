"""``unisem train``: what is said, what comes out, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Run
from tests.support.pictures import solid
from tests.training.support import coloured_pairs, tiny_encoder
from unisem import load_encoder
from unisem.cli.app import application


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 20 captioned pictures, in the convention of open_clip."""
    folder = tmp_path / "data"
    pairs = coloured_pairs(folder, 20)
    rows = [
        {"filepath": pair.image.path.name, "title": pair.caption}
        for pair in pairs
        if pair.image.path is not None
    ]
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def counts(output: str) -> dict[str, int]:
    rows = [line.rsplit(maxsplit=1) for line in output.splitlines()]
    return {row[0].strip(): int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def test_a_run_says_what_it_found_and_what_it_gained(
    run: Run, table: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my-encoder"
    result = run(
        "train", "--data", table, "--encoder", tiny, "--output", out, "--epochs", 2, "-k", 5
    )
    assert result.exit_code == 0, result.output
    found = counts(result.output)
    assert (found["pairs"], found["usable"], found["distinct pictures"]) == (20, 20, 20)
    assert "16 pairs to train on, 4 held out, nothing in common" in result.output
    assert "hit@1" in result.output
    assert "hit@5" in result.output
    assert f"{out} is ready" in result.output
    assert "\x1b" not in result.output
    assert load_encoder(str(out)).encode_texts(["a red tiger"]).shape == (1, 24)
    recipe = json.loads((out / "training.json").read_text())["recipe"]
    assert (recipe["epochs"], recipe["k"]) == (2, 5)


def test_bad_pictures_and_captions_are_counted_and_named(
    run: Run, table: Path, tiny: Path, tmp_path: Path
) -> None:
    solid("red").save(table.parent / "silent.png")
    (table.parent / "broken.png").write_text("no picture")
    with table.open("a") as file:
        for name, caption in (("silent.png", " "), ("broken.png", "x"), ("gone.png", "x")):
            file.write("\n" + json.dumps({"filepath": name, "title": caption}))
        file.write("\nnot json")
    result = run(
        *("train", "--data", table, "--encoder", tiny, "--output", tmp_path / "o"),
        *("--epochs", 1, "--held-out", 0),
    )
    assert result.exit_code == 0, result.output
    found = counts(result.output)
    assert (found["missing pictures"], found["broken pictures"]) == (1, 1)
    assert (found["empty captions"], found["not read"], found["usable"]) == (1, 1, 20)
    assert "broken.png: is not a picture" in result.output
    assert "gone.png: does not exist" in result.output
    assert "hit@" not in result.output


def test_towers_from_parts(run: Run, table: Path, tiny: Path, tmp_path: Path) -> None:
    parts = tiny.parent / "parts"
    result = run(
        *("train", "--data", table, "--output", tmp_path / "o", "--epochs", 1),
        *("--text-tower", parts / "bert", "--image-tower", parts / "vit", "--dimension", 12),
        *("--loss", "sigmoid", "--freeze", "text-backbone", "--freeze", "image-backbone"),
    )
    assert result.exit_code == 0, result.output
    assert load_encoder(str(tmp_path / "o")).dimension == 12


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--text-tower", "x"), 2, "--text-tower and"),
        (("--encoder", "mini", "--text-tower", "x", "--image-tower", "y"), 2, "--text-tower and"),
        (("--loss", "hinge"), 2, "hinge"),
        (("--learning-rate", "0"), 2, "learning_rate"),
        (("--crop", "7"), 2, "crop"),
        (("--batch-size", "500"), 1, "larger than the 16 training pairs"),
        (("--freeze", "text", "--freeze", "image"), 1, "nothing is left to train"),
        (("--lora", "4"), 1, "no linear layer"),
        (("--caption-column", "said"), 1, "one usable pair|0 usable pairs"),
    ],
)
def test_mistakes_are_one_line(
    run: Run,
    table: Path,
    tiny: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    start = () if "--text-tower" in options else ("--encoder", tiny)
    result = run("train", "--data", table, "--output", tmp_path / "o", *start, *options)
    assert result.exit_code == code, result.output
    assert any(part in " ".join(result.output.split()) for part in says.split("|"))
    assert not (tmp_path / "o").exists()


def test_data_that_is_not_there(run: Run, tiny: Path, tmp_path: Path) -> None:
    result = run("train", "--data", tmp_path / "x", "--encoder", tiny, "--output", tmp_path / "o")
    assert result.exit_code == 1
    assert "neither a folder nor a file" in result.output


def test_only_the_first_process_speaks(
    table: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    command = ["train", "--data", table, "--encoder", tiny, "--output", tmp_path / "o"]
    result = CliRunner().invoke(application(), [*map(str, command), "--epochs", "1"])
    assert result.exit_code == 0
    assert result.stdout == ""


@pytest.mark.slow
def test_mini_learns_the_gallery(run: Run, tmp_path: Path) -> None:
    """The command of the documentation; hit@10 of both directions rises, clear of chance."""
    gallery = Path(__file__).parents[2] / "examples" / "gallery"
    result = run("train", "--data", gallery, "--encoder", "mini", "--output", tmp_path / "o")
    assert result.exit_code == 0, result.output
    rows = result.output.splitlines()
    row = next(line for line in rows if "both directions" in line and "hit@10" in line)
    assert "(+" in row
