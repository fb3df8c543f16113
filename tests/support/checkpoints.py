"""Tiny random-weight checkpoints, saved to disk and loaded through the real loading code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SIDE = 32
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_VISION = _TOWER | {"image_size": _SIDE, "patch_size": 8}
_SIZE = {"height": _SIDE, "width": _SIDE}


def save_clip(directory: Path, *, stated_limit: bool = True) -> Path:
    """A CLIP checkpoint as on the hub; without ``stated_limit`` its tokenizer names no maximum."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    torch.manual_seed(0)
    text = _TOWER | {
        "vocab_size": 400,
        "max_position_embeddings": 77,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    CLIPModel(
        CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=24)
    ).save_pretrained(directory)
    images = CLIPImageProcessorPil(size={"shortest_edge": _SIDE}, crop_size=_SIZE)
    tokenizer = _clip_tokenizer(directory, 77 if stated_limit else None)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(directory)
    return directory


def save_siglip(directory: Path) -> Path:
    """A SigLIP checkpoint as on the hub."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipProcessor

    torch.manual_seed(1)
    text = _TOWER | {"vocab_size": 200, "max_position_embeddings": 16, "projection_size": 32}
    SiglipModel(SiglipConfig(text_config=text, vision_config=_VISION)).save_pretrained(directory)
    tokenizer = _word_tokenizer(16)
    processor = SiglipProcessor(
        image_processor=SiglipImageProcessorPil(size=_SIZE), tokenizer=tokenizer
    )
    processor.save_pretrained(directory)
    return directory


def save_two_towers(directory: Path) -> Path:
    """BERT + ViT with projections, as a sentence-transformers ``Router``."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Router
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(2)
    bert, vit = directory / "parts" / "bert", directory / "parts" / "vit"
    BertModel(BertConfig(vocab_size=200, max_position_embeddings=64, **_TOWER)).save_pretrained(
        bert
    )
    _word_tokenizer(64).save_pretrained(bert)
    ViTModel(ViTConfig(**_VISION)).save_pretrained(vit)
    ViTImageProcessorPil(size=_SIZE).save_pretrained(vit)
    text = Transformer(str(bert))
    image = Transformer(
        str(vit),
        modality_config={"image": {"method": "forward", "method_output_name": "pooler_output"}},
        module_output_name="sentence_embedding",
    )
    router = Router(
        {
            "text": [text, Pooling(32), Dense(32, 24, activation_function=None)],
            "image": [image, Dense(32, 24, activation_function=torch.nn.Softmax(dim=-1))],
        },
        route_mappings={(None, "text"): "text", (None, "image"): "image"},
    )
    model = SentenceTransformer(modules=[router, Normalize()], prompts={"query": "ask word "})
    model.save_pretrained(str(directory / "model"))
    return directory / "model"


def save_text_cross_encoder(directory: Path, *, labels: int = 1, limit: int | None = 64) -> Path:
    """A BERT that reads ``[CLS] query [SEP] record [SEP]``; ``limit`` is what it states."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=64,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=0.5,
        **_TOWER,
    )
    BertForSequenceClassification(config).save_pretrained(directory)
    _pair_tokenizer(limit).save_pretrained(directory)
    return directory


def save_roberta_cross_encoder(directory: Path) -> Path:
    """A RoBERTa whose tokenizer states no maximum; two of its positions are no text's."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    torch.manual_seed(6)
    config = RobertaConfig(
        vocab_size=64, max_position_embeddings=34, num_labels=1, pad_token_id=0, **_TOWER
    )
    RobertaForSequenceClassification(config).save_pretrained(directory)
    _pair_tokenizer(None, special=("<end>",)).save_pretrained(directory)
    return directory


def save_chat_cross_encoder(directory: Path) -> Path:
    """A Llama that reads texts only and is asked for ``yes`` or ``no`` in a flat chat template."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    tokenizer = _pair_tokenizer(128, special=("<|end|>",))
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role }} : {{ message.content }} <|end|> "
        "{% endfor %}judge :"
    )
    base = directory / "base"
    config = LlamaConfig(
        vocab_size=64, max_position_embeddings=128, initializer_range=0.5, **_TOWER
    )
    LlamaForCausalLM(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    verdict = LogitScore(*tokenizer.convert_tokens_to_ids(["yes", "no"]))
    model = CrossEncoder(
        modules=[Transformer(str(base), transformer_task="text-generation"), verdict]
    )
    model.save_pretrained(str(directory / "model"))
    return directory / "model"


def save_picture_cross_encoder(directory: Path) -> Path:
    """A LLaVA that is asked for ``yes`` or ``no`` about a query and a record, texts or pictures."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(4)
    tokenizer = _pair_tokenizer(128, special=("<image>",))
    base = directory / "base"
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(
            vocab_size=64, max_position_embeddings=128, initializer_range=0.5, **_TOWER
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    LlavaForConditionalGeneration(config).save_pretrained(base)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": _SIDE}, crop_size=_SIZE),
        tokenizer=tokenizer,
        patch_size=_VISION["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for message in messages %}{{ message.role }} : {% for part in message.content %}"
            "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %} "
            "{% endfor %}{% endfor %}judge :"
        ),
    ).save_pretrained(base)
    verdict = LogitScore(*tokenizer.convert_tokens_to_ids(["yes", "no"]))
    model = CrossEncoder(modules=[Transformer(str(base), transformer_task="any-to-any"), verdict])
    model.save_pretrained(str(directory / "model"))
    return directory / "model"


def _clip_tokenizer(directory: Path, limit: int | None) -> Any:
    from transformers import CLIPTokenizerFast

    characters = [chr(code) for code in range(33, 127)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *characters, *(c + "</w>" for c in characters)]
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    limits = {} if limit is None else {"model_max_length": limit}
    return CLIPTokenizerFast(str(vocabulary), str(merges), **limits)


def _word_tokenizer(limit: int) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "a", "red", "blue", "tiger", "ask", "word", "http", "png"]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=limit,
        model_input_names=["input_ids", "attention_mask"],
    )


def _pair_tokenizer(limit: int | None, special: tuple[str, ...] = ()) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *special, "yes", "no", "judge", ":", "query"]
    words += ["document", "a", "red", "green", "blue", "yellow", "white", "tiger", "card", "http"]
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", numbers["[CLS]"]), ("[SEP]", numbers["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        additional_special_tokens=list(special),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"][:: 2 if special else 1],
        **({} if limit is None else {"model_max_length": limit}),
    )
