"""`CrossModalReranker`: a cross-modal Transformer of UniSem's own, as a `Reranker`."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.common.counts import check_counts
from unisem.common.lazy_property import lazy_property
from unisem.common.threads import workers
from unisem.encoders.base import Encoder
from unisem.encoders.loading import load_encoder
from unisem.errors import EncoderError, ImageError, RerankerError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.models.finding import is_hub_id
from unisem.models.local_model import LocalModel
from unisem.records import Modality, Record, check_unicode
from unisem.rerank.token_form import FixedHalves
from unisem.rerank.token_reranker import TokenReranker
from unisem.rerank.token_store import TokenStore

if TYPE_CHECKING:
    from torch import Tensor

    from unisem.rerank.cross_modal.model import CrossModalTransformer
    from unisem.rerank.cross_modal.patch_features import PatchFeatures
    from unisem.rerank.cross_modal.saving import CrossModalFiles
    from unisem.rerank.cross_modal.word_vectors import WordVectors

Tokens = NDArray[np.float16]
"""Tokens of pictures, ``(n, t, w)`` float16."""

_AT_ONCE = 4  # pictures in the image tower; see `SentenceTransformerEncoder` for the 4
_LOGGER = logging.getLogger(__name__)


class CrossModalReranker(LocalModel, TokenReranker):
    """Judges pictures by looking at the query's words and the picture's tokens together.

    A picture's tokens come from the image tower of the encoder that the model was trained with, and
    do not depend on the query. So they can be made once (`tokens_of`), stored, and judged later
    without the tower and without the picture (`score_tokens`), with the same result to the bit.

    A record without a picture gets NaN, and so does one whose picture cannot be opened; the log
    names it. Threads may share one.

    Args:
        name: What to call the model.
        directory: What ``unisem train-reranker`` wrote.
        encoder: The encoder whose towers are looked into, such as a space's. If the model names
            another one, that is loaded: `mini`, or from the hub's local cache.
        device: Where it judges; ``"cpu"``, ``"cuda"`` …; the best one present if ``None``.
        dtype: What it judges in: ``"float32"``, ``"bfloat16"`` or ``"float16"``. Tokens are made in
            single precision, so that models of any ``dtype`` share stored ones.
        batch_size: Pictures that are judged at once. It changes no score beyond rounding.

    Raises:
        ValueError: An argument is out of range.
        RerankerError: At the first use: the files are damaged, or the encoder is another one than
            the model was trained with.
    """

    role = "reranker"
    failure = RerankerError

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        encoder: Encoder | None = None,
        device: str | None = None,
        dtype: str = "float32",
        batch_size: int = 64,
    ) -> None:
        check_counts(batch_size=batch_size)
        super().__init__(name, directory, device=device, dtype=dtype)
        self._encoder = encoder
        self._batch_size = batch_size

    def _settings(self) -> dict[str, Any]:
        own = {"encoder": self._encoder, "batch_size": self._batch_size}
        return super()._settings() | own

    @lazy_property
    def files(self) -> CrossModalFiles:
        """What is in the directory; read at the first use."""
        from unisem.rerank.cross_modal.saving import CrossModalFiles

        return CrossModalFiles.read(self.directory, self._name)

    def _load(self) -> CrossModalTransformer:
        """The network that judges; the one in `files`, which makes tokens, stays as it was read."""
        import torch

        best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        try:
            device = torch.device(self._device or best or "cpu")
            network = copy.deepcopy(self.files.network).to(device, getattr(torch, self._dtype))
        except (AssertionError, RuntimeError) as error:  # torch has both for what is not there
            raise RerankerError(
                f"the reranker {self._name!r} cannot compute on {self._device!r}: {error}"
            ) from error
        network.verdict_head.float()  # three digits would make equals of good hits
        return network

    @lazy_property
    def encoder(self) -> Encoder:
        """The encoder whose towers are looked into."""
        named = self.files.encoder
        has_name = named == "mini" or is_hub_id(named)  # a stranger's file names no folder here
        if self._encoder is not None and (not has_name or named == self._encoder.name):
            return self._encoder
        if not has_name:
            raise RerankerError(
                f"the reranker {self._name!r} was trained with the encoder {named!r}; load that "
                "and pass it (encoder=…)"
            )
        try:
            return load_encoder(named, local_only=True)
        except EncoderError as error:
            raise RerankerError(
                f"the reranker {self._name!r} needs the encoder it was trained with: {error}"
            ) from error

    @lazy_property
    def fingerprint(self) -> str:
        """Hex digest of what decides a picture's tokens: the image tower and the adapter.

        Models that share both share their stored tokens.
        """
        digest = hashlib.sha256(self.files.image_tower.encode())
        for name, weight in sorted(self.files.network.adapter.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return digest.hexdigest()

    @property
    def token_shape(self) -> tuple[int, int]:
        """How many tokens a picture has, and numbers a token."""
        settings = self.files.network.settings
        return settings.picture_tokens, settings.token_width

    @lazy_property
    def _features(self) -> PatchFeatures:
        from unisem.rerank.cross_modal.patch_features import PatchFeatures

        features = PatchFeatures(self.encoder, side=self.files.network.settings.side)
        self._check_tower("image", features, self.files.image_tower)
        return features

    @lazy_property
    def _word_vectors(self) -> WordVectors:
        from unisem.rerank.cross_modal.word_vectors import WordVectors

        vectors = WordVectors(self.encoder)
        self._check_tower("text", vectors, self.files.text_tower)
        return vectors

    def _check_tower(
        self, side: Modality, tower: PatchFeatures | WordVectors, wanted: str | None
    ) -> None:
        """Refuse another tower than the model was trained on, and say what is other."""
        if tower.fingerprint == wanted:
            return
        name, trained = self.encoder.name, self.files.encoder
        if wanted is not None and wanted == tower.former_fingerprint:
            raise RerankerError(
                f"the reranker {self._name!r} was trained before inputs of {name!r} were prepared "
                "as they are now; train it anew (unisem train-reranker)"
            )
        remedy = f"pass the encoder it was trained with ({trained!r})"
        if trained == name:
            remedy = "the model of that name has changed since, or has other options: pass it as "
            remedy += "it was"
        raise RerankerError(
            f"the reranker {self._name!r} was trained on another {side} tower than that of the "
            f"encoder {name!r}; {remedy}, or train a reranker on this one"
        )

    def prepare_image(self, image: ImageSource) -> Image.Image:
        """Decode one picture as the tower wants it, for `tokens_of_prepared`; threads may.

        Raises:
            ImageError: The picture cannot be used.
        """
        return self.encoder.prepare_image(image)

    def tokens_of(self, images: Sequence[ImageSource]) -> Tokens:
        """Make pictures' tokens: what is stored.

        Args:
            images: Paths, bytes, Pillow pictures or `ImageRef`, mixed as you like.

        Returns:
            ``(n, t, w)`` float16; see `token_shape`.

        Raises:
            ImageError: Names the first picture that cannot be used.
        """
        with workers("unisem-decode") as pool:
            return self.tokens_of_prepared(
                list(pool.map(self.prepare_image, sources_as_list(images)))
            )

    def tokens_of_prepared(self, images: Sequence[Image.Image]) -> Tokens:
        """As `tokens_of`, of pictures that come from `prepare_image`."""
        import torch

        made = np.empty((len(images), *self.token_shape), np.float16)
        for number, image in enumerate(images):  # one by one: no picture depends on its neighbours
            with self._lock, torch.inference_mode():
                features = self._features.of([image]).cpu()
                made[number] = self.files.network.tokens(features)[0].half().numpy()
        return made

    def score_tokens(self, text: str, tokens: Tokens) -> NDArray[np.float32]:
        """Judge pictures of which only the tokens are at hand.

        Args:
            text: The query.
            tokens: ``(n, t, w)`` float16 from `tokens_of` of a model of this `fingerprint`.

        Returns:
            ``(n,)`` float32 logits, higher is better; NaN for tokens that are not finite.

        Raises:
            RerankerError: The tokens have another shape.
        """
        import torch

        check_unicode(text, "the query's text")
        if tokens.ndim != 3 or tokens.shape[1:] != self.token_shape:
            raise RerankerError(
                f"tokens must be (n, {', '.join(map(str, self.token_shape))}), not {tokens.shape}: "
                "they belong to another model; make them again"
            )
        scores = np.full(len(tokens), np.nan, np.float32)
        whole = np.flatnonzero(np.isfinite(tokens).all(axis=(1, 2)))
        if not len(whole):
            return scores
        network: CrossModalTransformer = self.model
        device, dtype = network.device, network.dtype
        with self._lock, torch.inference_mode():
            words, present = (each.to(device) for each in self._words(text))  # (1, l, …), (1, l)
            words = words.to(dtype) if words.is_floating_point() else words
            for start in range(0, len(whole), self._batch_size):
                places = whole[start : start + self._batch_size]
                chosen = torch.from_numpy(tokens[places]).to(device, dtype)
                asked, there = (e.expand(len(places), *e.shape) for e in (words, present))
                logits = network.match(asked, there, chosen)[:, 0]  # (n,)
                scores[places] = logits.float().cpu().numpy()
        return scores

    def _words(self, text: str) -> tuple[Tensor, Tensor]:
        settings = self.files.network.settings
        if settings.text_width is None:
            return self.files.tokenizer.padded([text], settings.length)
        return self._word_vectors.of([text], settings.length)

    def stored(self, directory: Path, images: Collection[str]) -> dict[str, Tokens]:
        """The tokens, ``(t, w)`` float16 each, that a space's directory has of these digests."""
        if not FixedHalves.fits(self.token_shape):
            return {}
        return self.tokens_in(directory).read(images)

    def load(self) -> None:
        """See `TokenReranker.load`."""
        _ = self._features

    def tokens_in(self, directory: Path) -> TokenStore[Tokens]:
        """See `TokenReranker.tokens_in`."""
        return TokenStore(directory, self.fingerprint, FixedHalves(self.token_shape))

    @property
    def shared_encoder(self) -> Encoder | None:
        """See `TokenReranker.shared_encoder`."""
        return self.encoder

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """Score records for a query; see `Reranker.score`, and the class for what gets NaN.

        Raises:
            RerankerError: The query is or has a picture: this model judges texts against pictures.
        """
        return self.score_stored(text, image, records, {})

    def score_in(
        self,
        directory: Path,
        text: str | None,
        image: ImageRef | None,
        records: Sequence[Record],
    ) -> NDArray[np.float32]:
        """See `TokenReranker.score_in`; the scores are the same to the bit."""
        digests = {record.image.sha256 for record in records if record.image is not None}
        stored = self.stored(directory, {it for it in digests if it is not None})
        return self.score_stored(text, image, records, stored)

    def score_stored(
        self,
        text: str | None,
        image: ImageRef | None,
        records: Sequence[Record],
        stored: Mapping[str, Tokens],
    ) -> NDArray[np.float32]:
        """As `score`, with tokens that are at hand; those of other pictures are made.

        Args:
            text: The query.
            image: None; see Raises.
            records: What was found for it.
            stored: Tokens of pictures, ``(t, w)`` float16, by the SHA-256 of their bytes.

        Raises:
            RerankerError: As `score`.
        """
        if image is not None or text is None:
            raise RerankerError(
                f"the reranker {self._name!r} judges a text against pictures, and the query has a "
                "picture; leave the picture or the reranker out"
            )
        tokens = np.full((len(records), *self.token_shape), np.nan, np.float16)
        new = []
        for place, record in enumerate(records):
            if record.image is None:
                continue
            known = stored.get(record.image.sha256 or "")
            if known is None:
                new.append(place)
            else:
                tokens[place] = known
        with workers("unisem-decode") as pool:
            for start in range(0, len(new), _AT_ONCE):
                batch = new[start : start + _AT_ONCE]
                opened = list(pool.map(self._opened, [records[place] for place in batch]))
                seen = {p: picture for p, picture in zip(batch, opened, strict=True) if picture}
                tokens[list(seen)] = self.tokens_of_prepared(list(seen.values()))
        return self.score_tokens(text, tokens)

    def _opened(self, record: Record) -> Image.Image | None:
        assert record.image is not None
        try:
            return self.prepare_image(record.image)
        except ImageError as error:
            _LOGGER.warning("the picture of %r cannot be used: %s", record.id, error)
            return None
