"""`Recipe`: everything that decides a training run beside the encoder and the pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unisem.errors import TrainingError
from unisem.training.inputs.augmentation import Augmentation

if TYPE_CHECKING:
    from unisem.training.losses import PairLoss
    from unisem.training.losses.triplet import Mining
    from unisem.training.model.modality_parts import Part
    from unisem.training.model.scale import Scale

LossName = Literal["infonce", "sigmoid", "triplet"]
AdversaryName = Literal["reversal", "translation"]
Precision = Literal["float32", "bfloat16", "float16"]

_WHOLE = (
    "epochs",
    "batch_size",
    "mini_batch_size",
    "accumulate",
    "patience",
    "k",
    "checkpoint_steps",
    "lora",
)
_TEMPERATURE = 0.05
_POSITIVE = ("temperature", "margin", "learning_rate", "adversary_weight", "unfreeze_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        loss: Which loss; see `unisem.training.losses`.
        temperature: Of InfoNCE. ``None``: 0.05, or the start model's own (the ``logit_scale`` of
            CLIP and SigLIP) where it is learned.
        learned_temperature: Train InfoNCE's temperature with the model.
        mask_above: Cosine from which InfoNCE holds two captions to say the same; ``None``: never.
        margin: Of the triplet loss.
        mining: Which negatives the triplet loss takes.
        dimensions: Lengths that vectors may be cut to (Matryoshka), beside the full one.
        adversary: What opposes the loss, so that captions and pictures get alike; see
            `unisem.training.adversarial`. ``None``: nothing.
        adversary_weight: How much the model heeds it, once it knows something.
        mini_batch_size: Embed so many inputs at a time (cached gradients); ``None``: all.
        hard_negatives: Pictures mined from the store per caption, before training.
        freeze: Parts that are not trained; what suits the model if ``None``.
        lora: Rank of LoRA additions to the networks that are not frozen; ``None``: train them.
        unfreeze_every: Epochs between layers becoming trainable, last layers first; ``None``: all
            are from the start.
        epochs: Passes over the pairs; 10 for heads, 5 otherwise if ``None``.
        batch_size: Pairs per step and process, at most; 128 or all pairs, if fewer, if ``None``.
        accumulate: Steps whose gradients are added up before weights move.
        learning_rate: At its peak; 1e-3 for heads, 1e-4 for LoRA, 1e-5 otherwise if ``None``.
        weight_decay: AdamW's, on matrices.
        warmup: Share of the steps during which the learning rate rises from 0; then it falls
            (cosine).
        precision: What the model computes in; losses are computed in float32. float16 needs a GPU.
        augmentation: Random changes to pictures. They cannot be stored, so training with them runs
            the picture network in every epoch.
        interpolation: How far weights go from the start model (0) to the trained one (1). ``None``:
            where only heads are trained, as far as is best for pairs held back (`Trials`); else,
            and with random changes, LoRA or a loss of your own, 1.
        patience: Evaluations without a better hit@k before training stops and the best weights
            come back; ``None``: train to the end and hold no pairs back for it.
        validation: Share of the training pairs that ``patience`` is judged by.
        k: Of hit@k.
        checkpoint_steps: Steps between checkpoints; ``None``: one per epoch.
        seed: Decides order, dropout and random changes.
    """

    loss: LossName = "infonce"
    temperature: float | None = None
    learned_temperature: bool = False
    mask_above: float | None = None
    margin: float = 0.2
    mining: Mining = "semi-hard"
    dimensions: tuple[int, ...] = ()
    adversary: AdversaryName | None = None
    adversary_weight: float = 1.0
    mini_batch_size: int | None = None
    hard_negatives: int = 0
    freeze: tuple[Part, ...] | None = None
    lora: int | None = None
    unfreeze_every: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int = 1
    learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup: float = 0.1
    precision: Precision = "float32"
    augmentation: Augmentation | None = None
    interpolation: float | None = None
    patience: int | None = None
    validation: float = 0.1
    k: int = 10
    checkpoint_steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in ("infonce", "sigmoid", "triplet"):
            raise ValueError(f"loss must be infonce, sigmoid or triplet, not {self.loss!r}")
        if self.adversary not in (None, "reversal", "translation"):
            raise ValueError(f"adversary must be reversal or translation, not {self.adversary!r}")
        if self.mining not in ("hard", "semi-hard"):
            raise ValueError(f"mining must be hard or semi-hard, not {self.mining!r}")
        if self.precision not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"unknown precision {self.precision!r}")
        if isinstance(self.freeze, str):
            raise ValueError(f"freeze is a tuple of parts, such as ({self.freeze!r},)")
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value}")
        if self.interpolation is not None and not 0 <= self.interpolation <= 1:
            raise ValueError(f"interpolation must be from 0 to 1, not {self.interpolation}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be from 0 to below 1, not {self.warmup}")
        for name in ("hard_negatives", "weight_decay", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name)}")
        if self.batch_size == 1:
            raise ValueError("batch_size must be at least 2: one pair has no negatives")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be between 0 and 1, not {self.validation}")
        if self.mask_above is not None and not -1 <= self.mask_above <= 1:
            raise ValueError(f"mask_above is a cosine, from -1 to 1, not {self.mask_above}")
        if any(length < 1 for length in self.dimensions):
            raise ValueError(f"dimensions must be at least 1, not {self.dimensions}")

    def make_loss(self, dimension: int, scale: Scale | None = None) -> PairLoss:
        """Make the loss for vectors of ``dimension`` numbers.

        Args:
            dimension: Numbers in a vector.
            scale: What the start model was trained with, for a loss that learns it further.

        Raises:
            TrainingError: They cannot be cut to the recipe's ``dimensions``.
        """
        from unisem.training.losses import InfoNCE, Matryoshka, Sigmoid, Triplet

        if max(self.dimensions, default=0) > dimension:
            raise TrainingError(
                f"dimensions {self.dimensions}: the encoder's vectors have {dimension} numbers"
            )
        loss: PairLoss
        if self.loss == "triplet":
            loss = Triplet(self.margin, mining=self.mining)
        elif self.loss == "sigmoid":
            if scale is None or scale.bias is None:
                loss = Sigmoid()
            else:
                loss = Sigmoid(scale.factor, scale.bias)
        else:
            temperature = self.temperature or _TEMPERATURE
            if self.temperature is None and self.learned_temperature and scale is not None:
                temperature = 1 / scale.factor
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
