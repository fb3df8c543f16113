"""`fit_network`: the loop, with checkpoints that go on to the same weights."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unisem.common.interrupts import raise_if_interrupted
from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids
from unisem.training.cross_modal.objective import Objective
from unisem.training.cross_modal.recipe import CrossModalRecipe
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
from unisem.training.loop.environment import (
    first_process_first,
    from_first_process,
    is_first_process,
    process_count,
    process_index,
)
from unisem.training.losses.exchange import average_gradients

Progress = Callable[[str, int, int], None]

_CPU = torch.device("cpu")  # where the network is
_LONGEST_GRADIENT = 1.0
_VALIDATION_STEP = 1 << 40  # draws the same candidates every time, and none of training's


@dataclass(slots=True)
class _State:
    """Where a run is, beside weights and moments; JSON."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    sum: float = 0.0
    seconds: float = 0.0

    @property
    def best(self) -> int:
        """The epoch of the smallest validation loss."""
        return int(np.argmin(self.validation))


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a run did.

    Attributes:
        steps: Steps that weights moved.
        losses: Mean loss per epoch.
        validation: Loss on pairs held back, per epoch; none without ``patience``.
        seconds: Spent in steps, of all the parts of a run that was resumed.
    """

    steps: int
    losses: tuple[float, ...]
    validation: tuple[float, ...]
    seconds: float


def fit_network(
    objective: Objective,
    recipe: CrossModalRecipe,
    run: Mapping[str, Any],
    folder: Path,
    *,
    validation: Objective | None = None,
    resume: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Fitted:
    """Train an objective's network in place.

    AdamW, a rate that rises and falls as a cosine, gradients of length 1 at most. Ctrl-C writes a
    checkpoint before it ends the run of one process.

    Several processes each compute their part of a step's batch, which has ``batch_size`` pairs for
    each of them, and move by the gradient of the whole: as one process with batches that large.
    The first writes, and judges ``validation``.

    Args:
        objective: What becomes smaller.
        recipe: How.
        run: What decides the result beside the recipe, as JSON values by name.
        folder: For checkpoints.
        validation: The same of pairs held back, for ``patience``.
        resume: Go on from the newest checkpoint, if there is one.
        progress: Called after every step.

    Raises:
        TrainingError: The loss is no number, or the disk is full; the last checkpoint is intact.
    """
    network, pairs = objective.network, len(objective.inputs)
    processes, rank = process_count(), process_index()
    torch.manual_seed(recipe.seed if not rank else recipe.seed * 1_000_003 + rank)  # of dropout
    optimizer = _optimizer(network, recipe)
    decided = json.loads(json.dumps({**asdict(recipe), **run, "processes": processes}))
    state = _State()
    with first_process_first(_CPU) as first:
        if first and not resume:
            shutil.rmtree(folder, ignore_errors=True)
        if kept := checkpoints(folder):
            state = _restored(kept[-1], network, optimizer, decided)
    size = recipe.batch_size * processes
    per_epoch = math.ceil(pairs / size)
    total = recipe.epochs * per_epoch
    every = recipe.checkpoint_steps or per_epoch

    def keep() -> None:
        generators = gathered_random()
        if is_first_process():
            place = folder / f"checkpoint-{state.step}"
            _write(place, network, optimizer, decided, state, generators)
            for old in checkpoints(folder)[:-1]:
                shutil.rmtree(old, ignore_errors=True)

    order: Ids | None = None
    whole, generator = True, torch.random.get_rng_state()
    try:
        while state.step < total and not _is_over(state, recipe):
            began = time.perf_counter()
            epoch, number = divmod(state.step, per_epoch)
            if order is None or number == 0:
                order = objective.order(epoch)
            batch = order[number * size : (number + 1) * size]
            value = _gradients(objective, optimizer, batch, state.step)
            whole = False  # from here on until all that belongs together has moved
            _move(optimizer, _rate(state, total, recipe))
            state.sum += value
            state.step += 1
            state.seconds += time.perf_counter() - began
            progress("training", state.step, total)
            if number + 1 == per_epoch:
                state.losses.append(state.sum / per_epoch)
                state.sum = 0.0
                if validation is not None:
                    judged = from_first_process(lambda: _loss_of(validation, size), _CPU)
                    state.validation.append(judged)
                    if state.best == len(state.validation) - 1 and is_first_process():
                        _write_best(folder, network)
            whole, generator = True, torch.random.get_rng_state()
            if state.step % every == 0 or number + 1 == per_epoch:
                keep()
            raise_if_interrupted()
    except KeyboardInterrupt:
        # A step that had begun has moved nothing but the generator. Several processes may have been
        # interrupted at different steps: what they agreed on is the last checkpoint.
        if whole and processes == 1:
            torch.random.set_rng_state(generator)
            keep()
        raise
    if validation is not None:
        tensors, _ = from_first_process(lambda: read_checkpoint(folder / "best"), _CPU)
        restore_module(network, _trained(network), tensors)
    return Fitted(state.step, tuple(state.losses), tuple(state.validation), state.seconds)


def _optimizer(network: nn.Module, recipe: CrossModalRecipe) -> torch.optim.AdamW:
    matrices = [p for p in network.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )


def _rate(state: _State, total: int, recipe: CrossModalRecipe) -> float:
    rising = recipe.warmup * total
    if state.step < rising:
        return recipe.learning_rate * (state.step + 1) / (rising + 1)
    share = (state.step - rising) / max(1.0, total - rising)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _gradients(
    objective: Objective, optimizer: torch.optim.Optimizer, batch: Ids, step: int
) -> float:
    objective.network.train()
    optimizer.zero_grad(set_to_none=True)
    loss, value = _joint(objective, batch, step)
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss became {value} at step {step}; the last checkpoint is intact. A lower "
            "learning rate usually helps"
        )
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = list(objective.network.parameters())
    if process_count() > 1:
        average_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT)
    return value


def _joint(objective: Objective, batch: Ids, step: int) -> tuple[Tensor, float]:
    """What a process drives back, so that gradients' average is that of the loss; and the loss."""
    processes = process_count()
    mine = objective.parts(batch, processes)[process_index()]
    idle = mine.start == mine.stop  # a small last batch: computes with the others, for nothing
    terms = objective.terms(batch, step, objective.parts(batch, processes)[0] if idle else mine)
    counts = torch.tensor([0 if idle else term.count for term in terms], dtype=torch.float64)
    shares = processes * counts / _summed(counts).clamp(min=1)
    weighted = [
        term.weight * share * term.mean for term, share in zip(terms, shares.tolist(), strict=True)
    ]
    loss = torch.stack(weighted).sum()
    return loss, float(_summed(loss.detach().double()) / processes)


def _summed(numbers: Tensor) -> Tensor:
    """Their sum over processes."""
    if process_count() == 1:
        return numbers
    numbers = numbers.clone()
    torch.distributed.all_reduce(numbers)
    return numbers


def _move(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def _loss_of(objective: Objective, size: int) -> float:
    """The mean loss of all pairs, without dropout."""
    objective.network.eval()
    sums = 0.0
    with torch.inference_mode():
        order = objective.order(0)
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            losses = objective.losses(batch, _VALIDATION_STEP)
            sums += float(torch.stack([*losses.values()]).sum()) * len(batch)
    return sums / len(objective.inputs)


def _is_over(state: _State, recipe: CrossModalRecipe) -> bool:
    if recipe.patience is None or not state.validation:
        return False
    return len(state.validation) - 1 - state.best >= recipe.patience


def _trained(network: nn.Module) -> set[str]:
    return {name for name, p in network.named_parameters() if p.requires_grad}


def _write(
    place: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    decided: Mapping[str, Any],
    state: _State,
    generators: list[tuple[dict[str, Tensor], dict[str, Any]]],
) -> None:
    moments, rest = optimizer_tensors(optimizer.state_dict())
    parts = (
        ("model", module_tensors(network, _trained(network))),
        ("optimizer", moments),
        *((f"random.{rank}", tensors) for rank, (tensors, _) in enumerate(generators)),
    )
    tensors: dict[str, Tensor] = {
        f"{part}.{name}": tensor for part, found in parts for name, tensor in found.items()
    }
    numbers = [each for _, each in generators]
    described = {"run": decided, "optimizer": rest, "random": numbers, "state": asdict(state)}
    write_checkpoint(place, tensors, described)


def _write_best(folder: Path, network: nn.Module) -> None:
    write_checkpoint(folder / "best", module_tensors(network, _trained(network)), {})


def _restored(
    place: Path, network: nn.Module, optimizer: torch.optim.Optimizer, decided: Mapping[str, Any]
) -> _State:
    tensors, saved = read_checkpoint(place)
    refuse_other_run(saved.get("run", {}), decided)
    restore_module(network, _trained(network), tensors_under("model.", tensors))
    moments = tensors_under("optimizer.", tensors)
    optimizer.load_state_dict(optimizer_state(moments, saved["optimizer"]))
    rank = process_index()
    restore_random(tensors_under(f"random.{rank}.", tensors), saved["random"][rank])
    return _State(**saved["state"])
