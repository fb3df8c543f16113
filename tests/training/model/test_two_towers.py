"""Two towers from parts, and which parts of a model are trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoImageProcessor, AutoModel

from tests.support.checkpoints import save_clip, save_siglip
from tests.support.networks import VISION, save_bert, save_joint, save_network, save_vision
from tests.support.pictures import noise
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError, TrainingError
from unisem.training.model.interpolation import interpolate_weights, trainable_state
from unisem.training.model.lora import add_lora, merge_lora
from unisem.training.model.modality_parts import default_parts, freeze, frozen_depth, training_view
from unisem.training.model.saving import save_model
from unisem.training.model.two_towers import two_towers
from unisem.training.model.unfreezing import unfreezing_stages


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ConvNextImageProcessorPil, ResNetConfig, ResNetModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("resnet")
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    return folder


def encoder_at(folder: Path) -> SentenceTransformerEncoder:
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, SentenceTransformerEncoder)
    return encoder


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("image", ["vit", "resnet"])
def test_towers_become_an_encoder(image: str, tiny: Path, resnet: Path, tmp_path: Path) -> None:
    bert, vit = tiny.parent / "parts/bert", tiny.parent / "parts/vit"
    model = two_towers(bert, vit if image == "vit" else resnet, dimension=12)
    save_model(model, tmp_path / "joint")
    encoder = encoder_at(tmp_path / "joint")
    texts = encoder.encode_texts(["a red tiger", "blue"])
    images = encoder.encode_images([noise(1), noise(2, (64, 20))])
    assert texts.shape == images.shape == (2, 12)
    assert encoder.dimension == 12
    # The same projections for the same seed, so that a run can be resumed.
    again = two_towers(bert, vit if image == "vit" else resnet, dimension=12)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_article_s_towers(tiny: Path) -> None:
    """Class token, then a linear map: what the article's ``CrossModalTransformer`` computes."""
    from transformers import AutoTokenizer, BertModel, ViTModel

    parts = tiny.parent / "parts"
    model = two_towers(parts / "bert", parts / "vit", dimension=12, text_pooling="cls").eval()
    routes = model[0].sub_modules
    tokens = AutoTokenizer.from_pretrained(parts / "bert")(["a red tiger"], return_tensors="pt")
    with torch.no_grad():
        text = BertModel.from_pretrained(parts / "bert").eval()(**tokens).last_hidden_state[:, 0]
        ours = model.encode([{"text": "a red tiger"}], convert_to_tensor=True)
        expected = nn.functional.normalize(text @ routes["text"][2].linear.weight.T, dim=1)
        torch.testing.assert_close(ours.cpu(), expected, rtol=0, atol=1e-5)
        pixels = model.preprocess([{"image": noise(1)}])["pixel_values"]
        image = ViTModel.from_pretrained(parts / "vit").eval()(pixels).last_hidden_state[:, 0]
        ours = model.encode([{"image": noise(1)}], convert_to_tensor=True)
        expected = nn.functional.normalize(image @ routes["image"][2].linear.weight.T, dim=1)
        torch.testing.assert_close(ours.cpu(), expected, rtol=0, atol=1e-5)


def test_a_convolutional_tower_is_averaged_over_its_positions(tiny: Path, resnet: Path) -> None:
    from transformers import ResNetModel

    model = two_towers(tiny.parent / "parts/bert", resnet, dimension=12).eval()
    with torch.no_grad():
        pixels = model.preprocess([{"image": noise(1)}])["pixel_values"]
        pooled = ResNetModel.from_pretrained(resnet).eval()(pixels).pooler_output.flatten(1)
        weight = model[0].sub_modules["image"][2].linear.weight
        expected = nn.functional.normalize(pooled @ weight.T, dim=1)
        ours = model.encode([{"image": noise(1)}], convert_to_tensor=True).cpu()
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def projected(model: Any, dimension: int) -> list[np.ndarray]:
    """The inputs of every linear layer to ``dimension`` while a picture goes through."""
    seen: list[np.ndarray] = []
    hooks = [
        module.register_forward_hook(
            lambda _module, inputs, _output: seen.append(inputs[0].detach().numpy().reshape(-1))
        )
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == dimension
    ]
    model.encode_document([{"image": noise(1)}])
    for hook in hooks:
        hook.remove()
    return seen


CONV = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("CLIPVision", {}),
        ("SiglipVision", {}),
        ("Dinov2", {}),
        ("Beit", VISION | {"use_mean_pooling": True}),
        ("ConvNext", CONV | {"image_size": 32}),
    ],
)
def test_a_picture_network_is_pooled_as_it_was_trained(
    tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    """What its own pooling gives, which is what its heads were trained on."""
    tower = save_vision(tmp_path / "tower", kind, **settings)
    model = two_towers(save_bert(tmp_path / "bert"), tower, dimension=13)
    inputs = AutoImageProcessor.from_pretrained(tower)(images=[noise(1)], return_tensors="pt")
    with torch.inference_mode():
        wanted = AutoModel.from_pretrained(tower).eval()(**inputs).pooler_output[0].numpy()
    (seen,) = projected(model, 13)
    np.testing.assert_allclose(seen, wanted, atol=1e-4)
    save_model(model, tmp_path / "joint")
    again = encoder_at(tmp_path / "joint")
    np.testing.assert_allclose(
        again.encode_images([noise(1)]), model.encode_document([{"image": noise(1)}]), atol=1e-5
    )
    assert default_parts(again.model) == ("text-backbone", "image-backbone")


@pytest.mark.parametrize("side", ["text", "image"])
def test_a_mobile_clip_is_not_taken_apart(tmp_path: Path, side: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "unisem_mobile_clip"}', encoding="utf-8")
    save_file({}, tmp_path / "model.safetensors")
    bert = save_bert(tmp_path / "bert")
    towers = (tmp_path, bert) if side == "text" else (bert, tmp_path)
    with pytest.raises(TrainingError, match=r"is a whole MobileCLIP.*--encoder"):
        two_towers(*towers, dimension=13)


@pytest.mark.parametrize("save", [save_joint, save_siglip])
def test_of_a_whole_clip_the_picture_side_is_taken(tmp_path: Path, save: Any) -> None:
    (tmp_path / "clip").mkdir()
    whole, bert = save(tmp_path / "clip"), save_bert(tmp_path / "bert")
    model = two_towers(bert, whole, dimension=13)
    assert not any("token_embedding" in name for name, _ in model.named_parameters())
    with pytest.raises(TrainingError, match="with both sides"):
        two_towers(whole, whole)
    inputs = AutoImageProcessor.from_pretrained(whole)(images=[noise(1)], return_tensors="pt")
    with torch.inference_mode():
        vision = AutoModel.from_pretrained(whole).eval().vision_model(**inputs)
    (seen,) = projected(model, 13)
    np.testing.assert_allclose(seen, vision.pooler_output[0].numpy(), atol=1e-4)
    save_model(model, tmp_path / "joint")
    again = encoder_at(tmp_path / "joint")
    assert again.encode_texts(["a cat"]).shape == again.encode_images([noise(1)]).shape == (1, 13)


def test_long_texts_are_cut_before_a_tower_is_saved(tmp_path: Path) -> None:
    settings = {"max_position_embeddings": 66, "limit": None, "vocabulary": 22}
    text = save_network(tmp_path / "mpnet", "MPNet", **settings)  # type: ignore[arg-type]
    model = two_towers(text, save_vision(tmp_path / "vit", "ViT"), dimension=16)
    long, longer = model.encode_query([{"text": "word " * 400}, {"text": "word " * 900}])
    np.testing.assert_allclose(long, longer, atol=1e-5)


def test_a_tower_that_is_stored_in_half_precision(tiny: Path, tmp_path: Path) -> None:
    bert, vit = tiny.parent / "parts/bert", tiny.parent / "parts/vit"
    AutoModel.from_pretrained(bert, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bert / name, tmp_path / "half")
    model = two_towers(tmp_path / "half", vit, dimension=12)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.encode(["a red tiger"]).shape == (1, 12)


def test_a_damaged_tower_is_named(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny.parent / "parts/bert", tmp_path / "bert")
    weights = tmp_path / "bert" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(EncoderError, match=r"the text tower .*bert' does not load"):
        two_towers(tmp_path / "bert", tiny.parent / "parts/vit")


def test_towers_that_are_none_are_refused(tiny: Path, tmp_path: Path) -> None:
    bert = tiny.parent / "parts/bert"
    with pytest.raises((TrainingError, EncoderError), match="image tower"):
        two_towers(bert, bert)
    with pytest.raises(EncoderError, match="no encoder"):
        two_towers(bert, tmp_path / "nothing")
    with pytest.raises(ValueError, match="dimension"):
        two_towers(bert, bert, dimension=1)


@pytest.mark.parametrize(
    ("parts", "depths"),
    [
        ((), (0, 0)),
        (("text",), (3, 0)),
        (("image",), (0, 2)),
        (("text", "image-backbone"), (3, 1)),
        (("text-backbone", "image-backbone"), (2, 1)),
    ],
)
def test_freezing_a_router(tiny: Path, parts: Any, depths: tuple[int, int]) -> None:
    model = encoder_at(tiny).model
    freeze(model, parts)
    assert (frozen_depth(model, "text"), frozen_depth(model, "image")) == depths
    names = trained(model)
    assert any("sub_modules.text." in name for name in names) == ("text" not in parts)
    assert any("sub_modules.image." in name for name in names) == ("image" not in parts)
    for side in ("text", "image"):
        if f"{side}-backbone" in parts:
            assert not any(f"sub_modules.{side}.0." in name for name in names)
    assert default_parts(model) == ("text-backbone", "image-backbone")


@pytest.mark.parametrize(
    ("parts", "text", "image", "projections"),
    [
        ((), True, True, (True, True)),
        (("text",), False, True, (False, True)),
        (("image",), True, False, (True, False)),
        (("text-backbone", "image-backbone"), False, False, (True, True)),
    ],
)
def test_freezing_the_halves_of_clip(
    tmp_path: Path, parts: Any, text: bool, image: bool, projections: tuple[bool, bool]
) -> None:
    model = encoder_at(save_clip(tmp_path)).model
    freeze(model, parts)
    names = trained(model)
    assert any("text_model" in name for name in names) is text
    assert any("vision_model" in name for name in names) is image
    found = tuple(
        any(part in name for name in names) for part in ("text_projection", "visual_projection")
    )
    assert found == projections
    assert not any("logit_scale" in name for name in names)
    assert default_parts(model) == ()
    assert frozen_depth(model, "text") == (1 if "text" in parts else 0)


def test_freezing_everything_or_nonsense_is_refused(tiny: Path) -> None:
    model = encoder_at(tiny).model
    with pytest.raises(TrainingError, match="nothing is left to train"):
        freeze(model, ("text", "image"))
    with pytest.raises(TrainingError, match="cannot freeze head"):
        freeze(model, ("head",))  # type: ignore[arg-type]


def test_a_view_gives_what_the_whole_model_gives(tiny: Path) -> None:
    encoder = encoder_at(tiny)
    model = encoder.model
    picture = encoder.prepare_image(noise(1))
    features = model.preprocess([{"image": picture}])
    with torch.no_grad():
        whole = model(dict(features))["sentence_embedding"]
        route = model[0].sub_modules["image"]
        stored = route[0](dict(features))["sentence_embedding"]
        view = training_view(model, {"image": 1})
        ours = view({"sentence_embedding": stored, "modality": "image"})["sentence_embedding"]
        text = model.preprocess([{"text": "a tiger"}])
        torch.testing.assert_close(
            view(dict(text))["sentence_embedding"], model(dict(text))["sentence_embedding"]
        )
    torch.testing.assert_close(ours, whole)
    assert {id(p) for p in view.parameters()} <= {id(p) for p in model.parameters()}
    assert training_view(model, {}) is model


@pytest.mark.parametrize("frozen", [(), ("text",)])
def test_lora_is_folded_in(tmp_path: Path, frozen: Any) -> None:
    encoder = encoder_at(save_clip(tmp_path / "clip"))
    pictures = [noise(1), noise(2)]
    before = encoder.encode_images(pictures), encoder.encode_texts(["a tiger"])
    freeze(encoder.model, frozen)
    add_lora(encoder.model, 2)
    names = trained(encoder.model)
    assert names
    assert all("lora_" in name for name in names)
    assert any("text_model" in name for name in names) == (not frozen)
    np.testing.assert_allclose(encoder.encode_images(pictures), before[0], atol=1e-6)
    generator = torch.Generator().manual_seed(0)
    for parameter in encoder.model.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(0, 0.1, generator=generator)
    changed = encoder.encode_images(pictures), encoder.encode_texts(["a tiger"])
    assert np.abs(changed[0] - before[0]).max() > 0.01
    merge_lora(encoder.model)
    save_model(encoder.model, tmp_path / "merged")
    assert not list((tmp_path / "merged").rglob("adapter*"))
    again = encoder_at(tmp_path / "merged")
    np.testing.assert_allclose(again.encode_images(pictures), changed[0], atol=1e-5)
    np.testing.assert_allclose(again.encode_texts(["a tiger"]), changed[1], atol=1e-5)
    if frozen:
        np.testing.assert_allclose(changed[1], before[1], atol=1e-6)


def test_lora_without_a_linear_layer_is_refused(tiny: Path) -> None:
    model = encoder_at(tiny).model
    freeze(model, ("text-backbone", "image-backbone"))
    with pytest.raises(TrainingError, match="no linear layer"):
        add_lora(model, 2)


def test_interpolation_is_linear_and_ends_at_both_models() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    start = trainable_state(layer)
    trained_weight = torch.randn(2, 3)
    for weight in (0.0, 0.3, 1.0):
        layer.weight.data.copy_(trained_weight)
        interpolate_weights(layer, start, weight)
        expected = (1 - weight) * start["weight"] + weight * trained_weight
        torch.testing.assert_close(layer.weight.data, expected)
    with pytest.raises(ValueError, match="weight must be"):
        interpolate_weights(layer, start, 1.1)


def test_interpolation_takes_running_means_along() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    start = trainable_state(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model(5 + torch.randn(16, 3))
    moved = model[1].running_mean.clone()
    assert not torch.equal(moved, before["1.running_mean"])
    interpolate_weights(model, start, 0.5)
    torch.testing.assert_close(model[1].running_mean, (before["1.running_mean"] + moved) / 2)
    interpolate_weights(model, start, 0.0)
    for name, tensor in start.items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_layers_are_unfrozen_from_the_last(tiny: Path) -> None:
    model = encoder_at(tiny).model
    freeze(model, ())
    names = {id(p): n for n, p in model.named_parameters()}
    stages = [{names[id(p)] for p in stage} for stage in unfreezing_stages(model)]
    assert len(stages) == 3
    assert all(".1." in name.partition("layer")[2] for name in stages[0])
    assert {n.partition(".sub_modules.")[2].partition(".")[0] for n in stages[0]} == {
        "text",
        "image",
    }
    assert all(".0." in name.partition("layer")[2] for name in stages[1])
    assert all("embeddings" in name for name in stages[2])
    heads = {n for n, p in model.named_parameters() if id(p) in names} - set().union(*stages)
    assert any("linear.weight" in name for name in heads)
