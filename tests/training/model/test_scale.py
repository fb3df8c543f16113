"""Temperature, scale and bias: where they begin, how they learn, and where they are kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.checkpoints import save_siglip
from tests.support.networks import save_joint
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.adversarial import AdversarialReversal
from unisem.training.losses import InfoNCE, Matryoshka, PairLoss, Sigmoid
from unisem.training.model.scale import Scale

pytestmark = pytest.mark.usefixtures("one_thread")


def model_at(directory: Path) -> Any:
    encoder = load_encoder(str(directory))
    assert isinstance(encoder, SentenceTransformerEncoder)
    return encoder.model


def test_the_scale_of_a_clip_and_of_a_siglip(tmp_path: Path, tiny: Path) -> None:
    assert Scale.of(model_at(save_joint(tmp_path / "clip", scale=math.log(50)))) == Scale(
        pytest.approx(50)
    )
    siglip = Scale.of(model_at(save_siglip(tmp_path)))
    assert siglip is not None
    assert siglip.bias is not None
    assert Scale.of(model_at(tiny)) is None


@pytest.mark.parametrize("around", ["nothing", "matryoshka", "adversary"])
def test_a_learned_loss_begins_at_the_start_models(around: str) -> None:
    options: dict[str, Any] = {"nothing": {}, "matryoshka": {"dimensions": (4,)}}.get(
        around, {"adversary": "reversal"}
    )
    own = Scale(40.0, -12.0)
    learned = Recipe(learned_temperature=True, **options).make_loss(8, own)
    assert Scale.learned_by(learned) == Scale(pytest.approx(40))
    sigmoid = Recipe(loss="sigmoid", **options).make_loss(8, own)
    assert Scale.learned_by(sigmoid) == Scale(pytest.approx(40), pytest.approx(-12))


@pytest.mark.parametrize("learned", [False, True])
def test_the_temperature_is_what_is_said_else_the_start_models(learned: bool) -> None:
    def made(scale: Scale | None, said: float | None = None) -> float:
        recipe = Recipe(temperature=said, learned_temperature=learned)
        loss = recipe.make_loss(8, scale)
        assert isinstance(loss, InfoNCE)
        assert loss.log_scale.requires_grad == learned
        assert (Scale.learned_by(loss) is not None) == learned
        assert recipe.takes_scale(scale) == (loss.temperature == pytest.approx(1 / 40))
        return loss.temperature

    assert made(Scale(40.0), 0.2) == pytest.approx(0.2)
    assert made(Scale(40.0)) == pytest.approx(1 / 40)
    assert made(Scale(40.0, -12.0)) == pytest.approx(1 / 40)
    assert made(None) == pytest.approx(0.05)


def test_a_softmaxs_scale_is_none_for_a_sigmoid() -> None:
    recipe = Recipe(loss="sigmoid")
    assert recipe.takes_scale(Scale(40.0, -12.0))
    assert not recipe.takes_scale(Scale(40.0))
    assert not recipe.takes_scale(None)
    assert not Recipe(loss="triplet").takes_scale(Scale(40.0))
    softmax = Recipe(loss="sigmoid").make_loss(8, Scale(40.0))  # no bias: other logits
    assert isinstance(softmax, Sigmoid)
    assert float(softmax.bias) == -10


@pytest.mark.parametrize("parts", ["everything", "a head"])
@pytest.mark.parametrize("kind", [InfoNCE, Sigmoid])
def test_single_numbers_learn_at_a_rate_of_their_own(
    tmp_path: Path, tiny: Path, pairs: PairDataset, parts: str, kind: type[PairLoss]
) -> None:
    """However small the rate of what else is trained; CLIP's own temperature has far to go."""
    loss: Any = InfoNCE(0.5, learned=True) if kind is InfoNCE else Sigmoid(2.0, 0.0)
    start = save_joint(tmp_path / "clip") if parts == "everything" else tiny
    recipe = Recipe(epochs=10, batch_size=9, learning_rate=1e-9, interpolation=1.0)
    began = {name: parameter.detach().clone() for name, parameter in loss.named_parameters()}
    train_encoder(str(start), pairs, tmp_path / "out", loss=loss, recipe=recipe)
    for name, parameter in loss.named_parameters():
        assert abs(float(parameter.detach() - began[name])) > 0.003


def test_first_losses_are_those_of_the_start_models_scale(
    tmp_path: Path, pairs: PairDataset
) -> None:
    recipe = Recipe(epochs=1, interpolation=1.0)
    first = []
    for scale in (0.0, math.log(100)):
        start = save_joint(tmp_path / f"{scale}", scale=scale)
        report = train_encoder(str(start), pairs, tmp_path / f"{scale}-out", recipe=recipe)
        first.append(report.losses[0])
        assert report.scale == Scale(pytest.approx(math.exp(scale)))
        assert report.own_scale
        assert report.learned_scale is None
    assert first[0] == pytest.approx(math.log(len(pairs)), abs=0.2)  # cosines alone say little
    assert abs(first[0] - first[1]) > 0.01


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_what_was_learned_is_saved_with_the_model(
    tmp_path: Path, pairs: PairDataset, share: float
) -> None:
    start = save_joint(tmp_path / "clip", scale=math.log(20))
    loss = InfoNCE(0.05, learned=True)
    recipe = Recipe(epochs=4, batch_size=9, interpolation=share)
    train_encoder(str(start), pairs, tmp_path / "out", loss=loss, recipe=recipe)
    kept = Scale.of(model_at(tmp_path / "out"))
    assert kept is not None
    expected = (1 - share) * math.log(20) + share * math.log(1 / loss.temperature)
    assert math.log(kept.factor) == pytest.approx(expected, abs=1e-4)
    assert abs(math.log(kept.factor / 20)) > 1e-3


def test_a_siglip_keeps_scale_and_bias(tmp_path: Path, pairs: PairDataset) -> None:
    (tmp_path / "siglip").mkdir()
    start = save_siglip(tmp_path / "siglip")
    before = Scale.of(model_at(start))
    recipe = Recipe(loss="sigmoid", epochs=2, interpolation=1.0)
    report = train_encoder(str(start), pairs, tmp_path / "out", recipe=recipe)
    after = Scale.of(model_at(tmp_path / "out"))
    assert before is not None
    assert after is not None
    assert before.bias is not None
    assert after.bias is not None
    assert 0 < abs(after.bias - before.bias) < 0.1
    assert report.scale == Scale(pytest.approx(before.factor), pytest.approx(before.bias))
    assert report.learned_scale == Scale(pytest.approx(after.factor), pytest.approx(after.bias))
    assert report.as_json()["own_scale"] is True
    assert 0 < abs(math.log(after.factor / before.factor)) < 0.1


def test_a_fixed_temperature_leaves_the_models_scale_alone(
    tmp_path: Path, pairs: PairDataset
) -> None:
    start = save_joint(tmp_path / "clip", scale=1.5)
    recipe = Recipe(epochs=1, interpolation=1.0)
    train_encoder(str(start), pairs, tmp_path / "out", recipe=recipe)
    assert Scale.of(model_at(tmp_path / "out")) == Scale.of(model_at(start))


def test_losses_within_others_are_found() -> None:
    torch.manual_seed(0)
    inner = InfoNCE(0.1, learned=True)
    for loss in (Matryoshka(inner, [4, 2]), AdversarialReversal(inner, dimension=4)):
        assert Scale.learned_by(loss) == Scale(pytest.approx(10))
