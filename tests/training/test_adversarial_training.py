"""Adversarial losses inside the machinery: cached gradients, processes, checkpoints, logs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.training.losses.test_cached import Towers, batch
from tests.training.processes import run
from tests.training.support import weights
from unisem import load_encoder
from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.adversarial import AdversarialReversal, AdversarialTranslation
from unisem.training.loop.checkpoints import checkpoints
from unisem.training.losses import CachedLoss, EmbeddingLoss, InfoNCE, PairLabels, PairLoss
from unisem.training.losses.base import total

pytestmark = pytest.mark.usefixtures("one_thread")

Made = Callable[[], AdversarialReversal | AdversarialTranslation]

LOSSES: dict[str, Made] = {
    "reversal": lambda: half_way(AdversarialReversal(InfoNCE(0.1, learned=True), 6)),
    "translation": lambda: half_way(AdversarialTranslation(InfoNCE(0.1, learned=True), 6)),
}


def half_way(loss: Any) -> Any:
    """The loss when its adversary is already heeded."""
    loss.on_progress(0.5)
    return loss


def same(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    assert ours
    assert ours.keys() == theirs.keys()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def gradients(loss: nn.Module) -> tuple[float, dict[str, Tensor]]:
    """Value and gradients, at a quarter of the loss as accumulation over four batches has them."""
    for parameter in loss.parameters():
        parameter.grad = None
    value = total(loss(*batch()))
    (value / 4).backward()
    found = {n: p.grad.clone() for n, p in loss.named_parameters() if p.grad is not None}
    return float(value.detach()), found


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [2, 32])
def test_cached_is_plain(name: str, size: int) -> None:
    model = Towers()
    one, other = LOSSES[name](), LOSSES[name]()
    plain_value, plain = gradients(EmbeddingLoss(model, one))
    cached_value, ours = gradients(CachedLoss(model, other, mini_batch_size=size))
    assert cached_value == pytest.approx(plain_value, abs=1e-5)
    assert ours.keys() == plain.keys()
    assert "loss.base.log_scale" in plain  # and no gradient of what the loss steps itself
    for parameter, gradient in plain.items():
        assert "model" in parameter or "base" in parameter
        torch.testing.assert_close(ours[parameter], gradient, rtol=0, atol=1e-5)
    for mine, its in zip(one.own_parameters(), other.own_parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-5)
    for loss in (one, other):
        steps = [int(t) for n, t in loss.state_dict().items() if n.endswith(".steps")]
        assert set(steps) == {1}  # however many parts the batch was embedded in


@pytest.mark.parametrize("adversary", ["reversal", "translation"])
def test_a_recipe_names_an_adversary(
    adversary: Any, tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, float]] = []
    monkeypatch.setattr(
        "unisem.training.loop.trainer.SentenceTransformerTrainer.log",
        lambda trainer, logs, start_time=None: logged.append(logs),
    )
    options: dict[str, Any] = {"epochs": 3, "batch_size": 9, "checkpoint_steps": 2}
    plain = Recipe(**options)
    against = Recipe(**options, adversary=adversary, adversary_weight=2.0)
    train_encoder(str(tiny), pairs, tmp_path / "plain", recipe=plain)
    logged.clear()
    report = train_encoder(str(tiny), pairs, tmp_path / "against", recipe=against)
    assert not same(tmp_path / "plain", tmp_path / "against")
    assert load_encoder(str(tmp_path / "against")).encode_texts(["a red tiger"]).shape == (1, 24)
    assert report.trained == 2 * (32 * 24 + 24)  # the heads; a discriminator is no part of it
    epochs = [entry for entry in logged if "loss" in entry]
    assert len(epochs) == 3
    for entry in epochs:
        assert 0 <= entry["discriminator_accuracy"] <= 1
        assert 0 < entry["modality_gap"] < 2
    if adversary == "reversal":
        # The running mean has seen the steps 0 to 5 of 6, the latest counting most.
        strengths = [2 * math.tanh(5 * step / 6) for step in range(6)]
        shares = [0.05 * 0.95 ** (5 - step) for step in range(6)]
        mean = sum(s * w for s, w in zip(strengths, shares, strict=True)) / sum(shares)
        assert epochs[-1]["reversal_strength"] == pytest.approx(mean, rel=1e-4)


class Stumbling(PairLoss):
    """InfoNCE that is no number at its eighth call."""

    def __init__(self, stumbles: bool) -> None:
        super().__init__()
        self.inner = InfoNCE(learned=True)
        self.calls = 0 if stumbles else -100

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        self.calls += 1
        value = self.inner(texts, images, labels)
        assert isinstance(value, Tensor)
        return value * math.nan if self.calls == 8 else value


@pytest.mark.parametrize(
    "kind", [AdversarialReversal, pytest.param(AdversarialTranslation, marks=pytest.mark.slow)]
)
def test_a_run_that_fell_over_ends_where_it_would_have(
    kind: Any, tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=4, batch_size=6, checkpoint_steps=5, learning_rate=1e-2)
    with pytest.raises(TrainingError, match=r"became nan at step 7.*checkpoint-5, is intact"):
        train_encoder(
            str(tiny), pairs, tmp_path / "fell", recipe=recipe, loss=kind(Stumbling(True), 24)
        )
    (kept,) = checkpoints(tmp_path / "fell.training" / "checkpoints")
    assert all(p.suffix in (".safetensors", ".json") for p in kept.iterdir())
    for name, resume in (("fell", True), ("whole", False)):
        train_encoder(
            str(tiny),
            pairs,
            tmp_path / name,
            recipe=recipe,
            loss=kind(Stumbling(False), 24, seed=0 if name == "whole" else 9),
            resume=resume,
        )
    assert same(tmp_path / "fell", tmp_path / "whole")
    forgetful = kind(Stumbling(False), 24, seed=9)  # another adversary leads elsewhere
    train_encoder(str(tiny), pairs, tmp_path / "other", recipe=recipe, loss=forgetful)
    assert not same(tmp_path / "other", tmp_path / "whole")


def test_losses_within_losses_are_saved_once(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    recipe = Recipe(
        epochs=1, learned_temperature=True, dimensions=(8,), adversary="reversal", mini_batch_size=4
    )
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe)
    assert report.steps == 1


def test_an_unknown_adversary_is_refused() -> None:
    with pytest.raises(ValueError, match="adversary must be reversal or translation"):
        Recipe(adversary="generator")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adversary_weight must be above 0"):
        Recipe(adversary="reversal", adversary_weight=0)


_PROGRAM = """
import sys, torch
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel
from tests.training.losses.test_cached import Towers
from tests.training.test_adversarial_training import LOSSES
from unisem.training.losses import CachedLoss, EmbeddingLoss

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
torch.manual_seed(rank)  # what a loss draws must not depend on its process
generator = torch.Generator().manual_seed(1)
texts, images = (torch.randn(8, 5, generator=generator) for _ in range(2))
mine = slice(rank * 8 // world, (rank + 1) * 8 // world)
labels = torch.arange(8)[mine, None].repeat(1, 2)
for name, make in LOSSES.items():
    for cached in (False, True):
        loss = make()
        model = Towers()
        torch.manual_seed(rank)
        model = DistributedDataParallel(model) if world > 1 else model
        module = EmbeddingLoss(model, loss)
        if cached:
            module = CachedLoss(model, loss, mini_batch_size=3)
        for step in range(3):
            result = module([{"input_ids": texts[mine]}, {"pixel_values": images[mine]}], labels)
            total = result if torch.is_tensor(result) else torch.stack(list(result.values())).sum()
            for parameter in module.parameters():
                parameter.grad = None
            total.backward()
        found = {
            n.replace("model.module.", "model."): p.grad
            for n, p in module.named_parameters()
            if p.grad is not None
        }
        found |= {f"state.{n}": t.float() for n, t in loss.state_dict().items()}
        save_file(found, f"{sys.argv[1]}/{world}-{rank}-{name}-{cached}.safetensors")
"""


@pytest.mark.slow
def test_two_processes_do_what_one_does_on_the_joint_batch(tmp_path: Path) -> None:
    for processes in (1, 2):
        run(processes, "-c", _PROGRAM, str(tmp_path))
    for name in LOSSES:
        for cached in (False, True):
            one, *two = (
                load_file(tmp_path / f"{which}-{name}-{cached}.safetensors")
                for which in ("1-0", "2-0", "2-1")
            )
            assert any("towers" in parameter for parameter in one)
            for parameter, tensor in one.items():
                for other in two:
                    torch.testing.assert_close(other[parameter], tensor, rtol=0, atol=1e-5)
                # Own parameters are not synchronised, so they must be equal to the last bit.
                if parameter.startswith("state."):
                    assert torch.equal(two[0][parameter], two[1][parameter])
