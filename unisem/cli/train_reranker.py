"""``unisem train-reranker``: pairs into what judges and describes pictures by looking at both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

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
from unisem.cli.terminal import amount, results
from unisem.cli.train import Features, HeldOut, Resume
from unisem.cli.training_report import change_cells, checked_parts
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions
from unisem.training.cross_modal.recipe import CrossModalRecipe

if TYPE_CHECKING:
    from unisem.training.cross_modal.report import RerankerReport

_NEGATIVES = "Wrong texts and pictures"

Output = Annotated[Path, typer.Option(help="The directory for the reranker.")]
Encoder = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Whose towers it looks through: mini, a directory or a hub id."
    ),
]
Miner = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="An encoder that finds hard negatives, where --encoder learned these very pairs.",
        rich_help_panel=_NEGATIVES,
    ),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A larger reranker that sees pictures, to agree with.",
        rich_help_panel=_NEGATIVES,
    ),
]


@recipe_options(CrossModalRecipe)
@encoder_options("query_instruction", "document_instruction", "max_pixels", "attention")
def train_reranker(
    *,
    data: Data,
    output: Output,
    encoder: Encoder = "mini",
    asked: EncoderOptions = PLAIN,
    resume: Resume = False,
    images: Images = None,
    image_column: ImageColumn = "filepath",
    caption_column: CaptionColumn = "title",
    clean: Clean = False,
    miner: Miner = None,
    teacher: Teacher = None,
    recipe: CrossModalRecipe,
    held_out: HeldOut = 0.2,
    features: Features = None,
) -> None:
    """Train a reranker that looks at words and a picture together, and writes captions."""
    from unisem.rerank import load_reranker
    from unisem.training.cross_modal.run import check_reranker_output
    from unisem.training.cross_modal.run import train_reranker as train
    from unisem.training.loop.environment import is_first_process
    from unisem.training.run import trainable_encoder

    if held_out:
        share_or_number(held_out)  # before minutes are spent on pairs
    check_reranker_output(output)
    pairs = read_pairs(
        data,
        images=images,
        image_column=image_column,
        caption_column=caption_column,
        clean=clean,
        unpack_to=output.with_name(f"{output.name}.training") / "pictures",
    )
    start = trainable_encoder(encoder_for(encoder, asked) or encoder)
    taught_by = None if teacher is None else load_reranker(teacher)
    out = results()
    out.quiet = not is_first_process()  # under torchrun one process speaks
    training, testing = checked_parts(out, data, pairs, held_out, recipe.seed)
    with progress_bars() as show:
        report = train(
            start,
            training,
            output,
            held_out=testing,
            miner=miner,
            teacher=taught_by,
            recipe=recipe,
            resume=resume,
            features=features,
            progress=show,
        )
    _print(out, report, recipe, 0 if testing is None else len(testing))


def _print(out: Console, report: RerankerReport, recipe: CrossModalRecipe, held_out: int) -> None:
    losses = f"; loss {report.losses[0]:.3f} to {report.losses[-1]:.3f}" if report.losses else ""
    out.print(
        f"trained {report.trained:,} numbers in {amount(report.steps, 'step')}, "
        f"{report.seconds:.0f} s{losses}; {report.bytes_per_picture / 1000:.1f} kB of tokens a "
        "picture",
        soft_wrap=True,
    )
    if report.reranked is not None:
        table = Table("caption to picture", "encoder", "reranked", "change (95 % interval)")
        for at in dict.fromkeys((1, recipe.k)):
            table.add_row(f"hit@{at}", *change_cells(report.reranked.change(at)))
        out.print(f"{held_out:,} held-out pairs, the encoder's first {recipe.depth} reranked:")
        out.print(table)
    out.print(f"{plain(str(report.output))} is ready: pass it as the reranker", soft_wrap=True)
