"""``unisem train``: pairs of pictures and captions into a better encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unisem.cli.encoder_options import PLAIN, encoder_for, encoder_options
from unisem.cli.options import (
    CaptionColumn,
    Clean,
    Data,
    ImageColumn,
    Images,
    read_pairs,
    share_or_number,
)
from unisem.cli.progress import progress_bars
from unisem.cli.recipe_options import recipe_options
from unisem.cli.terminal import results
from unisem.cli.training_report import checked_parts, print_training
from unisem.encoders.options import EncoderOptions
from unisem.training.recipe import Recipe
from unisem.training.settings import Saved

_TOWERS = "Start from two networks"
_COMPARISON = "Comparison, and stopping early"
_FILES = "Files beside the encoder"

Output = Annotated[Path, typer.Option(help="The directory for the trained encoder.")]
Start = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Where to start: mini, a directory or a hub id."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where a run of the same command stopped.")
]
Sharded = Annotated[
    bool,
    typer.Option("--sharded", help="Under torchrun: divide the model among the processes (FSDP)."),
]
TextTower = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A text model, such as BERT …", rich_help_panel=_TOWERS),
]
ImageTower = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="… and a picture model, such as ViT.", rich_help_panel=_TOWERS
    ),
]
Dimension = Annotated[
    int, typer.Option(metavar="N", min=2, help="Numbers in a vector.", rich_help_panel=_TOWERS)
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
Save = Annotated[
    Saved, typer.Option(help="The encoder, or what training changed of it (see merge-adapter).")
]
Features = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep what frozen parts give there.", rich_help_panel=_FILES),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write TensorBoard files there.", rich_help_panel=_FILES),
]


@recipe_options(Recipe)
@encoder_options("query_instruction", "document_instruction", "max_pixels", "attention")
def train(
    *,
    data: Data,
    output: Output,
    encoder: Start = None,
    asked: EncoderOptions = PLAIN,
    resume: Resume = False,
    sharded: Sharded = False,
    images: Images = None,
    image_column: ImageColumn = "filepath",
    caption_column: CaptionColumn = "title",
    clean: Clean = False,
    text_tower: TextTower = None,
    image_tower: ImageTower = None,
    dimension: Dimension = 512,
    save: Save = "whole",
    recipe: Recipe,
    held_out: HeldOut = 0.2,
    features: Features = None,
    tensorboard: TensorBoard = None,
) -> None:
    """Train an encoder on pictures with captions, or other pairs, and say what it gained."""
    from unisem.training import train_encoder
    from unisem.training.loop.environment import is_first_process
    from unisem.training.model.saving import check_output
    from unisem.training.run import trainable_encoder

    if held_out:
        share_or_number(held_out)  # before minutes are spent on pairs
    if save == "adapter" and text_tower is not None:
        raise typer.BadParameter("an adapter needs a start that stays; pass --encoder")
    check_output(output)
    work = output.with_name(f"{output.name}.training")
    pairs = read_pairs(
        data,
        images=images,
        image_column=image_column,
        caption_column=caption_column,
        clean=clean,
        unpack_to=work / "pictures",
    )
    named = _start(encoder, text_tower, image_tower, dimension, work, recipe.seed)
    start = trainable_encoder(encoder_for(named, asked) or named, pairs.forms)
    out = results()
    out.quiet = not is_first_process()  # under torchrun one process speaks
    training, testing = checked_parts(out, data, pairs, held_out, recipe.seed)
    with progress_bars() as show:
        report = train_encoder(
            start,
            training,
            output,
            held_out=testing,
            recipe=recipe,
            resume=resume,
            sharded=sharded,
            save=save,
            features=features,
            tensorboard=tensorboard,
            progress=show,
        )
    print_training(
        out,
        report,
        k=recipe.k,
        held_out=0 if testing is None else len(testing),
        use="encoder" if recipe.late_interaction is None else "reranker",
    )


def _start(
    encoder: str | None,
    text_tower: str | None,
    image_tower: str | None,
    dimension: int,
    work: Path,
    seed: int,
) -> str:
    if text_tower is None and image_tower is None:
        return encoder or "mini"
    if encoder is not None or text_tower is None or image_tower is None:
        raise typer.BadParameter("pass --encoder, or --text-tower and --image-tower")
    from sentence_transformers.util import get_device_name
    from torch import device

    from unisem.training.loop.environment import first_process_first
    from unisem.training.model.saving import save_model
    from unisem.training.model.two_towers import two_towers

    start = work / "start"
    with first_process_first(device(get_device_name())) as first:
        if first:
            start.mkdir(parents=True, exist_ok=True)
            save_model(two_towers(text_tower, image_tower, dimension=dimension, seed=seed), start)
    return str(start)
