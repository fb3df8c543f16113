"""`CrossEncoderReranker`: any cross encoder that sentence-transformers loads, as a `Reranker`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.common.threads import workers
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import ImageRef
from unisem.models.finding import find_model
from unisem.models.kinds import architectures, model_kind
from unisem.models.loading import load_offline
from unisem.models.local_model import LocalModel
from unisem.records import Record, check_unicode
from unisem.rerank.base import Reranker
from unisem.rerank.pair_format import PairFormat, Side

if TYPE_CHECKING:
    from torch import Tensor

_HEADS = ("ForSequenceClassification", "ForCausalLM")
_LOGGER = logging.getLogger(__name__)

Activation = Literal["model", "sigmoid", "none"]
"""What is applied to the model's logit: what the model asks for, a sigmoid, or nothing."""


class CrossEncoderReranker(LocalModel, Reranker):
    """Scores each record by reading it together with the query.

    A record is judged by its text and, if the model sees pictures, by its picture. A model that
    reads texts only judges a picture by its caption; a picture without one gets NaN. A picture
    that cannot be opened, or that the model fails on, is judged by its caption as well, if it has
    one; the log names it. A text that the model fails on gets NaN, too, and so does an empty one.

    Weights are loaded at the first call. Threads may share one; the model works for one at a time.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.
        activation: What makes a score of a logit. The default is the model's own, so that scores
            are those of its card; ``"sigmoid"`` gives 0 to 1 from any model, ``"none"`` the logit.
        batch_size: Pairs that go through the model at once. It changes no score beyond rounding.
        image_side: Pixels that a picture's longer side may have; larger ones are scaled down
            before the model's own preprocessing.
        max_length: Tokens that a pair may have, of a picture's as well; by default as many as the
            model reads. Longer texts are cut by its tokenizer.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        device: str | None = None,
        dtype: str = "float32",
        activation: Activation = "model",
        batch_size: int = 16,
        image_side: int = 1024,
        max_length: int | None = None,
    ) -> None:
        super().__init__(name, directory, device=device, dtype=dtype)
        if activation not in get_args(Activation):
            raise ValueError(f'activation must be "model", "sigmoid" or "none", not {activation!r}')
        for label, value in (
            ("batch_size", batch_size),
            ("image_side", image_side),
            ("max_length", 1 if max_length is None else max_length),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{label} must be a whole number of at least 1, not {value!r}")
        self._activation = activation
        self._batch_size = batch_size
        self._image_side = image_side
        self._max_length = max_length

    def __reduce__(self) -> tuple[Any, ...]:
        # Other processes find the files again and load the weights themselves.
        make = partial(
            CrossEncoderReranker,
            device=self._device,
            dtype=self._dtype,
            activation=self._activation,
            batch_size=self._batch_size,
            image_side=self._image_side,
            max_length=self._max_length,
        )
        return make, (self._name, self.directory)

    @property
    def sees_images(self) -> bool:
        """Whether the model looks at pictures; loads the weights."""
        return self._format.sees_images

    def _load(self) -> Any:
        from sentence_transformers import CrossEncoder

        model = load_offline(
            CrossEncoder,
            self.directory,
            device=self._device,
            dtype=self._dtype,
            what=f"the reranker {self._name!r}",
            failure=RerankerError,
            outputs=_outputs,
        )
        if model.num_labels != 1:
            raise RerankerError(
                f"{self._name!r} gives {model.num_labels} labels for a pair; a reranker gives one "
                "score"
            )
        if self._max_length is not None:
            model.max_seq_length = min(self._max_length, model.max_seq_length or self._max_length)
        return model

    @lazy_property
    def _format(self) -> PairFormat:
        return PairFormat(self.model)

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """Score records for a query; see `Reranker.score`, and the class for what gets NaN.

        Raises:
            RerankerError: The model does not load, reads texts only and the query has a picture,
                or fails on every record.
            ImageError: The query's picture cannot be used.
        """
        query = self._query(text, image)
        scores = np.full(len(records), np.nan, np.float32)
        failures: list[RerankerError] = []

        def judge(places: list[int], sides: list[Side]) -> None:
            try:
                scores[places] = self._predicted(query, sides)
            except RerankerError as error:
                if len(places) > 1:  # one strange record must not cost the others
                    for place, side in zip(places, sides, strict=True):
                        judge([place], [side])
                    return
                failures.append(error)
                _LOGGER.warning("the reranker failed on %r: %s", records[places[0]].id, error)

        shown = [place for place, record in enumerate(records) if self._is_shown(record)]
        with workers("unisem-decode") as pool:
            for batch in self._batches(shown):
                opened = list(pool.map(self._opened, [records[place] for place in batch]))
                seen = {p: picture for p, picture in zip(batch, opened, strict=True) if picture}
                sides = [self._format.side(_words(records[p]), seen[p]) for p in seen]
                judge(list(seen), sides)
        read = [p for p, record in enumerate(records) if np.isnan(scores[p]) and _words(record)]
        read.sort(key=lambda p: len(records[p].text or ""))  # little padding: equals sit together
        for batch in self._batches(read):
            judge(batch, [self._format.side(records[place].text or "") for place in batch])
        if failures and np.isnan(scores).all():
            raise failures[-1]
        return scores

    def _query(self, text: str | None, image: ImageRef | None) -> Side:
        if text is None and image is None:
            raise ValueError("a reranker needs the query's text, its image, or both")
        if text is not None:
            if not isinstance(text, str):
                raise TypeError(f"the query's text must be a string, not {type(text).__name__}")
            check_unicode(text, "the query's text")
        if image is None:
            return self._format.side(text)
        if not self.sees_images:
            raise RerankerError(
                f"the reranker {self._name!r} reads texts only and cannot judge a query with a "
                "picture; leave the picture or the reranker out, or load one that sees pictures"
            )
        return self._format.side(text or None, self._open(image))

    def _is_shown(self, record: Record) -> bool:
        return record.image is not None and self.sees_images

    def _opened(self, record: Record) -> Image.Image | None:
        assert record.image is not None
        try:
            return self._open(record.image)
        except ImageError as error:
            fate = "its caption is judged" if _words(record) else "it is not judged"
            _LOGGER.warning("the picture of %r cannot be used, %s: %s", record.id, fate, error)
            return None

    def _open(self, image: ImageRef) -> Image.Image:
        picture = image.open(min_side=self._image_side)
        if max(picture.size) > self._image_side:
            picture.thumbnail((self._image_side, self._image_side), Image.Resampling.LANCZOS)
        return picture

    def _batches(self, places: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(places), self._batch_size):
            yield places[start : start + self._batch_size]

    def _predicted(self, query: Side, sides: list[Side]) -> NDArray[np.float32]:
        if not sides:
            return np.empty(0, np.float32)
        try:
            with self._lock:
                raw = self.model.predict(
                    [(query, side) for side in sides],
                    batch_size=len(sides),
                    show_progress_bar=False,
                    activation_fn=self._activation_function,
                )
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise RerankerError(f"the reranker {self._name!r} failed: {error}") from error
        scores = np.asarray(raw, np.float32).reshape(-1)
        if not np.isfinite(scores).all():
            remedy = "" if self._dtype == "float32" else '; load it with dtype="float32"'
            raise RerankerError(
                f"the reranker {self._name!r} gave a score that is not finite{remedy}"
            )
        return scores

    @lazy_property
    def _activation_function(self) -> Any:
        """``None`` leaves it to the model."""
        import torch

        known = {"model": None, "sigmoid": torch.nn.Sigmoid(), "none": torch.nn.Identity()}
        return known[self._activation]


def load_reranker(
    name: str | os.PathLike[str] | Reranker,
    *,
    device: str | None = None,
    dtype: str = "float32",
    activation: Activation = "model",
    batch_size: int = 16,
    image_side: int = 1024,
    max_length: int | None = None,
    local_only: bool = False,
) -> Reranker:
    """Find a reranker by name; weights are loaded when it first scores.

    Args:
        name: A directory with a saved cross encoder, or a hub id, optionally
            ``owner/name@revision``. A `Reranker` is returned as it is.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present if ``None``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        activation: As of `CrossEncoderReranker`.
        batch_size: As of `CrossEncoderReranker`.
        image_side: As of `CrossEncoderReranker`.
        max_length: As of `CrossEncoderReranker`.
        local_only: Look for a hub id in the local cache and nowhere else.

    Raises:
        RerankerError: No such model, one that is no cross encoder, or one whose weights are not
            safetensors.
        ValueError: An argument is out of range.
    """
    if isinstance(name, Reranker):
        return name
    found = os.fspath(name)
    directory = find_model(
        found,
        "reranker",
        RerankerError,
        example="cross-encoder/ms-marco-MiniLM-L6-v2",
        local_only=local_only,
    )
    _check_head(found, directory)
    return CrossEncoderReranker(
        found,
        directory,
        device=device,
        dtype=dtype,
        activation=activation,
        batch_size=batch_size,
        image_side=image_side,
        max_length=max_length,
    )


def _words(record: Record) -> str | None:
    """A record's text, ``None`` if there is nothing in it to read."""
    return record.text if record.text and record.text.strip() else None


def _check_head(name: str, directory: Path) -> None:
    """Refuse what would load with a head of random weights, and rank at random without a word."""
    what = f"the reranker {name!r}"
    if (directory / "modules.json").is_file():
        kind = model_kind(directory, what, RerankerError)
        if kind == "CrossEncoder":
            return
        remedy = "; unisem.load_encoder loads encoders" if kind == "SentenceTransformer" else ""
        raise RerankerError(f"{name!r} is a {kind}, which embeds, and no cross encoder{remedy}")
    named = [*architectures(directory, what, RerankerError), "none"]
    if not named[0].endswith(_HEADS):
        raise RerankerError(
            f"{name!r} has no head that scores a pair: its architecture is {named[0]}, "
            f"not one that ends in {' or '.join(_HEADS)}; train it as a cross encoder first"
        )


def _outputs(model: Any) -> Iterator[Tensor]:
    """The scores of two texts, and of a text and a picture."""
    from sentence_transformers.util import batch_to_device

    form = PairFormat(model)
    pictures = [None, Image.new("RGB", (64, 64))] if form.sees_images else [None]
    for picture in pictures:
        features = model.preprocess([(form.side("a"), form.side("b", picture))])
        yield model(batch_to_device(features, model.device))["scores"]
