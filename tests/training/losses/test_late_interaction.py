"""`LateInteraction` against MaxSim and InfoNCE written out token by token."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unisem.training.losses import LateInteraction, PairLabels


def tokens(seed: int, counts: list[int]) -> list[Tensor]:
    """Vectors of 5 numbers, so many for each input."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in counts]
    return [one.requires_grad_() for one in made]


def padded(parts: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


def alike(query: Tensor, document: Tensor) -> Tensor:
    """The mean over a query's tokens of the best cosine of a document's, one after another."""
    best = []
    for one in query:
        cosines = [one @ other / one.norm() / other.norm() for other in document]
        best.append(max(cosines, key=lambda cosine: float(cosine.detach())))
    return torch.stack(best).sum() / len(query)


@pytest.mark.parametrize("guided", [False, True])
def test_value_and_gradients_are_those_of_the_loss_written_out(guided: bool) -> None:
    texts, images = tokens(1, [3, 1, 4, 2]), tokens(2, [6, 2, 5, 3, 4])  # one hard negative
    labels = PairLabels(torch.tensor([0, 1, 0, 3, 9]), torch.tensor([0, 1, 2, 1, 9]))
    passed = {(0, 2), (2, 0), (1, 3), (3, 1)}  # the same picture, and the same caption
    if guided:
        guide = torch.eye(4, 5)
        guide[0, 1] = 2.0  # better than either's own
        labels, passed = labels._replace(guide=guide), passed | {(0, 1)}
    loss = LateInteraction(0.1)(padded(texts), padded(images), labels)
    terms = []
    for i in range(4):
        right = torch.exp(alike(texts[i], images[i]) / 0.1)
        shown = [images[j] for j in range(5) if j == i or (i, j) not in passed]
        asked = [texts[j] for j in range(4) if j == i or (j, i) not in passed]
        terms += [
            -torch.log(right / sum(torch.exp(alike(texts[i], one) / 0.1) for one in shown)),
            -torch.log(right / sum(torch.exp(alike(one, images[i]) / 0.1) for one in asked)),
        ]
    expected = torch.stack(terms).sum() / 8
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-9)
    found, wanted = (torch.autograd.grad(it, [*texts, *images]) for it in (loss, expected))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
    assert max(float(ours.abs().max()) for ours in found) > 1e-2


def test_padding_changes_nothing_even_where_all_is_dissimilar() -> None:
    query, document = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-1.0, 0.0]]])
    more = torch.cat([document, torch.zeros(1, 3, 2)], dim=1)
    loss = LateInteraction()
    assert float(loss.similarities(query, more)) == -1
    longer = torch.cat([query, torch.zeros(1, 2, 2)], dim=1)
    assert float(loss.similarities(longer, more)) == -1
