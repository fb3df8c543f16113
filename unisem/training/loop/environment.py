"""Several processes of one run, as ``torchrun`` and ``accelerate launch`` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from unisem.errors import TrainingError
from unisem.training.settings import Precision


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes this run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def first_process_first() -> Iterator[bool]:
    """Let the first process do the block alone, then the others, who find its results.

    Yields:
        Whether this is the first process.
    """
    if process_count() == 1:
        yield True
        return
    from accelerate import PartialState  # type: ignore[import-untyped]

    with PartialState().main_process_first():
        yield is_first_process()


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
