"""MobileCLIPs after conversion: every branch computed for itself, and open_clip itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from tests.support.mobile_clip_files import (
    MobileClipFiles,
    mobile_clip_config,
    pixels,
    small_towers,
    tokens,
)
from tests.support.open_clip_files import DIMENSION, save, save_clip_words
from tests.support.open_clip_oracle import (
    OPEN_CLIP_IS_ABSENT,
    mobile_clip_shapes,
    open_clip_features,
)
from tests.support.pictures import noise
from unisem import load_encoder
from unisem.encoders.open_clip import convert_open_clip
from unisem.encoders.open_clip.description import Description
from unisem.encoders.open_clip.mobile_clip import MobileClip
from unisem.encoders.open_clip.settings import configuration
from unisem.encoders.open_clip.tensors import renamed
from unisem.encoders.open_clip.towers import TOWERS, VitTower
from unisem.errors import EncoderError

TIMM = dict(TOWERS)
TEXTS = ["a tiger", "Two  cards, one of them red!!", "x " * 40]
PICTURES = [noise(0, (80, 64)), Image.new("RGB", (64, 90), (250, 40, 10))]


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with small_towers():
        yield


def unit(rows: Tensor) -> np.ndarray:
    return np.asarray(functional.normalize(rows.double(), dim=1))


@pytest.mark.parametrize(
    ("name", "both_ways"),
    [
        ("fastvit_mci3", True),
        ("vit_base_mci_224", False),
        ("vit_large_patch14_clip_224", True),
    ],
)
def test_it_equals_the_formula(tmp_path: Path, name: str, both_ways: bool) -> None:
    source = MobileClipFiles(tmp_path / "source", name, both_ways=both_ways)
    made = convert_open_clip(source.folder, tmp_path / "made")
    assert (made.kind, made.dimension) == ("mobile_clip", DIMENSION)
    encoder = load_encoder(str(made.directory))
    assert encoder.fingerprint == made.fingerprint
    texts, images = unit(source.texts(TEXTS)), unit(source.images(PICTURES))
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts, atol=1e-4)
    np.testing.assert_allclose(encoder.encode_images(PICTURES), images, atol=1e-4)
    assert np.abs(images[0] - images[1]).max() > 0.01  # or anything would equal anything


def test_folded_blocks_are_taken_as_they_are(tmp_path: Path) -> None:
    source = MobileClipFiles(tmp_path / "source", "fastvit_mci0")
    made = convert_open_clip(source.folder, tmp_path / "made")
    tensors, mixer = source.tensors, "visual.trunk.stages.0.blocks.0.token_mixer."
    tensors = {name: one for name, one in tensors.items() if not name.startswith(mixer)}
    kernel, bias = torch.randn(8, 1, 3, 3), torch.randn(8)
    folded = {f"{mixer}reparam_conv.weight": kernel, f"{mixer}reparam_conv.bias": bias}
    save_file(tensors | folded, source.folder / "open_clip_model.safetensors")
    other = convert_open_clip(source.folder, tmp_path / "other")
    model: Any = load_encoder(str(other.directory)).model  # type: ignore[attr-defined]
    mixed = model[0].auto_model.vision_model.stages[0].blocks[0].mix.conv
    assert torch.equal(mixed.weight, kernel)
    assert torch.equal(mixed.bias, bias)
    assert other.fingerprint != made.fingerprint


CLEAR = "visual.trunk.stages.2.blocks.1.token_mixer.mixer.conv_scale.bn.running_var"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({CLEAR: None}, f"lacks {CLEAR}; its weights"),
        ({CLEAR: torch.ones(8)}, rf"has {CLEAR} of shape \(8,\), where .* has \(32,\)"),
        ({"visual.trunk.more": torch.ones(8)}, "not understood, visual.trunk.more"),
        ({"visual.trunk.head.fc.weight": torch.ones(8, 8)}, "visual_projection.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    source = MobileClipFiles(tmp_path / "source", "fastvit_mci0")
    tensors = source.tensors | change
    kept = {name: one.contiguous() for name, one in tensors.items() if one is not None}
    save_file(kept, source.folder / "open_clip_model.safetensors")
    with pytest.raises(EncoderError, match=message):
        convert_open_clip(source.folder, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.slow
@pytest.mark.skipif(OPEN_CLIP_IS_ABSENT, reason="open_clip is absent")
@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("fastvit_mci0", [2, 6, 10, 2]),  # whole
        ("fastvit_mci2", [1, 1, 2, 1]),
        ("fastvit_mci3", [1, 1, 2, 1, 1]),
        ("fastvit_mci4", [1, 1, 1, 1, 1]),
        ("vit_base_mci_224", 2),
        ("vit_large_patch14_clip_224", 2),
    ],
)
def test_open_clip_itself_gives_the_same(
    tmp_path: Path, name: str, depth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, vit = TIMM[name], isinstance(TIMM[name], VitTower)
    deep = {"num_hidden_layers": depth} if vit else {"depths": tuple(depth)}
    monkeypatch.setitem(TOWERS, name, replace(tower, **deep))
    side = 224 if vit else 256
    source = tmp_path / "source"
    config = mobile_clip_config(name, tower.pool, both_ways="base" not in name, side=side)
    pixels_as = {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"}
    save(source, config, {}, resize_mode="shortest", **pixels_as)
    save_clip_words(source)
    wanted = open_clip_features(
        source,
        tokens(TEXTS, source),
        torch.stack([pixels(one, side) for one in PICTURES]),
        custom_text=True,
        shrunk={"depth" if vit else "layers": depth},
    )
    encoder = load_encoder(str(convert_open_clip(source, tmp_path / "made").directory))
    texts, images = unit(wanted["texts"]), unit(wanted["images"])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts, atol=1e-4)
    np.testing.assert_allclose(encoder.encode_images(PICTURES), images, atol=1e-4)
    assert np.abs(images[0] - images[1]).max() > 0.002


@pytest.mark.slow
@pytest.mark.skipif(OPEN_CLIP_IS_ABSENT, reason="open_clip is absent")
def test_every_mobile_clip_of_open_clip_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and shapes alone: the largest has 445 million numbers."""
    for name, tower in TIMM.items():
        monkeypatch.setitem(TOWERS, name, tower)
    for known in mobile_clip_shapes(tmp_path).values():
        save(tmp_path, known["config"], {})
        described = Description.read(tmp_path)
        with torch.device("meta"):
            theirs = {tensor: torch.empty(shape) for tensor, shape in known["shapes"].items()}
            ours = renamed(theirs, described, tmp_path)
            assert ours["visual_projection.weight"].shape[0] == described.dimension
            model = MobileClip(configuration(ours, described))
            model.load_state_dict(ours, strict=True, assign=True)
