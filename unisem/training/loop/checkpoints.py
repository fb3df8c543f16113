"""What a training run needs to go on where it was, without a pickle.

A checkpoint is a folder ``checkpoint-<step>``:

- ``tensors.safetensors``: the trained parameters and buffers, those of the loss, the optimiser's
  moments, the random generators' states.
- ``state.json``: what decided the run, the optimiser's settings, schedule, gradient scale.
- ``trainer_state.json``: the trainer's own record: step, epoch, best evaluation.

It is written beside its place, flushed to disk, and moved there, so what has a checkpoint's name is
whole. Frozen parameters are not in it: they come from the start model.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unisem.errors import TrainingError
from unisem.training.loop.environment import process_count
from unisem.training.model.sharding import as_shared, reshard

TENSORS, STATE = "tensors.safetensors", "state.json"
_PREFIX = "checkpoint-"


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    found = [p for p in folder.glob(f"{_PREFIX}*") if p.name.removeprefix(_PREFIX).isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(_PREFIX)))


def write_checkpoint(
    place: Path,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    trainer_state: str | None = None,
) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        place: Its folder, ``…/checkpoint-<step>``.
        tensors: What goes into ``tensors.safetensors``.
        state: What goes into ``state.json``.
        trainer_state: The text of ``trainer_state.json``, of a run of transformers' trainer.

    Raises:
        TrainingError: The disk refused; names the newest checkpoint that is there.
    """
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, partial / TENSORS)
        described = {**state, "tensors": sorted(plain)}
        (partial / STATE).write_text(json.dumps(described), encoding="utf-8")
        if trainer_state is not None:
            (partial / "trainer_state.json").write_text(trainer_state, encoding="utf-8")
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(place, ignore_errors=True)
        os.replace(partial, place)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        kept = checkpoints(place.parent)
        last = f"the last checkpoint, {kept[-1]}, is intact" if kept else "there is none before it"
        raise TrainingError(
            f"checkpoint {place.name} cannot be written: {error}; {last}. Make room and run the "
            "same command with --resume"
        ) from error


def read_checkpoint(place: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint's tensors and state.

    Raises:
        TrainingError: It is damaged or is none.
    """
    try:
        tensors = load_file(place / TENSORS)
        state = json.loads((place / STATE).read_text(encoding="utf-8"))
        if sorted(tensors) != state.pop("tensors"):
            raise ValueError("it has other tensors than were written")
    except (
        AttributeError,
        KeyError,
        OSError,
        RecursionError,
        SafetensorError,
        TypeError,
        ValueError,
    ) as error:
        raise TrainingError(
            f"{place} cannot be read as a checkpoint: {error}. Delete it and resume again"
        ) from error
    return tensors, state


def refuse_other_run(saved: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Refuse to go on with other pairs, another encoder, or another recipe than before.

    Args:
        saved: What decided the run that wrote the checkpoint, by name.
        run: What decides this one.

    Raises:
        TrainingError: They differ; says in what.
    """
    names = [*run, *(name for name in saved if name not in run)]
    other = [name for name in names if saved.get(name) != run.get(name)]
    if other:
        raise TrainingError(
            f"the checkpoint was written by a run with other {', '.join(other)}; resume with what "
            "that run had, or begin anew without resuming"
        )


def module_tensors(module: nn.Module, trained: Collection[str]) -> dict[str, Tensor]:
    """A module's trained parameters, named, and its buffers; of a shared one the shares."""
    reshard(module)
    found: dict[str, Tensor] = {n: p for n, p in module.named_parameters() if n in trained}
    return found | dict(module.named_buffers())


def restore_module(
    module: nn.Module, trained: Collection[str], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `module_tensors` took.

    Raises:
        TrainingError: Other parameters are trained now than were then.
    """
    targets = module_tensors(module, trained)
    if targets.keys() != tensors.keys() or any(
        target.shape != tensors[name].shape for name, target in targets.items()
    ):
        raise TrainingError(
            "the checkpoint was written by a run that trained other parameters; resume with the "
            "encoder and the options of that run"
        )
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(as_shared(tensors[name], target))


def tensors_under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def optimizer_tensors(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's ``state_dict()`` into tensors by name and the rest, which is JSON."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers[f"{index}.{name}"] = value
    return tensors, {"param_groups": state["param_groups"], "numbers": numbers}


def optimizer_state(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `optimizer_tensors`."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in (*tensors.items(), *rest["numbers"].items()):
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    return {"state": state, "param_groups": rest["param_groups"]}


def random_tensors() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of Python's, NumPy's and torch's random generators."""
    version, internal, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {
        "python": torch.tensor(internal, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "torch": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors |= {
            f"cuda.{number}": state
            for number, state in enumerate(torch.cuda.random.get_rng_state_all())
        }
    numbers = [version, gauss, int(position), int(has_gauss), float(cached)]
    return tensors, {"numbers": numbers}


def gathered_random() -> list[tuple[dict[str, Tensor], dict[str, Any]]]:
    """What `random_tensors` takes in each of a run's processes; called by all."""
    mine = random_tensors()
    if process_count() == 1:
        return [mine]
    everyone: list[Any] = [None] * process_count()
    torch.distributed.all_gather_object(everyone, mine)
    return everyone


def restore_random(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> None:
    """Put back what `random_tensors` took."""
    version, gauss, position, has_gauss, cached = rest["numbers"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, cached))
    torch.random.set_rng_state(tensors["torch"])
    cards = [name for name in tensors if name.startswith("cuda.")]
    if torch.cuda.is_available() and len(cards) == torch.cuda.device_count():
        torch.cuda.random.set_rng_state_all([tensors[f"cuda.{n}"] for n in range(len(cards))])
