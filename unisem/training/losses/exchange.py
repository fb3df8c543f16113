"""What the processes of a run exchange so that their loss is that of one joint batch.

**What holds.** `joint_loss` gives every process the same number, the loss of the joint batch. The
gradient that comes back to a process's vectors is that of the joint loss times the number of
processes; `DistributedDataParallel` and FSDP then average over them. So a model's gradients are
those of one process on the joint batch, for any loss, and the loss's own parameters get the same
gradient everywhere. Processes may have different numbers of pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from unisem.training.losses.base import ChunkedLoss, PairLabels, PairLoss


def several_processes() -> bool:
    """Whether this run has processes that are connected."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def joint_loss(
    loss: PairLoss, texts: Tensor, images: Tensor, labels: Tensor
) -> Tensor | dict[str, Tensor]:
    """A loss of the joint batch of all processes; called by all of them.

    A `ChunkedLoss` sees each process's captions in turn, any other all vectors at once.

    Args:
        loss: The loss.
        texts: ``(n, d)`` this process's caption vectors; others may have another n.
        images: ``(m, d)`` its picture vectors, hard negatives from row ``n`` on.
        labels: ``(m, 2 + w)`` int64; others may have another w.
    """
    rows = len(texts)
    sizes = all_gather(
        torch.tensor([[rows, len(images) - rows, labels.shape[1]]], device=texts.device)
    )
    counts, more, widths = (column.tolist() for column in sizes.unbind(1))
    labels = functional.pad(labels, (0, max(widths) - labels.shape[1]), value=-1)
    if isinstance(loss, ChunkedLoss):
        return _in_turn(loss, texts, images, labels, counts)
    texts = _gathered(texts, counts, all_gather_with_grad)
    images, labels = (
        torch.cat([_gathered(part[:rows], counts, gather), _gathered(part[rows:], more, gather)])
        for part, gather in ((images, all_gather_with_grad), (labels, all_gather))
    )
    result: Tensor | dict[str, Tensor] = loss(texts, images, PairLabels.of(labels))
    return result


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients that any process has of parameters over all processes, in place.

    Called by all of them with the same parameters.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        return
    has = torch.tensor([p.grad is not None for p in trained], device=trained[0].device).int()
    torch.distributed.all_reduce(has)
    gradients = []
    for parameter, count in zip(trained, has.tolist(), strict=True):
        if count:  # where one has none, its part of the joint batch did not pass here
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    if not gradients:
        return
    joint = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(joint)
    joint /= torch.distributed.get_world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(joint[start : start + gradient.numel()].view(gradient.shape))
        start += gradient.numel()


def _gathered(part: Tensor, counts: list[int], gather: Any) -> Tensor:
    """The rows of all processes, of which each says how many it has."""
    most = max(counts)
    if not most:
        return part
    joint: Tensor = gather(functional.pad(part, (0, 0, 0, most - len(part))))
    if min(counts) == most:
        return joint
    return torch.cat([joint[n * most : n * most + count] for n, count in enumerate(counts)])


def _in_turn(
    loss: ChunkedLoss, texts: Tensor, images: Tensor, labels: Tensor, counts: list[int]
) -> Tensor:
    """The loss of the joint batch: this process's pictures, and each process's captions in turn.

    Captions go round from process to process, and their gradients back the same way. A chunk's
    combinations are computed again on the way back, so no more than one chunk's are in memory.

    Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training",
    https://arxiv.org/abs/2303.15343, section 3.3.
    """
    processes, rank, rows = len(counts), torch.distributed.get_rank(), len(texts)
    averaged: Any = _Averaged.apply
    passed_on: Any = _Passed.apply
    learned = {f"loss.{name}": averaged(p) for name, p in loss.named_parameters()}
    module, seen = _Chunk(loss), labels
    sums = []
    asking, asked = texts, labels[:rows]
    for turn in range(processes):
        if turn:
            count = counts[(rank - turn) % processes]
            asking = passed_on(asking, count)
            asked = _passed(asked, count, forward=True)
        given = (asking, images, asked, seen, turn == 0)
        sums.append(
            checkpoint(
                functional_call,
                module,
                learned,
                given,
                use_reentrant=False,
                preserve_rng_state=False,
            )
        )
    mine = torch.stack(sums).sum() * (processes / sum(counts))
    joint = mine.detach().clone()
    torch.distributed.all_reduce(joint)
    return mine + (joint / processes - mine.detach())


class _Chunk(nn.Module):
    """A chunk of a loss as a module's forward pass, which can be given other parameters."""

    def __init__(self, loss: ChunkedLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self, texts: Tensor, images: Tensor, asked: Tensor, seen: Tensor, own: bool
    ) -> Tensor:
        return self.loss.chunk(texts, images, PairLabels.of(asked), PairLabels.of(seen), own=own)


def _passed(rows: Tensor, count: int, *, forward: bool) -> Tensor:
    """Send rows to the next process (or the previous one), and return the ``count`` that arrive."""
    distributed = torch.distributed
    processes, rank = distributed.get_world_size(), distributed.get_rank()
    step = 1 if forward else -1
    arriving = rows.new_empty((count, *rows.shape[1:]))
    work = distributed.batch_isend_irecv(
        [
            distributed.P2POp(distributed.isend, rows.contiguous(), (rank + step) % processes),
            distributed.P2POp(distributed.irecv, arriving, (rank - step) % processes),
        ]
    )
    for sent in work:
        sent.wait()
    return arriving


class _Passed(Function):
    """Rows to the next process; their gradient comes back from it."""

    @staticmethod
    def forward(context: Any, rows: Tensor, count: int) -> Tensor:
        context.count = len(rows)
        return _passed(rows, count, forward=True)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _passed(gradient, context.count, forward=False), None


class _Averaged(Function):
    """A parameter as it is, whose gradient is averaged over processes."""

    @staticmethod
    def forward(context: Any, parameter: Tensor) -> Tensor:
        return parameter.view_as(parameter)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        joint = gradient.clone()
        torch.distributed.all_reduce(joint)
        return joint / torch.distributed.get_world_size()
