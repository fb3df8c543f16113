"""`CrossModalCaptioner`: the captioning head of a cross-modal Transformer of UniSem's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from unisem.captioners.base import Captioned, Captioner, tidy
from unisem.captioners.batch import BatchCaptioner
from unisem.common.forks import Mutex
from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder
from unisem.errors import CaptionerError, EncoderError, RerankerError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.models.finding import fingerprint_model
from unisem.rerank.cross_modal import CrossModalReranker

if TYPE_CHECKING:
    from unisem.rerank.cross_modal.model import CrossModalSettings
    from unisem.rerank.cross_modal.reranker import Tokens

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

    def at(self, directory: Path) -> Captioner:
        """The same captioner, which writes of the tokens that a space has; see `TokenStore`."""
        return _StoredTokensCaptioner(self, directory)

    def load(self) -> None:
        self._check_head()
        try:
            _ = self._model.encoder
        except (EncoderError, RerankerError) as error:
            raise CaptionerError(str(error)) from error

    def prepare_image(self, image: ImageSource) -> Image.Image:
        return self._model.prepare_image(image)

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        try:
            tokens = self._model.tokens_of_prepared(pictures)
        except (EncoderError, RerankerError) as error:
            raise CaptionerError(f"the captioner {self.name!r} failed: {error}") from error
        return self.write_of_tokens(tokens)

    def write_of_tokens(self, tokens: Tokens) -> list[str]:
        """Describe pictures of which only the tokens are at hand.

        Args:
            tokens: ``(n, t, w)`` float16, see `CrossModalReranker.tokens_of`.

        Raises:
            CaptionerError: The files are damaged, or have no captioning head.
        """
        import torch

        from unisem.captioners.decoding import decoded

        self._check_head()
        model = self._model
        with self._lock, torch.inference_mode():
            ids = decoded(
                model.files.network,
                torch.from_numpy(tokens).float(),
                beams=self._beams,
                most=self._max_tokens,
            )
        return [model.files.tokenizer.words(row) for row in ids]

    def stored(self, directory: Path, images: Sequence[str]) -> dict[str, Tokens]:
        """See `CrossModalReranker.stored`.

        Raises:
            CaptionerError: The files are damaged.
        """
        try:
            return self._model.stored(directory, images)
        except RerankerError as error:
            raise CaptionerError(str(error)) from error

    def _check_head(self) -> None:
        try:
            settings: CrossModalSettings = self._model.files.network.settings
        except RerankerError as error:
            raise CaptionerError(str(error)) from error
        if not settings.caption_layers:
            raise CaptionerError(
                f"{self.name!r} judges and writes nothing: it was trained without a captioning head"
            )


class _StoredTokensCaptioner(Captioner):
    """Writes of pictures by the tokens in a space, without opening them; looks at the others."""

    def __init__(self, captioner: CrossModalCaptioner, directory: Path) -> None:
        self._captioner = captioner
        self._directory = directory
        self.batch_size = captioner.batch_size

    @property
    def name(self) -> str:
        return self._captioner.name

    @property
    def fingerprint(self) -> str:
        return self._captioner.fingerprint

    def at(self, directory: Path) -> Captioner:
        return self._captioner.at(directory)

    def caption(self, images: Sequence[ImageSource]) -> list[Captioned]:
        sources = sources_as_list(images)
        digests = [it.sha256 if isinstance(it, ImageRef) else None for it in sources]
        stored = self._captioner.stored(self._directory, [it for it in digests if it])
        found: list[Captioned] = [None] * len(sources)
        known = [place for place, digest in enumerate(digests) if digest in stored]
        for start in range(0, len(known), self.batch_size):
            places = known[start : start + self.batch_size]
            tokens = np.stack([stored[digests[place] or ""] for place in places])
            for place, text in zip(places, self._captioner.write_of_tokens(tokens), strict=True):
                found[place] = tidy(text)
        others = [place for place, digest in enumerate(digests) if digest not in stored]
        written = self._captioner.caption([sources[place] for place in others])
        for place, answer in zip(others, written, strict=True):
            found[place] = answer
        return found
