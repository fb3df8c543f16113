"""`PairTrainer`: sentence-transformers' trainer with batches, checkpoints and checks of our own.

What sentence-transformers 6 and transformers 5 do otherwise, and why it is changed:

- Their checkpoints are pickles beside the weights, written in place. Here they are safetensors and
  JSON, written whole or not at all; see `unisem.training.loop.checkpoints`.
- Their order of pairs after a resume differs from that of an uninterrupted run, and a loss's own
  parameters are not saved. Here both are as if nothing had happened.
- A loss that is not a number is logged as the average of those before. Here it ends the run.
- Frozen networks are put into training mode, where dropout and batch statistics go on changing
  what they give. Here they stay as they are used.
- Batches are made when they are needed, while the device waits, or by worker processes. Here a
  thread makes the next one meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer
from torch import Tensor, nn
from torch.utils.data import BatchSampler
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from unisem.errors import TrainingError
from unisem.training.inputs.batches import EqualBatches
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.prefetching import AheadCollator, Awaited
from unisem.training.loop.checkpoints import (
    checkpoints,
    gathered_random,
    module_tensors,
    optimizer_state,
    optimizer_tensors,
    read_checkpoint,
    refuse_other_run,
    restore_module,
    restore_random,
    tensors_under,
    write_checkpoint,
)
from unisem.training.loop.remining import Remining
from unisem.training.losses import CachedLoss, PairLoss
from unisem.training.model.sharding import as_shared, shard, whole

_SCALE_RATE = 1e-3  # of a temperature, scale or bias; see docs/measured/training_options.md
_KEPT = 2  # checkpoints, the best one beside them
_REMEDY = "A lower learning rate usually helps; with float16, bfloat16 or float32 does"


class PairTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """Trains a model, or a view of one, on a `PairCollator`'s batches.

    Args:
        loss: An `EmbeddingLoss` or `CachedLoss`; also says which model is trained.
        run: What decides the result, as JSON values by name. It is kept in checkpoints, and a
            checkpoint of another run is not resumed.
        rates: Learning rates by parameter name, of what does not learn at that of the arguments.
        loss_rate: The learning rate of the loss's own parameters; 0.001 for single numbers, that of
            the arguments for others, if ``None``.
        remining: Changes hard negatives from epoch to epoch.
        sharded: Divide the model among the processes, in place.
        **options: As ``SentenceTransformerTrainer``; ``data_collator`` is a `PairCollator`.
    """

    data_collator: Any
    is_fsdp_enabled: bool

    def __init__(
        self,
        *,
        loss: nn.Module,
        run: Mapping[str, Any],
        rates: Mapping[str, float] | None = None,
        loss_rate: float | None = None,
        remining: Remining | None = None,
        sharded: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(model=loss.model, loss=loss, **options)
        self._rates = dict(rates or {})
        self._loss_rate = loss_rate
        self._sharded = sharded
        self._run = json.loads(json.dumps(run))
        # The outermost: it passes on to a loss that it wraps, and its state holds that loss's.
        self.pair_losses = [m for m in loss.modules() if isinstance(m, PairLoss)][:1]
        # Taken now: gradual unfreezing makes some of them wait.
        self._trained = {n for n, p in self.model.named_parameters() if p.requires_grad}
        if sharded:
            shard(self.model)
            # Said of models that come divided: nobody wraps or divides them again.
            self.is_distributed_loading_by_transformers = True
        self.add_callback(_SetEpoch(self))
        self._remining = remining
        if remining is not None:
            self.add_callback(remining)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Nothing: it would look for texts in the columns."""

    def get_batch_sampler(self, dataset: Any, batch_size: int, **options: Any) -> BatchSampler:
        """Return `EqualBatches`."""
        self.batches = EqualBatches(
            dataset,
            batch_size=batch_size,
            seed=self.args.seed,
            processes=self.args.world_size,
            # Who shares numbers computes as often as the others, part by part.
            even=self._sharded and isinstance(self.loss, CachedLoss),
            kinds=self.data_collator.kinds,
        )
        return self.batches

    def train(self, *arguments: Any, **options: Any) -> Any:
        """Train, every batch being made while the model computes the one before."""
        if self.args.process_index:  # else all processes would drop out the same numbers
            torch.manual_seed(self.args.seed * 1_000_003 + self.args.process_index)
        collator: PairCollator = self.data_collator
        ahead = AheadCollator(collator)
        self.data_collator = ahead
        try:
            return super().train(*arguments, **options)
        finally:
            ahead.close()
            self.data_collator = collator

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[Any, None]:
        """Batches of the next step, and no count of tokens."""
        return Awaited(islice(epoch_iterator, num_batches)), None

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices; biases, norms and temperatures do not decay."""
        return [name for name, parameter in model.named_parameters() if parameter.dim() > 1]

    def get_optimizer_cls_and_kwargs(self, args: Any, model: Any = None) -> tuple[Any, Any]:
        """Leave out the parameters that a loss steps itself; others learn at their own rates."""
        optimizer, options = super().get_optimizer_cls_and_kwargs(args, model)
        own = {id(p) for loss in self.pair_losses for p in loss.own_parameters()}
        rates = {
            id(parameter): self._rates[name]
            for name, parameter in self.model.named_parameters()
            if name in self._rates
        }
        for parameter in (p for loss in self.pair_losses for p in loss.parameters()):
            rate = self._loss_rate or (_SCALE_RATE if parameter.dim() == 0 else None)
            if rate is not None:
                rates[id(parameter)] = rate
        groups = []
        for group in options["optimizer_dict"]:
            by_rate: dict[float | None, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if id(parameter) not in own:
                    by_rate.setdefault(rates.get(id(parameter)), []).append(parameter)
            for rate, parameters in by_rate.items():
                at = {} if rate is None else {"lr": rate}
                groups.append(group | {"params": parameters} | at)
        options["optimizer_dict"] = groups
        return optimizer, options

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The usual one; a step that is the only one is not spent on warming up."""
        if num_training_steps == 1:  # the learning rate of a first warming step is 0
            self.args.warmup_steps = 0
        return super().create_scheduler(num_training_steps, optimizer)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any
    ) -> Any:
        """Compute a batch's loss; one that is not a number ends the run.

        Raises:
            TrainingError: The loss is not finite.
        """
        _keep_frozen_as_used(self.model)
        for loss in self.pair_losses:
            loss.on_progress(self.state.global_step / max(1, self.state.max_steps))
        result = super().compute_loss(model, inputs, *arguments, **options)
        value = result[0] if isinstance(result, tuple) else result
        if not torch.isfinite(value.detach()):
            raise TrainingError(
                f"the loss became {float(value.detach())} at step {self.state.global_step}; "
                f"{self._last_checkpoint()}. {_REMEDY}"
            )
        return result

    def evaluation_loop(self, *arguments: Any, **options: Any) -> Any:
        """In the first process; all that share a model's numbers have to compute with it."""
        before, self.is_fsdp_enabled = self.is_fsdp_enabled, self._sharded
        try:
            return super().evaluation_loop(*arguments, **options)
        finally:
            self.is_fsdp_enabled = before

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, beside the mean loss, what the loss measures."""
        if "loss" in logs:
            for loss in self.pair_losses:
                logs = logs | loss.metrics()
        super().log(logs, start_time)

    def _last_checkpoint(self) -> str:
        kept = checkpoints(Path(self.args.output_dir))
        return f"the last checkpoint, {kept[-1]}, is intact" if kept else "no checkpoint is written"

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        place = folder / f"checkpoint-{self.state.global_step}"
        best = folder / f"checkpoint-{self.state.best_global_step}"
        if self.state.best_global_step and (best == place or best.exists()):
            self.state.best_model_checkpoint = str(best)
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, ExportableState):
                self.state.stateful_callbacks[type(callback).__name__] = callback.state()
        weights = {n: whole(t) for n, t in module_tensors(self.model, self._trained).items()}
        self._refuse_broken(weights)
        tensors, state = self._resumable()
        tensors |= {f"model.{name}": tensor for name, tensor in weights.items()}
        everyone = gathered_random()
        if self.args.should_save:
            for rank, (generators, rest) in enumerate(everyone):
                tensors |= {f"random.{rank}.{name}": value for name, value in generators.items()}
                state[f"random.{rank}"] = rest
            trainer_state = json.dumps(dataclasses.asdict(self.state), indent=2, sort_keys=True)
            write_checkpoint(place, tensors, state, trainer_state + "\n")
            for old in checkpoints(folder)[:-_KEPT]:
                if old != best:
                    shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _refuse_broken(self, weights: Mapping[str, Tensor]) -> None:
        """A loss that is a number may have a gradient that is none; no checkpoint keeps that."""
        for name, tensor in weights.items():
            if name in self._trained and not torch.isfinite(tensor.detach()).all():
                raise TrainingError(
                    f"the weights {name} became infinite or no numbers by step "
                    f"{self.state.global_step}; {self._last_checkpoint()}. {_REMEDY}"
                )

    def _resumable(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors: dict[str, Tensor] = {}
        for number, loss in enumerate(self.pair_losses):
            tensors |= {f"loss.{number}.{name}": t for name, t in loss.state_dict().items()}
        tensors |= {} if self._remining is None else self._remining.tensors()
        moments, optimizer = optimizer_tensors(self.optimizer.state_dict())
        tensors |= {f"optimizer.{name}": whole(value) for name, value in moments.items()}
        scaler = getattr(self.accelerator, "scaler", None)
        return tensors, {
            "run": self._run,
            "optimizer": optimizer,
            "schedule": self.lr_scheduler.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        tensors, state = read_checkpoint(Path(resume_from_checkpoint))
        refuse_other_run(state.get("run", {}), self._run)
        if self._remining is not None:
            self._remining.restore(tensors)
        restore_module(self.model, self._trained, tensors_under("model.", tensors))
        for number, loss in enumerate(self.pair_losses):
            try:
                loss.load_state_dict(tensors_under(f"loss.{number}.", tensors))
            except RuntimeError as error:
                raise TrainingError(
                    "the checkpoint was written by a run with another loss; resume with the "
                    f"options of that run: {error}"
                ) from error

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        tensors, state = read_checkpoint(Path(checkpoint))
        saved = tensors_under("optimizer.", tensors)
        self.optimizer.load_state_dict(optimizer_state(saved, state["optimizer"]))
        # The optimiser's kernels walk through memory in step: moments must be laid out as their
        # parameters are (convolutions have their channels last), and safetensors forgets layouts.
        for parameter, moments in self.optimizer.state.items():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    place = torch.empty_like(parameter, dtype=value.dtype)
                    moments[name] = place.copy_(as_shared(value, parameter))
        self.lr_scheduler.load_state_dict(state["schedule"])

    def _load_scaler(self, checkpoint: str | None) -> None:
        scaler = getattr(self.accelerator, "scaler", None)
        if checkpoint is not None and scaler is not None:
            _, state = read_checkpoint(Path(checkpoint))
            if state["scaler"] is not None:
                scaler.load_state_dict(state["scaler"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        tensors, state = read_checkpoint(Path(checkpoint))
        name = f"random.{self.args.process_index}"
        if name in state:  # else there were fewer processes then
            restore_random(tensors_under(f"{name}.", tensors), state[name])


class _SetEpoch(TrainerCallback):  # type: ignore[misc]
    """Tells batches and collator which epoch begins, after a resume too."""

    def __init__(self, trainer: PairTrainer) -> None:
        self._trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        epoch = int(state.epoch or 0)
        self._trainer.batches.set_epoch(epoch)
        self._trainer.data_collator.epoch = epoch


def _keep_frozen_as_used(module: nn.Module) -> None:
    """Put every network that is not trained into evaluation mode."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        _keep_frozen_as_used(child)
