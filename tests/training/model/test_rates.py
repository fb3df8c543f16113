"""Which parameter learns at which rate, and that a resumed run goes on at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.networks import save_joint
from tests.training.support import assert_same_weights, changed
from unisem import load_encoder
from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.loop.trainer import PairTrainer
from unisem.training.losses import InfoNCE, PairLabels, PairLoss
from unisem.training.model.modality_parts import freeze
from unisem.training.model.rates import learning_rates

pytestmark = pytest.mark.usefixtures("one_thread")

RATES = {"head_rate": 3e-3, "text_tower_rate": 2e-4, "image_tower_rate": 1e-4, "loss_rate": 0.05}


def model_at(place: Path) -> Any:
    return load_encoder(str(place), runtime="torch").model  # type: ignore[attr-defined]


def expected_rate(name: str) -> float:
    """By the name, as transformers and the router of the tiny encoder give it."""
    if ".model." not in name or "_projection." in name:
        return RATES["head_rate"]
    texts = ".text_model." in name or ".text." in name
    return RATES["text_tower_rate" if texts else "image_tower_rate"]


@pytest.mark.parametrize("kind", ["two towers", "clip"])
def test_each_part_has_its_rate(kind: str, tiny: Path, tmp_path: Path) -> None:
    model = model_at(tiny if kind == "two towers" else save_joint(tmp_path / "clip"))
    freeze(model, ())
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    found = learning_rates(model, Recipe(**RATES))
    scale = {name for name in trained if name.endswith("logit_scale")}
    assert found.keys() | scale == trained
    assert all(found[name] == expected_rate(name) for name in found.keys() - scale)
    assert set(found.values()) == {3e-3, 2e-4, 1e-4}
    assert learning_rates(model, Recipe()) == {}
    only = learning_rates(model, Recipe(text_tower_rate=2e-4))
    assert only == {name: rate for name, rate in found.items() if rate == 2e-4}


def test_a_rate_for_what_is_frozen_is_refused(tiny: Path) -> None:
    model = model_at(tiny)
    freeze(model, ("text",))
    with pytest.raises(TrainingError, match="text_tower_rate would do nothing"):
        learning_rates(model, Recipe(text_tower_rate=1e-4))
    assert set(learning_rates(model, Recipe(head_rate=1.0, image_tower_rate=2.0)).values()) == {
        1,
        2,
    }


class Stretched(PairLoss):
    """InfoNCE with a temperature that is learned, on texts that a matrix stretches."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InfoNCE(0.5, learned=True)
        self.matrix = torch.nn.Parameter(torch.eye(24))

    def forward(
        self, texts: torch.Tensor, images: torch.Tensor, labels: PairLabels
    ) -> torch.Tensor:
        return self.inner(texts @ self.matrix, images, labels)


@pytest.mark.parametrize("loss_rate", [None, 0.05])
def test_the_optimisers_groups(
    loss_rate: float | None,
    tiny: Path,
    pairs: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every trained parameter is in one group, with its rate, and decays if it is a matrix."""
    seen: list[PairTrainer] = []
    create = PairTrainer.create_scheduler

    def noted(trainer: PairTrainer, *arguments: Any, **options: Any) -> Any:
        seen.append(trainer)
        return create(trainer, *arguments, **options)

    monkeypatch.setattr(PairTrainer, "create_scheduler", noted)
    recipe = Recipe(
        epochs=1,
        freeze=(),
        learning_rate=7e-4,
        **(RATES | {"loss_rate": loss_rate, "head_rate": None}),
    )
    loss = Stretched()
    train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, loss=loss)
    (trainer,) = seen
    groups = trainer.optimizer.param_groups
    place = {id(p): group for group in groups for p in group["params"]}
    assert len(place) == sum(len(group["params"]) for group in groups)
    trained = {n: p for n, p in trainer.model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        rate = expected_rate(name)
        assert place[id(parameter)]["initial_lr"] == (7e-4 if rate == 3e-3 else rate)
        assert (place[id(parameter)]["weight_decay"] > 0) == (parameter.dim() > 1), name
    assert place[id(loss.inner.log_scale)]["initial_lr"] == (loss_rate or 0.001)
    assert place[id(loss.inner.log_scale)]["weight_decay"] == 0
    assert place[id(loss.matrix)]["initial_lr"] == (loss_rate or 7e-4)
    assert len(place) == len(trained) + 2


def test_a_resumed_run_goes_on_at_the_same_rates(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(
        epochs=3, batch_size=6, freeze=(), checkpoint_steps=4, learned_temperature=True, **RATES
    )

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == 6:
            raise InterruptedError

    train_encoder(str(tiny), pairs, tmp_path / "whole", recipe=recipe)
    with pytest.raises(InterruptedError):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, progress=stop)
    train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, resume=True)
    assert changed(tiny, tmp_path / "out")
    assert_same_weights(tmp_path / "out", tmp_path / "whole")
