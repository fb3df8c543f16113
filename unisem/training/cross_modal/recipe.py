"""`CrossModalRecipe`: everything that decides the training of a cross-modal Transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from unisem.training.settings import Setting, check_settings

MatchingLoss = Literal["infonce", "contrastive", "itm"]
Compared = Literal["both", "texts", "images"]
Words = Literal["own", "tower"]
TrainedIn = Literal["float32", "bfloat16"]
FusionName = Literal["transformer", "attention", "cosine"]

_DRAWN = 4
_NOT_INFONCE = ("compared", "random_negatives")
_LOSS = "Loss"
_NEGATIVES = "Wrong texts and pictures"
_NETWORK = "Network"
_STEPS = "Steps"
_COMPARISON = "Comparison, and stopping early"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossModalRecipe:
    """How to train; the losses are those of `unisem.training.cross_modal.losses`.

    The defaults make a reranker for search by text: which of several pictures fits.

    Attributes:
        loss: What matching learns by: to pick the true one out of its group, the right text for a
            picture and the right picture for a text by the same scores (infonce), to pick it out of
            a few candidates (contrastive), or to say yes or no to each of these (itm).
        group: Pairs that infonce compares with each other. Those that are hard to tell apart come
            into one group.
        compared: What a candidate of the other losses is: another text for the picture, another
            picture for the text, or both in turn. ``None``: both.
        captioning: Weight of the next-word loss. 0 leaves the writing stack out.
        distillation: Weight of agreeing with a teacher, where there is one.
        hard_negatives: Candidates per pair and step from those that the encoder takes for right;
            with infonce they come into the pair's group.
        mined: How many of those are looked up before training, to draw from.
        random_negatives: Candidates of the other losses, per pair and step, from the same batch.
            ``None``: 4.
        words: How texts are read for matching: word vectors of the network's own, or the token
            vectors of the encoder's text tower, which know more words and are slower.
        fusion: Layers in which words look at the picture (transformer); or one attention of the
            text's first vector, as the article has it (attention); or one of the text's mean
            vector, compared with what it saw by its cosine (cosine).
        vocabulary: Words and parts of words that are learned from the captions, at most.
        width: Numbers in a vector inside.
        heads: Of every attention.
        layers: Of the matching stack.
        caption_layers: Of the writing stack.
        side: Rows and columns of the feature map.
        picture_tokens: Vectors that a picture becomes. ``None``: one for each place of the map.
        token_width: Numbers in each of them; two bytes a number in a space.
        length: Words of a text that are read, and written.
        dropout: Share of numbers dropped while training.
        epochs: Passes over the pairs.
        batch_size: Pairs per step.
        learning_rate: At its peak.
        warmup: Share of the steps in which the learning rate rises from 0; then it falls (cosine).
        weight_decay: AdamW's, on matrices.
        precision: What the network computes in while it trains; weights and losses are float32.
        checkpoint_steps: Steps between checkpoints. ``None``: one per epoch.
        seed: Decides splits, order, weights at the start, negatives, dropout.
        depth: How many of the encoder's hits are reranked in the comparison.
        k: Of hit@k.
        patience: Epochs without a smaller loss on pairs held back before training stops and the
            best weights come back. ``None``: train to the end, with all pairs.
        validation: Share of the training pairs held back for ``patience``.
    """

    loss: Annotated[MatchingLoss, Setting(_LOSS)] = "infonce"
    group: Annotated[int, Setting(_LOSS, "N", least=2)] = 8
    compared: Annotated[Compared | None, Setting(_LOSS)] = None
    captioning: Annotated[float, Setting(_LOSS, "WEIGHT", least=0)] = 1.0
    distillation: Annotated[float, Setting(_LOSS, "WEIGHT", above=0)] = 1.0
    hard_negatives: Annotated[int, Setting(_NEGATIVES, "N", least=0)] = 3
    mined: Annotated[int, Setting(_NEGATIVES, "N", least=1)] = 20
    random_negatives: Annotated[int | None, Setting(_NEGATIVES, "N", least=0)] = None
    words: Annotated[Words, Setting(_NETWORK)] = "own"
    fusion: Annotated[FusionName, Setting(_NETWORK)] = "transformer"
    vocabulary: Annotated[int, Setting(_NETWORK, "N", least=100)] = 8000
    width: Annotated[int, Setting(_NETWORK, "N", least=1)] = 128
    heads: Annotated[int, Setting(_NETWORK, "N", least=1)] = 4
    layers: Annotated[int, Setting(_NETWORK, "N", least=1)] = 3
    caption_layers: Annotated[int, Setting(_NETWORK, "N", least=1)] = 3
    side: Annotated[int, Setting(_NETWORK, "N", least=1)] = 7
    picture_tokens: Annotated[int | None, Setting(_NETWORK, "N", least=1)] = None
    token_width: Annotated[int, Setting(_NETWORK, "N", least=1)] = 128
    length: Annotated[int, Setting(_NETWORK, "N", least=2)] = 64
    dropout: Annotated[float, Setting(_NETWORK, "SHARE", least=0)] = 0.1
    epochs: Annotated[int, Setting(_STEPS, "N", least=1)] = 10
    batch_size: Annotated[int, Setting(_STEPS, "N", least=2)] = 64
    learning_rate: Annotated[float, Setting(_STEPS, "RATE", above=0)] = 1e-3
    warmup: Annotated[float, Setting(_STEPS, "SHARE", least=0)] = 0.05
    weight_decay: Annotated[float, Setting(_STEPS, "DECAY", least=0)] = 0.01
    precision: Annotated[TrainedIn, Setting(_STEPS)] = "float32"
    checkpoint_steps: Annotated[int | None, Setting(_STEPS, "N", least=1)] = None
    seed: Annotated[int, Setting(_STEPS, "N", least=0)] = 0
    depth: Annotated[int, Setting(_COMPARISON, "N", least=2)] = 50
    k: Annotated[int, Setting(_COMPARISON, "N", least=1)] = 10
    patience: Annotated[int | None, Setting(_COMPARISON, "EPOCHS", least=1)] = None
    validation: Annotated[float, Setting(_COMPARISON, "SHARE", needs=("patience", None))] = 0.1

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be from 0 to below 1, not {self.warmup}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, not {self.dropout}")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be between 0 and 1, not {self.validation}")
        if self.loss == "infonce" and self.batch_size % self.group:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of group ({self.group})"
            )
        if self.hard_negatives > self.mined:
            raise ValueError(
                f"hard_negatives ({self.hard_negatives}) are drawn from the mined ({self.mined})"
            )
        idle = [name for name in _NOT_INFONCE if getattr(self, name) is not None]
        if self.loss == "infonce" and idle:
            raise ValueError(
                f"{' and '.join(idle)} would do nothing with infonce, which compares all pairs of "
                "a group; leave that out, or set loss to contrastive or itm"
            )
        if self.loss != "infonce" and not self.hard_negatives and not self.drawn:
            raise ValueError(
                f"{self.loss} needs candidates: set hard_negatives or random_negatives"
            )

    @property
    def drawn(self) -> int:
        """How many candidates of the same batch the losses other than infonce take."""
        return _DRAWN if self.random_negatives is None else self.random_negatives
