"""Activations that are computed twice: the same gradients, and who cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.networks import save_bert, save_joint, save_vision
from tests.training.support import assert_same_weights, changed
from unisem import load_encoder
from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder, two_towers
from unisem.training.model.gradient_checkpointing import gradient_checkpointing
from unisem.training.model.lora import add_lora
from unisem.training.model.modality_parts import freeze

pytestmark = pytest.mark.usefixtures("one_thread")


def gradients(encoder: Any, pairs: PairDataset) -> tuple[dict[str, torch.Tensor], int]:
    """Of a sum of vectors, dropout at work, and how often a layer's feed-forward part began."""
    model, calls = encoder.model, 0

    def counted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1

    inner = [m for n, m in model.named_modules() if n.endswith((".intermediate", ".mlp"))]
    hooks = [module.register_forward_pre_hook(counted) for module in inner]
    model.train()
    torch.manual_seed(5)
    columns = [
        encoder.preprocess_texts(pairs.captions[:3], "query"),
        encoder.preprocess_images([encoder.prepare_image(pair.image) for pair in pairs][:3]),
    ]
    vectors = torch.cat([model(features)["sentence_embedding"] for features in columns])
    (vectors**2 * torch.arange(vectors.numel()).reshape(vectors.shape)).sum().backward()
    for hook in hooks:
        hook.remove()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    for parameter in model.parameters():
        parameter.grad = None
    return found, calls


@pytest.mark.parametrize("lora", [None, 2])
@pytest.mark.parametrize("kind", ["two towers", "clip"])
def test_gradients_are_those_of_kept_activations(
    kind: str, lora: int | None, tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    place = tiny if kind == "two towers" else save_joint(tmp_path / "clip")
    encoder: Any = load_encoder(str(place), runtime="torch", device="cpu")
    freeze(encoder.model, ())
    if lora is not None:
        add_lora(encoder.model, lora)
        for name, parameter in encoder.model.named_parameters():
            if "lora_B" in name:  # begins at 0, where the other half has no gradient
                torch.nn.init.normal_(parameter, std=0.1)
    plain, once = gradients(encoder, pairs)
    with gradient_checkpointing(encoder.model):
        twice_computed, twice = gradients(encoder, pairs)
    again, after = gradients(encoder, pairs)
    assert twice == 2 * once == 2 * after > 0
    assert plain.keys() == twice_computed.keys() == again.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(twice_computed[name], gradient, rtol=1e-6, atol=1e-6)
    assert max(float(gradient.abs().max()) for gradient in plain.values()) > 1e-3


def test_training_with_it_gives_the_same_weights(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    for name, wanted in (("plain", False), ("checkpointed", True)):
        recipe = Recipe(
            epochs=1, batch_size=9, freeze=(), learning_rate=1e-4, gradient_checkpointing=wanted
        )
        train_encoder(str(tiny), pairs, tmp_path / name, recipe=recipe)
    assert changed(tiny, tmp_path / "plain")
    assert_same_weights(tmp_path / "plain", tmp_path / "checkpointed", 1e-6)


def test_who_cannot_says_so(tiny: Path, tmp_path: Path) -> None:
    heads: Any = load_encoder(str(tiny), runtime="torch")
    freeze(heads.model, ("text-backbone", "image-backbone"))
    with (
        pytest.raises(TrainingError, match="no network is trained"),
        gradient_checkpointing(heads.model),
    ):
        pass
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    save_vision(tmp_path / "resnet", "ResNet", **sizes)
    save_bert(tmp_path / "bert")
    model = two_towers(tmp_path / "bert", tmp_path / "resnet", dimension=8)
    freeze(model, ())
    with (
        pytest.raises(TrainingError, match="ResNetModel cannot do with gradient_checkpointing"),
        gradient_checkpointing(model),
    ):
        pass
    freeze(model, ("image-backbone",))
    with gradient_checkpointing(model):
        assert model[0].sub_modules["text"][0].auto_model.is_activation_checkpointing
    assert not model[0].sub_modules["text"][0].auto_model.is_activation_checkpointing
