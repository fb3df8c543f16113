"""`OwnAdam`: the optimiser of a loss's own parameters, as a module that checkpoints can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn


class OwnAdam(nn.Module):
    r"""Adam whose moments are buffers, so that ``state_dict()`` is all a resume needs.

    .. math:: m ← β_1 m + (1 - β_1) g, \quad s ← β_2 s + (1 - β_2) g^2, \quad
        θ ← θ - η\, \frac{m / (1 - β_1^k)}{\sqrt{s / (1 - β_2^k)} + ε}

    The same steps as ``torch.optim.Adam``, whose state is lazily made and no tensor by name. The
    parameters require gradients inside `minimize` only: to everyone else they are constants that
    gradients flow through.

    Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1.

    Args:
        parameters: What is stepped; each must belong to a module that is registered elsewhere.
        rate: η.
        betas: β₁ and β₂. CycleGAN's β₁ of 0.5 forgets an opponent's older moves sooner than 0.9.
        epsilon: ε.

    >>> weight = nn.Parameter(torch.tensor([3.0]))
    >>> adam = OwnAdam([weight], rate=0.1)
    >>> for _ in range(200):
    ...     adam.minimize(lambda: (weight - 1).square().sum())
    >>> round(float(weight), 2), weight.requires_grad
    (1.0, False)
    """

    steps: Tensor

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        rate: float,
        betas: tuple[float, float] = (0.5, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__()
        if not rate > 0:
            raise ValueError(f"an optimiser's rate must be above 0, not {rate}")
        # A tuple, so that they are not registered a second time.
        self._trained = tuple(parameters)
        for parameter in self._trained:
            parameter.requires_grad_(False)
        self.rate = rate
        self.betas = betas
        self.epsilon = epsilon
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for number, parameter in enumerate(self._trained):
            for moment in ("first", "second"):
                self.register_buffer(f"{moment}_{number}", torch.zeros_like(parameter))

    def trained(self) -> Iterator[nn.Parameter]:
        """The parameters that are stepped."""
        return iter(self._trained)

    def minimize(self, objective: Callable[[], Tensor]) -> None:
        """Take one step down.

        Args:
            objective: Computes the scalar; called once, with parameters that require gradients.
        """
        for parameter in self._trained:
            parameter.requires_grad_(True)
        try:
            gradients = torch.autograd.grad(objective(), self._trained)
        finally:
            for parameter in self._trained:
                parameter.requires_grad_(False)
        self._step(gradients)

    @torch.no_grad()
    def _step(self, gradients: tuple[Tensor, ...]) -> None:
        self.steps += 1
        first_decay, second_decay = self.betas
        steps = self.steps.double()  # 1 - 0.999**k loses half of float32's digits
        first_left = 1 - first_decay**steps
        second_left = 1 - second_decay**steps
        for number, (parameter, gradient) in enumerate(zip(self._trained, gradients, strict=True)):
            first = self.get_buffer(f"first_{number}")
            second = self.get_buffer(f"second_{number}")
            first.lerp_(gradient, 1 - first_decay)
            second.mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
            scale = (second / second_left).sqrt_().add_(self.epsilon)
            parameter.sub_(self.rate * (first / first_left) / scale)
