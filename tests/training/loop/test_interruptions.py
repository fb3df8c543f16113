"""Runs that are killed, go wrong, or cannot begin: what is said, and what is left."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.support.networks import without_weights
from tests.training.support import assert_same_weights, changed, numbered_pairs, weights
from unisem.errors import TrainingError
from unisem.pairs import Input, Pair, PairDataset
from unisem.training import Augmentation, Recipe, train_encoder
from unisem.training.loop.checkpoints import checkpoints, read_checkpoint, restore_module
from unisem.training.losses import InfoNCE, PairLabels, PairLoss

pytestmark = pytest.mark.usefixtures("one_thread")

HEADS = Recipe(epochs=4, batch_size=6)
EVERYTHING = Recipe(epochs=3, batch_size=6, freeze=(), learning_rate=1e-3)
OPTIONS: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 6,
    "freeze": (),
    "learning_rate": 1e-3,
    "learned_temperature": True,
    "checkpoint_steps": 5,
}


@pytest.mark.slow
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    """SIGKILL in the middle of an epoch; dropout, moments, order, temperature must all go on."""
    root = pairs[0].image.root
    program = textwrap.dedent(
        f"""
        import os, signal, sys, torch
        from pathlib import Path
        from tests.training.support import coloured_pairs
        from unisem.training import Recipe, train_encoder
        torch.set_num_threads(1)
        def stop(what, done, total):
            if what == "training" and done == 8:
                os.kill(os.getpid(), signal.SIGKILL)
        train_encoder(
            {str(tiny)!r}, coloured_pairs(Path({str(root)!r}), 18), {str(tmp_path / "killed")!r},
            recipe=Recipe(**{OPTIONS!r}), progress=stop,
        )
        """
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (tmp_path / "killed").exists()
    kept = checkpoints(tmp_path / "killed.training" / "checkpoints")
    assert [path.name for path in kept] == ["checkpoint-5"]
    assert not [p for p in kept[-1].iterdir() if p.suffix not in (".safetensors", ".json")]
    for name, resume in (("killed", True), ("whole", False)):
        report = train_encoder(
            str(tiny), pairs, tmp_path / name, recipe=Recipe(**OPTIONS), resume=resume
        )
        assert report.steps == 12
    assert changed(tiny, tmp_path / "whole")
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


class Broken(PairLoss):
    """InfoNCE until a step, then something else."""

    def __init__(self, step: int, then: Any) -> None:
        super().__init__()
        self.inner = InfoNCE()
        self.step, self.then, self.calls = step, then, 0

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        self.calls += 1
        value = self.inner(texts, images, labels)
        return self.then(value) if self.calls == self.step else value


def test_a_loss_that_is_no_number_ends_the_run_and_spares_the_checkpoint(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match=r"became nan at step 7.*checkpoint-6, is intact"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    (*_, last) = checkpoints(tmp_path / "out.training" / "checkpoints")
    read_checkpoint(last)
    whole = tmp_path / "whole"
    train_encoder(str(tiny), pairs, whole, recipe=HEADS, loss=Broken(99, None))
    train_encoder(
        str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(99, None), resume=True
    )
    assert_same_weights(tmp_path / "out", whole)


@pytest.mark.parametrize("step", [3, 6, 12])
def test_a_gradient_that_is_no_number_is_not_saved(
    tiny: Path, pairs: PairDataset, tmp_path: Path, step: int
) -> None:
    """At the last step before a checkpoint, and the last of all, no loss would tell."""

    class Steep(Broken):
        def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
            self.calls += 1
            if self.calls == self.step:
                texts.register_hook(lambda gradient: gradient * float("nan"))
            return self.inner(texts, images, labels)

    whole = "no checkpoint" if step == 3 else f"checkpoint-{step - 3}, is intact"
    with pytest.raises(TrainingError, match=f"by step {step};.*{whole}"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Steep(step, None))
    assert not (tmp_path / "out").exists()
    for kept in checkpoints(tmp_path / "out.training" / "checkpoints"):
        tensors, _ = read_checkpoint(kept)
        assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


@pytest.mark.parametrize(
    "options",
    [
        {"lora": 2, "freeze": (), "learning_rate": 1e-2},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"unfreeze_every": 1.0, "freeze": (), "learning_rate": 1e-3},
                {"patience": 3, "validation": 0.3},
                {"hard_negatives": 2},
                {"augmentation": Augmentation(crop=0.5, flip=0.5, colour=0.2)},
                {"mini_batch_size": 4, "learned_temperature": True},
                {"loss": "sigmoid", "accumulate": 2, "epochs": 6},
            )
        ),
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("step", [7, pytest.param(None, marks=pytest.mark.slow)])
def test_every_option_resumes_to_the_same_weights(
    tiny: Path,
    pairs: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    step: int | None,
) -> None:
    """After a stop in the middle of an epoch, and after the last step, when nothing is saved."""
    recipe = Recipe(**({"epochs": 4, "batch_size": 6} | options))
    train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=recipe)

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == step:
            raise KeyboardInterrupt

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unisem.training.model.saving.save_model", full)
    with pytest.raises((KeyboardInterrupt, TrainingError)):
        train_encoder(str(tiny), pairs, tmp_path / "cut", recipe=recipe, progress=stop)
    monkeypatch.undo()
    train_encoder(str(tiny), pairs, tmp_path / "cut", recipe=recipe, resume=True)
    assert changed(tiny, tmp_path / "whole")
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_a_full_disk_spares_the_last_checkpoint(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(value: Tensor) -> Tensor:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        return value

    try:
        with pytest.raises(TrainingError, match=r"checkpoint-6 cannot be written.*checkpoint-3,"):
            train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(5, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    folder = tmp_path / "out.training" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["checkpoint-3"]
    train_encoder(
        str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=Broken(99, None), resume=True
    )
    train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=HEADS, loss=Broken(99, None))
    assert_same_weights(tmp_path / "out", tmp_path / "whole")


@pytest.mark.slow
def test_an_encoder_that_cannot_be_written_leaves_the_old_one(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS)
    before = weights(tmp_path / "out")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unisem.training.model.saving.save_model", full)
    with pytest.raises(TrainingError, match="No space left"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=EVERYTHING)
    assert all(torch.equal(weights(tmp_path / "out")[name], before[name]) for name in before)


def test_a_damaged_checkpoint_is_named(tiny: Path, pairs: PairDataset, tmp_path: Path) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match="nan"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    (*_, last) = checkpoints(tmp_path / "out.training" / "checkpoints")
    tensors = last / "tensors.safetensors"
    whole = tensors.read_bytes()
    moment = next(name for name in load_file(tensors) if name.endswith("exp_avg"))
    without_weights(last, moment, tensors.name)
    lacking = tensors.read_bytes()
    for content in (whole[:50], lacking):
        tensors.write_bytes(content)
        with pytest.raises(TrainingError, match=f"{last.name} cannot be read"):
            train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, resume=True)


def test_another_run_s_checkpoint_is_refused(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    loss = Broken(8, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match="nan"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=HEADS, loss=loss)
    for train, recipe, says in (
        (pairs, replace(HEADS, batch_size=9, loss="sigmoid"), "with other loss, batch_size;"),
        (pairs.select(range(12)), HEADS, "with other pairs;"),
    ):
        with pytest.raises(TrainingError, match=says):
            train_encoder(str(tiny), train, tmp_path / "out", recipe=recipe, resume=True)
    (*_, last) = checkpoints(tmp_path / "out.training" / "checkpoints")
    tensors, _ = read_checkpoint(last)
    with pytest.raises(TrainingError, match="trained other parameters"):
        restore_module(torch.nn.Linear(2, 2), {"weight"}, tensors)


def test_pairs_that_cannot_be_trained_on_are_refused(tiny: Path, tmp_path: Path) -> None:
    dataset = numbered_pairs(tmp_path / "p", 4, captions=2)
    same = PairDataset(tuple(replace(pair, query=Input("the same")) for pair in dataset))
    stray = PairDataset((*dataset, Pair(Input("a"), Input("b"))))
    for pairs, recipe, says in (
        (stray, HEADS, "one pair of the kind text to text"),
        (dataset.select([0]), HEADS, "1 usable pair"),
        (PairDataset(()), HEADS, "0 usable pair"),
        (dataset.select([0, 1]), HEADS, "the same picture"),
        (same, HEADS, r"all captions are equal \('the same'\)"),
        (dataset, Recipe(batch_size=9), "batch_size 9 is larger than the 8 training pairs"),
        (dataset, Recipe(dimensions=(99,)), "the encoder's vectors have 24 numbers"),
    ):
        with pytest.raises(TrainingError, match=says):
            train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe)
    with pytest.raises(TrainingError, match="none of the held-out pairs"):
        train_encoder(str(tiny), dataset, tmp_path / "out", held_out=PairDataset(()))
    assert not (tmp_path / "out").exists()


def test_a_directory_of_something_else_is_not_replaced(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TrainingError, match="name another directory"):
        train_encoder(str(tiny), pairs, tmp_path, recipe=HEADS)
    with pytest.raises(TrainingError, match="is a file"):
        train_encoder(str(tiny), pairs, tmp_path / "thesis.txt", recipe=HEADS)
