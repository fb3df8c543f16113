"""`ImageToTextCaptioner`: a model of transformers that turns a picture into text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from unisem.captioners.batch import BatchCaptioner
from unisem.common.lazy_property import lazy_property
from unisem.errors import CaptionerError
from unisem.models.finding import fingerprint_model
from unisem.models.loading import in_short
from unisem.models.local_model import LocalModel

_MOST_TOKENS = 512


class ImageToTextCaptioner(LocalModel, BatchCaptioner):
    """Any model of transformers' class ``AutoModelForImageTextToText``: BLIP, GIT, ViT-GPT2, VLMs.

    A model with a chat template is asked to describe the picture; any other writes by itself, and
    goes on from ``prompt`` if there is one and the model can (BLIP: ``"a picture of"``). Decoding
    is greedy, or by beams, never drawn at random, so that the same picture has the same caption.

    Weights are loaded at the first call. Threads may share one; the model works for one at a time.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        prompt: What the model is asked, or goes on from.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.
        beams: How many captions are followed at once; 1 is greedy.
        max_tokens: Tokens that a caption may have.
        batch_size: Pictures that go through the model at once.

    Raises:
        CaptionerError: At the first use, if the files do not load without running foreign code,
            or lack weights.
        ValueError: An argument is out of range.
    """

    role = "captioner"
    failure = CaptionerError

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        prompt: str | None = None,
        device: str | None = None,
        dtype: str = "float32",
        beams: int = 1,
        max_tokens: int = 40,
        batch_size: int = 4,
    ) -> None:
        super().__init__(name, directory, device=device, dtype=dtype)
        for label, value, most in (
            ("beams", beams, 32),
            ("max_tokens", max_tokens, _MOST_TOKENS),
            ("batch_size", batch_size, 1024),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ValueError(f"{label} must be a whole number from 1 to {most}, not {value!r}")
        self._prompt = prompt
        self._beams = beams
        self._max_tokens = max_tokens
        self.batch_size = batch_size

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {
            "prompt": self._prompt,
            "beams": self._beams,
            "max_tokens": self._max_tokens,
            "batch_size": self.batch_size,
        }

    @lazy_property
    def fingerprint(self) -> str:
        settings = (self._prompt, self._dtype, self._beams, self._max_tokens)
        told = f"{fingerprint_model(self.directory)} {settings!r}"
        return hashlib.sha256(told.encode()).hexdigest()

    def load(self) -> None:
        _ = self.model

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        model = self.model
        try:
            with self._lock:
                texts: list[str] = model.write(
                    pictures, self._prompt, beams=self._beams, max_tokens=self._max_tokens
                )
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CaptionerError(
                f"the captioner {self._name!r} failed: {in_short(error)}"
            ) from error
        return texts

    def _load(self) -> Any:
        from unisem.captioners.image_writer import ImageWriter

        return self._from_files(ImageWriter, ImageWriter.outputs)
