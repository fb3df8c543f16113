"""`CachedLoss`: large batches on small memory, for any `PairLoss`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unisem.training.losses.base import PairLoss, total
from unisem.training.losses.embedding import apply_loss, in_one
from unisem.training.losses.exchange import average_gradients


class CachedLoss(CachedLossMixin, nn.Module):  # type: ignore[misc]
    r"""A `PairLoss` with cached gradients (GradCache).

    The batch is embedded without a graph, ``mini_batch_size`` inputs at a time; the loss gives the
    gradient of every vector; then the batch is embedded again, and each part's vectors are driven
    back with their cached gradients. Activations of one part are alive at a time, and loss and
    gradients are those of `EmbeddingLoss`, at the price of a second forward pass:

    .. math:: \frac{∂L}{∂θ} = \sum_i \frac{∂L}{∂x_i} \frac{∂x_i}{∂θ}

    The machinery is sentence-transformers' ``CachedLossMixin``. Added here: a loss's own parameters
    (a learned temperature) get the outer scale too, as gradient accumulation and float16 need;
    what a loss returns by name is returned by name; and
    with several processes gradients are averaged here. ``DistributedDataParallel`` would wait for
    every parameter's gradient in the last part's backward pass, and that part is one tower's only:
    it would never average anything.

    A trained network with batch normalisation takes its statistics from one part at a time, so
    there the gradients are not quite those of `EmbeddingLoss`.

    Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
    Setup", https://arxiv.org/abs/2101.06983.

    Args:
        model: A ``SentenceTransformer``, or a module that takes its features.
        loss: The loss over the whole batch.
        mini_batch_size: How many inputs are embedded at a time.

    Shapes: ``forward(features, labels)`` as `EmbeddingLoss`.
    """

    def __init__(self, model: nn.Module, loss: PairLoss, *, mini_batch_size: int = 32) -> None:
        super().__init__()
        if mini_batch_size < 1:
            raise ValueError(f"mini_batch_size must be at least 1, not {mini_batch_size}")
        self._parallel: tuple[DistributedDataParallel, ...] = ()
        self.model = model
        self.loss = loss
        self.mini_batch_size = mini_batch_size
        self._own: list[tuple[nn.Parameter, Tensor]] = []
        self._parts: dict[str, Tensor] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "model" and isinstance(value, DistributedDataParallel):
            self._parallel = (value,)  # in a tuple, so that it is no submodule
            value = value.module
        super().__setattr__(name, value)

    def forward(
        self, features: Sequence[dict[str, Any]], labels: Tensor
    ) -> Tensor | dict[str, Tensor]:
        """Compute the loss of a batch; see `EmbeddingLoss.forward`."""
        result: Tensor = CachedLossMixin.forward_cached(self, features, labels)
        parts, self._parts = self._parts, {}
        if torch.is_grad_enabled():
            own, self._own = self._own, []
            # Hooks run in the order of their registration, this one after the mixin's.
            parallel = self._parallel
            result.register_hook(  # type: ignore[no-untyped-call]
                lambda scale: _finish(own, scale, parallel)
            )
        if not parts:
            return result
        # Values of the parts, and the way back from their sum to the hooks on the whole.
        first = next(iter(parts))
        return parts | {first: parts[first] + (result - result.detach())}

    def calculate_loss(
        self,
        reps: list[list[Tensor]],
        labels: Tensor | None = None,
        *,
        with_backward: bool = False,
    ) -> Tensor:
        """The loss of the whole batch from its parts' vectors; called by the mixin."""
        assert labels is not None
        texts, *images = map(in_one, reps)
        result = apply_loss(self.loss, texts, in_one(images), labels)
        loss = total(result)
        if isinstance(result, dict):
            self._parts = {name: part.detach() for name, part in result.items()}
        if not with_backward:
            return loss
        vectors = [part for column in reps for part in column]
        parameters = [p for p in self.loss.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, [*vectors, *parameters], allow_unused=True)
        for vector, gradient in zip(vectors, gradients, strict=False):
            vector.grad = torch.zeros_like(vector) if gradient is None else gradient
        self._own = [
            (parameter, gradient)
            for parameter, gradient in zip(parameters, gradients[len(vectors) :], strict=True)
            if gradient is not None
        ]
        return loss.detach()


def _finish(
    own: list[tuple[nn.Parameter, Tensor]],
    scale: Tensor,
    parallel: tuple[DistributedDataParallel, ...],
) -> None:
    """Give the loss's own parameters their gradients, and average the model's."""
    for parameter, gradient in own:
        scaled = gradient * scale
        parameter.grad = scaled if parameter.grad is None else parameter.grad + scaled
    for wrapper in parallel:
        if wrapper.require_backward_grad_sync:  # else more are to be added up first
            average_gradients(wrapper.module.parameters())
