"""The options that only ``unisem train`` has; the others are in `unisem.cli.options`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from unisem.training.model.modality_parts import Part

_PARTS = "Start from two networks"
_LOSS = "Loss"
_TRAINED = "What is trained"
_CHANGES = "Random changes to pictures"
_STEPS = "Steps"
_COMPARISON = "Comparison, and stopping early"
_FILES = "Files beside the encoder"


class Freezing(StrEnum):
    """What ``--freeze`` takes; an enumeration, as typer knows no list of literals."""

    text = "text"
    image = "image"
    text_backbone = "text-backbone"
    image_backbone = "image-backbone"
    none = "none"


Output = Annotated[Path, typer.Option(help="The directory for the trained encoder.")]
Encoder = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Where to start: mini, a directory or a hub id."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where a run of the same command stopped.")
]

TextTower = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A text model, such as BERT …", rich_help_panel=_PARTS),
]
ImageTower = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="… and a picture model, such as ViT.", rich_help_panel=_PARTS
    ),
]
Dimension = Annotated[
    int, typer.Option(metavar="N", min=2, help="Numbers in a vector.", rich_help_panel=_PARTS)
]

Loss = Annotated[
    Literal["infonce", "sigmoid", "triplet"],
    typer.Option(help="What is minimised.", rich_help_panel=_LOSS),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Of InfoNCE. [default: 0.05; the start model's own where it is learned]",
        rich_help_panel=_LOSS,
    ),
]
LearnedTemperature = Annotated[
    bool,
    typer.Option(
        "--learned-temperature",
        help="InfoNCE: train the temperature, from --temperature or the start model's own.",
        rich_help_panel=_LOSS,
    ),
]
MaskAbove = Annotated[
    float | None,
    typer.Option(
        metavar="COSINE",
        help="InfoNCE: captions this alike say the same, and their pictures are not pushed apart.",
        rich_help_panel=_LOSS,
    ),
]
Margin = Annotated[float, typer.Option(help="Of the triplet loss.", rich_help_panel=_LOSS)]
Mining = Annotated[
    Literal["hard", "semi-hard"],
    typer.Option(help="Which negatives the triplet loss takes.", rich_help_panel=_LOSS),
]
Dimensions = Annotated[
    str | None,
    typer.Option(
        metavar="N,N …",
        help="Train vectors that may be cut to these lengths, too (Matryoshka).",
        rich_help_panel=_LOSS,
    ),
]
HardNegatives = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Wrong pictures mined per caption.", rich_help_panel=_LOSS
    ),
]
Adversary = Annotated[
    Literal["reversal", "translation"] | None,
    typer.Option(
        help="Oppose the loss, so that captions and pictures get alike.", rich_help_panel=_LOSS
    ),
]
AdversaryWeight = Annotated[
    float, typer.Option(help="How much the adversary counts.", rich_help_panel=_LOSS)
]

Freeze = Annotated[
    list[Freezing] | None,
    typer.Option(
        metavar="PART",
        help="What stays as it is: text, image, text-backbone, image-backbone (may be repeated), "
        "or none.",
        rich_help_panel=_TRAINED,
    ),
]
Lora = Annotated[
    int | None,
    typer.Option(
        metavar="RANK", min=1, help="Train LoRA additions only.", rich_help_panel=_TRAINED
    ),
]
UnfreezeEvery = Annotated[
    float | None,
    typer.Option(
        metavar="EPOCHS",
        help="Unfreeze layers one after another, last layers first.",
        rich_help_panel=_TRAINED,
    ),
]
Interpolate = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        min=0,
        max=1,
        help="How far to go from the start model's weights. [default: heads as far as pairs held "
        "back for it say; else 1]",
        rich_help_panel=_TRAINED,
    ),
]

Crop = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Crop pictures, to this share of their area at least.",
        rich_help_panel=_CHANGES,
    ),
]
Flip = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Mirror this share of the pictures; not where they bear text.",
        rich_help_panel=_CHANGES,
    ),
]
Colour = Annotated[
    float,
    typer.Option(
        metavar="CHANGE",
        help="Change brightness, contrast and saturation by up to this share.",
        rich_help_panel=_CHANGES,
    ),
]

Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Passes over the pairs.", rich_help_panel=_STEPS),
]
BatchSize = Annotated[
    int | None,
    typer.Option(metavar="N", min=2, help="Pairs per step and process.", rich_help_panel=_STEPS),
]
MiniBatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Inputs embedded at a time (cached gradients, less memory).",
        rich_help_panel=_STEPS,
    ),
]
Accumulate = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Steps whose gradients are added up.", rich_help_panel=_STEPS
    ),
]
LearningRate = Annotated[
    float | None, typer.Option(metavar="RATE", help="At its peak.", rich_help_panel=_STEPS)
]
Warmup = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share of the steps in which the learning rate rises.",
        rich_help_panel=_STEPS,
    ),
]
WeightDecay = Annotated[float, typer.Option(help="AdamW's, on matrices.", rich_help_panel=_STEPS)]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"],
    typer.Option(help="What is computed in.", rich_help_panel=_STEPS),
]
CheckpointSteps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Steps between checkpoints; else one per epoch.",
        rich_help_panel=_STEPS,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Decides split, order and changes.", rich_help_panel=_STEPS
    ),
]

HeldOut = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        min=0,
        help="Share, or number, of pairs kept for the comparison.",
        rich_help_panel=_COMPARISON,
    ),
]
K = Annotated[
    int, typer.Option("-k", metavar="N", min=1, help="Of hit@k.", rich_help_panel=_COMPARISON)
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS",
        min=1,
        help="Stop after so many without a better hit@k.",
        rich_help_panel=_COMPARISON,
    ),
]
Validation = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share of the training pairs held back for --patience.",
        rich_help_panel=_COMPARISON,
    ),
]

Features = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep what frozen parts give there.", rich_help_panel=_FILES),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write TensorBoard files there.", rich_help_panel=_FILES),
]


def parts_to_freeze(chosen: list[Freezing] | None) -> tuple[Part, ...] | None:
    """The parts that were named; none with ``none`` alone, ``None`` where nothing was said."""
    if not chosen:
        return None
    return tuple(cast("Part", part.value) for part in chosen if part is not Freezing.none)


def lengths(chosen: str | None) -> tuple[int, ...]:
    """The numbers of ``256,128``.

    Raises:
        typer.BadParameter: They are none.
    """
    try:
        return tuple(int(part) for part in (chosen or "").split(",") if chosen)
    except ValueError:
        raise typer.BadParameter(
            f"--dimensions takes numbers, as 256,128, not {chosen!r}"
        ) from None
