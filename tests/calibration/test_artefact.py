"""A calibration's file: whole, checked, and the same again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, load_file, save_file

from tests.calibration.synthetic import Corpus
from unisem.calibration import Calibration, fit_calibration, load_calibration, save_calibration
from unisem.errors import CalibrationError

CORPUS = Corpus.of(64, 0.6, 1)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(Corpus.of(100, 0.6, 2).sample, fingerprint="ab", seed=3)


@pytest.fixture
def path(calibration: Calibration, tmp_path: Path) -> Path:
    save_calibration(calibration, tmp_path / "calibration.safetensors")
    return tmp_path / "calibration.safetensors"


def test_what_is_read_is_what_was_written(calibration: Calibration, path: Path) -> None:
    read = load_calibration(path)
    assert (read.fingerprint, read.seed) == ("ab", 3)
    assert read.choices == calibration.choices
    assert read.pairs == calibration.pairs
    assert read.documents_of["image"].count == 100
    documents = CORPUS.mixed
    np.testing.assert_array_equal(read.documents(*documents), calibration.documents(*documents))
    ours, theirs = (one.query(CORPUS.images[0], "both") for one in (read, calibration))
    np.testing.assert_array_equal(ours.vector, theirs.vector)
    assert ours.scale("text") == theirs.scale("text")
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(
    calibration: Calibration, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("unisem.calibration.artefact.publish", full)
    with pytest.raises(OSError, match="No space"):
        save_calibration(calibration, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def changed(path: Path, name: str, value: Any) -> None:
    """Set one entry of the metadata, a dotted name."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    described = json.loads(header["__metadata__"]["unisem"])
    inside = described
    first, _, rest = name.partition(".")
    if rest and first != "counts":
        inside = inside[first]
        first, _, rest = rest.partition(".")
    if rest:
        inside = inside[first]
    inside[rest or first] = value
    save_file(load(content), path, {"unisem": json.dumps(described)})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("version", 3, "has version 3"),
        ("version", 6, "has version 6"),
        ("fingerprint", 5, "no string"),
        ("choices.cohort", 0, "cohort"),
        ("choices.cohort", float("nan"), "cohort"),
        ("choices.scaled", ["sound"], "kinds"),
        ("choices.scaled", 1, "cannot be read"),
        ("pairs.text image.candidates", 0, "candidates"),
        ("choices.more", 1, "cannot be read"),
        ("pairs.text image.alpha", -1, "alpha"),
        ("pairs.text image.alpha", "1", "cannot be read"),
        ("pairs.text image.k", 0, "alpha"),
        ("pairs.text image.k", 1.5, "k is 1.5"),
        ("choices.centred", 1, "centred is 1"),
        ("pairs.text image.slope", -1, "slope"),
        ("pairs.text image.evidence", "hearsay", "told by .hearsay"),
        ("pairs.text image.intercept", float("inf"), "intercept"),
        ("pairs.text image.nearness", float("nan"), "nearness"),
        ("pairs", {}, "cannot be read"),
        ("counts", [], "cannot be read"),
        ("counts.query.text", 0, "of 0 vectors"),
        ("counts.query.text", float("inf"), "cannot be read"),
        ("seed", None, "cannot be read"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(
    path: Path, name: str, value: Any, message: str
) -> None:
    changed(path, name, value)
    with pytest.raises(CalibrationError, match=message):
        load_calibration(path)


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("document.text.mean", 0, np.nan),
        ("document.image.mean", 0, 5.0),
        ("query.both.bank", (0, 0), np.nan),
        ("query.text.bank", (0, slice(None)), 0.0),
    ],
)
def test_vectors_that_mean_nothing_are_refused(
    path: Path, name: str, index: Any, value: float
) -> None:
    metadata = {"unisem": described(path)}
    tensors = load_file(path)
    tensors[name][index] = value
    save_file(tensors, path, metadata)
    with pytest.raises(CalibrationError, match="fit it anew"):
        load_calibration(path)


@pytest.mark.parametrize("name", ["document.text.mean", "query.image.bank", "document.text.mean:"])
def test_other_shapes_are_refused(path: Path, name: str) -> None:
    metadata = {"unisem": described(path)}
    tensors = load_file(path)
    if name.endswith(":"):  # of no dimension at all
        tensors[name[:-1]] = np.array(1, np.float32)
    else:
        tensors[name] = tensors[name][..., :-1].copy()
    save_file(tensors, path, metadata)
    with pytest.raises(CalibrationError, match="fit it anew"):
        load_calibration(path)


def test_damaged_and_missing_files_are_refused(path: Path) -> None:
    content = path.read_bytes()
    for bad in (b"", content[: len(content) // 2], b"\xff" * 100, b"{}" * 50):
        path.write_bytes(bad)
        with pytest.raises(CalibrationError, match="cannot be read"):
            load_calibration(path)
    path.unlink()
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(path)


def described(path: Path) -> str:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    found: str = header["__metadata__"]["unisem"]
    return found
