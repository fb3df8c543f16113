"""A BERT and a ViT that have seen nothing yet, small enough to learn scenes on two cores."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scenes_data import COLOURS, COUNTS, RELATIONS, ROWS, SHAPES
from unisem.training.model.saving import save_model
from unisem.training.model.two_towers import two_towers

UNKNOWN = "[UNK]"
SIDE = 56  # pixels that the ViT sees, in patches of 8


def save_scene_towers(directory: Path, seed: int = 0) -> Path:
    """Save two random towers with projections into one space, as an encoder to be trained."""
    if directory.is_dir():
        return directory
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        BertConfig,
        BertModel,
        PreTrainedTokenizerFast,
        ViTConfig,
        ViTImageProcessorPil,
        ViTModel,
    )

    torch.manual_seed(seed)
    small = {
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    plain = " ".join([*COLOURS, *SHAPES, *RELATIONS, *COUNTS, *ROWS, "a and ,"])
    words = [*dict.fromkeys(plain.split()), *(f"{shape}s" for shape in SHAPES)]
    vocabulary = {word: n for n, word in enumerate(["[PAD]", UNKNOWN, "[CLS]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    bert, vit = directory.with_name("bert"), directory.with_name("vit")
    BertModel(
        BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **small)
    ).save_pretrained(bert)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token=UNKNOWN, model_max_length=32
    ).save_pretrained(bert)
    ViTModel(ViTConfig(image_size=SIDE, patch_size=8, **small)).save_pretrained(vit)
    size = {"height": SIDE, "width": SIDE}
    ViTImageProcessorPil(size=size).save_pretrained(vit)
    directory.mkdir(parents=True)
    save_model(two_towers(bert, vit, dimension=96, seed=seed), directory)
    return directory
