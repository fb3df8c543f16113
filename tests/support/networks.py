"""Tiny bare networks with random weights, as hubs have them, and what can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 32
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION = SMALL | {"image_size": SIDE, "patch_size": 8}
_SQUARE = {"height": SIDE, "width": SIDE}
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "green", "blue", "cat", "dog", "car"]
_WORDS += ["snow", "word", "in", "the", "and", "of", "photo"]


def save_network(
    directory: Path,
    kind: str,
    *,
    limit: int | None = 64,
    vocabulary: int = len(_WORDS),
    **settings: Any,
) -> Path:
    """A text network of transformers with its tokenizer.

    Args:
        directory: Where to.
        kind: Its class without ``Model``, such as ``Bert``.
        limit: The maximum that its tokenizer states; none if ``None``.
        vocabulary: Rows of its embedding.
        **settings: Of its configuration.
    """
    config = _class(f"{kind.removesuffix('ForSequenceClassification')}Config")(
        **{"vocab_size": vocabulary} | SMALL | settings
    )
    network = kind if kind.endswith("Classification") else f"{kind}Model"
    return _saved(directory, _seeded(lambda: _class(network)(config)), word_tokenizer(limit))


def save_bert(directory: Path, limit: int | None = 64) -> Path:
    """A BERT of 64 positions."""
    return save_network(directory, "Bert", limit=limit, max_position_embeddings=64)


def save_cross_encoder(directory: Path) -> Path:
    """A BERT with a head that scores pairs."""
    kind = "BertForSequenceClassification"
    return save_network(directory, kind, max_position_embeddings=64, num_labels=1)


def save_vision(directory: Path, kind: str, **settings: Any) -> Path:
    """A picture network of transformers with an image processor, by its class without ``Model``."""
    from transformers import ViTImageProcessorPil

    config = _class(f"{kind}Config")(**(settings or VISION))
    processor = ViTImageProcessorPil(size=_SQUARE) if kind != "CLIPVision" else _clip_images()
    return _saved(directory, _seeded(lambda: _class(f"{kind}Model")(config)), processor)


def save_joint(directory: Path, *, scale: float | None = None) -> Path:
    """A CLIP; ``scale`` is its logit scale, a logarithm."""
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor

    tokenizer = _clip_tokenizer(directory)
    text = SMALL | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    model = _seeded(lambda: CLIPModel(config))
    if scale is not None:
        model.logit_scale.data.fill_(scale)
    return _saved(directory, model, CLIPProcessor(_clip_images(), tokenizer))


def save_prompted_vlm(directory: Path) -> Path:
    """A LLaVA that embeds, with prompts, as published embedders of that kind are."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = word_tokenizer(128, ("<image>",))
    language = SMALL | {"num_key_value_heads": 2, "initializer_range": 0.3}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION).to_dict(),
        text_config=LlamaConfig(vocab_size=len(tokenizer), **language).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    processor = LlavaProcessor(
        image_processor=_clip_images(),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
            "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% elif 'text' in c %}"
            "{{ c['text'] }}{% endif %} {% endfor %}{% endif %} {% endfor %}"
        ),
    )
    network = _seeded(lambda: LlavaForConditionalGeneration(config))
    base = _saved(directory / "base", network, processor)
    model = SentenceTransformer(
        modules=[Transformer(str(base)), Pooling(32, "lasttoken"), Normalize()],
        prompts={"query": "photo of ", "document": "red car in the snow "},
    )
    model.save(str(directory / "model"), create_model_card=False)
    return directory / "model"


def without_weights(directory: Path, start: str, file: str = "model.safetensors") -> Path:
    """Take the weights whose names begin so out of a checkpoint; returns its directory."""
    from safetensors.torch import load_file, save_file

    place = directory / file
    weights = load_file(place)
    kept = {name: value for name, value in weights.items() if not name.startswith(start)}
    assert len(kept) < len(weights)
    save_file(kept, place, metadata={"format": "pt"})
    return directory


def word_tokenizer(limit: int | None = 64, special: tuple[str, ...] = ()) -> Any:
    """Splits at blanks, lower-cases, and puts ``[CLS]`` and ``[SEP]`` around a text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*_WORDS, *special]
    inner = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        additional_special_tokens=list(special),
        model_input_names=["input_ids", "attention_mask"],
        **({} if limit is None else {"model_max_length": limit}),
    )


def _clip_images() -> Any:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE)


def _clip_tokenizer(directory: Path) -> Any:
    from transformers import CLIPTokenizerFast

    directory.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    return CLIPTokenizerFast(str(vocabulary), str(merges), model_max_length=77)


def _class(name: str) -> Any:
    import transformers

    return getattr(transformers, name)


def _seeded(make: Callable[[], Any]) -> Any:
    import torch

    torch.manual_seed(0)
    return make()


def _saved(directory: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(directory)
    return directory
