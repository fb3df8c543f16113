"""``unisem store``: stats, check, compact, export and import."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch, toy: ToyEncoder) -> None:
    """The encoder that an import chooses for a new space."""
    monkeypatch.setattr("unisem.encoders.load_encoder", lambda *_, **__: toy)


def test_stats(run: Run, built: Path) -> None:
    shown = run("store", "stats", built)
    assert shown.exit_code == 0
    for text in ("7 (6 with a picture, 1 without)", "toy-0", "flat", "nobody"):
        assert text in shown.stdout
    found = json.loads(run("store", "stats", built, "--json").stdout)
    assert found["records"] == {"text": 1, "image": 6}
    assert found["encoder"] == "toy-0"
    assert found["kind"] == found["suggested"] == "flat"
    assert found["catalog_bytes"] == (built / "catalog.sqlite").stat().st_size
    run("store", "compact", built, "--index", "hnsw")
    assert "compaction would build flat" in run("store", "stats", built).stdout


def test_stats_names_the_writer(run: Run, built: Path, toy: ToyEncoder) -> None:
    with SemanticSpace.open(built, encoder=toy) as space:
        space.add([Record(id="new", text="new")])
        shown = run("store", "stats", built).stdout
        assert f"process {os.getpid()}" in shown
        assert "1 vector not in the index yet" in shown


def test_backup(run: Run, built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.unisem"
    result = run("store", "backup", built, copy)
    assert result.exit_code == 0
    assert "7 records" in result.stdout
    assert json.loads(run("store", "check", copy, "--json").stdout) == []
    assert run("store", "backup", built, copy).exit_code != 0


def test_check_of_a_whole_space(run: Run, built: Path) -> None:
    result = run("store", "check", built, "--images")
    assert (result.exit_code, result.stdout) == (0, "no problems\n")
    assert json.loads(run("store", "check", built, "--json").stdout) == []


def test_check_finds_changed_pictures_only_if_asked(run: Run, built: Path, cards: Path) -> None:
    solid("white").save(cards / "red.png")
    (cards / "blue.png").unlink()
    assert run("store", "check", built).exit_code == 0
    result = run("store", "check", built, "--images")
    assert result.exit_code == 1
    assert "problem  pictures: changed since they were added: 'cards/red.png'" in result.stdout
    assert "'cards/blue.png'" in result.stdout
    assert result.stdout.endswith("2 problems\n")
    found = json.loads(run("store", "check", built, "--images", "--json").stdout)
    assert [finding["area"] for finding in found] == ["pictures", "pictures"]


def damage(space: Path, needle: bytes) -> None:
    """Fill the page of the catalogue that holds some text with nonsense."""
    catalog = space / "catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    page = data.index(needle) // 4096
    data[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    catalog.write_bytes(data)


def test_check_and_salvage_of_a_damaged_space(run: Run, built: Path, toy: ToyEncoder) -> None:
    with SemanticSpace.open(built, encoder=toy) as space:
        space.add(Record(id=f"{n}", text=f"{n} " + "filler" * 50) for n in range(100))
    damage(built, b"50 filler")
    result = run("store", "check", built)
    assert result.exit_code == 1
    assert "catalogue: is damaged" in result.stdout
    assert "store export --salvage" in result.stdout
    (built / "manifest.json").unlink()
    assert run("store", "check", built).exit_code == 1
    assert run("store", "export", built, "out").exit_code == 1
    saved = run("store", "export", "--salvage", built, "out")
    assert saved.exit_code == 0
    assert "could not be read" in saved.stdout
    refused = run("store", "import", "out", "--into", "new.unisem")
    assert "made by the encoder None (unknown)" in refused.stderr  # the manifest is gone
    assert not Path("new.unisem").exists()
    into = ("--into", built.parent / "new.unisem")  # beside the old one, where the cards are
    assert run("store", "import", "out", *into, "--vectors", "renew").exit_code == 0


def test_a_space_beyond_saving(run: Run, built: Path) -> None:
    damage(built, b"a red card")  # so small a space has one page of records
    assert "no record can be read" in run("store", "check", built).stdout
    result = run("store", "export", "--salvage", built, "out")
    assert result.exit_code == 1
    assert "no record of" in result.stderr
    assert not Path("out").exists()


def test_compact(run: Run, built: Path) -> None:
    result = run("store", "compact", built, "--index", "ivf_pq")
    assert result.exit_code == 0
    assert "ivf_pq: as asked" in result.stdout
    assert "empty pages were given back" in result.stdout
    assert "→" in result.stdout
    assert run("store", "compact", built, "--index", "tree").exit_code == 2


@pytest.mark.parametrize("layout", ["jsonl", "parquet"])
def test_export_and_import(
    run: Run, built: Path, toy: ToyEncoder, tmp_path: Path, layout: str
) -> None:
    out, new = tmp_path / "out", tmp_path / "new" / "new.unisem"
    result = run("store", "export", built, out, "--format", layout, "--copy-images")
    assert result.exit_code == 0, result.output
    assert "exported 7 records, 13 vectors and 6 pictures" in result.stdout
    before = toy.texts_encoded
    result = run("store", "import", out, "--into", new)
    assert result.exit_code == 0, result.output
    assert "imported 7 records, 0 embedded anew" in result.stdout
    assert toy.texts_encoded == before
    found = json.loads(run("search", new, "a red card", "-k", 1, "--json").stdout)["hits"]
    assert found[0]["id"] == "cards/red.png"
    assert run("store", "check", new, "--images").exit_code == 0


def test_export_needs_no_encoder(
    run: Run, built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise AssertionError("the model is no longer there")

    monkeypatch.setattr("unisem.space_parts.load_encoder", gone)
    monkeypatch.setattr("unisem.encoders.load_encoder", gone)
    for command in ("stats", "check", "compact"):
        assert run("store", command, built).exit_code == 0
    assert run("store", "export", built, tmp_path / "out").exit_code == 0


def test_import_of_another_encoder_makes_no_space(
    run: Run, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run("store", "export", built, out, "--copy-images")
    monkeypatch.setattr("unisem.encoders.load_encoder", lambda *_, **__: ToyEncoder(seed=5))
    result = run("store", "import", out, "--into", tmp_path / "new.unisem", "--encoder", "other")
    assert result.exit_code == 1
    assert "were made by the encoder 'toy-0'" in result.stderr
    assert not (tmp_path / "new.unisem").exists()
    result = run(
        "store",
        "import",
        out,
        "--into",
        tmp_path / "new.unisem",
        "--encoder",
        "x",
        "--vectors",
        "renew",
    )
    assert result.exit_code == 0, result.output
    assert "imported 7 records, 7 embedded anew" in result.stdout


def test_import_from_folders_elsewhere(run: Run, built: Path, cards: Path, tmp_path: Path) -> None:
    out, new = tmp_path / "out", tmp_path / "deep" / "er" / "new.unisem"
    run("store", "export", built, out)
    result = run("store", "import", out, "--into", new)
    assert result.exit_code == 1
    assert "--image-root" in result.stderr
    result = run("store", "import", out, "--into", new, "--image-root", cards)
    assert result.exit_code == 0, result.output


def test_what_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    for arguments in (
        ["stats", "none"],
        ["check", "none"],
        ["compact", "none"],
        ["export", "none", "out"],
        ["export", "--salvage", "none", "out"],
        ["import", "none", "--into", "x.unisem"],
    ):
        result = run("store", *arguments)
        assert result.exit_code == 1, arguments
        assert len(result.stderr.splitlines()) == 1, result.output
    assert not list(Path().iterdir())
