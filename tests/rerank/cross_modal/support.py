"""A small cross-modal Transformer with random weights, and pictures for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from unisem.encoders import Encoder
from unisem.rerank.cross_modal import (
    CaptionTokenizer,
    CrossModalFiles,
    CrossModalSettings,
    CrossModalTransformer,
    PatchFeatures,
    WordVectors,
)

CAPTIONS = [
    "a red circle to the left of a green square",
    "a green square to the left of a red circle",
    "three blue stars",
]


def picture(colour: str, at: int = 20) -> Image.Image:
    """A disk on white."""
    image = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(image).ellipse((at, 20, at + 40, 60), fill=colour)
    return image


def save_random(
    directory: Path, encoder: Encoder, *, tower_words: bool = False, **settings: Any
) -> Path:
    """Save a model that stands on an encoder's towers, with random weights."""
    import torch

    torch.manual_seed(0)
    features = PatchFeatures(encoder, side=settings.get("side", 7))
    tokenizer = CaptionTokenizer.learn(CAPTIONS, words=200)
    words = WordVectors(encoder) if tower_words else None
    small: dict[str, Any] = {
        "feature_width": features.width,
        "words": len(tokenizer),
        "text_width": None if words is None else words.width,
        "width": 16,
        "heads": 2,
        "layers": 2,
        "caption_layers": 2,
        "token_width": 8,
        "length": 12,
    }
    network = CrossModalTransformer(CrossModalSettings(**small | settings))
    for parameter in network.parameters():  # zeros and ones would hide a slip
        torch.nn.init.normal_(parameter, std=0.3)
    CrossModalFiles(
        network,
        tokenizer,
        encoder.name,
        features.fingerprint,
        None if words is None else words.fingerprint,
    ).write(directory)
    return directory
