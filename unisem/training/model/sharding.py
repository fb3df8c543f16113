"""A model's numbers divided among the processes that train it: FSDP, as torch has it.

Each process keeps a share of every parameter, of its gradient and of its moments; a layer's
parameters come together while it computes. What is divided is a copy: the model itself waits in
plain tensors, on the processor, so that whatever comes after training sees a model like any other.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from unisem.training.model.unfreezing import network_layers


def copy_to_shard(view: Any) -> Any:
    """A copy of a model; the model itself makes room on the device."""
    device = view.device
    view.to("cpu")
    return copy.deepcopy(view).to(device)


def shard(model: Any) -> None:
    """Divide a model among all processes, in place: layer by layer, then what is left."""
    mesh = init_device_mesh(model.device.type, (torch.distributed.get_world_size(),))
    for layer in network_layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def take_back(view: Any, trained: Any) -> None:
    """Put what the processes have trained into the model that waited; called by all of them."""
    device = trained.device
    reshard(trained)
    found = {**dict(trained.named_parameters()), **dict(trained.named_buffers())}
    with torch.no_grad():
        for name, target in (*view.named_parameters(), *view.named_buffers()):
            target.copy_(whole(found[name]))
    view.to(device)


def reshard(model: nn.Module) -> None:
    """Let go of parameters that came together; until then they hide the shares that are trained."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which processes have shares, put together; called by all. Others as they are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def as_shared(tensor: Tensor, target: Tensor) -> Tensor:
    """This process's share of a tensor, if a target is shared; called by all."""
    if not isinstance(target, DTensor):
        return tensor
    return distribute_tensor(tensor.to(target.device), target.device_mesh, target.placements)
