"""Small datasets and encoders for training tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tests.support.checkpoints import save_two_towers
from tests.support.pictures import noise
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset, check_pairs

WORDS = ("red", "blue", "tiger", "a", "word", "ask")  # in the tiny tokenizer's vocabulary


def numbered_pairs(folder: Path, count: int, captions: int = 1) -> PairDataset:
    """Pictures of noise, each with captions of its own, checked."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number in range(count):
        path = folder / f"{number}.png"
        noise(number).save(path)
        pairs += [
            Pair.of(
                ImageRef(path=path, root=folder), f"{caption_of(number)} {version}", str(number)
            )
            for version in range(captions)
        ]
    return check_pairs(PairDataset(tuple(pairs))).dataset


def caption_of(number: int) -> str:
    """A caption of words that the tiny tokenizer knows, another for every number."""
    digits = np.base_repr(number + 1, len(WORDS))
    return " ".join(WORDS[int(digit)] for digit in digits)


def coloured_pairs(folder: Path, count: int) -> PairDataset:
    """Pictures whose brightness the caption's words count, so that they can be learned."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number in range(count):
        digits = [int(digit) for digit in np.base_repr(number + 36, 6)][-3:]
        path = folder / f"{number}.png"
        pixels = np.zeros((32, 32, 3), np.uint8)
        for channel, digit in enumerate(digits):
            pixels[..., channel] = 20 + 40 * digit
        pixels[0, 0] = number
        Image.fromarray(pixels).save(path)
        caption = " ".join(WORDS[digit] for digit in digits)
        pairs.append(Pair.of(ImageRef(path=path, root=folder), f"{caption} {number}", str(number)))
    return check_pairs(PairDataset(tuple(pairs))).dataset


def tiny_encoder(folder: Path) -> Path:
    """A BERT and ViT `Router` with random weights, saved."""
    return save_two_towers(folder)


def weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of every safetensors file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        for name, tensor in load_file(path).items():
            found[f"{path.relative_to(folder)}:{name}"] = tensor
    return found


def assert_same_weights(one: Path, other: Path, tolerance: float = 0.0) -> None:
    """Two models have the same tensors."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=tolerance, msg=name)


def changed(one: Path, other: Path) -> set[str]:
    """Names of the tensors that differ."""
    ours, theirs = weights(one), weights(other)
    return {name for name in ours if not torch.equal(ours[name], theirs[name])}
