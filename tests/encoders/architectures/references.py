"""What each architecture's vectors are, by transformers alone and one input at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.encoders.architectures.conversational import GEMMA_PROMPTS, QWEN_PROMPTS
from tests.support.mobile_clip_files import MobileClipFiles
from unisem.encoders.base import Role


@dataclass(frozen=True)
class Reference:
    """Vectors of any length, ``(d,)``, of one text, of one picture, and of the two as one."""

    text: Callable[[str, Role], Any]
    image: Callable[[Image.Image], Any]
    pair: Callable[[str, Image.Image, Role], Any] | None = None


def of_joint(directory: Path) -> Reference:
    """``get_text_features`` and ``get_image_features`` of what its own processor makes."""
    network, processor = _network(directory), _processor(directory)
    sentinel = network.config.model_type.startswith("siglip")
    gemma = type(processor.tokenizer).__name__.startswith("Gemma")
    limit = processor.tokenizer.model_max_length

    def text(text: str, role: Role) -> Any:
        if gemma:
            text = text.lower()  # what SigLIP 2 was trained on, and Gemma's tokenizer does not do
        padding = "max_length" if sentinel else False
        inputs = processor.tokenizer(
            text, padding=padding, truncation=True, max_length=limit, return_tensors="pt"
        )
        return network.get_text_features(**inputs).pooler_output[0]

    def image(image: Image.Image) -> Any:
        inputs = processor.image_processor(image, return_tensors="pt")
        return network.get_image_features(**inputs).pooler_output[0]

    return Reference(text, image)


def of_mobile_clip(directory: Path) -> Reference:
    """open_clip's text tower and timm's picture tower, every branch for itself."""
    source = MobileClipFiles(directory.with_name("again"), "fastvit_mci0")
    return Reference(
        lambda text, role: source.texts([text])[0], lambda image: source.images([image])[0]
    )


def of_towers(directory: Path) -> Reference:
    """Each tower, its pooling written out, and the projection that was saved behind it."""
    from safetensors.torch import load_file
    from transformers import AutoImageProcessor, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory.parent / "text")
    processor = AutoImageProcessor.from_pretrained(directory.parent / "image")
    texts, images = _network(directory.parent / "text"), _network(directory.parent / "image")
    project = {
        name: load_file(next(directory.glob(f"{name}_*_Dense/model.safetensors")))["linear.weight"]
        for name in ("text", "image")
    }

    def text(text: str, role: Role) -> Any:
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        return project["text"] @ texts(**inputs).last_hidden_state[0].mean(0)

    def image(image: Image.Image) -> Any:
        output = images(**processor(image, return_tensors="pt"))
        attends = images.config.model_type.startswith("siglip")
        pooled = output.pooler_output[0] if attends else output.last_hidden_state[0, 0]
        return project["image"] @ pooled

    return Reference(text, image)


def of_qwen3_vl(directory: Path) -> Reference:
    """The conversation written out as Qwen writes it, and the last token's hidden state."""
    from transformers import AutoTokenizer, Qwen2VLImageProcessorPil

    network = _network(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    processor = Qwen2VLImageProcessorPil.from_pretrained(directory)

    def last(role: Role, content: str, **pictures: Any) -> Any:
        turns = (
            f"<|im_start|>system {QWEN_PROMPTS[role]}<|im_end|> "
            f"<|im_start|>user {content}<|im_end|> <|im_start|>assistant"
        )
        inputs = tokenizer(turns, return_tensors="pt")
        kinds = (inputs["input_ids"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
        output = network(**inputs, **pictures, mm_token_type_ids=kinds)
        return output.last_hidden_state[0, -1]

    def pair(text: str, image: Image.Image, role: Role) -> Any:
        pictures = processor(image, return_tensors="pt")
        count = int(pictures["image_grid_thw"].prod()) // processor.merge_size**2
        shown = "<|vision_start|>" + "<|image_pad|>" * count + "<|vision_end|>"
        return last(role, shown + text, **pictures)

    return Reference(
        lambda text, role: last(role, text), lambda image: pair("", image, "document"), pair
    )


def of_embedding_gemma_2(directory: Path) -> Reference:
    """The prompt and the text, or the picture between its marks, and the mean of all tokens."""
    import torch
    from transformers import AutoTokenizer, Gemma4ImageProcessorPil

    network = _network(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    processor = Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70)
    prompts = {"query": GEMMA_PROMPTS["SearchQuery"], "document": GEMMA_PROMPTS["Document"]}

    def mean(written: str, **pictures: Any) -> Any:
        inputs = tokenizer(written, return_tensors="pt")
        return network(**inputs, **pictures).last_hidden_state[0].mean(0)

    def shown(before: str, image: Image.Image, after: str) -> Any:
        made = processor(image, return_tensors="pt")
        count = int(torch.as_tensor(made.pop("num_soft_tokens_per_image")).sum())
        return mean(f"{before}<|image>{'<|image|>' * count}<image|>{after}", **made)

    return Reference(
        lambda text, role: mean(prompts[role] + text),
        lambda image: shown("", image, ""),
        lambda text, image, role: shown(prompts[role], image, text),
    )


def _network(directory: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(directory).eval()


def _processor(directory: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(directory)
