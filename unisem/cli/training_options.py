"""The options that only ``unisem train`` has; the others are in `unisem.cli.options`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from unisem.training.sides import Part


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
TextTower = Annotated[
    str | None, typer.Option(metavar="NAME", help="Start from parts: a text model …")
]
ImageTower = Annotated[str | None, typer.Option(metavar="NAME", help="… and a picture model.")]
Dimension = Annotated[
    int, typer.Option(min=2, help="Numbers in a vector, when starting from parts.")
]

Loss = Annotated[Literal["infonce", "sigmoid", "triplet"], typer.Option(help="What is minimised.")]
Temperature = Annotated[float, typer.Option(help="Of InfoNCE.")]
Adversary = Annotated[
    Literal["reversal", "translation"] | None,
    typer.Option(help="Oppose it, so that captions and pictures get alike."),
]
AdversaryWeight = Annotated[float, typer.Option(help="How much that counts.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the pairs.")]
BatchSize = Annotated[int | None, typer.Option(min=2, help="Pairs per step and process.")]
MiniBatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Inputs embedded at a time (cached gradients, less memory)."),
]
Accumulate = Annotated[int, typer.Option(min=1, help="Steps whose gradients are added up.")]
LearningRate = Annotated[float | None, typer.Option(help="At its peak.")]
Freeze = Annotated[
    list[Freezing] | None,
    typer.Option(help="What is not trained; may be repeated; none trains all of it."),
]
Lora = Annotated[int | None, typer.Option(min=1, metavar="RANK", help="Train LoRA additions only.")]
UnfreezeEvery = Annotated[
    float | None, typer.Option(metavar="EPOCHS", help="Unfreeze layers one after another.")
]
HardNegatives = Annotated[int, typer.Option(min=0, help="Wrong pictures mined per caption.")]
Crop = Annotated[
    float | None,
    typer.Option(help="Crop pictures at random, to this share of their area at least."),
]
Interpolate = Annotated[
    float, typer.Option(min=0, max=1, help="How far to go from the start model's weights.")
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"], typer.Option(help="What is computed in.")
]
Patience = Annotated[
    int | None,
    typer.Option(min=1, help="Stop after so many epochs without a better hit@k."),
]
K = Annotated[int, typer.Option("-k", min=1, help="Of hit@k.")]
HeldOut = Annotated[
    float, typer.Option(min=0, help="Share, or number, of pairs kept for the comparison.")
]
Seed = Annotated[int, typer.Option(min=0, help="Decides split, order and changes.")]

Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where a run of the same command stopped.")
]
Features = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep what frozen parts give there.")
]
TensorBoard = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write TensorBoard files there.")
]


def parts_to_freeze(chosen: list[Freezing] | None) -> tuple[Part, ...] | None:
    """The parts that were named; none with ``none`` alone, ``None`` where nothing was said."""
    if not chosen:
        return None
    return tuple(cast("Part", part.value) for part in chosen if part is not Freezing.none)
