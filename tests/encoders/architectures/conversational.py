"""Tiny checkpoints of embedders that are language models with a picture tower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.encoders.architectures.joint import _random, _saved
from tests.support.networks import SMALL, word_tokenizer

QWEN_PROMPTS = {"query": "the photo of", "document": "the word"}
"""What the tiny Qwen is told by role; the published one says ``Represent the user's input.``"""

GEMMA_PROMPTS = {
    "SearchQuery": "the word ",
    "Retrieval-query": "the word ",
    "Document": "the photo ",
    "Retrieval-document": "the photo ",
}
"""By the names of EmbeddingGemma 2's ``config_sentence_transformers.json``."""

_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }} {% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in c %}{{ c.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


def save_qwen3_vl_embedding(directory: Path) -> Path:
    """Qwen3-VL-Embedding: messages in, the last token out, the prompt as what the system says."""
    import transformers

    special = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer = _bare_tokenizer((*special, "<|image_pad|>", "<|video_pad|>"))
    tokenizer.chat_template = _TURNS
    ids = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "out_hidden_size": 32,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    text = SMALL | {
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 200,
        "rope_parameters": {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 1e4},
    }
    config = transformers.Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        architectures=["Qwen3VLForConditionalGeneration"],
    )
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
    )
    network = _random(lambda: transformers.Qwen3VLForConditionalGeneration(config))
    _saved(directory, network, tokenizer, images)
    (directory / "chat_template.jinja").write_text(_TURNS)
    _video(directory, "Qwen3VLVideoProcessor", "Qwen3VLProcessor", images)
    message = {"method": "forward", "method_output_name": "last_hidden_state"}
    _modules(
        directory,
        32,
        "lasttoken",
        QWEN_PROMPTS,
        modality_config={
            "text": message,
            "image": message,
            "message": message | {"format": "structured"},
        },
        module_output_name="token_embeddings",
        processing_kwargs={"chat_template": {"add_generation_prompt": True}},
    )
    return directory


def save_embedding_gemma_2(directory: Path) -> Path:
    """EmbeddingGemma 2 with its text and its picture half: the mean of all tokens."""
    import transformers

    special = ("<|image>", "<image|>", "<|image|>", "<|video|>", "<|audio|>")
    tokenizer = _bare_tokenizer(special, ends=True)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in special}
    text = SMALL | {
        "num_key_value_heads": 1,
        "head_dim": 8,
        "global_head_dim": 16,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 256,
        "sliding_window": 8,
        "sliding_window_pattern": 2,
        "hidden_size_per_layer_input": 8,
        "embedding_dim": 24,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = SMALL | {
        "model_type": "gemma4_vision",
        "num_key_value_heads": 2,
        "head_dim": 16,
        "patch_size": 4,
        "position_embedding_size": 256,
    }
    config = transformers.EmbeddingGemma2Config(
        text_config=text,
        vision_config=vision,
        audio_config=None,
        boi_token_id=ids["<|image>"],
        eoi_token_id=ids["<image|>"],
        image_token_id=ids["<|image|>"],
        video_token_id=ids["<|video|>"],
        audio_token_id=ids["<|audio|>"],
    )
    images = transformers.Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70)
    sounds = transformers.Gemma4AudioFeatureExtractor()
    network = _random(lambda: transformers.EmbeddingGemma2Model(config))
    _saved(directory, network, tokenizer, images)
    named = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"}
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    settings["extra_special_tokens"] = named | {"audio_token": "<|audio|>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    _video(directory, "EmbeddingGemma2VideoProcessor", "EmbeddingGemma2Processor", images, sounds)
    forward = {"method": "forward", "method_output_name": "last_hidden_state"}
    _modules(
        directory,
        24,
        "mean",
        GEMMA_PROMPTS,
        modality_config={"text": forward, "image": forward, "image+text": forward},
        module_output_name="token_embeddings",
    )
    return directory


def _bare_tokenizer(special: tuple[str, ...], *, ends: bool = False) -> Any:
    """Words, with ``[CLS]`` and ``[SEP]`` around a text only if ``ends``; padded on the right."""
    from tokenizers import processors

    tokenizer = word_tokenizer(200, special)
    if not ends:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    return tokenizer


def _video(directory: Path, video: str, kind: str, images: Any, sounds: Any = None) -> None:
    """The files that a hub has for films: they cannot be made by a class that needs torchvision."""
    pictures = json.loads(images.to_json_string())
    films = pictures | {"video_processor_type": video}
    films.pop("image_processor_type", None)
    (directory / "video_preprocessor_config.json").write_text(json.dumps(films))
    processor = {"processor_class": kind}
    (directory / "processor_config.json").write_text(json.dumps(processor))
    if sounds is not None:
        sounds.save_pretrained(directory / "sounds")
        heard = json.loads((directory / "sounds" / "preprocessor_config.json").read_text())
        merged = {"image_processor": pictures, "feature_extractor": heard, "video_processor": films}
        (directory / "processor_config.json").write_text(json.dumps(processor | merged))
        (directory / "sounds" / "preprocessor_config.json").unlink()
        (directory / "sounds").rmdir()
        (directory / "preprocessor_config.json").unlink()
        (directory / "video_preprocessor_config.json").unlink()


def _modules(
    directory: Path, width: int, pooling: str, prompts: dict[str, str], **transformer: Any
) -> None:
    """What makes a network a sentence-transformers model."""
    package = "sentence_transformers"
    parts = [
        ("", f"{package}.base.modules.transformer.Transformer"),
        ("1_Pooling", f"{package}.sentence_transformer.modules.pooling.Pooling"),
        ("2_Normalize", f"{package}.base.modules.normalize.Normalize"),
    ]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(parts)
    ]
    (directory / "modules.json").write_text(json.dumps(listed))
    (directory / "1_Pooling").mkdir()
    pooled = {"embedding_dimension": width, "pooling_mode": pooling, "include_prompt": True}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooled))
    (directory / "2_Normalize").mkdir()
    task = {"transformer_task": "feature-extraction"}
    (directory / "sentence_bert_config.json").write_text(json.dumps(task | transformer))
    (directory / "config_sentence_transformers.json").write_text(
        json.dumps({"model_type": "SentenceTransformer", "prompts": prompts})
    )
