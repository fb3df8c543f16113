"""Hard negatives that are mined anew: by which weights, and after an interruption."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.support import assert_same_weights, changed
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.inputs import mining
from unisem.training.loop.checkpoints import checkpoints, read_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")

REMINED: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 6,
    "learning_rate": 3e-2,
    "hard_negatives": 2,
    "remine": True,
    "negative_share": 1.0,
    "checkpoint_steps": 2,
}


def test_every_epoch_has_negatives_of_its_own_weights_also_when_it_is_resumed(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mined: list[np.ndarray] = []
    captions: list[np.ndarray] = []
    mine = mining.mine_hard_negatives

    def noted(store: Any, dataset: Any, texts: Any, **options: Any) -> Any:
        captions.append(texts)
        mined.append(mine(store, dataset, texts, **options))
        return mined[-1]

    monkeypatch.setattr(mining, "mine_hard_negatives", noted)
    recipe = Recipe(**REMINED)
    train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=recipe)
    assert len(mined) == 3
    assert all(np.abs(one - other).max() > 1e-3 for one, other in pairwise(captions))
    assert any((one != other).any() for one, other in pairwise(mined))

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, progress=stop)
    kept = checkpoints(tmp_path / "out.training" / "checkpoints")
    assert kept[-1].name == "checkpoint-4"  # of the second epoch's three steps one is done
    tensors, _ = read_checkpoint(kept[-1])
    assert int(tensors["remining.epoch"]) == 1
    np.testing.assert_array_equal(tensors["remining.negatives"].numpy(), mined[1])
    train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, resume=True)
    assert_same_weights(tmp_path / "out", tmp_path / "whole")
    once = Recipe(**(REMINED | {"remine": False}))
    train_encoder(str(tiny), pairs, tmp_path / "once", recipe=once)
    assert changed(tmp_path / "once", tmp_path / "whole")


@pytest.mark.slow
def test_mining_draws_no_number_that_dropout_would_draw(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same negatives in every epoch, mining anew changes nothing."""
    fixed = np.random.default_rng(0).integers(0, 18, (18, 2))

    def always(view: Any, prepared: Any, *arguments: Any) -> Any:
        mining.embed(view, prepared.inputs, prepared.queries[:4])
        return fixed

    monkeypatch.setattr("unisem.training.run.negatives_of", always)
    for name in ("anew", "once"):
        settings = REMINED | {
            "remine": name == "anew",
            "freeze": (),
            "learning_rate": 1e-3,
            "epochs": 2,
        }
        train_encoder(str(tiny), pairs, tmp_path / name, recipe=Recipe(**settings))
    assert_same_weights(tmp_path / "anew", tmp_path / "once")
    assert torch.get_num_threads() == 1
