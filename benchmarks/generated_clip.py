"""A CLIP checkpoint with random weights, and pairs to train it on, for measuring speed.

Nothing is fetched: weights are random, pictures are drawn, captions are random letters. A model
like that learns nothing, and takes as long over it as any other.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizerFast,
)

from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset, check_pairs

_PICTURES = 256
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_clip(directory: Path, config: CLIPConfig) -> Path:
    """Write a CLIP with random weights whose tokenizer makes one token of a letter.

    Args:
        directory: Where; created.
        config: Its sizes. The ids of begin and end become the tokenizer's.
    """
    config = copy.deepcopy(config)
    config.text_config.bos_token_id, config.text_config.eos_token_id = 0, 1
    config.text_config.pad_token_id = 1
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(directory)
    tokens = ["<|startoftext|>", "<|endoftext|>", *_LETTERS, *(c + "</w>" for c in _LETTERS)]
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    vocabulary.write_text(json.dumps({token: n for n, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    side = config.vision_config.image_size
    limit = config.text_config.max_position_embeddings
    CLIPProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
        tokenizer=CLIPTokenizerFast(str(vocabulary), str(merges), model_max_length=limit),
    ).save_pretrained(directory)
    return directory


def write_pairs(folder: Path, count: int, *, tokens: int) -> PairDataset:
    """Write pictures with detail at two scales and make checked pairs of them.

    Args:
        folder: Where; created.
        count: Pairs. Beyond 256 the pictures come again, with other captions.
        tokens: Of every caption, begin and end included.
    """
    folder.mkdir()
    rng = np.random.default_rng(0)
    references = []
    for number in range(min(count, _PICTURES)):
        coarse, fine = (
            Image.fromarray(rng.integers(0, 256, (side * 3 // 4, side, 3), np.uint8)).resize(
                (640, 480), Image.Resampling.BICUBIC
            )
            for side in (8, 160)
        )
        path = folder / f"{number}.jpg"
        Image.blend(coarse, fine, 0.25).save(path, quality=90)
        references.append(ImageRef(path=path, root=folder))
    letters = rng.choice(list(_LETTERS), (count, tokens - 2))
    pairs = (
        Pair.of(references[number % _PICTURES], " ".join(caption), str(number % _PICTURES))
        for number, caption in enumerate(letters)
    )
    return check_pairs(PairDataset(tuple(pairs))).dataset
