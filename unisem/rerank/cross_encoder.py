"""`CrossEncoderReranker`: any cross encoder that sentence-transformers loads, as a `Reranker`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from numpy.typing import ArrayLike
from PIL import Image

from unisem.common.counts import check_counts
from unisem.common.lazy_property import lazy_property
from unisem.errors import RerankerError
from unisem.models.model_kind import architectures
from unisem.rerank.local_reranker import LocalReranker
from unisem.rerank.pair_format import PairFormat, Side

if TYPE_CHECKING:
    from torch import Tensor

_HEADS = ("ForSequenceClassification", "ForCausalLM")

Activation = Literal["model", "sigmoid", "none"]
"""What is applied to the model's logit: what the model asks for, a sigmoid, or nothing."""


class CrossEncoderReranker(LocalReranker):
    """Scores each record by reading it together with the query; see `LocalReranker`.

    A model that reads texts only judges a picture by its caption; a picture without one gets NaN.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.
        activation: What makes a score of a logit. The default is the model's own, so that scores
            are those of its card; ``"sigmoid"`` gives 0 to 1 from any model, ``"none"`` the logit.
        batch_size: As of `LocalReranker`.
        image_side: As of `LocalReranker`.
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
        super().__init__(
            name,
            directory,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            image_side=image_side,
        )
        if activation not in get_args(Activation):
            raise ValueError(f'activation must be "model", "sigmoid" or "none", not {activation!r}')
        check_counts(max_length=1 if max_length is None else max_length)
        self._activation = activation
        self._max_length = max_length

    def _settings(self) -> dict[str, Any]:
        own = {"activation": self._activation, "max_length": self._max_length}
        return super()._settings() | own

    @property
    def sees_images(self) -> bool:
        """See `LocalReranker.sees_images`."""
        return self._format.sees_images

    def _load(self) -> Any:
        from sentence_transformers import CrossEncoder

        model = self._from_files(CrossEncoder, _outputs)
        if model.num_labels != 1:
            raise RerankerError(
                f"{self.name!r} gives {model.num_labels} labels for a pair; a reranker gives one "
                "score"
            )
        if self._max_length is not None:
            model.max_seq_length = min(self._max_length, model.max_seq_length or self._max_length)
        return model

    @lazy_property
    def _format(self) -> PairFormat:
        return PairFormat(self.model)

    def _side(self, text: str | None, picture: Image.Image | None = None) -> Side:
        return self._format.side(text, picture)

    def _scores(self, query: Side, sides: Sequence[Side]) -> ArrayLike:
        scores: ArrayLike = self.model.predict(
            [(query, side) for side in sides],
            batch_size=len(sides),
            show_progress_bar=False,
            activation_fn=self._activation_function,
        )
        return scores

    @lazy_property
    def _activation_function(self) -> Any:
        """``None`` leaves it to the model."""
        import torch

        known = {"model": None, "sigmoid": torch.nn.Sigmoid(), "none": torch.nn.Identity()}
        return known[self._activation]


def refuse_headless(name: str, directory: Path) -> None:
    """Refuse what would load with a head of random weights, and rank at random without a word.

    Raises:
        RerankerError: A bare network without a head that scores a pair.
    """
    named = [*architectures(directory, f"the reranker {name!r}", RerankerError), "none"]
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
