"""`CrossModalCaptioner`: the captioning head of a cross-modal Transformer of UniSem's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from unisem.captioners.batch import BatchCaptioner
from unisem.common.forks import Mutex
from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder
from unisem.errors import CaptionerError, EncoderError, RerankerError
from unisem.models.finding import fingerprint_model
from unisem.rerank.cross_modal import CrossModalReranker

_MOST_BEAMS = 32


class CrossModalCaptioner(BatchCaptioner):
    """Writes captions from the tokens of pictures, as `CrossModalReranker` judges by them.

    Nothing is drawn at random: the same picture has the same caption.

    Args:
        name: What to call the model.
        directory: What ``unisem train-reranker`` wrote, with a captioning head.
        encoder: As of `CrossModalReranker`.
        beams: Captions that are followed at once; 1 is greedy.
        max_tokens: Parts of words that a caption may have; the model's own length at most.
        batch_size: Pictures that are captioned at once.

    Raises:
        CaptionerError: At the first use: the files are damaged, have no captioning head, or the
            encoder is another one than the model was trained with.
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        encoder: Encoder | None = None,
        beams: int = 1,
        max_tokens: int = 40,
        batch_size: int = 8,
    ) -> None:
        for label, value, most in (
            ("beams", beams, _MOST_BEAMS),
            ("max_tokens", max_tokens, None),
            ("batch_size", batch_size, None),
        ):
            if type(value) is not int or value < 1 or (most is not None and value > most):
                raise ValueError(f"{label} must be a whole number from 1, not {value!r}")
        self._model = CrossModalReranker(name, directory, encoder=encoder)
        self._beams = beams
        self._max_tokens = max_tokens
        self._lock = Mutex()
        self.batch_size = batch_size

    @property
    def name(self) -> str:
        return self._model.name

    @lazy_property
    def fingerprint(self) -> str:
        told = f"{fingerprint_model(self._model.directory)} {self._beams} {self._max_tokens}"
        return hashlib.sha256(told.encode()).hexdigest()

    def load(self) -> None:
        try:
            settings = self._model.files.network.settings
            _ = self._model.encoder
        except (EncoderError, RerankerError) as error:
            raise CaptionerError(str(error)) from error
        if not settings.caption_layers:
            raise CaptionerError(
                f"{self.name!r} judges and writes nothing: it was trained without a captioning head"
            )

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        import torch

        from unisem.captioners.decoding import decoded

        model = self._model
        try:
            tokens = model.tokens_of_prepared([model.prepare_image(it) for it in pictures])
        except (EncoderError, RerankerError) as error:
            raise CaptionerError(f"the captioner {self.name!r} failed: {error}") from error
        with self._lock, torch.inference_mode():
            ids = decoded(
                model.files.network,
                torch.from_numpy(tokens).float(),
                beams=self._beams,
                most=self._max_tokens,
            )
        return [model.files.tokenizer.words(row) for row in ids]
