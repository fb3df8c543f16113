"""``unisem train`` learns the same from the same pairs, whatever they come in."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.training.support import assert_same_weights, changed, coloured_pairs, tiny_encoder

Captions = dict[Path, str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Captions:
    """Twenty pictures and their captions, sorted by name."""
    pairs = coloured_pairs(tmp_path_factory.mktemp("pictures"), 20)
    found = {pair.image.path: pair.caption for pair in pairs if pair.image.path is not None}
    return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def expected(captions: Captions, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training on the same pairs without the command line gives."""
    from unisem.images import ImageRef
    from unisem.pairs import Pair, PairDataset, check_pairs, split_pairs
    from unisem.training import Recipe, train_encoder

    pairs = tuple(Pair.of(ImageRef.of(path), text, path.name) for path, text in captions.items())
    split = split_pairs(check_pairs(PairDataset(pairs)).dataset)
    out = tmp_path_factory.mktemp("expected") / "out"
    train_encoder(str(tiny), split.train, out, recipe=Recipe(epochs=2))
    return out


def separated(path: Path, captions: Captions, separator: str) -> tuple[Path, ...]:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["filepath", "title"])
        writer.writerows((picture.name, text) for picture, text in captions.items())
    return (path,)


def comma(folder: Path, captions: Captions) -> tuple[Path, ...]:
    return separated(folder / "pairs.csv", captions, ",")


def tab(folder: Path, captions: Captions) -> tuple[Path, ...]:
    return separated(folder / "pairs.tsv", captions, "\t")


def open_clip(folder: Path, captions: Captions) -> tuple[Path, ...]:
    """Tabs in a ``.csv``, as open_clip has it unless told otherwise."""
    return separated(folder / "pairs.csv", captions, "\t")


def parquet(folder: Path, captions: Captions) -> tuple[Path | str, ...]:
    import pyarrow as arrow
    from pyarrow import parquet

    columns = {"file": [path.name for path in captions], "said": list(captions.values())}
    parquet.write_table(arrow.table(columns), folder / "pairs.parquet")
    named = ("--image-column", "file", "--caption-column", "said")
    return folder / "pairs.parquet", *named


def coco(folder: Path, captions: Captions) -> tuple[Path, ...]:
    content = {
        "images": [{"id": n, "file_name": path.name} for n, path in enumerate(captions)],
        "annotations": [
            {"id": n, "image_id": n, "caption": text} for n, text in enumerate(captions.values())
        ],
    }
    (folder / "captions.json").write_text(json.dumps(content))
    return (folder / "captions.json",)


def shard(folder: Path, captions: Captions) -> tuple[Path, ...]:
    with tarfile.open(folder / "0.tar", "w") as archive:
        for path, text in captions.items():
            for name, data in ((path.name, path.read_bytes()), (f"{path.stem}.txt", text.encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return (folder / "0.tar",)


@pytest.mark.parametrize("write", [comma, tab, open_clip, parquet, coco, shard])
def test_every_format_trains_the_same_encoder(
    run: Run,
    captions: Captions,
    expected: Path,
    tiny: Path,
    tmp_path: Path,
    write: Callable[[Path, Captions], tuple[Path | str, ...]],
) -> None:
    (tmp_path / "data").mkdir()
    data, *options = write(tmp_path / "data", captions)
    if write is not shard:
        options += ["--images", next(iter(captions)).parent]
    out = tmp_path / "out"
    result = run(
        *("train", "--data", data, *options, "--encoder", tiny, "--output", out, "--epochs", 2)
    )
    assert result.exit_code == 0, result.output
    assert "16 pairs to train on, 4 held out" in result.output
    assert changed(tiny, out)
    assert_same_weights(out, expected)


def test_rows_that_cannot_be_read_are_named(
    run: Run, captions: Captions, tiny: Path, tmp_path: Path
) -> None:
    (table,) = comma(tmp_path, captions)
    with table.open("a") as file:
        file.write('gone.png,not there\n3.png,"never closed\n4.png,swallowed\n')
    result = run(
        *("train", "--data", table, "--images", next(iter(captions)).parent),
        *("--encoder", tiny, "--output", tmp_path / "out", "--epochs", 1, "--held-out", 0),
    )
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "gone.png: does not exist" in output
    assert "pairs.csv:24: is not a row" in output
    assert "usable 20" in output


def test_pairs_of_several_kinds_are_trained_and_told_apart(
    run: Run, captions: Captions, tiny: Path, tmp_path: Path
) -> None:
    rows: list[dict[str, object]] = []
    for number, (picture, text) in enumerate(captions.items()):
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
        rows.append({"query": text, "document": {"image": picture.name}})
        rows.append(
            {"query": f"word {text}", "document": f"tiger {text}", "negatives": [f"no {number}"]}
        )
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "pairs.jsonl").write_text(lines, encoding="utf-8")
    out = tmp_path / "out"
    options = ("--encoder", str(tiny), "--output", str(out), "--epochs", "1", "--held-out", "0.3")
    result = run("train", "--data", str(tmp_path / "pairs.jsonl"), *options)
    assert result.exit_code == 0, result.stderr
    said = result.stdout
    for line in ("text to image", "text to text, both directions", "all, query to document"):
        assert line in said
    assert "given negatives" in said
    assert changed(tiny, out)
