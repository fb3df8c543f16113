"""Several processes of one run, as ``torchrun`` and ``accelerate launch`` start them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TypeVar

import torch

from unisem.errors import TrainingError
from unisem.training.settings import Precision

_Value = TypeVar("_Value")

# While one process encodes what is frozen the others wait, for hours where pictures are many.
# Where a process dies, whoever started them ends the others.
_PATIENCE = timedelta(days=7)


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks."""
    return process_index() == 0


def process_count() -> int:
    """How many processes this run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """Which of this run's processes this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def join_processes(device: torch.device) -> None:
    """Connect the processes of this run; nothing in a run of one, or where they are connected.

    Args:
        device: What training computes on: gloo connects processors, NCCL GPUs.
    """
    if process_count() == 1 or torch.distributed.is_initialized():
        return
    from accelerate import PartialState  # type: ignore[import-untyped]

    PartialState(cpu=device.type == "cpu", timeout=_PATIENCE)


@contextmanager
def first_process_first(device: torch.device) -> Iterator[bool]:
    """Let the first process do the block alone, then the others, who find its results.

    Args:
        device: As for `join_processes`.

    Yields:
        Whether this is the first process.
    """
    if process_count() == 1:
        yield True
        return
    join_processes(device)
    if not is_first_process():
        torch.distributed.barrier()
    yield is_first_process()
    if is_first_process():
        torch.distributed.barrier()


def from_first_process(make: Callable[[], _Value], device: torch.device) -> _Value:
    """What the first process makes; the others wait for it.

    Args:
        make: Called in the first process alone. Its result travels pickled, between processes of
            one run.
        device: As for `join_processes`.
    """
    if process_count() == 1:
        return make()
    join_processes(device)
    made: list[_Value | None] = [make() if is_first_process() else None]
    torch.distributed.broadcast_object_list(made, device=device)
    (value,) = made
    return value  # type: ignore[return-value]


def in_silence(what: str, done: int, total: int) -> None:
    """The progress of every process but the first."""


def check_device(device: torch.device, precision: Precision) -> None:
    """Refuse a device that training would not compute on, or not in this precision.

    A process trains on one device: on a GPU, the first that it sees. Several GPUs are for several
    processes, each of which is given its own.

    Args:
        device: Where the encoder is.
        precision: What is computed in.

    Raises:
        TrainingError: It is another GPU than the first, or float16 is wanted on a CPU.
    """
    if precision == "float16" and device.type == "cpu":
        raise TrainingError("float16 needs a GPU; on a CPU train in float32 or bfloat16")
    if process_count() == 1 and device.type == "cuda" and device.index:
        raise TrainingError(
            f"the encoder is on {device}, but a process trains on the first GPU that it sees; set "
            f"the environment variable CUDA_VISIBLE_DEVICES={device.index} and load it on cuda"
        )


def check_sharding(sharded: bool) -> None:
    """Refuse to divide a model among processes that are not there, or to let others divide it.

    Args:
        sharded: It is to be divided.

    Raises:
        TrainingError: There is one process, or accelerate was told to use FSDP.
    """
    if sharded and process_count() == 1:
        raise TrainingError(
            "a model is divided among several processes: start them with torchrun "
            "--nproc-per-node N -m unisem train --sharded …, or train it whole"
        )
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        raise TrainingError(
            "accelerate was started with --use_fsdp, whose checkpoints are no whole models; leave "
            "that out (accelerate launch --multi_gpu, or torchrun) and pass --sharded to unisem "
            "train (sharded=True to train_encoder)"
        )


def require_libraries(*, tensorboard: bool = False) -> None:
    """Look for the libraries of training without importing them.

    Args:
        tensorboard: TensorBoard's files are wanted, too.

    Raises:
        TrainingError: One is not installed; says what to install.
    """
    missing = [name for name in ("accelerate", "datasets") if find_spec(name) is None]
    if missing:
        raise TrainingError(f"training needs {' and '.join(missing)}: pip install 'unisem[train]'")
    if tensorboard and find_spec("tensorboard") is None:
        raise TrainingError("TensorBoard's files need pip install tensorboard")
