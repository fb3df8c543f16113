"""Tiny MobileCLIPs as open_clip writes them, and their vectors by the formula."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.support.mobile_clip_formula import Drawn, fast_vit_features, vit_features
from tests.support.open_clip_files import (
    DIMENSION,
    LENGTH,
    TEXT,
    clip_tensors,
    clip_text_features,
    save,
    save_clip_words,
)
from unisem.encoders.open_clip.towers import TOWERS, FastVitTower, Tower, VitTower

SIDE = 64
SMALL: dict[str, Tower] = {
    "fastvit_mci0": FastVitTower((1, 1, 2, 1), 8, 3),
    "fastvit_mci3": FastVitTower((1, 1, 1, 1, 2), 8, 2),
    "vit_base_mci_224": VitTower(2, 32, 4, 16, 8, 1e-6),
    "vit_large_patch14_clip_224": VitTower(2, 32, 4, 16, 0, 1e-5),
}
"""The towers but small, by timm's names; `small_towers` has the conversion take them for timm's."""


def small_towers() -> Any:
    """A context in which the names are those of `SMALL`."""
    return mock.patch.dict(TOWERS, SMALL)


class MobileClipFiles:
    """A checkpoint with random weights, and what it computes.

    Args:
        folder: The directory to make.
        name: Of its picture tower, as timm calls it.
        both_ways: Whether its words see those behind them.
    """

    def __init__(self, folder: Path, name: str, *, both_ways: bool = True) -> None:
        self.folder = folder
        self._tower = SMALL[name]
        self._both_ways = both_ways
        self._drawn = Drawn(5)
        self.images([Image.new("RGB", (SIDE, SIDE))])  # draws them all
        words = clip_tensors(3, "text.").items()
        self._words = {name: one for name, one in words if "visual" not in name}
        pixels = {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"}
        config = mobile_clip_config(name, self._tower.pool, both_ways=both_ways)
        save(folder, config, self.tensors, resize_mode="shortest", **pixels)
        save_clip_words(folder)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The checkpoint's."""
        return self._words | self._drawn.tensors

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Vectors of texts, ``(n, d)``."""
        ids = tokens(texts, self.folder)
        both = self._both_ways
        return clip_text_features(self._words, ids, "text.", functional.gelu, both_ways=both)

    def images(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Vectors of pictures, ``(n, d)``."""
        seen = torch.stack([pixels(one) for one in pictures])
        if isinstance(self._tower, FastVitTower):
            return fast_vit_features(self._drawn, self._tower, seen, DIMENSION)
        return vit_features(self._drawn, self._tower, seen, DIMENSION)


def mobile_clip_config(
    name: str, pool: Literal["avg", "token"], *, both_ways: bool, side: int = SIDE
) -> dict[str, Any]:
    """open_clip's ``model_cfg`` of one, its text tower tiny."""
    vision = {
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": pool,
        "timm_proj": None,
        "timm_drop": 0.0,
        "timm_drop_path": 0.1,
        "image_size": side,
    }
    text = {**TEXT, "vocab_size": 192, "no_causal_mask": both_ways}
    return {"embed_dim": DIMENSION, "vision_cfg": vision, "text_cfg": text, "custom_text": True}


def pixels(picture: Image.Image, side: int = SIDE) -> Tensor:
    """What open_clip makes of a picture: the shorter side scaled, the middle cut out."""
    scale = side / min(picture.size)
    size = (int(picture.width * scale), int(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.array(picture, np.float32) / 255).permute(2, 0, 1)


def tokens(texts: Sequence[str], words: Path) -> Tensor:
    """Numbers of tokens, ``(n, LENGTH)``, filled up with 0 as open_clip does."""
    from transformers import CLIPTokenizerFast

    known = CLIPTokenizerFast.from_pretrained(words)
    rows = known(list(texts), truncation=True, max_length=LENGTH)["input_ids"]
    return torch.tensor([[*row, *[0] * (LENGTH - len(row))] for row in rows])
