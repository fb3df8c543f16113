"""open_clip's checkpoints after conversion: the formulas written out, and open_clip itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.support.checkpoints import save_siglip
from tests.support.open_clip_files import (
    CLIP,
    LENGTH,
    SIDE,
    SIGLIP,
    clip_features,
    clip_tensors,
    save,
    save_clip_words,
    siglip_features,
    siglip_tensors,
)
from tests.support.open_clip_oracle import OPEN_CLIP_IS_ABSENT, open_clip_features
from tests.support.pictures import noise
from unisem import load_encoder
from unisem.encoders.open_clip import convert_open_clip
from unisem.errors import EncoderError

TEXTS = ["a tiger", "Two  cards, one of them red", "x " * 40]
PICTURES = [noise(seed) for seed in range(3)]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


def unit(rows: Any) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pixels(picture: Image.Image, side: int, *, squash: bool) -> torch.Tensor:
    """What open_clip's preprocessing makes of a picture: scaled by Pillow, cut, normalised."""
    width, height = picture.size
    if squash:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    else:
        scale = side / min(picture.size)
        size = (int(width * scale), int(height * scale))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
        picture = picture.crop((left, top, left + side, top + side))
    rows = torch.from_numpy(np.array(picture.convert("RGB"), np.float32) / 255)
    return ((rows - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)


def clip(folder: Path, prefix: str = "", quick: bool = False, squash: bool = False) -> Path:
    config = CLIP | {"quick_gelu": quick, "custom_text": bool(prefix)}
    mode = {"resize_mode": "squash"} if squash else {}
    save(folder, config, clip_tensors(3, prefix), mean=MEAN, std=STD, **mode)
    save_clip_words(folder)
    return folder


@pytest.mark.parametrize(("prefix", "quick", "squash"), [("", True, False), ("text.", False, True)])
def test_a_clip_equals_the_formula(tmp_path: Path, prefix: str, quick: bool, squash: bool) -> None:
    from transformers import CLIPTokenizerFast

    source = clip(tmp_path / "source", prefix, quick, squash)
    made = convert_open_clip(source, tmp_path / "made")
    assert (made.kind, made.dimension) == ("clip", 24)
    encoder = load_encoder(str(made.directory))
    assert encoder.fingerprint == made.fingerprint
    words = CLIPTokenizerFast.from_pretrained(source)
    ids = words(TEXTS, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
    seen = torch.stack([pixels(one, SIDE, squash=squash) for one in PICTURES])
    texts, images = clip_features(clip_tensors(3, prefix), torch.tensor(ids), seen, prefix, quick)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), unit(texts), atol=1e-4)
    np.testing.assert_allclose(encoder.encode_images(PICTURES), unit(images), atol=1e-4)
    other = unit(
        clip_features(clip_tensors(3, prefix), torch.tensor(ids), seen, prefix, not quick)[0]
    )
    assert np.abs(other - unit(texts)).max() > 1e-3  # the activation matters


def test_a_siglip_equals_the_formula(tmp_path: Path) -> None:
    config = SIGLIP | {"embed_dim": 48}
    pixels_as = {"mean": MEAN, "std": STD, "resize_mode": "squash"}
    source = save(tmp_path / "source", config, siglip_tensors(4), **pixels_as)
    words = save_siglip(tmp_path / "words")
    texts = ["A RED tiger!!", "a_blue (word)."]
    made = convert_open_clip(source, tmp_path / "made", tokenizer=words)
    encoder = load_encoder(str(made.directory))
    said_of = json.loads((made.directory / "config.json").read_text("utf-8"))
    towers = (said_of[side]["layer_norm_eps"] for side in ("text_config", "vision_config"))
    assert [*towers] == [1e-6, 1e-6]  # the latter is timm's
    from transformers import AutoTokenizer

    plain = AutoTokenizer.from_pretrained(words)
    said = ["a red tiger", "a blue word"]  # as open_clip makes them canonical
    ids = plain(said, padding="max_length", max_length=LENGTH)["input_ids"]
    seen = torch.stack([pixels(one, SIDE, squash=True) for one in PICTURES])
    wanted, images = siglip_features(siglip_tensors(4), torch.tensor(ids), seen)
    np.testing.assert_allclose(encoder.encode_texts(texts), unit(wanted), atol=1e-4)
    np.testing.assert_allclose(encoder.encode_images(PICTURES), unit(images), atol=1e-4)


def test_card_licence_and_type_are_kept(tmp_path: Path) -> None:
    source = clip(tmp_path / "source")
    half = {name: one.half() for name, one in clip_tensors(3).items()}
    save_file(half, source / "open_clip_model.safetensors")
    (source / "README.md").write_text("---\nlicense: mit\n---\n# A model\n", encoding="utf-8")
    (source / "LICENSE").write_text("MIT", encoding="utf-8")
    made = convert_open_clip(source, tmp_path / "made").directory
    assert (made / "LICENSE").read_text("utf-8") == "MIT"
    card = (made / "README.md").read_text("utf-8")
    assert card.startswith("---\nlicense: mit\n---\n# A model")
    assert "source/open_clip_model.safetensors" in card
    assert {one.dtype for one in load_file(made / "model.safetensors").values()} == {torch.float16}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "source"]


def changed(source: Path, **parts: dict[str, Any]) -> None:
    path = source / "open_clip_config.json"
    whole = json.loads(path.read_text("utf-8"))
    for part, values in parts.items():
        whole["model_cfg"][part] = whole["model_cfg"][part] | values
    path.write_text(json.dumps(whole), encoding="utf-8")


def towered(source: Path, **vision: Any) -> None:
    path = source / "open_clip_config.json"
    whole = json.loads(path.read_text("utf-8"))
    whole["model_cfg"]["vision_cfg"] = vision
    path.write_text(json.dumps(whole), encoding="utf-8")


def break_it(source: Path, how: str) -> None:
    weights, config = source / "open_clip_model.safetensors", source / "open_clip_config.json"
    tensors = clip_tensors(3)
    match how:
        case "pickle":
            weights.rename(source / "open_clip_pytorch_model.bin")
        case "no weights":
            weights.unlink()
        case "missing":
            del tensors["visual.ln_pre.weight"]
            save_file(tensors, weights)
        case "unknown":
            save_file(tensors | {"visual.extra": torch.zeros(1)}, weights)
        case "shape":
            save_file(tensors | {"visual.proj": torch.zeros(32, 7)}, weights)
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-9])
        case "not JSON":
            config.write_text("{", encoding="utf-8")
        case "no part":
            config.write_text('{"model_cfg": {}}', encoding="utf-8")
        case "no config":
            config.unlink()
        case "ConvNeXt":
            towered(source, timm_model_name="convnext_base", timm_pool="")
        case "pool":
            towered(source, timm_model_name="fastvit_mci1", timm_pool="map")
        case "projection":
            towered(source, timm_model_name="fastvit_mci1", timm_pool="avg")
        case "huge":
            mobile = {"timm_pool": "avg", "timm_proj": None}
            towered(source, timm_model_name="fastvit_mci1", image_size=10**6, **mobile)
        case "padding":
            mobile = {"timm_pool": "avg", "timm_proj": None}
            towered(source, timm_model_name="fastvit_mci1", **mobile)
            changed(source, text_cfg={"no_causal_mask": True, "hf_tokenizer_name": "bert"})
        case "words of hf":
            changed(source, text_cfg={"hf_model_name": "xlm-roberta-base"})
        case "layer scale":
            changed(source, vision_cfg={"ls_init_value": 0.1})
        case "deep":
            changed(source, text_cfg={"layers": 10**9})
        case "wide":
            changed(source, vision_cfg={"head_width": 0})
        case "ResNet":
            changed(source, vision_cfg={"layers": [3, 4, 6, 3]})
        case "dark":
            save(source, CLIP, tensors, mean=MEAN, std=(0.2, 0, 0.4))
        case "grey":
            save(source, CLIP, tensors, mean=(0.5,), std=STD)
        case "causal":
            changed(source, text_cfg={"no_causal_mask": True})
        case "no words":
            for name in ("tokenizer.json", "vocab.json"):
                (source / name).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("pickle", "as a pickle only .open_clip_pytorch_model.bin.*fetch open_clip_model.safe"),
        ("no weights", "has no open_clip_model.safetensors"),
        ("missing", "lacks visual.ln_pre.weight; its weights"),
        ("unknown", "not understood, visual.extra; its weights"),
        ("shape", "cannot be converted: .*visual_projection"),
        ("cut", "cannot be converted"),
        ("not JSON", "is not JSON"),
        ("no part", "is not understood .KeyError: 'text_cfg'"),
        ("no config", "open_clip_config.json is missing"),
        ("ConvNeXt", "tower convnext_base is not known here; .* MobileCLIPs can be .* take one of"),
        ("pool", "vision_cfg.timm_pool is 'map', where .* 'avg'"),
        ("projection", "vision_cfg.timm_proj is 'linear', where .* None"),
        ("huge", "vision_cfg.image_size must be a whole number from 1 to 4,096, not 1000000"),
        ("padding", "hf_tokenizer_name is 'bert'; a text tower that reads its padding"),
        ("words of hf", "text_cfg.hf_model_name is 'xlm-roberta-base'"),
        ("layer scale", "vision_cfg.ls_init_value is 0.1"),
        ("deep", "text_cfg.layers must be a whole number from 1 to 1,000, not 1000000000"),
        ("wide", "vision_cfg.head_width must be a whole number from 1 to 65,536, not 0"),
        ("ResNet", "vision_cfg.layers is .3, 4, 6, 3., as a ResNet's are"),
        ("dark", "preprocess_cfg.std must be three finite numbers above 0"),
        ("grey", "preprocess_cfg.mean must be three finite numbers, not"),
        ("causal", "text_cfg.no_causal_mask is True, where .* False"),
        ("no words", "has no tokenizer .*openai/clip-vit-base-patch32"),
    ],
)
def test_what_cannot_be_converted_is_refused(tmp_path: Path, how: str, message: str) -> None:
    source = clip(tmp_path / "source")
    break_it(source, how)
    with pytest.raises(EncoderError, match=message):
        convert_open_clip(source, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(EncoderError, match="made exists; name a directory that is to be made"):
        convert_open_clip(clip(tmp_path / "source"), tmp_path / "made")


@pytest.mark.slow
@pytest.mark.skipif(OPEN_CLIP_IS_ABSENT, reason="open_clip is absent")
@pytest.mark.parametrize("kind", ["CLIP", "quick", "custom text", "SigLIP", "SigLIP 2"])
def test_open_clip_itself_gives_the_same(tmp_path: Path, kind: str) -> None:
    from transformers import CLIPTokenizerFast, PreTrainedTokenizerFast

    source = tmp_path / "source"
    siglip = kind.startswith("SigLIP")
    if siglip:  # a whole ViT-B, and a tiny text tower
        text = SIGLIP["text_cfg"] | ({"act_kwargs": {"approximate": "tanh"}} if "2" in kind else {})
        named = "vit_base_patch32_siglip_256" if "2" in kind else "vit_base_patch16_siglip_224"
        side = int(named[-3:])
        vision = SIGLIP["vision_cfg"] | {"image_size": side, "timm_model_name": named}
        config = SIGLIP | {"embed_dim": 768, "text_cfg": text, "vision_cfg": vision}
        save_siglip(tmp_path / "words")
        words = PreTrainedTokenizerFast.from_pretrained(tmp_path / "words")
        texts = ["a red tiger", "a blue word"]
    else:
        config = CLIP | {"quick_gelu": kind == "quick"}
        side, texts = SIDE, TEXTS
        save_clip_words(tmp_path / "words")
        words = CLIPTokenizerFast.from_pretrained(tmp_path / "words")
    save(source, config, {}, mean=MEAN, std=STD, resize_mode="squash" if siglip else "shortest")
    ids = words(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
    seen = torch.stack([pixels(one, side, squash=siglip) for one in PICTURES])
    custom_text = kind not in ("CLIP", "quick")
    wanted = open_clip_features(source, torch.tensor(ids), seen, custom_text=custom_text)
    encoder = load_encoder(
        str(convert_open_clip(source, tmp_path / "made", tokenizer=tmp_path / "words").directory)
    )
    np.testing.assert_allclose(encoder.encode_texts(texts), unit(wanted["texts"]), atol=1e-4)
    np.testing.assert_allclose(encoder.encode_images(PICTURES), unit(wanted["images"]), atol=1e-4)
