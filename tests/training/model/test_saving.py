"""Encoders whose files are half precision come back so where training changed nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from unisem import load_encoder
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.model.saving import keep_unchanged_tensors

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(epochs=2, batch_size=9)


@pytest.fixture(scope="module")
def half(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder, stored as float16."""
    folder = tmp_path_factory.mktemp("half") / "model"
    shutil.copytree(tiny, folder)
    for path in folder.rglob("*.safetensors"):
        halved = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in load_file(path).items()
        }
        save_file(halved, path, {"format": "pt"})
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}


def test_frozen_networks_come_back_to_the_byte(
    half: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    train_encoder(str(half), pairs, tmp_path / "out", recipe=RECIPE)
    before, after = files(half), files(tmp_path / "out")
    assert before.keys() == after.keys()
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {"text_0_Transformer/model.safetensors", "image_0_Transformer/model.safetensors"}
    for name in before.keys() - kept:  # the heads, trained
        assert all(t.dtype == torch.float32 for t in load_file(tmp_path / "out" / name).values())
    # What was written is what is read again, and can be trained again.
    trained = load_encoder(str(tmp_path / "out"))
    assert np.isfinite(trained.encode_texts(["a red tiger"])).all()
    train_encoder(str(tmp_path / "out"), pairs, tmp_path / "again", recipe=RECIPE)
    again = files(tmp_path / "again")
    assert {name for name in before if before[name] == again[name]} == kept


def test_the_whole_way_back_is_the_start_model(
    half: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=1, freeze=(), interpolation=0.0)
    train_encoder(str(half), pairs, tmp_path / "out", recipe=recipe)
    assert files(tmp_path / "out") == files(half)


def test_tensors_of_one_file_are_judged_one_by_one(tmp_path: Path) -> None:
    start, saved = tmp_path / "start", tmp_path / "saved"
    for folder in (start, saved):
        folder.mkdir()
    kept, moved = torch.tensor([0.1, 2.0]).half(), torch.tensor([1.0]).half()
    count = torch.tensor([7])
    save_file({"kept": kept, "moved": moved, "count": count}, start / "a.safetensors")
    after = {"kept": kept.float(), "moved": moved.float() + 1e-4, "count": count}
    # Another file's name, and a tensor that the start model has not.
    save_file(after | {"new": torch.ones(1)}, saved / "b.safetensors", {"format": "pt"})
    keep_unchanged_tensors(start, saved)
    found = load_file(saved / "b.safetensors")
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "kept": torch.float16,
        "moved": torch.float32,
        "count": torch.int64,
        "new": torch.float32,
    }
    assert torch.equal(found["kept"], kept)
    assert torch.equal(found["moved"], after["moved"])
