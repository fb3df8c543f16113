"""``unisem train``: pairs of pictures and captions into a better encoder."""

from __future__ import annotations

from pathlib import Path

import typer

from unisem.cli import training_options as option
from unisem.cli.idle_options import refuse_idle_options
from unisem.cli.options import (
    CaptionColumn,
    Clean,
    Data,
    ImageColumn,
    Images,
    read_pairs,
    share_or_number,
)
from unisem.cli.terminal import amount, progress_bars, results
from unisem.cli.training_report import print_pairs, print_training
from unisem.errors import TrainingError


def train(
    context: typer.Context,
    data: Data,
    output: option.Output,
    encoder: option.Encoder = None,
    resume: option.Resume = False,
    images: Images = None,
    image_column: ImageColumn = "filepath",
    caption_column: CaptionColumn = "title",
    clean: Clean = False,
    text_tower: option.TextTower = None,
    image_tower: option.ImageTower = None,
    dimension: option.Dimension = 512,
    loss: option.Loss = "infonce",
    temperature: option.Temperature = None,
    learned_temperature: option.LearnedTemperature = False,
    mask_above: option.MaskAbove = None,
    margin: option.Margin = 0.2,
    mining: option.Mining = "semi-hard",
    dimensions: option.Dimensions = None,
    hard_negatives: option.HardNegatives = 0,
    adversary: option.Adversary = None,
    adversary_weight: option.AdversaryWeight = 1.0,
    freeze: option.Freeze = None,
    lora: option.Lora = None,
    unfreeze_every: option.UnfreezeEvery = None,
    interpolate: option.Interpolate = None,
    crop: option.Crop = None,
    flip: option.Flip = 0.0,
    colour: option.Colour = 0.0,
    epochs: option.Epochs = None,
    batch_size: option.BatchSize = None,
    mini_batch_size: option.MiniBatchSize = None,
    accumulate: option.Accumulate = 1,
    learning_rate: option.LearningRate = None,
    warmup: option.Warmup = 0.1,
    weight_decay: option.WeightDecay = 0.01,
    precision: option.Precision = "float32",
    checkpoint_steps: option.CheckpointSteps = None,
    seed: option.Seed = 0,
    held_out: option.HeldOut = 0.2,
    k: option.K = 10,
    patience: option.Patience = None,
    validation: option.Validation = 0.1,
    features: option.Features = None,
    tensorboard: option.TensorBoard = None,
) -> None:
    """Train an encoder on pictures with captions, and say what it gained."""
    from unisem.pairs import check_pairs, split_pairs
    from unisem.training import Augmentation, Recipe, train_encoder
    from unisem.training.loop.environment import is_first_process
    from unisem.training.model.saving import check_output
    from unisem.training.run import trainable_encoder

    refuse_idle_options(context)
    part = share_or_number(held_out) if held_out else None
    cut = option.lengths(dimensions)
    changed = crop is not None or flip or colour
    try:
        augmentation = Augmentation(1.0 if crop is None else crop, flip, colour)
        recipe = Recipe(
            loss=loss,
            temperature=temperature,
            learned_temperature=learned_temperature,
            mask_above=mask_above,
            margin=margin,
            mining=mining,
            dimensions=cut,
            adversary=adversary,
            adversary_weight=adversary_weight,
            mini_batch_size=mini_batch_size,
            hard_negatives=hard_negatives,
            freeze=option.parts_to_freeze(freeze),
            lora=lora,
            unfreeze_every=unfreeze_every,
            epochs=epochs,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warmup=warmup,
            precision=precision,
            augmentation=augmentation if changed else None,
            interpolation=interpolate,
            patience=patience,
            validation=validation,
            k=k,
            checkpoint_steps=checkpoint_steps,
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
    start = trainable_encoder(_start(encoder, text_tower, image_tower, dimension, work, seed))
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
    if part is not None:
        split = split_pairs(checked.dataset, held_out=part, seed=seed)
        training, testing = split.train, split.held_out
        if len(set(training.image_ids.tolist())) < 2:
            raise TrainingError(
                f"--held-out {held_out:g} leaves {amount(len(training), 'pair')} with one picture "
                "to train on; hold out fewer"
            )
        out.print(
            f"{len(training):,} pairs to train on, {len(testing):,} held out, nothing in common"
        )
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
    from unisem.training.loop.environment import first_process_first
    from unisem.training.model.saving import save_model
    from unisem.training.model.two_towers import two_towers

    start = work / "start"
    with first_process_first() as first:
        if first:
            start.mkdir(parents=True, exist_ok=True)
            save_model(two_towers(text_tower, image_tower, dimension=dimension, seed=seed), start)
    return str(start)
