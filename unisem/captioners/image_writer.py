"""`ImageWriter`: a network of transformers that turns pictures into text, with its processors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from sentence_transformers.util import get_device_name
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    ProcessorMixin,
)

ASKED = "Describe this picture in one plain sentence."
"""What a model that is talked to is asked, unless the user asks otherwise."""


class ImageWriter(nn.Module):
    """Loads what a directory holds, as sentence-transformers loads its own, and writes.

    Args:
        directory: The files.
        device: As for torch; the best one present if ``None``.
        local_files_only: As of ``from_pretrained``.
        trust_remote_code: Likewise.
        model_kwargs: Likewise, of the network.
    """

    def __init__(
        self,
        directory: str,
        *,
        device: str | None,
        local_files_only: bool,
        trust_remote_code: bool,
        model_kwargs: dict[str, Any],
    ) -> None:
        super().__init__()
        safely: dict[str, Any] = {
            "local_files_only": local_files_only,
            "trust_remote_code": trust_remote_code,
        }
        self.processor: Any = AutoProcessor.from_pretrained(directory, **safely)
        if isinstance(self.processor, ProcessorMixin):
            self.tokenizer: Any = self.processor.tokenizer
        else:  # an encoder and a decoder of two families have no processor of both
            self.processor = AutoImageProcessor.from_pretrained(directory, **safely)
            self.tokenizer = AutoTokenizer.from_pretrained(directory, **safely)
        self.talks = bool(getattr(self.processor, "chat_template", None))
        self.processing_kwargs: dict[str, Any] = {}
        self.auto_model: Any = AutoModelForImageTextToText.from_pretrained(
            directory, **safely, **model_kwargs
        )
        self.to(device or get_device_name())

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        device: torch.device = self.auto_model.device
        return device

    @torch.inference_mode()
    def write(
        self, pictures: Sequence[Image.Image], prompt: str | None, *, beams: int, max_tokens: int
    ) -> list[str]:
        """Describe pictures; nothing is drawn at random.

        Args:
            pictures: Upright RGB.
            prompt: What the model is asked, or goes on from.
            beams: How many texts are followed at once; 1 is greedy.
            max_tokens: Tokens that a text may have.
        """
        inputs = self._inputs(pictures, prompt)
        ids = self.auto_model.generate(
            **inputs, do_sample=False, num_beams=beams, max_new_tokens=max_tokens
        )  # (n, l)
        if self.talks:
            ids = ids[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts

    def outputs(self) -> Iterator[Tensor]:
        """The logits of one word after a picture; ``generate`` has no gradients."""
        inputs = self._inputs([Image.new("RGB", (64, 64))], None)
        named = inspect.signature(self.auto_model.forward).parameters
        word = "decoder_input_ids" if "decoder_input_ids" in named else "input_ids"
        inputs.setdefault(word, torch.ones((1, 1), dtype=torch.int64, device=self.device))
        yield self.auto_model(**inputs).logits

    def _inputs(self, pictures: Sequence[Image.Image], prompt: str | None) -> dict[str, Tensor]:
        words = ASKED if prompt is None and self.talks else prompt
        if self.talks:
            self.tokenizer.padding_side = "left"  # what is written follows the last word
            made = self.processor.apply_chat_template(
                [_message(picture, words) for picture in pictures],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        elif words is None:
            made = self.processor(images=list(pictures), return_tensors="pt")
        else:
            texts = [words] * len(pictures)
            made = self.processor(images=list(pictures), text=texts, return_tensors="pt")
        return {
            name: value.to(self.auto_model.dtype) if value.is_floating_point() else value
            for name, value in made.to(self.device).items()
        }


def _message(picture: Image.Image, words: str | None) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": picture}, {"type": "text", "text": words}]
    return [{"role": "user", "content": content}]
