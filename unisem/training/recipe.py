"""`Recipe`: everything that decides a training run beside the encoder and the pairs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from unisem.errors import TrainingError
from unisem.training.inputs.augmentation import Augmentation
from unisem.training.settings import (
    AdversaryName,
    LossName,
    Mining,
    Part,
    Precision,
    Setting,
    check_settings,
)

if TYPE_CHECKING:
    from unisem.training.losses import PairLoss
    from unisem.training.model.scale import Scale

_TEMPERATURE = 0.05
_LOSS = "Loss"
_TRAINED = "What is trained"
_STEPS = "Steps"
_COMPARISON = "Comparison, and stopping early"
_INFONCE = ("loss", "infonce")
_TRIPLET = ("loss", "triplet")
_OF_ONE_VECTOR = ("mask_above", "dimensions", "adversary", "hard_negatives")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train; the losses are those of `unisem.training.losses`.

    Attributes:
        loss: What is minimised.
        temperature: Of InfoNCE, at the start if it is learned. ``None``: the start model's own (the
            ``logit_scale`` of CLIP and SigLIP), or 0.05 if it has none.
        learned_temperature: InfoNCE: train the temperature.
        mask_above: InfoNCE: captions of this cosine or more say the same, and their pictures are
            not pushed apart. ``None``: equal captions alone.
        margin: Of the triplet loss.
        mining: Which negatives the triplet loss takes.
        late_interaction: InfoNCE: train a vector of so many numbers for every token of a text and
            place of a picture, compared by MaxSim (ColBERT, ColPali); what is written is a
            reranker. ``None``: one vector for the whole, and an encoder.
        dimensions: Train vectors that may be cut to these lengths, too (Matryoshka).
        adversary: What opposes the loss, so that captions and pictures get alike. ``None``:
            nothing.
        adversary_weight: How much the model heeds the adversary, once that knows something.
        guide: An encoder's name, as for `load_encoder`: in-batch and mined negatives that it finds
            more alike than the right one are passed over (GIST). ``None``: all are pushed apart.
        hard_negatives: Wrong pictures mined per caption, before training.
        negative_share: Hard negatives: what scores more than this share of the right picture's
            score may be right as well, and is not taken.
        remine: Hard negatives: mine them anew before every epoch, by the weights as they are then.
        freeze: What stays as it is. ``None``: the networks, if there is a head behind that of
            pictures.
        lora: Train LoRA additions of this rank, not the networks that they are added to.
        unfreeze_every: Epochs between layers becoming trainable, last layers first. ``None``: all
            are from the start.
        interpolation: How far to go from the start model's weights (0) to the trained ones (1).
            ``None``: where only heads are trained, as far as is best for pairs held back; else,
            and with random changes, LoRA or a loss of your own, 1.
        augmentation: Random changes to pictures. They cannot be stored, so training with them runs
            the picture network in every epoch.
        epochs: Passes over the pairs. ``None``: 10 for heads, or as many as make 80 steps; 5
            otherwise.
        batch_size: Pairs per step and process, at most. ``None``: 128, or all if there are fewer.
        mini_batch_size: Inputs embedded at a time (cached gradients, less memory). ``None``: all.
        gradient_checkpointing: Compute the insides of the trained networks' layers twice, and keep
            less of them in memory.
        accumulate: Steps whose gradients are added up before weights move.
        learning_rate: At its peak. ``None``: 1e-3 for heads, 1e-4 for LoRA, 1e-5 otherwise.
        head_rate: That of heads and projections. ``None``: ``learning_rate``.
        text_tower_rate: That of the network of texts. ``None``: ``learning_rate``.
        image_tower_rate: That of the network of pictures. ``None``: ``learning_rate``.
        loss_rate: That of what the loss learns itself. ``None``: 0.001 for single numbers
            (temperature, scale, bias), ``learning_rate`` for others.
        warmup: Share of the steps in which the learning rate rises from 0; then it falls (cosine).
        weight_decay: AdamW's, on matrices.
        precision: What the model computes in; float16 needs a GPU. Losses are computed in float32.
        checkpoint_steps: Steps between checkpoints. ``None``: one per epoch.
        seed: Decides splits, order, dropout and random changes.
        k: Of hit@k.
        patience: Evaluations without a better hit@k before training stops and the best weights
            come back. ``None``: train to the end, with all pairs.
        validation: Share of the training pairs held back for ``patience``.
    """

    loss: Annotated[LossName, Setting(_LOSS)] = "infonce"
    temperature: Annotated[float | None, Setting(_LOSS, "T", above=0, needs=_INFONCE)] = None
    learned_temperature: Annotated[bool, Setting(_LOSS, needs=_INFONCE)] = False
    mask_above: Annotated[float | None, Setting(_LOSS, "COSINE", needs=_INFONCE)] = None
    margin: Annotated[float, Setting(_LOSS, above=0, needs=_TRIPLET)] = 0.2
    mining: Annotated[Mining, Setting(_LOSS, needs=_TRIPLET)] = "semi-hard"
    late_interaction: Annotated[int | None, Setting(_LOSS, "N", least=2, needs=_INFONCE)] = None
    dimensions: Annotated[tuple[int, ...], Setting(_LOSS, "N,N …")] = ()
    adversary: Annotated[AdversaryName | None, Setting(_LOSS)] = None
    adversary_weight: Annotated[float, Setting(_LOSS, above=0, needs=("adversary", None))] = 1.0
    guide: Annotated[str | None, Setting(_LOSS, "NAME")] = None
    hard_negatives: Annotated[int, Setting(_LOSS, "N", least=0)] = 0
    negative_share: Annotated[
        float, Setting(_LOSS, "SHARE", least=0, most=1, needs=("hard_negatives", None))
    ] = 0.95
    remine: Annotated[bool, Setting(_LOSS, needs=("hard_negatives", None))] = False
    freeze: Annotated[tuple[Part, ...] | None, Setting(_TRAINED, "PART")] = None
    lora: Annotated[int | None, Setting(_TRAINED, "RANK", least=1)] = None
    unfreeze_every: Annotated[float | None, Setting(_TRAINED, "EPOCHS", above=0)] = None
    interpolation: Annotated[
        float | None, Setting(_TRAINED, "SHARE", option="--interpolate", least=0, most=1)
    ] = None
    augmentation: Augmentation | None = None
    epochs: Annotated[int | None, Setting(_STEPS, "N", least=1)] = None
    batch_size: Annotated[int | None, Setting(_STEPS, "N", least=2)] = None
    mini_batch_size: Annotated[int | None, Setting(_STEPS, "N", least=1)] = None
    gradient_checkpointing: Annotated[bool, Setting(_STEPS)] = False
    accumulate: Annotated[int, Setting(_STEPS, "N", least=1)] = 1
    learning_rate: Annotated[float | None, Setting(_STEPS, "RATE", above=0)] = None
    head_rate: Annotated[float | None, Setting(_STEPS, "RATE", above=0)] = None
    text_tower_rate: Annotated[float | None, Setting(_STEPS, "RATE", above=0)] = None
    image_tower_rate: Annotated[float | None, Setting(_STEPS, "RATE", above=0)] = None
    loss_rate: Annotated[float | None, Setting(_STEPS, "RATE", above=0)] = None
    warmup: Annotated[float, Setting(_STEPS, "SHARE")] = 0.1
    weight_decay: Annotated[float, Setting(_STEPS, "DECAY", least=0)] = 0.01
    precision: Annotated[Precision, Setting(_STEPS)] = "float32"
    checkpoint_steps: Annotated[int | None, Setting(_STEPS, "N", least=1)] = None
    seed: Annotated[int, Setting(_STEPS, "N", least=0)] = 0
    k: Annotated[int, Setting(_COMPARISON, "N", least=1)] = 10
    patience: Annotated[int | None, Setting(_COMPARISON, "EPOCHS", least=1)] = None
    validation: Annotated[float, Setting(_COMPARISON, "SHARE", needs=("patience", None))] = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.freeze, str):
            raise ValueError(f"freeze is a tuple of parts, such as ({self.freeze!r},)")
        if self.batch_size == 1:
            raise ValueError("batch_size must be at least 2: one pair has no negatives")
        check_settings(self)
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be from 0 to below 1, not {self.warmup}")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be between 0 and 1, not {self.validation}")
        if self.mask_above is not None and not -1 <= self.mask_above <= 1:
            raise ValueError(f"mask_above is a cosine, from -1 to 1, not {self.mask_above}")
        if any(length < 1 for length in self.dimensions):
            raise ValueError(f"dimensions must be at least 1, not {self.dimensions}")
        if self.late_interaction is not None:
            if self.loss != "infonce":
                raise ValueError(f"late_interaction is trained by infonce, not by {self.loss}")
            for setting in fields(self):
                if setting.name in _OF_ONE_VECTOR and (
                    getattr(self, setting.name) != setting.default  # 0.0 is no cosine left out
                ):
                    raise ValueError(
                        f"{setting.name} is for one vector of each text and picture; leave it out "
                        "with late_interaction"
                    )

    def takes_scale(self, scale: Scale | None) -> bool:
        """Whether the loss begins with a start model's scale; a sigmoid needs its bias, too."""
        if scale is None or self.loss == "triplet":
            return False
        return scale.bias is not None if self.loss == "sigmoid" else self.temperature is None

    def make_loss(self, dimension: int, scale: Scale | None = None) -> PairLoss:
        """Make the loss for vectors of ``dimension`` numbers.

        Args:
            dimension: Numbers in a vector.
            scale: What the start model was trained with, where it says so.

        Raises:
            TrainingError: They cannot be cut to the recipe's ``dimensions``.
        """
        from unisem.training.losses import InfoNCE, LateInteraction, Matryoshka, Sigmoid, Triplet

        if max(self.dimensions, default=0) > dimension:
            raise TrainingError(
                f"dimensions {self.dimensions}: the encoder's vectors have {dimension} numbers"
            )
        loss: PairLoss
        if self.loss == "triplet":
            loss = Triplet(self.margin, mining=self.mining)
        elif self.loss == "sigmoid":
            loss = Sigmoid()
            if scale is not None and scale.bias is not None:
                loss = Sigmoid(scale.factor, scale.bias)
        else:
            temperature = _TEMPERATURE if self.temperature is None else self.temperature
            if scale is not None and self.temperature is None:
                temperature = 1 / scale.factor
            if self.late_interaction is not None:
                return LateInteraction(temperature, learned=self.learned_temperature)
            loss = InfoNCE(
                temperature, learned=self.learned_temperature, mask_above=self.mask_above
            )
        if self.dimensions:
            loss = Matryoshka(loss, sorted({dimension, *self.dimensions}, reverse=True))
        if self.adversary is not None:
            from unisem.training.adversarial import AdversarialReversal, AdversarialTranslation

            against = (
                AdversarialReversal if self.adversary == "reversal" else AdversarialTranslation
            )
            loss = against(loss, dimension, weight=self.adversary_weight, seed=self.seed)
        return loss
