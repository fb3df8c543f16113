"""`train_encoder`: a start encoder and pairs in, a better encoder's directory out.

Beside the output, ``<output>.training/`` holds what a run needs while it runs: ``features/``, the
stored outputs of frozen modules, and ``checkpoints/``, which go when the run is done.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unisem.encoders import Encoder, load_encoder
from unisem.encoders.loading import in_torch
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import has_two_text_sides
from unisem.errors import TrainingError
from unisem.pairs.checking import check_pairs
from unisem.pairs.dataset import PairDataset
from unisem.pairs.input import Form, Input
from unisem.pairs.pair import CAPTIONED
from unisem.pairs.splits import leakage, split_pairs
from unisem.training.inputs.guide import Guide
from unisem.training.inputs.mining import negatives_of
from unisem.training.inputs.prepared import PreparedPairs
from unisem.training.inputs.preparing import prepare_pairs, stored_depths
from unisem.training.loop.environment import (
    check_device,
    check_sharding,
    first_process_first,
    from_first_process,
    in_silence,
    is_first_process,
    join_processes,
    process_count,
    require_libraries,
)
from unisem.training.loop.evaluator import Rankings, rank_pairs
from unisem.training.loop.interpolation_trials import Found, Trials
from unisem.training.losses import PairLoss
from unisem.training.model.adapter import save_adapter
from unisem.training.model.interpolation import interpolate_weights, trainable_state
from unisem.training.model.lora import add_lora, lora_factors, merge_lora
from unisem.training.model.modality_parts import default_parts, freeze, only_heads, training_view
from unisem.training.model.saving import check_output, save_encoder
from unisem.training.model.scale import Scale
from unisem.training.model.token_vectors import with_token_vectors
from unisem.training.recipe import Recipe
from unisem.training.report import TrainingReport
from unisem.training.settings import Saved

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_BATCH, _HEAD_EPOCHS, _EPOCHS = 128, 10, 5
_HEAD_STEPS = 80  # ten passes over few pairs are so few steps that a head hardly moves
_HEAD_RATE, _LORA_RATE, _RATE = 1e-3, 1e-4, 1e-5


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What training and evaluation work on."""

    view: Any
    train: PreparedPairs
    validation: PreparedPairs | None
    held_out: PreparedPairs | None


def train_encoder(
    encoder: str | Encoder,
    train: PairDataset,
    output: str | os.PathLike[str],
    *,
    held_out: PairDataset | None = None,
    recipe: Recipe | None = None,
    loss: PairLoss | None = None,
    resume: bool = False,
    sharded: bool = False,
    save: Saved = "whole",
    features: str | os.PathLike[str] | None = None,
    tensorboard: str | os.PathLike[str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> TrainingReport:
    """Train an encoder on pairs of any kinds; or a late-interaction model, if the recipe says so.

    A batch is of one kind of pairs. Queries and documents enter the model as a search gives it
    them, with the prompts of their roles; a text and a picture together need a model that reads
    both at once. Given negatives are shown beside the documents of their batch.

    Several processes, started by ``torchrun`` or ``accelerate launch``, share the work; the loss is
    that of their joint batch. They see one file system; the first of them evaluates, writes and
    tells of its progress.

    Args:
        encoder: As for `load_encoder`, or one that it gave, which is changed by training.
        train: Pairs to train on; checked first if that has not been done.
        output: The directory for the trained encoder.
        held_out: Pairs to compare the start model and the trained one on; what they have in common
            with ``train`` is counted in the report.
        recipe: How to train.
        loss: A loss of your own, instead of the recipe's.
        resume: Go on from the newest checkpoint of a run with the same arguments, if there is one.
        sharded: Divide the model's numbers, gradients and moments among the processes (FSDP), for
            what is too large to be trained on one device.
        save: ``"whole"``, an encoder; or ``"adapter"``, what training changed alone, which
            `merge_adapter` makes an encoder of.
        features: Where features are stored; beside the output if ``None``.
        tensorboard: Folder for TensorBoard's files; none if ``None``.
        progress: Called as work goes on.

    Raises:
        EncoderError: The encoder does not load, or takes texts or pictures only.
        TrainingError: The pairs cannot be trained on, the loss is no number, the disk is full …;
            the last checkpoint is intact.
    """
    recipe = recipe or Recipe()
    place = Path(output)
    check_output(place)
    work = place.with_name(f"{place.name}.training")
    require_libraries(tensorboard=tensorboard is not None)
    check_sharding(sharded)
    from unisem.training.loop.fitting import fit_pairs
    from unisem.training.losses import LateInteraction

    many = isinstance(loss, LateInteraction)
    if loss is not None and many != (recipe.late_interaction is not None):
        compared = "a vector for every token" if many else "one vector of each text and picture"
        raise TrainingError(
            f"the loss {type(loss).__name__} compares {compared}; a LateInteraction and "
            "Recipe(late_interaction=...) go together, another loss without it"
        )
    parts_of_data = [train] if held_out is None else [train, held_out]
    forms = set[Form]().union(*(part.forms for part in parts_of_data))
    loaded = trainable_encoder(encoder, forms)
    join_processes(loaded.model.device)
    if recipe.late_interaction is not None:
        if process_count() > 1 or save != "whole":
            raise TrainingError(
                "late interaction is trained in one process, and saved whole; leave out torchrun "
                "and --save adapter"
            )
        loaded = with_token_vectors(loaded, recipe.late_interaction, recipe.seed)
    if not is_first_process():
        progress = in_silence
    train = checked_pairs(train, progress)
    common = None
    if held_out is not None:
        held_out = checked_pairs(held_out, progress)
        if not len(held_out):
            raise TrainingError("none of the held-out pairs can be used; check them, or pass None")
        common = leakage(train, held_out)
    validation = None
    if recipe.patience is not None:
        split = split_pairs(train, held_out=recipe.validation, seed=recipe.seed)
        train, validation = split.train, split.held_out
    refuse_untrainable(train, recipe.batch_size)
    model = loaded.model
    if has_two_text_sides(model) and any(
        one.text is not None for pair in train for one in pair.inputs[1:]
    ):
        raise TrainingError(
            f"the encoder {loaded.name!r} has one network for texts that ask and another for texts "
            "that are found, and the second cannot be trained here; leave out pairs whose "
            "documents have a text"
        )
    check_device(model.device, recipe.precision)
    own_scale = Scale.of(model)
    width = recipe.late_interaction or loaded.dimension
    chosen = loss if loss is not None else recipe.make_loss(width, own_scale)
    began = Scale.of_loss(chosen)
    parts = recipe.freeze if recipe.freeze is not None else default_parts(model)
    freeze(model, parts)
    # Known before LoRA changes the layers: stored features are the start model's.
    depths = stored_depths(loaded, augmented=recipe.augmentation is not None, forms=forms)
    tried = loss is None and _share_is_open(recipe) and only_heads(model)
    start = trainable_state(model) if tried or recipe.interpolation not in (None, 1) else {}
    if recipe.lora is not None:
        add_lora(model, recipe.lora, seed=recipe.seed)
    cache = Path(features) if features is not None else work / "features"
    decided = {"encoder": loaded.fingerprint, "pairs": pairs_digest(train)}
    guide = None if recipe.guide is None else Guide(load_encoder(recipe.guide), cache)
    with first_process_first(model.device):
        if guide is not None:
            decided["guide"] = guide.encoder.fingerprint
            chosen = guide.around(chosen, train, partial(progress, "asking the guide"))
        prepared = _prepare(loaded, train, validation, held_out, depths, cache, recipe, progress)
    recipe = resolved(recipe, model, len(train))

    def judged() -> dict[str, Rankings] | None:
        return None if prepared.held_out is None else rank_pairs(prepared.view, prepared.held_out)

    before = from_first_process(judged, model.device)
    run = fit_pairs(
        prepared.view,
        prepared.train,
        chosen,
        recipe,
        decided,
        work,
        mine=lambda view, epoch: negatives_of(view, prepared.train, train, recipe, epoch),
        validation=prepared.validation,
        resume=resume,
        sharded=sharded,
        tensorboard=tensorboard,
        progress=progress,
    )
    found = Found(1.0 if recipe.interpolation is None else recipe.interpolation)
    factors = {} if recipe.lora is None else lora_factors(model, found.share)
    if recipe.lora is not None:  # before weights are interpolated: additions are products of two
        merge_lora(model)
    if tried:
        trials = Trials(loaded, prepared.view, depths, cache, recipe, work / "trials", guide)
        found = trials.best_share(train, start, progress)
    interpolate_weights(model, start, found.share)
    if (learned := Scale.learned_by(chosen)) is not None:
        learned.write(model, found.share)
    after = from_first_process(judged, model.device)
    with first_process_first(model.device) as first:
        if first:
            if save == "adapter":
                save_adapter(loaded, place, recipe, factors)
            else:
                save_encoder(loaded, place, recipe)
            shutil.rmtree(work / "checkpoints", ignore_errors=True)
    return replace(
        run,
        output=place,
        size=sum(path.stat().st_size for path in place.rglob("*") if path.is_file()),
        share=found.share,
        trials=found.trials,
        dropped_trials=found.dropped,
        scale=began,
        own_scale=loss is None and recipe.takes_scale(own_scale),
        learned_scale=learned,
        before=before,
        after=after,
        leakage=common,
    )


def trainable_encoder(
    encoder: str | Encoder, forms: Collection[Form] = ("text", "image")
) -> SentenceTransformerEncoder:
    """Load an encoder that can be trained, before minutes are spent on pictures.

    Args:
        encoder: As for `train_encoder`.
        forms: What it must read.

    Raises:
        EncoderError: It does not load, or takes texts or pictures only where both are needed.
        TrainingError: It is no sentence-transformers model, its vectors are cut, or it does not
            read a text and a picture together where that is needed.
    """
    loaded = in_torch(load_encoder(encoder))
    if not isinstance(loaded, SentenceTransformerEncoder):
        raise TrainingError(
            f"only sentence-transformers models can be trained, not {type(loaded).__name__}"
        )
    if (dimension := loaded.options.dimension) is not None:
        raise TrainingError(
            f"an encoder is trained with all of its numbers, not with dimension={dimension}; name "
            f"the sizes that it is to be cut to (dimensions=({dimension},), --dimensions "
            f"{dimension}), and load what was trained with dimension={dimension}"
        )
    for form in sorted(forms):
        if form != "both":
            loaded.require(form)
        elif not loaded.fuses:
            raise TrainingError(
                f"the encoder {loaded.name!r} does not read a text and a picture together, which "
                "some of the pairs need; train a model that does, such as Qwen3-VL-Embedding, or "
                "leave these pairs out"
            )
    return loaded


def checked_pairs(dataset: PairDataset, progress: Progress) -> PairDataset:
    """The pairs that can be used, as they are if they were checked before."""
    images = [one.image for pair in dataset for one in pair.inputs if one.image is not None]
    if images and all(image.sha256 for image in images):
        return dataset
    checked = check_pairs(dataset, progress=lambda done, n: progress("checking pictures", done, n))
    return checked.dataset


def pairs_digest(dataset: PairDataset) -> str:
    """Tells whether pairs are the same, by content and in order."""

    def told(one: Input) -> list[str | None]:
        return [one.text, None if one.image is None else one.image.sha256 or one.image_id]

    pairs = [list(map(told, pair.inputs)) for pair in dataset]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def refuse_untrainable(train: PairDataset, batch_size: int | None) -> None:
    """Refuse pairs in which there is nothing to tell apart.

    Raises:
        TrainingError: Those of a kind are too few, or have all the same picture or caption.
    """
    if len(train) < 2:
        raise TrainingError(
            f"there is {len(train)} usable pair; contrastive training needs at least two"
        )
    numbers, kinds = train.contents, np.array([pair.kind for pair in train])
    for kind, count in train.kinds.items():
        if count == 1:
            raise TrainingError(
                f"there is one pair of the kind {kind}, which has nothing to be told from; add one "
                "or leave it out"
            )
        queries, documents = map(set, numbers[kinds == kind].T.tolist())
        usual = kind == CAPTIONED
        if len(documents) == 1:
            what = "picture" if usual else "document"
            raise TrainingError(
                f"all {'' if usual else f'{kind} '}pairs have the same {what}; there is nothing to "
                "tell apart"
            )
        if len(queries) == 1:
            first = next(pair.query.name for pair in train if pair.kind == kind)
            raise TrainingError(
                f"all {'captions' if usual else f'queries, {kind},'} are equal ({first}); there is "
                "nothing to tell apart. Name the right caption column"
            )
    if batch_size is not None and batch_size > len(train):
        raise TrainingError(
            f"batch_size {batch_size:,} is larger than the {len(train):,} training pairs; "
            f"use at most {len(train):,}"
        )


def _prepare(
    encoder: SentenceTransformerEncoder,
    train: PairDataset,
    validation: PairDataset | None,
    held_out: PairDataset | None,
    depths: dict[Any, int],
    cache: Path,
    recipe: Recipe,
    progress: Progress,
) -> _Prepared:
    parts = [train, validation, held_out]
    total = sum(len(pair.inputs) for part in parts if part is not None for pair in part)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("encoding what is frozen", done, total)

    columns = [
        None
        if part is None
        else prepare_pairs(
            encoder,
            part,
            depths,
            cache,
            augmentation=recipe.augmentation if part is train else None,
            advance=advance,
        )
        for part in parts
    ]
    first = columns[0]
    assert first is not None
    return _Prepared(training_view(encoder.model, depths), first, columns[1], columns[2])


def _share_is_open(recipe: Recipe) -> bool:
    """Whether `Trials` may say how far to go: nobody has, and they are quick."""
    return recipe.interpolation is None and recipe.augmentation is None and recipe.lora is None


def resolved(recipe: Recipe, model: Any, pairs: int) -> Recipe:
    """Fill in what depends on the model, frozen as it will be trained, and on the pairs' number."""
    heads = only_heads(model)
    batch = recipe.batch_size or min(_BATCH, pairs)
    steps = math.ceil(math.ceil(pairs / (batch * process_count())) / recipe.accumulate)
    epochs = max(_HEAD_EPOCHS, math.ceil(_HEAD_STEPS / steps)) if heads else _EPOCHS
    rate = _HEAD_RATE if heads else _RATE if recipe.lora is None else _LORA_RATE
    return replace(
        recipe,
        epochs=recipe.epochs or epochs,
        batch_size=batch,
        learning_rate=recipe.learning_rate or rate,
    )
