"""``unisem train``: pairs of pictures and captions into a better encoder."""

from __future__ import annotations

from pathlib import Path

import typer

from unisem.cli import training_options as option
from unisem.cli.options import CaptionColumn, Clean, Data, ImageColumn, Images
from unisem.cli.pairs import read_pairs, share_or_number
from unisem.cli.progress import progress_bars
from unisem.cli.terminal import amount, results
from unisem.cli.training_report import print_pairs, print_training
from unisem.errors import TrainingError


def train(
    data: Data,
    output: option.Output,
    encoder: option.Encoder = None,
    text_tower: option.TextTower = None,
    image_tower: option.ImageTower = None,
    dimension: option.Dimension = 512,
    loss: option.Loss = "infonce",
    temperature: option.Temperature = 0.05,
    adversary: option.Adversary = None,
    adversary_weight: option.AdversaryWeight = 1.0,
    epochs: option.Epochs = None,
    batch_size: option.BatchSize = None,
    mini_batch_size: option.MiniBatchSize = None,
    accumulate: option.Accumulate = 1,
    learning_rate: option.LearningRate = None,
    freeze: option.Freeze = None,
    lora: option.Lora = None,
    unfreeze_every: option.UnfreezeEvery = None,
    hard_negatives: option.HardNegatives = 0,
    crop: option.Crop = None,
    clean: Clean = False,
    interpolate: option.Interpolate = 1.0,
    precision: option.Precision = "float32",
    patience: option.Patience = None,
    k: option.K = 10,
    held_out: option.HeldOut = 0.2,
    seed: option.Seed = 0,
    resume: option.Resume = False,
    images: Images = None,
    image_column: ImageColumn = "filepath",
    caption_column: CaptionColumn = "title",
    features: option.Features = None,
    tensorboard: option.TensorBoard = None,
) -> None:
    """Train an encoder on pictures with captions, and say what it gained."""
    from unisem.training import Augmentation, Recipe, check_pairs, split_pairs, train_encoder
    from unisem.training.processes import is_first_process
    from unisem.training.saving import check_output

    try:
        recipe = Recipe(
            loss=loss,
            temperature=temperature,
            adversary=adversary,
            adversary_weight=adversary_weight,
            epochs=epochs,
            batch_size=batch_size,
            mini_batch_size=mini_batch_size,
            accumulate=accumulate,
            learning_rate=learning_rate,
            freeze=option.parts_to_freeze(freeze),
            lora=lora,
            unfreeze_every=unfreeze_every,
            hard_negatives=hard_negatives,
            augmentation=None if crop is None else Augmentation(crop=crop),
            interpolation=interpolate,
            precision=precision,
            patience=patience,
            k=k,
            seed=seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
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
    out = results()
    out.quiet = not is_first_process()  # under torchrun one process speaks
    with progress_bars() as show:
        checked = check_pairs(pairs, progress=lambda done, n: show("checking pictures", done, n))
    print_pairs(out, checked.report)
    if len(checked.dataset) < 2:
        raise TrainingError(
            f"{data} has {amount(len(checked.dataset), 'usable pair')}; training needs at least two"
        )
    training, testing = checked.dataset, None
    if held_out:
        split = split_pairs(checked.dataset, held_out=share_or_number(held_out), seed=seed)
        training, testing = split.train, split.held_out
        out.print(
            f"{len(training):,} pairs to train on, {len(testing):,} held out, nothing in common"
        )
    start = _start(encoder, text_tower, image_tower, dimension, work, seed)
    with progress_bars() as show:
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
    print_training(out, report, k=recipe.k, held_out=0 if testing is None else len(testing))


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
