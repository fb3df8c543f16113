"""`check_device`: whether an encoder can be trained where it is."""

from __future__ import annotations

import torch

from unisem.errors import TrainingError
from unisem.training.processes import process_count
from unisem.training.recipe import Precision


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
