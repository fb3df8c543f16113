"""``unisem train``: pairs of pictures and captions into a better encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from unisem.cli.terminal import amount, notices, results
from unisem.errors import TrainingError
from unisem.showing import plain

if TYPE_CHECKING:
    from unisem.training.recipe import Recipe
    from unisem.training.report import Change, TrainingReport
    from unisem.training.validation import PairReport

_SHOWN = 5  # pictures and rows that are named when they cannot be used


class Loss(StrEnum):
    """Names of the losses."""

    infonce = "infonce"
    sigmoid = "sigmoid"
    triplet = "triplet"


class Adversary(StrEnum):
    """What opposes the loss."""

    reversal = "reversal"
    translation = "translation"


class Part(StrEnum):
    """What can be frozen."""

    text = "text"
    image = "image"
    text_backbone = "text-backbone"
    image_backbone = "image-backbone"
    none = "none"


class Precision(StrEnum):
    """What the model computes in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of pictures or tar shards; .jsonl, .csv, .tsv, .parquet; COCO .json."
        ),
    ],
    output: Annotated[Path, typer.Option(help="The directory for the trained encoder.")],
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to start: mini, a directory or a hub id."),
    ] = None,
    text_tower: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from parts: a text model …")
    ] = None,
    image_tower: Annotated[
        str | None, typer.Option(metavar="NAME", help="… and a picture model.")
    ] = None,
    dimension: Annotated[
        int, typer.Option(min=2, help="Numbers in a vector, when starting from parts.")
    ] = 512,
    loss: Annotated[Loss, typer.Option(help="What is minimised.")] = Loss.infonce,
    temperature: Annotated[float, typer.Option(help="Of InfoNCE.")] = 0.05,
    adversary: Annotated[
        Adversary | None, typer.Option(help="Oppose it, so that captions and pictures get alike.")
    ] = None,
    adversary_weight: Annotated[float, typer.Option(help="How much that counts.")] = 1.0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pairs.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="Pairs per step and process.")
    ] = None,
    mini_batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Inputs embedded at a time (cached gradients, less memory)."),
    ] = None,
    accumulate: Annotated[int, typer.Option(min=1, help="Steps whose gradients are added up.")] = 1,
    learning_rate: Annotated[float | None, typer.Option(help="At its peak.")] = None,
    freeze: Annotated[
        list[Part] | None,
        typer.Option(help="What is not trained; may be repeated; none trains all of it."),
    ] = None,
    lora: Annotated[
        int | None, typer.Option(min=1, metavar="RANK", help="Train LoRA additions only.")
    ] = None,
    unfreeze_every: Annotated[
        float | None, typer.Option(metavar="EPOCHS", help="Unfreeze layers one after another.")
    ] = None,
    hard_negatives: Annotated[
        int, typer.Option(min=0, help="Wrong pictures mined per caption.")
    ] = 0,
    crop: Annotated[
        float | None,
        typer.Option(help="Crop pictures at random, to this share of their area at least."),
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Take HTML, URLs and file names out of captions.")
    ] = False,
    interpolate: Annotated[
        float,
        typer.Option(min=0, max=1, help="How far to go from the start model's weights."),
    ] = 1.0,
    precision: Annotated[Precision, typer.Option(help="What is computed in.")] = (
        Precision.float32
    ),
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many epochs without a better hit@k."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Of hit@k.")] = 10,
    held_out: Annotated[
        float, typer.Option(min=0, help="Share, or number, of pairs kept for the comparison.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Decides split, order and changes.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run of the same command stopped.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What a file's picture paths start from.")
    ] = None,
    image_column: Annotated[str, typer.Option(help="A table's column of paths.")] = "filepath",
    caption_column: Annotated[str, typer.Option(help="A table's column of captions.")] = "title",
    features: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep what frozen parts give there.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write TensorBoard files there.")
    ] = None,
) -> None:
    """Train an encoder on pictures with captions, and say what it gained."""
    from unisem.training import CaptionCleaning, PairDataset, check_pairs, split_pairs
    from unisem.training.augmentation import Augmentation
    from unisem.training.processes import is_first_process
    from unisem.training.recipe import Recipe
    from unisem.training.run import train_encoder
    from unisem.training.saving import check_output
    from unisem.training.sources.tables import Columns

    parts = _parts(freeze)
    try:
        recipe = Recipe(
            loss=loss.value,
            temperature=temperature,
            adversary=None if adversary is None else adversary.value,
            adversary_weight=adversary_weight,
            epochs=epochs,
            batch_size=batch_size,
            mini_batch_size=mini_batch_size,
            accumulate=accumulate,
            learning_rate=learning_rate,
            freeze=parts,
            lora=lora,
            unfreeze_every=unfreeze_every,
            hard_negatives=hard_negatives,
            augmentation=None if crop is None else Augmentation(crop=crop),
            interpolation=interpolate,
            precision=precision.value,
            patience=patience,
            k=k,
            seed=seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    check_output(output)
    work = output.with_name(f"{output.name}.training")
    pairs = PairDataset.read(
        data,
        columns=Columns(image_column, caption_column),
        image_root=images,
        unpack_to=work / "pictures",
    )
    if clean:
        pairs = CaptionCleaning().apply(pairs)
    out = results()
    out.quiet = not is_first_process()  # under torchrun one process speaks
    with _progress() as show:
        checked = check_pairs(pairs, progress=lambda done, n: show("checking pictures", done, n))
    out.print(_validation(checked.report))
    for line in _unusable(checked.report):
        out.print(line, soft_wrap=True)
    if len(checked.dataset) < 2:
        raise TrainingError(
            f"{data} has {amount(len(checked.dataset), 'usable pair')}; training needs at least two"
        )
    training, testing = checked.dataset, None
    if held_out:
        split = split_pairs(checked.dataset, held_out=_share(held_out), seed=seed)
        training, testing = split.train, split.held_out
        out.print(
            f"{len(training):,} pairs to train on, {len(testing):,} held out, nothing in common"
        )
    start = _start(encoder, text_tower, image_tower, dimension, work, seed)
    with _progress() as show:
        report = train_encoder(
            start,
            training,
            output,
            held_out=testing,
            recipe=recipe,
            resume=resume,
            features=features,
            tensorboard=tensorboard,
            progress=show,
        )
    _print_report(out, report, recipe, None if testing is None else len(testing))


def _parts(freeze: list[Part] | None) -> Any:
    if not freeze:
        return None
    return tuple(part.value for part in freeze if part is not Part.none)


def _share(held_out: float) -> float | int:
    return held_out if held_out < 1 else int(held_out)


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
    from unisem.training.processes import first_process_first
    from unisem.training.saving import save_model
    from unisem.training.towers import two_towers

    start = work / "start"
    with first_process_first() as first:
        if first:
            start.mkdir(parents=True, exist_ok=True)
            save_model(two_towers(text_tower, image_tower, dimension=dimension, seed=seed), start)
    return str(start)


@contextmanager
def _progress() -> Iterator[Any]:
    """A progress bar on a terminal; yields what to call with (what, done, in all)."""
    console = notices()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total or None
        )


def _validation(report: PairReport) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    for name, count in (
        ("pairs", report.pairs),
        ("usable", report.usable),
        ("distinct pictures", report.pictures),
        ("distinct captions", report.captions),
        ("not read", len(report.unread)),
        ("missing pictures", len(report.missing)),
        ("broken pictures", len(report.broken)),
        ("empty captions", report.empty_captions),
        ("repeated pairs", report.repeated),
        ("captions of several pictures", report.shared_captions),
        ("copies of pictures", report.copies),
    ):
        table.add_row(name, f"{count:,}")
    return table


def _unusable(report: PairReport) -> list[str]:
    items = [*report.unread, *report.missing, *report.broken]
    lines = [f"  {plain(item.name)}: {plain(item.reason)}" for item in items[:_SHOWN]]
    if len(items) > _SHOWN:
        lines.append(f"  and {len(items) - _SHOWN:,} more")
    return lines


def _print_report(out: Any, report: TrainingReport, recipe: Recipe, held_out: int | None) -> None:
    out.print(
        f"trained {report.trained:,} numbers in {amount(report.steps, 'step')}, "
        f"{report.seconds:.0f} s; loss {report.losses[0]:.3f} to {report.losses[-1]:.3f}"
        if report.losses
        else f"trained {report.trained:,} numbers: nothing was left to do",
        soft_wrap=True,
    )
    table = Table("held-out pairs", "measure", "before", "after", "change (95 % interval)")
    for k in dict.fromkeys((1, recipe.k)):
        changes = report.change(k)
        if changes is not None:
            for direction, change in zip(
                ("caption to picture", "picture to caption", "both directions"),
                changes,
                strict=True,
            ):
                table.add_row(direction, f"hit@{k}", *_cells(change))
    if table.row_count:
        out.print(f"{held_out:,} held-out pairs:")
        out.print(table)
    out.print(f"{plain(str(report.output))} is ready: pass it as the encoder", soft_wrap=True)


def _cells(change: Change) -> tuple[str, str, str]:
    difference = change.after - change.before
    return (
        f"{change.before:.3f}",
        f"{change.after:.3f}",
        f"{difference:+.3f} ({change.low:+.3f} to {change.high:+.3f})",
    )
