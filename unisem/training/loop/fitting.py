"""`fit_pairs`: a model trained on pairs as a `Recipe` says."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from sentence_transformers import SentenceTransformerTrainingArguments
from sentence_transformers.util import batch_to_device
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.prepared import PreparedPairs
from unisem.training.loop.checkpoints import checkpoints
from unisem.training.loop.environment import from_first_process, process_count
from unisem.training.loop.evaluator import HitEvaluator
from unisem.training.loop.remining import Remining
from unisem.training.loop.trainer import PairTrainer
from unisem.training.losses import CachedLoss, EmbeddingLoss, PairLoss
from unisem.training.model.gradient_checkpointing import gradient_checkpointing
from unisem.training.model.rates import learning_rates
from unisem.training.model.sharding import copy_to_shard, take_back
from unisem.training.model.unfreezing import GradualUnfreezing
from unisem.training.recipe import Recipe
from unisem.training.report import TrainingReport


def fit_pairs(
    view: Any,
    pairs: PreparedPairs,
    loss: PairLoss,
    recipe: Recipe,
    run: Mapping[str, Any],
    work: Path,
    *,
    mine: Callable[[Any, int], Ids | None] = lambda model, epoch: None,
    validation: PreparedPairs | None = None,
    resume: bool = False,
    sharded: bool = False,
    tensorboard: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> TrainingReport:
    """Train a model in place.

    Args:
        view: The model, from its first trained module on.
        pairs: What it learns from.
        loss: What is minimised.
        recipe: With everything filled in that depends on model and pairs.
        run: What decides the result beside the recipe, as JSON values by name.
        work: Where ``checkpoints/`` are.
        mine: Gives ``(n, h)`` pairs whose documents each query is shown as wrong ones, by the
            model as it is and the number of the epoch. Called in the first process, or in all of
            them for a model that they share.
        validation: What early stopping goes by, if it is wanted.
        resume: Go on from the newest checkpoint, if there is one.
        sharded: Divide the model's numbers among the processes while it is trained.
        tensorboard: For TensorBoard's files.
        progress: Called after every step.

    Raises:
        TrainingError: Gradual unfreezing, or pairs of several kinds without cached gradients, are
            wanted in several processes, or a rate for what is not trained.
    """
    if not pairs.is_uniform and recipe.mini_batch_size is None and process_count() > 1:
        raise TrainingError(
            "in several processes, pairs of several kinds are trained with cached gradients only: "
            "pass mini_batch_size (--mini-batch-size)"
        )
    device = view.device
    collator = PairCollator(pairs, from_first_process(lambda: mine(view, 0), device), recipe.seed)
    _freeze_unused(view, collator)
    model = copy_to_shard(view) if sharded else view
    module = (
        EmbeddingLoss(model, loss)
        if recipe.mini_batch_size is None
        else CachedLoss(model, loss, mini_batch_size=recipe.mini_batch_size)
    )

    def mined(epoch: int) -> Ids | None:
        if not sharded:
            return from_first_process(lambda: mine(model, epoch), device)
        found = mine(model, epoch)  # who shares numbers computes with the others
        return from_first_process(lambda: found, device)

    evaluator = None if validation is None else HitEvaluator(validation, recipe.k)
    folder = work / "checkpoints"
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    trainer = PairTrainer(
        loss=module,
        rates=learning_rates(model, recipe),
        loss_rate=recipe.loss_rate,
        remining=Remining(collator, mined) if recipe.remine else None,
        sharded=sharded,
        run={**asdict(recipe), **run, "processes": process_count()},
        args=_arguments(recipe, folder, evaluator, tensorboard, device),
        train_dataset=Dataset.from_dict({"pair": list(range(len(pairs)))}),
        data_collator=collator,
        evaluator=evaluator,
        callbacks=_callbacks(recipe, evaluator, model, progress),
    )
    trainer.remove_callback(PrinterCallback)
    kept = from_first_process(lambda: checkpoints(folder), device)
    began = time.perf_counter()
    with gradient_checkpointing(model, recipe.gradient_checkpointing):
        trainer.train(resume_from_checkpoint=str(kept[-1]) if kept else None)
    seconds = time.perf_counter() - began
    if sharded:
        take_back(view, model)
    history = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    trained = sum(p.numel() for p in view.parameters() if p.requires_grad)
    return TrainingReport(work, trained, trainer.state.global_step, tuple(history), seconds)


def _arguments(
    recipe: Recipe,
    folder: Path,
    evaluator: HitEvaluator | None,
    tensorboard: str | os.PathLike[str] | None,
    device: torch.device,
) -> _OneDeviceArguments:
    """A recipe as the trainer wants it."""
    assert recipe.batch_size is not None
    assert recipe.learning_rate is not None
    every = "epoch" if recipe.checkpoint_steps is None else "steps"
    if tensorboard is not None:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(tensorboard)
    return _OneDeviceArguments(
        output_dir=str(folder),
        num_train_epochs=float(recipe.epochs or 1),
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=recipe.warmup,
        lr_scheduler_type="cosine",
        bf16=recipe.precision == "bfloat16",
        fp16=recipe.precision == "float16",
        save_strategy=every,
        save_steps=recipe.checkpoint_steps or 500,
        eval_strategy="no" if evaluator is None else every,
        eval_steps=recipe.checkpoint_steps,
        load_best_model_at_end=evaluator is not None,
        metric_for_best_model=None if evaluator is None else f"eval_{evaluator.primary_metric}",
        greater_is_better=True,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,
        report_to=[] if tensorboard is None else ["tensorboard"],
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        ddp_find_unused_parameters=False,
        seed=recipe.seed,
    )


def _callbacks(
    recipe: Recipe,
    evaluator: HitEvaluator | None,
    model: Any,
    progress: Callable[[str, int, int], None],
) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [_ShowProgress(progress)]
    if evaluator is not None and recipe.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=recipe.patience))
    if recipe.unfreeze_every is not None:
        if process_count() > 1:
            raise TrainingError("gradual unfreezing works in one process only")
        callbacks.append(GradualUnfreezing(model, recipe.unfreeze_every))
    return callbacks


class _OneDeviceArguments(SentenceTransformerTrainingArguments):  # type: ignore[misc]
    """Arguments of a process that trains on one device, however many it sees.

    With several, transformers would wrap the model in ``torch.nn.DataParallel``: batches would be
    that many times larger than the recipe says, and every step would copy the model to each device.
    Several devices are for several processes.
    """

    @property
    def n_gpu(self) -> int:
        return min(1, int(super().n_gpu))


def _freeze_unused(model: Any, collator: PairCollator) -> None:
    """Freeze what no vector depends on, such as a pooler behind the layer that is pooled.

    ``DistributedDataParallel`` waits for the gradient of every parameter that is trained.

    Raises:
        TrainingError: No vector of a kind of pairs depends on anything that is trained.
    """
    kind_of = {row: kind for kind, rows in collator.kinds.items() for row in rows.tolist()}
    untaught = dict.fromkeys(collator.kinds)
    with torch.random.fork_rng():
        for batch in collator.one_of_each():
            for features in collator.columns(collator(batch)):
                vectors = model(batch_to_device(features, model.device))["sentence_embedding"]
                if vectors.requires_grad:
                    vectors.sum().backward()
                    untaught.pop(kind_of[batch[0]["pair"]], None)
    if untaught:
        raise TrainingError(
            f"all that reads {' and '.join(untaught)} pairs is frozen, so these teach nothing: "
            "freeze less (--freeze none trains everything), leave them out, or train another model"
        )
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.requires_grad_(False)
        parameter.grad = None


class _ShowProgress(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        if state.is_world_process_zero:
            self._progress("training", state.global_step, state.max_steps)
